/* SPDX-License-Identifier: MIT */
/* Sums of simple tiles in plain C. */
#include "sums_write_kernels.h"

static block_bits look(const sum_rows *rows, uint32_t first)
{
    block_bits bits = {0, 0};
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
                const uint32_t f = count_pixels(rows->open[at]);
                if (f == 0)
                    continue;
                const plain_cell plain = rows->plain[rows->cell[at]];
                rows->rule[at] = plain.rule;
                expected += plain.expected * f / TILE_NPIXELS;
                sum += rows->sum[at];
                is_sure &= rows->sum[at] != SUM_ELSEWHERE;
                any = 1;
            }
        }
        const float distance = (float)((int32_t)(SUM_UNITS * sum) - (int32_t)expected);
        const int is_far =
            !is_sure || distance * distance > FAR_FACTOR * (float)(expected + FAR_OFFSET);
        bits.is_open |= any << MACRO_EDGE * block;
        bits.is_far |= (uint32_t)(is_far && expected < PLAIN_MOST_EXPECTED) << MACRO_EDGE * block;
    }
    return bits;
}

/*
 * Quotients by floats are exact: numbers are below 2^24, so that a quotient that is not whole is
 * farther from the next whole number than it is rounded.
 */
static put_bits put(const sum_rows *rows, size_t at, uint32_t wanted, uint32_t unscaled,
                    uint16_t *pair)
{
    put_bits bits = {0, 0};
    for (uint32_t t = 0; t < SUM_NTILES; t++) {
        if (!(wanted >> t & 1) || rows->open[at + t] == 0)
            continue;
        bits.open |= 1u << t;
        const uint32_t rule = rows->rule[at + t];
        const int32_t step = (int32_t)(rule >> PLAIN_STEP_SHIFT & PLAIN_STEP);
        const int32_t dither = (int32_t)((rows->hash[at + t] & 0xFFFF) * (uint32_t)step >> 16);
        const int32_t above = rows->sum[at + t] - (int32_t)(rule & PLAIN_PREDICTED) + dither;
        const int32_t most = above >= 0 ? above : step - 1 - above;
        const int32_t number = 2 * (int32_t)((float)most / (float)step) - (above < 0);
        if (rows->open[at + t] != 0xFFFF || !(unscaled >> t & 1) || (rule & PLAIN_NOT) ||
            rows->sum[at + t] == SUM_ELSEWHERE || number >= NUMBER_DIRECT)
            bits.odd |= 1u << t;
        pair[t] = (uint16_t)(rule >> PLAIN_CONTEXT_SHIFT << 8 | (uint32_t)number);
    }
    uint32_t n = 0;
    for (uint32_t t = 0; t < SUM_NTILES && !bits.odd; t++) {
        if (bits.open >> t & 1)
            pair[n++] = pair[t];
    }
    return bits;
}

const sums_write_kernels SUMS_WRITE_KERNELS_SCALAR = {look, put};

const sums_write_kernels *sums_write_kernels_get(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return &SUMS_WRITE_KERNELS_AVX512;
#endif
    (void)level;
    return &SUMS_WRITE_KERNELS_SCALAR;
}
