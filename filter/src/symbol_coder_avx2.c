/* SPDX-License-Identifier: MIT */
/*
 * Codes streams of 32 states, eight symbols at a time, as symbol_coder.c does with AVX-512.  The
 * words that symbols put out are moved together by tables of set bits.
 */
#include "symbol_coder.h"

#include "cpu_level.h"
#include "lane_tables.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { LANES = 8, NVECTORS = SYMBOLS_WIDE_NSTATES / LANES, ODD_LANES = 0xAA };

/* Steps of eight symbols; those of even and odd ones with their reciprocals, low words. */
typedef struct lane_steps {
    __m256i even;
    __m256i odd;
    __m256i packed;
} lane_steps;

/* The steps of pairs 0 and 2. */
KERNEL BRAGG_INLINE __m128i load_2_steps(const coding_step *step, const uint16_t *pair)
{
    const __m128 first = _mm_castsi128_ps(_mm_loadl_epi64((const void *)&step[pair[0]]));
    return _mm_castps_si128(_mm_loadh_pi(first, (const void *)&step[pair[2]]));
}

/* Those of pairs 0, 2, 4 and 6. */
KERNEL BRAGG_INLINE __m256i load_4_steps(const coding_step *step, const uint16_t *pair)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_2_steps(step, pair)),
                                   load_2_steps(step, pair + 4), 1);
}

KERNEL BRAGG_INLINE __m256i gather_4_steps(const coding_step *step, __m128i pair)
{
    return _mm256_i32gather_epi64((const void *)step, pair, 8);
}

/* High words of pairs of lanes of either. */
KERNEL BRAGG_INLINE __m256i high_words(__m256i even, __m256i odd)
{
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, ODD_LANES);
}

KERNEL BRAGG_INLINE lane_steps steps_of(int by_loads, const coding_step *step, const uint16_t *pair)
{
    const __m128i two = _mm_loadu_si128((const void *)pair);
    const __m256i even = by_loads
                             ? load_4_steps(step, pair)
                             : gather_4_steps(step, _mm_and_si128(two, _mm_set1_epi32(0xFFFF)));
    const __m256i odd =
        by_loads ? load_4_steps(step, pair + 1) : gather_4_steps(step, _mm_srli_epi32(two, 16));
    return (lane_steps){even, odd, high_words(even, odd)};
}

/* Codes eight symbols, each into a state of its own; *full says which states put out a word. */
KERNEL BRAGG_INLINE __m256i code_lanes(const lane_steps *s, __m256i x, uint32_t *full)
{
    const __m256i below_complement = _mm256_set1_epi32((1 << COMPLEMENT_BIT) - 1);
    const __m256i start = _mm256_and_si256(s->packed, _mm256_set1_epi32(SYMBOLS_TOTAL - 1));
    const __m256i complement = _mm256_srli_epi32(s->packed, COMPLEMENT_BIT);
    const __m256i shift =
        _mm256_and_si256(_mm256_srli_epi32(s->packed, SHIFT_BIT), _mm256_set1_epi32(SHIFT_MASK));
    const __m256i more =
        _mm256_and_si256(_mm256_srli_epi32(s->packed, MORE_BIT), _mm256_set1_epi32(1));
    /* f * 2^21 - 1 = ~(complement << 21) */
    const __m256i most =
        _mm256_xor_si256(_mm256_andnot_si256(below_complement, s->packed), _mm256_set1_epi32(-1));
    const __m256i is_less = _mm256_cmpeq_epi32(_mm256_min_epu32(x, most), x);
    const __m256i y = _mm256_blendv_epi8(_mm256_srli_epi32(x, 16), x, is_less);
    const __m256i divided = _mm256_add_epi32(y, more);
    const __m256i even = _mm256_mul_epu32(divided, s->even);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(divided, 32), s->odd);
    const __m256i quotient = _mm256_srlv_epi32(high_words(even, odd), shift);
    *full = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is_less)) ^ 0xFF;
    return _mm256_add_epi32(_mm256_add_epi32(y, start), _mm256_mullo_epi32(quotient, complement));
}

/* Puts those of eight words that are wanted below `top`, the first lowest.  The store overwrites
 * what lies below them. */
KERNEL BRAGG_INLINE uint16_t *put_words(__m128i words, uint32_t wanted, uint16_t *top)
{
    const __m128i from = word_indices(&LANES_CHOSEN_LAST[wanted]);
    _mm_storeu_si128((void *)(top - LANES), _mm_shuffle_epi8(words, from));
    return top - __builtin_popcount(wanted);
}

/* The low words of sixteen states. */
KERNEL BRAGG_INLINE __m256i low_words(__m256i x0, __m256i x1)
{
    const __m256i low = _mm256_set1_epi32(0xFFFF);
    const __m256i both = _mm256_packus_epi32(_mm256_and_si256(x0, low), _mm256_and_si256(x1, low));
    return _mm256_permute4x64_epi64(both, _MM_SHUFFLE(3, 1, 2, 0));
}

/*
 * Codes pairs [0, n), n divisible by 32.  Words of a vector do not get as far down as its pairs: so
 * pairs are read before stores overwrite them.
 */
KERNEL BRAGG_INLINE uint16_t *code_wide(int by_loads, const coding_step *step, const uint16_t *pair,
                                        size_t n, uint32_t *state, uint16_t *top)
{
    __m256i x[NVECTORS];
    for (size_t v = 0; v < NVECTORS; v++)
        x[v] = _mm256_loadu_si256((const void *)(state + LANES * v));
    for (size_t i = n; i; i -= SYMBOLS_WIDE_NSTATES) {
        const uint16_t *at = pair + i;
        for (size_t v = NVECTORS; v; v -= 2) {
            const __m256i words = low_words(x[v - 2], x[v - 1]);
            uint32_t full0;
            uint32_t full1;
            at -= 2 * LANES;
            const lane_steps s0 = steps_of(by_loads, step, at);
            const lane_steps s1 = steps_of(by_loads, step, at + LANES);
            x[v - 2] = code_lanes(&s0, x[v - 2], &full0);
            x[v - 1] = code_lanes(&s1, x[v - 1], &full1);
            top = put_words(_mm256_extracti128_si256(words, 1), full1, top);
            top = put_words(_mm256_castsi256_si128(words), full0, top);
        }
    }
    for (size_t v = 0; v < NVECTORS; v++)
        _mm256_storeu_si256((void *)(state + LANES * v), x[v]);
    return top;
}

KERNEL static uint16_t *code_by_loads(const coding_step *step, const uint16_t *pair, size_t n,
                                      uint32_t *state, uint16_t *top)
{
    return code_wide(1, step, pair, n, state, top);
}

KERNEL static uint16_t *code_by_gathers(const coding_step *step, const uint16_t *pair, size_t n,
                                        uint32_t *state, uint16_t *top)
{
    return code_wide(0, step, pair, n, state, top);
}

code_wide_function *code_wide_avx2(void)
{
    return bragg_gathers_are_slow() ? code_by_loads : code_by_gathers;
}
#endif
