/* SPDX-License-Identifier: MIT */
/*
 * count_tiles for CPUs: a work-item takes a frame, 16 tiles at a time in vectors.
 *
 * Index space: frames (dimension 1).  The counters of a frame are those of one work-item, so that
 * nothing is atomic.  Tiles with a pixel of 15 counts or more, under the mask, or at an edge that
 * cuts them are left to count_tile.
 */
#define RUN 16u /* tiles side by side: lanes of a vector, here and in the files behind */

/* Four rows of 16 tiles. */
typedef struct {
    uint16 bytes[4]; /* of each row a number for each tile, the first pixel lowest */
    uint16 largest;  /* likewise, over the rows, limited to 127 */
} tile_run;

/* 64 pixels, four times in 16 lanes, as one byte each. */
inline uint16 bytes_of(uint16 a, uint16 b, uint16 c, uint16 d)
{
    return (uint16)(as_uint4(convert_uchar16(a)), as_uint4(convert_uchar16(b)),
                    as_uint4(convert_uchar16(c)), as_uint4(convert_uchar16(d)));
}

inline void load_run(global const PIXEL *first, uint width, tile_run *run)
{
    uint16 most[4] = {0, 0, 0, 0};
#pragma unroll
    for (uint i = 0; i < 4; i++, first += width) {
        uint16 v[4];
#pragma unroll
        for (uint k = 0; k < 4; k++) {
            v[k] = UNSIGNED16(vload16(k, first));
            most[k] = max(most[k], v[k]);
        }
        run->bytes[i] = bytes_of(v[0], v[1], v[2], v[3]);
    }
#pragma unroll
    for (uint k = 0; k < 4; k++)
        most[k] = min(most[k], (uint16)127u);
    run->largest = bytes_of(most[0], most[1], most[2], most[3]);
}

/* Lanes are not 0 if a pixel of their tile is under the mask. */
inline uint16 mask_run(global const uchar *first, uint width)
{
    uint16 covered = 0;
#pragma unroll
    for (uint i = 0; i < 4; i++, first += width)
        covered |= (uint16)(as_uint4(vload16(0, first)), as_uint4(vload16(1, first)),
                            as_uint4(vload16(2, first)), as_uint4(vload16(3, first)));
    return covered;
}

/*
 * How many pixels of a tile have the values 0, 2, 4, 6 and 1, 3, 5, 7: a byte each.  Bytes of rows
 * are below 8.
 */
typedef struct {
    uint16 even;
    uint16 odd;
} run_counts;

/* Four bits have room for two rows. */
inline run_counts count_few(const uint16 *rows)
{
    uint16 count[2] = {0, 0};
#pragma unroll
    for (uint i = 0; i < 4; i++) {
#pragma unroll
        for (uint j = 0; j < 4; j++)
            count[i / 2u] += (uint16)1 << (rows[i] << 2u >> (8u * j) & 31u);
    }
    const run_counts few = {
        (count[0] & 0x0F0F0F0Fu) + (count[1] & 0x0F0F0F0Fu),
        (count[0] >> 4u & 0x0F0F0F0Fu) + (count[1] >> 4u & 0x0F0F0F0Fu),
    };
    return few;
}

/* Those below 8; others count as 0. */
inline run_counts count_small(const tile_run *run)
{
    uint16 rows[4];
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        const uint16 eights = run->bytes[i] >> 3u & 0x01010101u;
        rows[i] = run->bytes[i] & ~((eights << 4u) - eights);
    }
    return count_few(rows);
}

/* Those from 8 to 14, less 7; others count as 0. */
inline run_counts count_larger(const tile_run *run)
{
    uint16 rows[4];
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        const uint16 eights = run->bytes[i] >> 3u & 0x01010101u;
        rows[i] = (run->bytes[i] & ((eights << 3u) - eights)) + eights;
    }
    return count_few(rows);
}

/* Sums of the four bytes of two rows of numbers and their squares, all below 16. */
inline ushort16 squares_of_rows(uint8 a, uint8 b)
{
    const ushort16 even_a = as_ushort16(a & 0x00FF00FFu);
    const ushort16 odd_a = as_ushort16(a >> 8 & 0x00FF00FFu);
    const ushort16 even_b = as_ushort16(b & 0x00FF00FFu);
    const ushort16 odd_b = as_ushort16(b >> 8 & 0x00FF00FFu);
    return even_a * even_a + odd_a * odd_a + even_b * even_b + odd_b * odd_b;
}

/* Adds the two halves of each number. */
inline uint16 add_halves(uint16 v) { return (v & 0xFFFFu) + (v >> 16); }

inline uint16 sums_of_run(const tile_run *run)
{
    uint16 halves = 0;
#pragma unroll
    for (uint i = 0; i < 4; i++)
        halves += (run->bytes[i] & 0x00FF00FFu) + (run->bytes[i] >> 8 & 0x00FF00FFu);
    return add_halves(halves);
}

inline uint16 squares_of_run(const tile_run *run)
{
    const uint16 *b = run->bytes;
    const ushort16 low = squares_of_rows(b[0].lo, b[1].lo) + squares_of_rows(b[2].lo, b[3].lo);
    const ushort16 high = squares_of_rows(b[0].hi, b[1].hi) + squares_of_rows(b[2].hi, b[3].hi);
    return add_halves((uint16)(as_uint8(low), as_uint8(high)));
}

