/* SPDX-License-Identifier: MIT */
/*
 * The one pass over the pixels: bytes and sums of tiles, histograms of cells.
 *
 * Index space: tiles x frames; local memory: 8 bytes a work-item.  A work-item reads its 16 pixels
 * once.  Pixels without counts, most of all, are counted by nobody: the host finds out how many
 * are left.  Those of 1 to 7 are counted in the bytes of one 64-bit number first, so that a tile
 * costs an atomic addition for each value that it holds.
 */

/* Pixels of a row of a tile as unsigned numbers; those outside of the frame are 0. */
inline uint4 load_row(global const PIXEL *frames, frame_shape shape, uint frame, uint tile, uint i)
{
    const uint row = 4u * (tile / shape.w) + i;
    const uint column = 4u * (tile % shape.w);
    global const PIXEL *first = frames + ((ulong)frame * shape.x + row) * shape.y + column;
    uint v[4] = {0, 0, 0, 0};
    if (row < shape.x && column + 4u <= shape.y)
        return UNSIGNED4(vload4(0, first));
    for (uint j = 0; j < 4; j++) {
        if (row < shape.x && column + j < shape.y)
            v[j] = UNSIGNED(first[j]);
    }
    return (uint4)(v[0], v[1], v[2], v[3]);
}

/* codes: their number, and up to three. */
inline bool has_code(uint value, uint4 codes)
{
    const uint v = value & PIXEL_MASK;
    return (codes.x > 0u && v == codes.y) || (codes.x > 1u && v == codes.z) ||
           (codes.x > 2u && v == codes.w);
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
count_tiles(global const PIXEL *frames, global const uchar *mask, global const ushort *cells,
            const frame_shape shape, const tile_options options, const uint4 codes,
            const uint large_room, global uchar *plane, global uchar *all_tiles, global uchar *largest_of, global uint *squares_of,
            volatile global uint *all_counts, global large_pixel *all_large)
{
    local ulong totals[GROUP_SIZE];
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const uint ntiles = ntiles_of(shape);
    const ulong room = tiles_room(shape);
    const uint ncells = NCELLS(options);
    volatile global uint *counts =
        all_counts + (ulong)frame * (COUNTS_NHEADER + ncells * (NCOUNTS + 1u));
    ulong total = 0;
    if (tile < ntiles) {
        global uchar *tiles = tiles_of(all_tiles, shape, frame);
        const uint cell = cells[tile];
        volatile global uint *count = counts + COUNTS_NHEADER + ncells + cell * NCOUNTS;
        const uint inside = inside_bits(shape, tile);
        const uint stride = plane_stride(shape);
        const ulong at = plane_tile(shape, frame, tile);
        uint valid = inside;
        uint sum = 0;
        uint squares = 0;
        uint largest = 0;
        uint nabsent = 0;
        bool has_negative = false;
        ulong few = 0;
        for (uint i = 0; i < 4; i++) {
            const uint4 row = load_row(frames, shape, frame, tile, i);
            const uint value[4] = {row.x, row.y, row.z, row.w};
            uchar byte[4];
            for (uint j = 0; j < 4; j++) {
                const uint p = 4 * i + j;
                const uint v = value[j];
                if (has_code(v, codes))
                    valid &= ~(1u << p);
                const bool is_valid = valid >> p & 1u;
                bool is_covered = false;
                if (HAS_MASK(options) && is_valid)
                    is_covered = mask[pixel_index(shape, 0, tile, p)] != 0;
                const uint b = !is_valid ? 0u : v >= LOOKUP || is_covered ? LOOKUP : v;
                byte[j] = (uchar)b;
                sum += b;
                squares += b * b;
                largest = max(largest, b);
                total += is_valid ? v : 0u;
                has_negative |= IS_SIGNED && is_valid && (int)v < 0;
                if (!is_valid || is_covered)
                    nabsent++;
                else if (v < 8u)
                    few += 1ul << (8u * v);
                else if (cell < ncells && v < NCOUNTS)
                    atomic_inc(count + v);
                else if (cell < ncells) {
                    const uint k = atomic_inc(counts + NLARGE);
                    if (k < large_room) {
                        const large_pixel pixel = {TILE_NPIXELS * tile + p, v};
                        all_large[(ulong)frame * large_room + k] = pixel;
                    }
                }
            }
            vstore4((uchar4)(byte[0], byte[1], byte[2], byte[3]), 0,
                    plane + at + (ulong)i * stride);
        }
        if (cell < ncells) {
            for (uint v = 1; v < 8u; v++) {
                const uint n = (uint)(few >> (8u * v)) & 0xFFu;
                if (n)
                    atomic_add(count + v, n);
            }
            if (nabsent)
                atomic_add(counts + COUNTS_NHEADER + cell, nabsent);
        }
        if (has_negative)
            atomic_or(counts + HAS_NEGATIVE, 1u);
        VALID_OF(tiles)[tile] = (ushort)valid;
        SUM_OF(tiles, room)[tile] = (ushort)sum;
        HAS_LARGE_OF(tiles, room)[tile] = largest == LOOKUP;
        largest_of[frame * room + tile] = (uchar)largest;
        squares_of[frame * room + tile] = squares;
    }
    totals[get_local_id(0)] = total;
    for (uint step = GROUP_SIZE / 2; step > 0; step /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (get_local_id(0) < step)
            totals[get_local_id(0)] += totals[get_local_id(0) + step];
    }
    if (get_local_id(0) == 0)
        add_wide(counts + TOTAL_LOW, TOTAL_HIGH, totals[0]);
}
