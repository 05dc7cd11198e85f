/* SPDX-License-Identifier: MIT */
/* Sums of simple tiles with AVX-512: sixteen are looked at at a time, and 32 put. */
#include "sums_write_kernels.h"

#if defined(BRAGG_X86_64)
#include "sum_rule_simd.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,avx512bitalg,popcnt")))

/* Adds the four numbers of each block, in all four places. */
KERNEL BRAGG_INLINE __m512i add_block(__m512i x)
{
    x = _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
    return _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_CDAB));
}

/* Bits of the first tiles of blocks. */
enum { BLOCK_BITS = 0x1111 };

/* For each block whether a bit is set. */
BRAGG_INLINE uint32_t any_of_block(uint32_t tiles)
{
    tiles |= tiles >> 1;
    return (tiles | tiles >> 2) & BLOCK_BITS;
}

KERNEL BRAGG_INLINE __m128i first_tiles(__m512i x)
{
    return _mm512_castsi512_si128(_mm512_maskz_compress_epi32(BLOCK_BITS, x));
}

/* What the open pixels of tiles expect. */
KERNEL BRAGG_INLINE __m512i part_of(__m512i whole, __m256i open)
{
    const __m512i npixels = _mm512_cvtepu16_epi32(_mm256_popcnt_epi16(open));
    return _mm512_srli_epi32(_mm512_mullo_epi32(whole, npixels), 4);
}

KERNEL BRAGG_INLINE void look_at_group(const sum_rows *rows, uint32_t first, sum_group *group)
{
    const uint32_t left = rows->ntx - first;
    const __mmask16 inside = (__mmask16)(left < SUM_NTILES ? (1u << left) - 1 : 0xFFFF);
    __m512i expected = _mm512_setzero_si512();
    __m512i sum = _mm512_setzero_si512();
    uint32_t any = 0;
    uint32_t elsewhere = 0;
    for (uint32_t row = 0; row < rows->nrows; row++) {
        const size_t at = (size_t)row * rows->ntx + first;
        const __m256i all = _mm256_set1_epi16(-1); /* bits of pixels, and SUM_ELSEWHERE */
        const __m256i open = _mm256_maskz_loadu_epi16(inside, rows->open + at);
        const __mmask16 is_open = _mm256_test_epi16_mask(open, open);
        const __mmask16 is_part = _mm256_mask_cmpneq_epi16_mask(is_open, open, all);
        const __m256i s = _mm256_maskz_loadu_epi16(is_open, rows->sum + at);
        __m512i e;
        __m512i rule;
        look_up_cells(rows->plain, rows->cell + at, inside, is_open, &rule, &e);
        if (is_part) {
            e = part_of(e, open);
            rule = _mm512_mask_mov_epi32(rule, is_part, pattern_rules(e, rows->quarters));
        }
        _mm512_mask_storeu_epi32(rows->rule + at, is_open, rule);
        expected = _mm512_mask_add_epi32(expected, is_open, expected, e);
        sum = _mm512_add_epi32(sum, _mm512_cvtepu16_epi32(s));
        any |= is_open;
        elsewhere |= _mm256_cmpeq_epi16_mask(s, all);
    }
    expected = add_block(expected);
    sum = add_block(sum);
    const __m512 distance =
        _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_slli_epi32(sum, 8), expected));
    const __m512 limit = _mm512_mul_ps(
        _mm512_set1_ps(FAR_FACTOR),
        _mm512_cvtepi32_ps(_mm512_add_epi32(expected, _mm512_set1_epi32(FAR_OFFSET))));
    const uint32_t is_far =
        _mm512_cmp_ps_mask(_mm512_mul_ps(distance, distance), limit, _CMP_GT_OQ);
    const uint32_t is_unsure = any_of_block(elsewhere);
    group->is_open = (uint16_t)any_of_block(any);
    group->is_far = (uint16_t)((is_far | is_unsure) & is_pattern(expected) & BLOCK_BITS);
    sum = _mm512_mask_mov_epi32(sum, (__mmask16)is_unsure, _mm512_set1_epi32(SUM_ELSEWHERE));
    _mm_storeu_si128((__m128i *)(void *)(rows->blocks.expected + first / MACRO_EDGE),
                     first_tiles(expected));
    _mm_storel_epi64((__m128i *)(void *)(rows->blocks.sum + first / MACRO_EDGE),
                     _mm_packus_epi32(first_tiles(sum), _mm_setzero_si128()));
}

