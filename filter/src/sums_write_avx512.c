/* SPDX-License-Identifier: MIT */
/* Sums of simple tiles with AVX-512, sixteen at a time. */
#include "sums_write_kernels.h"

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bitalg,popcnt")))

KERNEL BRAGG_INLINE __m512i load_wide(const uint16_t *from, __mmask16 inside)
{
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, from));
}

/* Adds the four numbers of each block, in all four places. */
KERNEL BRAGG_INLINE __m512i add_block(__m512i x)
{
    x = _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
    return _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_CDAB));
}

/* Rules and expected sums of sixteen cells. */
KERNEL BRAGG_INLINE __m512i look_up_cells(const plain_cell *plain, __m512i cell, __m512i *expected)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512i low = look_up_8_pairs(plain, _mm512_castsi512_si256(cell));
    const __m512i high = look_up_8_pairs(plain, _mm512_extracti64x4_epi64(cell, 1));
    *expected = _mm512_permutex2var_epi32(low, odd, high);
    return _mm512_permutex2var_epi32(low, even, high);
}

KERNEL BRAGG_INLINE void look_at_group(const sum_rows *rows, uint32_t first, sum_group *group)
{
    const uint32_t left = rows->ntx - first;
    const __mmask16 inside = (__mmask16)(left < SUM_NTILES ? (1u << left) - 1 : 0xFFFF);
    __m512i expected = _mm512_setzero_si512();
    __m512i sum = _mm512_setzero_si512();
    __m512i any = _mm512_setzero_si512();
    __mmask16 elsewhere = 0;
    for (uint32_t row = 0; row < rows->nrows; row++) {
        const size_t at = (size_t)row * rows->ntx + first;
        const __m512i open = load_wide(rows->open + at, inside);
        const __m512i cell = load_wide(rows->cell + at, inside);
        const __m512i s = load_wide(rows->sum + at, inside);
        const __mmask16 is_open = _mm512_test_epi32_mask(open, open);
        __m512i whole;
        const __m512i rule =
            look_up_cells(rows->plain, _mm512_maskz_mov_epi32(is_open, cell), &whole);
        _mm512_mask_storeu_epi32(rows->rule + at, inside, rule);
        const __m512i e =
            _mm512_srli_epi32(_mm512_mullo_epi32(whole, _mm512_popcnt_epi16(open)), 4);
        expected = _mm512_mask_add_epi32(expected, is_open, expected, e);
        sum = _mm512_mask_add_epi32(sum, is_open, sum, s);
        any = _mm512_or_si512(any, open);
        elsewhere |= _mm512_mask_cmpeq_epi32_mask(is_open, s, _mm512_set1_epi32(SUM_ELSEWHERE));
    }
    expected = add_block(expected);
    const __m512 distance =
        _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_slli_epi32(add_block(sum), 8), expected));
    const __m512 limit = _mm512_mul_ps(
        _mm512_set1_ps(FAR_FACTOR),
        _mm512_cvtepi32_ps(_mm512_add_epi32(expected, _mm512_set1_epi32(FAR_OFFSET))));
    uint32_t is_far = _mm512_cmp_ps_mask(_mm512_mul_ps(distance, distance), limit, _CMP_GT_OQ);
    uint32_t is_open = _mm512_test_epi32_mask(any, any);
    is_far |= elsewhere | elsewhere >> 1;
    is_far = (is_far | is_far >> 2) & 0x1111;
    is_far &= _mm512_cmplt_epu32_mask(expected, _mm512_set1_epi32(PLAIN_MOST_EXPECTED));
    is_open |= is_open >> 1;
    group->is_open = (uint16_t)((is_open | is_open >> 2) & 0x1111);
    group->is_far = (uint16_t)is_far;
}

KERNEL static void look(const sum_rows *rows, uint32_t start, uint32_t stop, sum_group *group)
{
    for (uint32_t g = start; g < stop; g++)
        look_at_group(rows, SUM_NTILES * g, &group[g]);
}

/* By which the expected sums of four blocks are multiplied, in units of 1/65536. */
KERNEL BRAGG_INLINE __m512i factors_of(const int8_t *scale)
{
    const __m512i block = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m128i index =
        _mm_add_epi32(_mm_cvtepi8_epi32(_mm_cvtsi32_si128((int)load_u32((const uint8_t *)scale))),
                      _mm_set1_epi32(MAX_SCALE));
    const __m128i factor = load_4(SUM_SCALE_FACTOR, index);
    return _mm512_permutexvar_epi32(block, _mm512_castsi128_si512(factor));
}

/* x * factor / 65536: products have up to 37 bits. */
KERNEL BRAGG_INLINE __m512i times_factors(__m512i x, __m512i factor)
{
    const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(x, factor), 16);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(factor, 32));
    return _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64(odd, 16));
}

/* Contexts of sums whose step is 1: see exact_context_of. */
KERNEL BRAGG_INLINE __m512i exact_contexts(__m512i variance)
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
KERNEL BRAGG_INLINE __m512i contexts_of(__m512i variance, __m512i step)
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

