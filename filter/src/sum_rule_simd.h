/* SPDX-License-Identifier: MIT */
/* Rules of sums in pattern rings with AVX-512, sixteen at a time: docs/format.md, "Scales and
 * sums". */
#ifndef BRAGG_SUM_RULE_SIMD_H
#define BRAGG_SUM_RULE_SIMD_H

#include "sum_rules.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "look_up_simd.h"

#define SUM_KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/*
 * Of a table with two words for each cell, those of the cells of some of sixteen tiles that are
 * inside of a row; anything for tiles that are not wanted, which may have no cell.
 */
SUM_KERNEL BRAGG_INLINE void look_up_cells(const void *table, const uint16_t *cell,
                                           __mmask16 inside, __mmask16 wanted, __m512i *first,
                                           __m512i *second)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m256i cells = _mm256_maskz_loadu_epi16(inside, cell);
    const __mmask16 has_cell = _mm256_mask_cmpneq_epi16_mask(inside, cells, _mm256_set1_epi16(-1));
    uint16_t wanted_cell[16];
    __m512i low;
    __m512i high;
    if (has_cell != 0xFFFF) {
        _mm256_storeu_si256((__m256i *)(void *)wanted_cell, _mm256_maskz_mov_epi16(wanted, cells));
        cell = wanted_cell;
    }
    look_up_16_pairs(table, cell, &low, &high);
    *first = _mm512_permutex2var_epi32(low, even, high);
    *second = _mm512_permutex2var_epi32(low, _mm512_or_si512(even, _mm512_set1_epi32(1)), high);
}

/* Contexts of sums whose step is 1: see exact_context_of. */
SUM_KERNEL BRAGG_INLINE __m512i exact_contexts(__m512i variance)
{
    const __m512i bound = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)SUM_EXACT_BOUND));
    const __m512i v = _mm512_min_epu32(variance, _mm512_set1_epi32(SUM_MOST_EXACT));
    const __m512i exponent = _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(v)), 23);
    const __m512i log2 = _mm512_sub_epi32(exponent, _mm512_set1_epi32(127 + 4));
    const __m512i k = _mm512_add_epi32(_mm512_add_epi32(log2, log2), _mm512_set1_epi32(1));
    const __m512i context = _mm512_max_epi32(k, _mm512_setzero_si512());
    const __mmask16 is_past = _mm512_cmple_epi32_mask(_mm512_permutexvar_epi32(context, bound), v);
    return _mm512_mask_add_epi32(context, is_past, context, _mm512_set1_epi32(1));
}

/* See context_of. */
SUM_KERNEL BRAGG_INLINE __m512i contexts_of(__m512i variance, __m512i step)
{
    const __m512i by_step =
        _mm512_setr_epi32(0, 0, 16, 18, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20);
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i two = _mm512_set1_epi32(2);
    const __m512i most = _mm512_set1_epi32(15);
    __m512i context = _mm512_permutexvar_epi32(_mm512_min_epu32(step, most), by_step);
    const __mmask16 is_second = _mm512_mask_cmpge_epu32_mask(
        _mm512_cmpeq_epi32_mask(step, two), variance, _mm512_set1_epi32(SUM_STEP_2_BOUND));
    context = _mm512_mask_add_epi32(context, is_second, context, one);
    return _mm512_mask_mov_epi32(context, _mm512_cmpeq_epi32_mask(step, one),
                                 exact_contexts(variance));
}

/* Whether tiles that expect so much are of pattern rings. */
SUM_KERNEL BRAGG_INLINE __mmask16 is_pattern(__m512i expected)
{
    return _mm512_cmplt_epu32_mask(expected, _mm512_set1_epi32(PLAIN_MOST_EXPECTED));
}

/*
 * Rules as sum_pattern_rule finds them.  In pattern rings, an expected sum is below 2^21, whatever
 * the scale, and its variance is the same number.  Steps are roots of whole numbers below 2^17,
 * whose floats are never rounded up to a whole number.
 */
SUM_KERNEL BRAGG_INLINE __m512i pattern_rules(__m512i expected, uint32_t quarters)
{
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i squared = _mm512_set1_epi32((int)(quarters * quarters));
    const __m512 square =
        _mm512_cvtepi32_ps(_mm512_srli_epi32(_mm512_mullo_epi32(expected, squared), 12));
    __m512i step = _mm512_cvttps_epi32(_mm512_sqrt_ps(square));
    step = _mm512_min_epi32(step, _mm512_srli_epi32(expected, 9));
    step = _mm512_max_epi32(step, one);
    const __m512i predicted =
        _mm512_srli_epi32(_mm512_add_epi32(expected, _mm512_set1_epi32(SUM_UNITS / 2)), 8);
    const __m512i context = contexts_of(expected, step);
    const __m512i rule =
        _mm512_or_si512(_mm512_or_si512(predicted, _mm512_slli_epi32(step, PLAIN_STEP_SHIFT)),
                        _mm512_slli_epi32(context, PLAIN_CONTEXT_SHIFT));
    const __mmask16 is_none =
        (__mmask16)(_mm512_cmpgt_epi32_mask(step, _mm512_set1_epi32(PLAIN_MOST_STEP)) |
                    ~is_pattern(expected));
    return _mm512_mask_mov_epi32(rule, is_none, _mm512_set1_epi32(PLAIN_NONE));
}
#endif

#endif
