/* SPDX-License-Identifier: MIT */
/* Sums of simple tiles in plain C. */
#include "sums_write_kernels.h"

/* What the open pixels of a tile expect. */
static uint32_t part_of(const sum_rows *rows, size_t at)
{
    const plain_cell plain = rows->plain[rows->cell[at]];
    return plain.expected * count_pixels(rows->open[at]) / TILE_NPIXELS;
}

void sums_look_plain(const sum_rows *rows, uint32_t first, sum_group *group)
{
    uint32_t is_open = 0;
    uint32_t are_far = 0;
    for (uint32_t block = 0; block < GROUP_NBLOCKS; block++) {
        const uint32_t start = first + MACRO_EDGE * block;
        const uint32_t stop = start + MACRO_EDGE < rows->ntx ? start + MACRO_EDGE : rows->ntx;
        uint32_t expected = 0;
        uint32_t sum = 0;
        uint32_t any = 0;
        int is_sure = 1;
        for (uint32_t row = 0; row < rows->nrows; row++) {
            for (uint32_t t = start; t < stop; t++) {
                const size_t at = (size_t)row * rows->ntx + t;
                if (rows->open[at] == 0)
                    continue;
                const uint32_t part = part_of(rows, at);
                rows->rule[at] = rows->open[at] == 0xFFFF
                                     ? rows->plain[rows->cell[at]].rule
                                     : sum_pattern_rule(part, rows->quarters, 0);
                expected += part;
                sum += rows->sum[at];
                is_sure &= rows->sum[at] != SUM_ELSEWHERE;
                any = 1;
            }
        }
        const float distance = (float)((int32_t)(SUM_UNITS * sum) - (int32_t)expected);
        const int is_far =
            !is_sure || distance * distance > FAR_FACTOR * (float)(expected + FAR_OFFSET);
        rows->blocks.expected[first / MACRO_EDGE + block] = expected;
        rows->blocks.sum[first / MACRO_EDGE + block] =
            (uint16_t)(is_sure && sum < SUM_ELSEWHERE ? sum : SUM_ELSEWHERE);
        is_open |= any << MACRO_EDGE * block;
        are_far |= (uint32_t)(is_far && expected < PLAIN_MOST_EXPECTED) << MACRO_EDGE * block;
    }
    group->is_open = (uint16_t)is_open;
    group->is_far = (uint16_t)are_far;
}

static void look(const sum_rows *rows, uint32_t n, sum_group *group)
{
    for (uint32_t g = 0; g < n; g++)
        sums_look_plain(rows, SUM_NTILES * g, &group[g]);
}

void sums_rescale_plain(const sum_rows *rows, uint32_t group, const int8_t *scale)
{
    for (uint32_t k = 0; k < SUM_NTILES * rows->nrows; k++) {
        const uint32_t block = k % SUM_NTILES / MACRO_EDGE;
        const uint32_t column = SUM_NTILES * group + k % SUM_NTILES;
        const size_t at = (size_t)(k / SUM_NTILES) * rows->ntx + column;
        if (scale[block] != 0 && column < rows->ntx && rows->open[at] != 0)
            rows->rule[at] = sum_pattern_rule(part_of(rows, at), rows->quarters, scale[block]);
    }
}

/*
 * Quotients by floats are exact: numbers are below 2^24, so that a quotient that is not whole is
 * farther from the next whole number than it is rounded.
 */
put_run sums_put_plain(const sum_rows *rows, uint32_t row, uint32_t group, uint16_t *pair)
{
    const size_t at = (size_t)row * rows->ntx + (size_t)SUM_NTILES * group;
    uint32_t open = 0;
    uint32_t odd = 0;
    uint32_t n = 0;
    for (uint32_t t = 0; t < SUM_NTILES; t++) {
        if (!(rows->wanted[group] >> t & 1) || rows->open[at + t] == 0)
            continue;
        open |= 1u << t;
        const uint32_t rule = rows->rule[at + t];
        const int32_t step = (int32_t)(rule >> PLAIN_STEP_SHIFT & PLAIN_STEP);
        const int32_t dither = (int32_t)((rows->hash[at + t] & 0xFFFF) * (uint32_t)step >> 16);
        const int32_t above = rows->sum[at + t] - (int32_t)(rule & PLAIN_PREDICTED) + dither;
        const int32_t most = above >= 0 ? above : step - 1 - above;
        const int32_t number = 2 * (int32_t)((float)most / (float)step) - (above < 0);
        if (rule & PLAIN_NOT || rows->sum[at + t] > PLAIN_MOST_SUM || number >= NUMBER_DIRECT)
            odd |= 1u << t;
        pair[t] = (uint16_t)(rule >> PLAIN_CONTEXT_SHIFT << 8 | (uint32_t)number);
    }
    for (uint32_t t = 0; t < SUM_NTILES && !odd; t++) {
        if (open >> t & 1)
            pair[n++] = pair[t];
    }
    return (put_run){.npairs = n, .open = (uint16_t)open, .odd = (uint16_t)odd};
}

static put_run put(const sum_rows *rows, uint32_t row, uint32_t start, uint32_t stop,
                   uint16_t *pair)
{
    put_run run = {.stop = start};
    for (; run.stop < stop; run.stop++) {
        const put_run next = sums_put_plain(rows, row, run.stop, pair + run.npairs);
        if (next.odd) {
            run.open = next.open;
            run.odd = next.odd;
            return run;
        }
        run.npairs += next.npairs;
    }
    return run;
}

const sums_write_kernels SUMS_WRITE_KERNELS_SCALAR = {look, sums_rescale_plain, put};

const sums_write_kernels *sums_write_kernels_get(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return &SUMS_WRITE_KERNELS_AVX512;
    if (level == CPU_AVX2)
        return &SUMS_WRITE_KERNELS_AVX2;
#endif
    (void)level;
    return &SUMS_WRITE_KERNELS_SCALAR;
}