KERNEL static void look(const sum_rows *rows, uint32_t n, sum_group *group)
{
    for (uint32_t g = 0; g < n; g++)
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

KERNEL static void rescale(const sum_rows *rows, uint32_t group, const int8_t *scale)
{
    const uint32_t first = SUM_NTILES * group;
    const uint32_t left = rows->ntx - first;
    const __mmask16 inside = (__mmask16)(left < SUM_NTILES ? (1u << left) - 1 : 0xFFFF);
    const __m512i factors = factors_of(scale);
    const __mmask16 is_scaled = _mm512_cmpneq_epi32_mask(factors, _mm512_set1_epi32(1 << 16));
    for (uint32_t row = 0; row < rows->nrows; row++) {
        const size_t at = (size_t)row * rows->ntx + first;
        const __m256i open = _mm256_maskz_loadu_epi16(inside & is_scaled, rows->open + at);
        const __mmask16 is_open = _mm256_test_epi16_mask(open, open);
        __m512i e;
        __m512i whole; /* rules, which are of no use here */
        look_up_cells(rows->plain, rows->cell + at, inside, is_open, &whole, &e);
        e = part_of(e, open);
        e = _mm512_mask_mov_epi32(e, is_pattern(e), times_factors(e, factors));
        _mm512_mask_storeu_epi32(rows->rule + at, is_open, pattern_rules(e, rows->quarters));
    }
}

/* The lower halves of 32 numbers (`from` is 0), or the upper ones (1). */
KERNEL BRAGG_INLINE __m512i halves_of(__m512i first, __m512i second, int from)
{
    static const uint16_t LOWER[] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                     22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42,
                                     44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    const __m512i index =
        _mm512_add_epi16(_mm512_loadu_si512(LOWER), _mm512_set1_epi16((short)from));
    return _mm512_permutex2var_epi16(first, index, second);
}

/* x / step, or anything above 8 where that is: see PLAIN_MOST_STEP. */
KERNEL BRAGG_INLINE __m512i quotients_of(__m512i x, __m512i step)
{
    static const uint16_t RECIPROCAL[PLAIN_MOST_STEP + 1] = {
        /* of 2^15, rounded up */
        0,    32768, 16384, 10923, 8192, 6554, 5462, 4682, 4096, 3641, 3277, 2979, 2731,
        2521, 2341,  2185,  2048,  1928, 1821, 1725, 1639, 1561, 1490, 1425, 1366, 1311,
        1261, 1214,  1171,  1130,  1093, 1058, 1024, 993,  964,  937,  911,  886,  863,
        841,  820,   800,   781,   763,  745,  729,  713,  698,  683,  669,  656,  643,
        631,  619,   607,   596,   586,  575,  565,  556,  547,  538,  529,  521};
    const __m512i reciprocal = _mm512_permutex2var_epi16(
        _mm512_loadu_si512(RECIPROCAL), step, _mm512_loadu_si512(RECIPROCAL + 2 * SUM_NTILES));
    return _mm512_mulhi_epu16(_mm512_adds_epu16(x, x), reciprocal);
}

/* Pairs up to the first group with odd tiles, one behind the other; of that, each at its place. */
KERNEL BRAGG_INLINE void store_pairs(__m512i pairs, uint32_t is_open, uint32_t is_odd,
                                     uint16_t *pair, put_run *run)
{
    const uint32_t is_simple = !is_odd ? UINT32_MAX : (uint16_t)is_odd ? 0 : 0xFFFF;
    const uint32_t together = is_open & is_simple;
    _mm512_storeu_si512(pair + run->npairs, _mm512_maskz_compress_epi16(together, pairs));
    run->npairs += (uint32_t)__builtin_popcount(together);
    if (!is_odd)
        return;
    const __m256i odd_pairs =
        is_simple ? _mm512_extracti64x4_epi64(pairs, 1) : _mm512_castsi512_si256(pairs);
    _mm256_storeu_si256((__m256i *)(void *)(pair + run->npairs), odd_pairs);
    run->stop += is_simple != 0;
    run->open = (uint16_t)(is_simple ? is_open >> SUM_NTILES : is_open);
    run->odd = (uint16_t)(is_simple ? is_odd >> SUM_NTILES : is_odd);
}

/*
 * Pairs of two groups side by side, as in plain C but in 16 bits: those of sums and predicted sums
 * say nothing above 15.
 */
KERNEL BRAGG_INLINE void put_two(const sum_rows *rows, size_t at, uint32_t wanted, uint16_t *pair,
                                 put_run *run)
{
    const __m512i open = _mm512_maskz_loadu_epi16(wanted, rows->open + at);
    const uint32_t is_open = _mm512_test_epi16_mask(open, open);
    const __mmask16 is_open1 = (__mmask16)is_open;
    const __mmask16 is_open2 = (__mmask16)(is_open >> SUM_NTILES);
    const __m512i rule1 = _mm512_maskz_loadu_epi32(is_open1, rows->rule + at);
    const __m512i rule2 = _mm512_maskz_loadu_epi32(is_open2, rows->rule + at + SUM_NTILES);
    const __m512i hash1 = _mm512_maskz_loadu_epi32(is_open1, rows->hash + at);
    const __m512i hash2 = _mm512_maskz_loadu_epi32(is_open2, rows->hash + at + SUM_NTILES);
    const __m512i sum = _mm512_maskz_loadu_epi16(is_open, rows->sum + at);
    const __m512i predicted = halves_of(rule1, rule2, 0);
    const __m512i upper = halves_of(rule1, rule2, 1);
    const __m512i step = _mm512_and_si512(upper, _mm512_set1_epi16(PLAIN_STEP));
    const __m512i dither = _mm512_mulhi_epu16(halves_of(hash1, hash2, 0), step);
    const __m512i above = _mm512_adds_epi16(_mm512_sub_epi16(sum, predicted), dither);
    const __m512i sign = _mm512_srai_epi16(above, 15);
    /* above, or step - 1 - above if it is negative */
    const __m512i most =
        _mm512_add_epi16(_mm512_xor_si512(above, sign), _mm512_and_si512(step, sign));
    const __m512i quotient = quotients_of(most, step);
    const __m512i number = _mm512_add_epi16(_mm512_add_epi16(quotient, quotient), sign);
    const __m512i not_plain = _mm512_set1_epi16((short)(PLAIN_NOT >> PLAIN_STEP_SHIFT));
    const __m512i not_small = _mm512_set1_epi16((short)~PLAIN_MOST_SUM);
    /* a | b & c */
    __m512i large = _mm512_ternarylogic_epi32(number, upper, not_plain, 0xF8);
    large = _mm512_ternarylogic_epi32(large, sum, not_small, 0xF8);
    const __m512i pairs =
        _mm512_ternarylogic_epi32(number, upper, _mm512_set1_epi16((short)0xFF00), 0xF8);
    const uint32_t is_odd =
        _mm512_mask_cmpge_epu16_mask(is_open, large, _mm512_set1_epi16(NUMBER_DIRECT));
    store_pairs(pairs, is_open, is_odd, pair, run);
}

KERNEL static put_run put(const sum_rows *rows, uint32_t row, uint32_t start, uint32_t stop,
                          uint16_t *pair)
{
    put_run run = {.stop = start};
    for (; run.stop < stop; run.stop += 2) {
        const size_t at = (size_t)row * rows->ntx + (size_t)SUM_NTILES * run.stop;
        uint32_t wanted = load_u32((const void *)(rows->wanted + run.stop));
        wanted &= stop - run.stop > 1 ? UINT32_MAX : 0xFFFF;
        if (wanted)
            put_two(rows, at, wanted, pair, &run);
        if (run.odd)
            return run;
    }
    run.stop = stop;
    return run;
}

const sums_write_kernels SUMS_WRITE_KERNELS_AVX512 = {look, rescale, put};
#endif
