/* SPDX-License-Identifier: MIT */
/*
 * The one pass over the pixels: bytes and sums of tiles, histograms of cells.
 *
 * Index space: tiles x frames; local memory: 8 bytes a work-group.  A work-item reads its 16 pixels
 * once.  Pixels without counts, most of all, are counted by nobody: the host finds out how many
 * are left.  Small ones are counted in the bytes of 64-bit numbers first, so that a tile costs an
 * atomic addition for each pair of values that it holds.
 */
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable

/* What a tile amounts to. */
typedef struct {
    uint valid; /* bits of pixels without a mask code */
    uint sum;   /* of bytes, as the next two */
    uint squares;
    uint largest;
    ulong total;    /* of valid pixels modulo 2^32 */
    ulong few;      /* byte n: how many pixels count n, below 8 */
    ulong few_more; /* those that count 8 + n */
    uint nabsent;
    bool has_negative;
} tile_counts;

/* Where pixels are counted that are not few. */
typedef struct {
    volatile global uint *counts; /* of the frame */
    volatile global uint *count;  /* of the cell */
    global large_pixel *large;
    uint large_room;
    bool has_cell;
} tile_counters;

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

inline uint sum4(uint4 v) { return v.x + v.y + v.z + v.w; }

/* Byte n: how many of four numbers are base + n. */
inline ulong few_of(uint4 v, uint base)
{
    const uint4 shift = 8u * (v - base);
    return (v.x - base < 8u ? 1ul << shift.x : 0ul) + (v.y - base < 8u ? 1ul << shift.y : 0ul) +
           (v.z - base < 8u ? 1ul << shift.z : 0ul) + (v.w - base < 8u ? 1ul << shift.w : 0ul);
}

/* Two counters are added to at a time. */
inline void add_few(volatile global uint *count, ulong few)
{
    for (; few; count += 2, few >>= 16u) {
        if (few & 0xFFFFul)
            atom_add((volatile global ulong *)count, (few & 0xFFul) | (few & 0xFF00ul) << 24u);
    }
}

/* codes: their number, and up to three. */
inline bool has_code(uint value, uint4 codes)
{
    const uint v = value & PIXEL_MASK;
    return (codes.x > 0u && v == codes.y) || (codes.x > 1u && v == codes.z) ||
           (codes.x > 2u && v == codes.w);
}

inline void count_pixel(const tile_counters *to, uint value, uint place)
{
    if (value < NCOUNTS) {
        atomic_inc(to->count + value);
        return;
    }
    const uint k = atomic_inc(to->counts + NLARGE);
    if (k < to->large_room) {
        const large_pixel pixel = {place, value};
        to->large[k] = pixel;
    }
}

/* A row of which pixels may be anything: returns its bytes. */
inline uint4 look_at_row(uint4 row, uint4 codes, uint covered, uint tile, uint i,
                         const tile_counters *to, tile_counts *t)
{
    const uint value[4] = {row.x, row.y, row.z, row.w};
    uint byte[4];
    for (uint j = 0; j < 4; j++) {
        const uint p = 4u * i + j;
        const uint v = value[j];
        if (has_code(v, codes))
            t->valid &= ~(1u << p);
        const bool is_valid = t->valid >> p & 1u;
        const bool is_covered = covered >> j & 1u;
        byte[j] = !is_valid ? 0u : v >= LOOKUP || is_covered ? LOOKUP : v;
        t->total += is_valid ? v : 0u;
        t->has_negative |= IS_SIGNED && is_valid && (int)v < 0;
        if (!is_valid || is_covered)
            t->nabsent++;
        else if (v < 8u)
            t->few += 1ul << 8u * v;
        else if (to->has_cell)
            count_pixel(to, v, TILE_NPIXELS * tile + p);
    }
    return (uint4)(byte[0], byte[1], byte[2], byte[3]);
}

/* Whether all pixels of a tile have the same mask code. */
inline bool is_gap(const uint4 *row, uint most, uint4 codes)
{
    const uint4 least4 = min(min(row[0], row[1]), min(row[2], row[3]));
    const uint least = min(min(least4.x, least4.y), min(least4.z, least4.w));
    return least == most && has_code(most, codes);
}

/* Bits of the pixels of a row of a tile that are under the mask. */
inline uint covered_bits(global const uchar *mask, frame_shape shape, uint tile, uint i)
{
    uint bits = 0;
    for (uint j = 0; j < 4; j++) {
        if (inside_bits(shape, tile) >> (4u * i + j) & 1u)
            bits |= (mask[pixel_index(shape, 0, tile, 4u * i + j)] ? 1u : 0u) << j;
    }
    return bits;
}

/* What is counted, and where to. */
typedef struct {
    global const PIXEL *frames;
    global const uchar *mask;
    global const ushort *cells;
    frame_shape shape;
    tile_options options;
    uint4 codes;
    global uchar *plane;
    global uchar *tiles; /* these: of the frame */
    global uint *squares;
    volatile global uint *counts;
    global large_pixel *large;
    uint large_room;
    uint frame;
} count_job;