inline uint16 largest_of_run(const tile_run *run)
{
    const uint16 v = run->largest;
    return max(max(v & 0xFFu, v >> 8 & 0xFFu), max(v >> 16 & 0xFFu, v >> 24));
}

inline uint sum16(uint16 v)
{
    const uint8 a = v.lo + v.hi;
    return sum4(a.lo + a.hi);
}

/* Adds to counters how many pixels of a tile have the values 1 to 7. */
inline void add_run(global uint *count, uint even, uint odd)
{
    uchar8 few;
    few.even = as_uchar4(even & ~0xFFu);
    few.odd = as_uchar4(odd);
    vstore8(vload8(0, count) + convert_uint8(few), 0, count);
}

/* Writes what is known of 16 tiles side by side. */
inline void store_run(const count_job *job, uint tile, ushort valid, uint16 sum, uint16 largest,
                      uint16 squares)
{
    const ulong room = tiles_room(job->shape);
    vstore16((ushort16)valid, 0, VALID_OF(job->tiles) + tile);
    vstore16(convert_ushort16(sum), 0, SUM_OF(job->tiles, room) + tile);
    vstore16((uchar16)0, 0, HAS_LARGE_OF(job->tiles, room) + tile);
    vstore16(convert_uchar16(largest), 0, LARGEST_OF(job->tiles, room) + tile);
    vstore16(squares, 0, job->squares + tile);
}

/* Whether all pixels of 16 tiles have the same mask code. */
inline bool is_gap_run(global const PIXEL *first, uint width, uint4 codes)
{
    const uint value = UNSIGNED(*first);
    uint16 differ = 0;
    for (uint i = 0; i < 4; i++, first += width) {
        for (uint k = 0; k < 4; k++)
            differ |= UNSIGNED16(vload16(k, first)) ^ value;
    }
    return has_code(value, codes) && !any(differ != 0u);
}

/* Counts 16 tiles that are a gap. */
inline void count_gap_run(const count_job *job, uint tile)
{
    const uint ncells = NCELLS(job->options);
    global uchar *bytes = job->plane + plane_tile(job->shape, job->frame, tile);
    for (uint i = 0; i < 4; i++, bytes += plane_stride(job->shape))
        vstore16((uint16)0, 0, (global uint *)bytes);
    store_run(job, tile, 0, 0, 0, 0);
    for (uint t = 0; t < RUN; t++) {
        const uint cell = job->cells[tile + t];
        if (cell < ncells)
            job->counts[COUNTS_NHEADER + cell] += TILE_NPIXELS;
    }
}

/* Counts 16 tiles side by side, all in the frame; returns the sum of their valid pixels. */
inline ulong count_run(const count_job *job, uint tile)
{
    const frame_shape shape = job->shape;
    const uint ncells = NCELLS(job->options);
    global const PIXEL *pixels = job->frames + pixel_index(shape, job->frame, tile, 0);
    tile_run run;
    load_run(pixels, shape.y, &run);
    const uint16 largest = largest_of_run(&run);
    if (!any(largest < 127u) && is_gap_run(pixels, shape.y, job->codes)) {
        count_gap_run(job, tile);
        return 0;
    }
    uint16 covered = 0;
    if (HAS_MASK(job->options))
        covered = mask_run(job->mask + pixel_index(shape, 0, tile, 0), shape.y);
    const uint16 sum = sums_of_run(&run);
    const int16 is_plain = largest < 15u && covered == 0u;

    global uchar *bytes = job->plane + plane_tile(shape, job->frame, tile);
#pragma unroll
    for (uint i = 0; i < 4; i++, bytes += plane_stride(shape))
        vstore16(run.bytes[i], 0, (global uint *)bytes);
    store_run(job, tile, 0xFFFF, sum, largest, squares_of_run(&run));

    const run_counts small = count_small(&run);
    const bool has_larger = any(largest > 7u);
    uint few[4][RUN];
    int plain[RUN];
    vstore16(small.even, 0, few[0]);
    vstore16(small.odd, 0, few[1]);
    if (has_larger) {
        const run_counts larger = count_larger(&run);
        vstore16(larger.even, 0, few[2]);
        vstore16(larger.odd, 0, few[3]);
    }
    vstore16(is_plain, 0, plain);
    global uint *first = (global uint *)job->counts + counts_first(ncells);
    ulong total = sum16(is_plain ? sum : (uint16)0);
    for (uint t = 0; t < RUN; t++) {
        const uint cell = job->cells[tile + t];
        if (!plain[t]) {
            total += count_tile(job, tile + t);
        } else if (cell < ncells) {
            add_run(first + cell * NCOUNTS, few[0][t], few[1][t]);
            if (has_larger && (few[2][t] & ~0xFFu | few[3][t]))
                add_run(first + cell * NCOUNTS + 7u, few[2][t], few[3][t]);
        }
    }
    return total;
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void count_tiles_by_frame(COUNT_ARGUMENTS)
{
    const uint frame = get_global_id(1);
    const count_job job = COUNT_JOB;
    ulong total = 0;
    for (uint row = 0; row < shape.z; row++) {
        const uint first = row * shape.w;
        uint column = 0;
        if (4u * (row + 1u) <= shape.x) {
            for (; 4u * (column + RUN) <= shape.y; column += RUN)
                total += count_run(&job, first + column);
        }
        for (; column < shape.w; column++)
            total += count_tile(&job, first + column);
    }
    job.counts[TOTAL_LOW] = (uint)total;
    job.counts[TOTAL_HIGH] = (uint)(total >> 32);
}
