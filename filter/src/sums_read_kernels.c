/* SPDX-License-Identifier: MIT */
/*
 * Sums of a row of tiles in plain C: docs/format.md, "Scales and sums".  Without branches, as which
 * tiles have sums is a matter of chance; for AVX2 the compiler makes vectors of it.
 */
#include "sums_read_kernels.h"

#include "sum_rules.h"

/* Goes on with the tiles from `first`, n being listed already. */
static uint32_t list_rest(const sum_row *tiles, uint32_t first, uint32_t n, uint8_t *context)
{
    const sum_row here = *tiles; /* which contexts, being bytes, cannot overwrite */
    const sum_row *row = &here;
    for (; first < row->ntiles; first += SUM_NLANES) {
        const uint32_t left = row->ntiles - first;
        uint32_t listed = 0;
        uint32_t odd = 0;
        lines_ahead_ask(row->ahead);
        for (uint32_t k = 0; k < (left < SUM_NLANES ? left : SUM_NLANES); k++) {
            const uint32_t t = first + k;
            const uint32_t kind = row->kind[t / QUAD_NTILES];
            const uint32_t is_listed = (row->open[t] != 0) & !(kind & SUM_COARSE);
            const small_rule *rule = &row->small[row->cell[t] & (0u - is_listed)];
            const uint32_t is_odd =
                (row->open[t] != 0xFFFF) | (kind != 0) | (rule->context == NOT_SMALL);
            row->range[t] = (uint16_t)rule->predicted | (uint32_t)(uint16_t)rule->most << 16;
            row->step[t] = rule->step | (uint32_t)rule->context << 16;
            context[n] = (uint8_t)rule->context;
            n += is_listed;
            listed |= is_listed << k;
            odd |= (is_odd & is_listed) << k;
        }
        row->listed[first / SUM_NLANES] = (uint16_t)listed;
        row->odd[first / SUM_NLANES] = (uint16_t)odd;
    }
    return n;
}

/* Sums of SUM_NLANES tiles, as `restored` for 16-bit numbers; `bits` are those to be looked at. */
BRAGG_INLINE int32_t restore_lanes(const uint32_t *range, const uint32_t *steps,
                                   const uint32_t *hash, const uint8_t *symbol, uint32_t bits,
                                   int64_t *sum)
{
    int32_t room = 0;
    for (uint32_t k = 0; k < SUM_NLANES; k++) {
        const int32_t predicted = (int16_t)range[k];
        const int32_t most = (int16_t)(range[k] >> 16);
        const uint32_t step = steps[k] & 0xFFFF;
        const int32_t j = (int32_t)(symbol[k] >> 1) ^ -(int32_t)(symbol[k] & 1);
        const int32_t dither = (int32_t)((hash[k] & 0xFFFF) * step >> 16);
        const int32_t first = predicted - dither + j * (int32_t)step;
        const int32_t last = first + (int32_t)step - 1;
        const int32_t low = first > 0 ? first : 0;
        const int32_t high = last < most ? last : most;
        room |= (high - low) & -(int32_t)(bits >> k & 1);
        sum[k] = low + ((high - low + (int32_t)(hash[k] >> 16 & 1)) >> 1);
    }
    return room;
}

BRAGG_INLINE int32_t restore_row(const sum_row *row, const uint8_t *symbol, int64_t *sum)
{
    int32_t room = 0;
    for (uint32_t first = 0; first < row->ntiles; first += SUM_NLANES) {
        const uint32_t listed = row->listed[first / SUM_NLANES];
        uint8_t lane[SUM_NLANES];
        uint32_t odd = 0;
        lines_ahead_ask(row->ahead);
        for (uint32_t k = 0; k < SUM_NLANES; k++) {
            lane[k] = *symbol;
            odd |= (uint32_t)((lane[k] >= NUMBER_DIRECT) | (row->step[first + k] >> 23 & 1)) << k;
            symbol += listed >> k & 1;
        }
        odd &= listed;
        row->odd[first / SUM_NLANES] = (uint16_t)odd;
        room |= restore_lanes(row->range + first, row->step + first, row->hash + first, lane,
                              listed & ~odd, sum + first);
    }
    return room;
}