/* The arguments of a kernel that counts. */
#define COUNT_ARGUMENTS                                                                            \
    global const PIXEL *frames, global const uchar *mask, global const ushort *cells,              \
        const frame_shape shape, const tile_options options, const uint4 codes,                    \
        const uint large_room, global uchar *plane, global uchar *all_tiles,                       \
        global uint *squares_of, volatile global uint *all_counts, global large_pixel *all_large

#define COUNT_JOB                                                                                  \
    {                                                                                              \
        frames, mask, cells, shape, options, codes, plane, tiles_of(all_tiles, shape, frame),      \
            squares_of + tiles_room(shape) * frame,                                                \
            all_counts + counts_nwords(NCELLS(options)) * frame,                                   \
            all_large + large_room *(ulong)frame, large_room, frame                                \
    }

/* Counts a tile; returns the sum of its valid pixels, each modulo 2^32. */
inline ulong count_tile(const count_job *job, uint tile)
{
    const frame_shape shape = job->shape;
    const tile_options options = job->options;
    const ulong room = tiles_room(shape);
    const uint ncells = NCELLS(options);
    const uint cell = job->cells[tile];
    volatile global uint *counts = job->counts;
    const tile_counters to = {counts, counts + counts_first(ncells) + cell * NCOUNTS, job->large,
                              job->large_room, cell < ncells};
    tile_counts t = {inside_bits(shape, tile), 0, 0, 0, 0, 0, 0, 0, false};
    uint4 row[4];
    for (uint i = 0; i < 4; i++)
        row[i] = load_row(job->frames, shape, job->frame, tile, i);
    const uint4 most4 = max(max(row[0], row[1]), max(row[2], row[3]));
    const uint most = max(max(most4.x, most4.y), max(most4.z, most4.w));
    /* Mask codes are all far above; and so most tiles are done with here, or in a gap. */
    if (is_gap(row, most, job->codes)) {
        t.valid = 0;
        t.nabsent = TILE_NPIXELS;
        row[0] = row[1] = row[2] = row[3] = (uint4)(0, 0, 0, 0);
    } else if (most < 16u && t.valid == 0xFFFFu && !HAS_MASK(options)) {
        for (uint i = 0; i < 4; i++)
            t.few += few_of(row[i], 0);
        for (uint i = 0; i < 4 && most >= 8u; i++)
            t.few_more += few_of(row[i], 8);
        t.total = sum4(row[0] + row[1] + row[2] + row[3]);
    } else {
        for (uint i = 0; i < 4; i++) {
            const uint covered = HAS_MASK(options) ? covered_bits(job->mask, shape, tile, i) : 0u;
            row[i] = look_at_row(row[i], job->codes, covered, tile, i, &to, &t);
        }
    }
    global uchar *bytes = job->plane + plane_tile(shape, job->frame, tile);
    for (uint i = 0; i < 4; i++, bytes += plane_stride(shape))
        *(global uchar4 *)bytes = convert_uchar4(row[i]);
    const uint4 largest4 = max(max(row[0], row[1]), max(row[2], row[3]));
    t.largest = max(max(largest4.x, largest4.y), max(largest4.z, largest4.w));
    t.sum = sum4(row[0] + row[1] + row[2] + row[3]);
    t.squares = sum4(row[0] * row[0] + row[1] * row[1] + row[2] * row[2] + row[3] * row[3]);
    if (to.has_cell) {
        add_few(to.count, t.few & ~0xFFul);
        if (t.few_more)
            add_few(to.count + 8, t.few_more);
        if (t.nabsent)
            atomic_add(counts + COUNTS_NHEADER + cell, t.nabsent);
    }
    if (t.has_negative)
        atomic_or(counts + HAS_NEGATIVE, 1u);
    VALID_OF(job->tiles)[tile] = (ushort)t.valid;
    SUM_OF(job->tiles, room)[tile] = (ushort)t.sum;
    HAS_LARGE_OF(job->tiles, room)[tile] = t.largest == LOOKUP;
    LARGEST_OF(job->tiles, room)[tile] = (uchar)t.largest;
    job->squares[tile] = t.squares;
    return t.total;
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void count_tiles(COUNT_ARGUMENTS)
{
    volatile local uint total_low;
    volatile local uint total_high;
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const count_job job = COUNT_JOB;
    if (get_local_id(0) == 0)
        total_low = total_high = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (tile < ntiles_of(shape)) {
        const ulong total = count_tile(&job, tile);
        if (total) {
            const uint part = (uint)total;
            const uint before = atomic_add(&total_low, part);
            const uint carry = (uint)(total >> 32) + (before + part < before ? 1u : 0u);
            if (carry)
                atomic_add(&total_high, carry);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) == 0)
        add_wide(job.counts + TOTAL_LOW, TOTAL_HIGH, (ulong)total_high << 32 | total_low);
}