/*
 * Rules of tiles that are not whole, or whose scale is not 1.  In pattern rings, an expected sum is
 * below 2^21, whatever the scale, and its variance is the same number.  Steps are roots of whole
 * numbers below 2^17, whose floats are never rounded up to a whole number.
 */
KERNEL BRAGG_INLINE __m512i part_rules(const sum_rows *rows, size_t at, __m512i open,
                                       __mmask16 is_part, const int8_t *scale)
{
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i squared = _mm512_set1_epi32((int)(rows->quarters * rows->quarters));
    __m512i whole;
    look_up_cells(rows->plain, load_wide(rows->cell + at, is_part), &whole);
    const __m512i part = _mm512_srli_epi32(_mm512_mullo_epi32(whole, _mm512_popcnt_epi16(open)), 4);
    const __m512i expected = times_factors(part, factors_of(scale));
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
        (__mmask16)(_mm512_cmpgt_epi32_mask(step, _mm512_set1_epi32(PLAIN_STEP)) |
                    _mm512_cmpeq_epi32_mask(whole, _mm512_set1_epi32(PLAIN_IS_GENERAL)));
    return _mm512_mask_mov_epi32(rule, is_none, _mm512_set1_epi32(PLAIN_NONE));
}

/* As in plain C, but for the number of pairs. */
KERNEL BRAGG_INLINE put_run put_group(const sum_rows *rows, size_t at, const sum_group *group,
                                      const int8_t *scale, uint16_t *pair)
{
    const __m512i open = load_wide(rows->open + at, group->wanted);
    const __mmask16 is_open = _mm512_test_epi32_mask(open, open);
    const __mmask16 is_whole = _mm512_cmpeq_epi32_mask(open, _mm512_set1_epi32(0xFFFF));
    const __m512i low = _mm512_set1_epi32(0xFFFF);
    const __m512i sum = load_wide(rows->sum + at, is_open);
    __m512i rule =
        _mm512_mask_loadu_epi32(_mm512_set1_epi32(1 << PLAIN_STEP_SHIFT), is_open, rows->rule + at);
    const __mmask16 is_part = (__mmask16)(is_open & ~(is_whole & group->unscaled));
    if (is_part)
        rule = _mm512_mask_mov_epi32(rule, is_part, part_rules(rows, at, open, is_part, scale));
    const __m512i step =
        _mm512_and_si512(_mm512_srli_epi32(rule, PLAIN_STEP_SHIFT), _mm512_set1_epi32(PLAIN_STEP));
    const __m512i hash = _mm512_maskz_loadu_epi32(is_open, rows->hash + at);
    const __m512i dither = _mm512_mulhi_epu16(hash, step); /* upper halves of steps are 0 */
    const __m512i above =
        _mm512_add_epi32(_mm512_sub_epi32(sum, _mm512_and_si512(rule, low)), dither);
    const __m512i sign = _mm512_srai_epi32(above, 31);
    /* above, or step - 1 - above if it is negative */
    const __m512i most =
        _mm512_add_epi32(_mm512_xor_si512(above, sign), _mm512_and_si512(step, sign));
    const __m512i quotient =
        _mm512_cvttps_epi32(_mm512_div_ps(_mm512_cvtepi32_ps(most), _mm512_cvtepi32_ps(step)));
    const __m512i number = _mm512_add_epi32(_mm512_slli_epi32(quotient, 1), sign);
    const __m512i number_or_not = _mm512_ternarylogic_epi32(
        number, rule, _mm512_set1_epi32(PLAIN_NOT), 0xF8); /* number | rule & PLAIN_NOT */
    const __mmask16 is_odd =
        (__mmask16)(_mm512_mask_cmpge_epu32_mask(is_open, number_or_not,
                                                 _mm512_set1_epi32(NUMBER_DIRECT)) |
                    _mm512_cmpeq_epi32_mask(sum, _mm512_set1_epi32(SUM_ELSEWHERE)));
    const __mmask16 together = is_odd ? 0xFFFF : is_open;
    const __m512i pairs =
        _mm512_ternarylogic_epi32(number, _mm512_srli_epi32(rule, PLAIN_CONTEXT_SHIFT - 8),
                                  _mm512_set1_epi32(0xFF00), 0xF8); /* number | context << 8 */
    _mm256_storeu_si256((__m256i *)(void *)pair,
                        _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(together, pairs)));
    return (put_run){.open = is_open, .odd = is_odd};
}

KERNEL static put_run put(const sum_rows *rows, uint32_t row, uint32_t start, uint32_t stop,
                          const sum_group *group, uint16_t *pair)
{
    put_run run = {.stop = start};
    for (; run.stop < stop; run.stop++) {
        const size_t at = (size_t)row * rows->ntx + (size_t)SUM_NTILES * run.stop;
        if (!group[run.stop].wanted)
            continue;
        const put_run next = put_group(rows, at, &group[run.stop],
                                       rows->scale + GROUP_NBLOCKS * run.stop, pair + run.npairs);
        if (next.odd) {
            run.open = next.open;
            run.odd = next.odd;
            return run;
        }
        run.npairs += (uint32_t)__builtin_popcount(next.open);
    }
    return run;
}

const sums_write_kernels SUMS_WRITE_KERNELS_AVX512 = {look, put};
#endif