static uint32_t list_plain(const sum_row *row, uint8_t *context)
{
    return list_rest(row, 0, 0, context);
}

static int32_t restore_plain(const sum_row *row, const uint8_t *symbol, int64_t *sum)
{
    return restore_row(row, symbol, sum);
}

const sums_read_kernels SUMS_READ_KERNELS_PLAIN = {list_plain, restore_plain};

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx2")))

/* Sixteen bits from as many lanes that are -1 or 0. */
KERNEL BRAGG_INLINE uint32_t bits_of(__m256i lanes)
{
    return (uint32_t)_mm_movemask_epi8(
        _mm_packs_epi16(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1)));
}

/* The kinds of four quads, two bytes a tile. */
KERNEL BRAGG_INLINE __m256i kinds_at(const uint8_t *quads)
{
    const __m256i tile = _mm256_setr_epi8(0, -1, 0, -1, 0, -1, 0, -1, 1, -1, 1, -1, 1, -1, 1, -1, 2,
                                          -1, 2, -1, 2, -1, 2, -1, 3, -1, 3, -1, 3, -1, 3, -1);
    return _mm256_shuffle_epi8(_mm256_set1_epi32((int)load_u32(quads)), tile);
}

/* Bits of eight tiles whose context is NOT_SMALL, the only one with its bit. */
KERNEL BRAGG_INLINE uint32_t not_small(const uint32_t *step)
{
    const __m256i high = _mm256_slli_epi32(_mm256_loadu_si256((const void *)step), 8);
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(high));
}

/* Rules are copied tile by tile, as whole numbers; the rest is done for sixteen at once. */
KERNEL static uint32_t list_avx2(const sum_row *tiles, uint8_t *context)
{
    const sum_row row = *tiles;
    const __m256i all = _mm256_set1_epi16(-1);
    const __m256i zero = _mm256_setzero_si256();
    uint32_t n = 0;
    uint32_t first = 0;
    for (; first + SUM_NLANES <= row.ntiles; first += SUM_NLANES) {
        uint16_t cell[SUM_NLANES];
        lines_ahead_ask(row.ahead);
        const __m256i open = _mm256_loadu_si256((const void *)(row.open + first));
        const __m256i kind = kinds_at(row.kind + first / QUAD_NTILES);
        const __m256i coarse = _mm256_slli_epi16(kind, 15); /* SUM_COARSE is the lowest bit */
        const __m256i unlisted =
            _mm256_or_si256(_mm256_cmpeq_epi16(open, zero), _mm256_srai_epi16(coarse, 15));
        const __m256i even =
            _mm256_and_si256(_mm256_cmpeq_epi16(open, all), _mm256_cmpeq_epi16(kind, zero));
        const uint32_t listed = ~bits_of(unlisted) & 0xFFFF;
        _mm256_storeu_si256(
            (void *)cell,
            _mm256_andnot_si256(unlisted, _mm256_loadu_si256((const void *)(row.cell + first))));
        for (uint32_t k = 0; k < SUM_NLANES; k++) {
            const small_rule *rule = &row.small[cell[k]];
            memcpy(&row.range[first + k], &rule->predicted, sizeof *row.range);
            memcpy(&row.step[first + k], &rule->step, sizeof *row.step);
            context[n] = (uint8_t)rule->context;
            n += listed >> k & 1;
        }
        const uint32_t *step = row.step + first;
        const uint32_t odd = ~bits_of(even) | not_small(step) | not_small(step + 8) << 8;
        row.listed[first / SUM_NLANES] = (uint16_t)listed;
        row.odd[first / SUM_NLANES] = (uint16_t)(odd & listed);
    }
    return list_rest(&row, first, n, context);
}

KERNEL static int32_t restore_avx2(const sum_row *row, const uint8_t *symbol, int64_t *sum)
{
    return restore_row(row, symbol, sum);
}

static const sums_read_kernels SUMS_READ_KERNELS_AVX2 = {list_avx2, restore_avx2};
#endif

const sums_read_kernels *sums_read_kernels_get(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return &SUMS_READ_KERNELS_AVX512;
    if (level == CPU_AVX2)
        return &SUMS_READ_KERNELS_AVX2;
#endif
    (void)level;
    return &SUMS_READ_KERNELS_PLAIN;
}
