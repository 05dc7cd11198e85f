/* SPDX-License-Identifier: MIT */
/*
 * Number, sum and sum of squares of what counters have counted.  All sums are below 2^53: doubles
 * hold them exactly, in whatever order they are made.
 */
#include "counter_sums.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>
#endif

enum { SUMMED_AT_ONCE = 8 };

/* Whether some counter of a whole block of them is not zero. */
static int some_in_block(const uint32_t count[SUMMED_AT_ONCE])
{
    uint32_t any = 0;
    for (int i = 0; i < SUMMED_AT_ONCE; i++)
        any |= count[i];
    return any != 0;
}

/*
 * Of counters c[v] from v = k up: the sums of c[v], of (v - k + 1) c[v], and of the triangular
 * numbers (v - k + 1) (v - k + 2) / 2 times c[v].  From k + 1 to k it takes three additions.
 */
typedef struct sums_above {
    uint64_t n;
    uint64_t sum;
    uint64_t triangles;
} sums_above;

static inline void add_counter(uint32_t count, sums_above *s)
{
    s->n += count;
    s->sum += s->n;
    s->triangles += s->sum;
}

value_sums counter_sums_plain(const uint32_t *count, uint32_t first, uint32_t stop)
{
    sums_above s = {0, 0, 0};
    uint32_t v = stop;
    while (v >= first + SUMMED_AT_ONCE && !some_in_block(count + v - SUMMED_AT_ONCE))
        v -= SUMMED_AT_ONCE;
    for (; v >= first + SUMMED_AT_ONCE; v -= SUMMED_AT_ONCE) {
        for (uint32_t i = 1; i <= SUMMED_AT_ONCE; i++)
            add_counter(count[v - i], &s);
    }
    while (v > first)
        add_counter(count[--v], &s);
    /* v = (v - first + 1) + shift, and (v - first + 1)^2 is twice its triangular number less it. */
    const int64_t shift = (int64_t)first - 1;
    const int64_t n = (int64_t)s.n;
    const int64_t sum = (int64_t)s.sum;
    const int64_t squares = 2 * (int64_t)s.triangles - sum;
    const value_sums sums = {(double)n, (double)(sum + shift * n),
                             (double)(squares + shift * (2 * sum + shift * n))};
    return sums;
}

#if defined(BRAGG_X86_64)
#define KERNEL512 __attribute__((target("avx512f")))

/* Adds eight counters of the values v. */
KERNEL512 static inline void add_eight(__m256i count, __m256i v, __m512d sums[3])
{
    const __m512d value = _mm512_cvtepi32_pd(v);
    const __m512d n = _mm512_cvtepu32_pd(count);
    const __m512d sum = _mm512_mul_pd(n, value);
    sums[0] = _mm512_add_pd(sums[0], n);
    sums[1] = _mm512_add_pd(sums[1], sum);
    sums[2] = _mm512_add_pd(sums[2], _mm512_mul_pd(sum, value));
}

/* Sixteen counters at a time, those out of the range being zero: most ranges are short. */
KERNEL512 static value_sums sum_avx512(const uint32_t *count, uint32_t first, uint32_t stop)
{
    const __m512i up = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i range = _mm512_set1_epi32((int)(stop - first));
    __m512d sums[3] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};
    for (uint32_t v = first; v < stop; v += 16) {
        const __mmask16 inside = _mm512_cmplt_epu32_mask(
            _mm512_add_epi32(_mm512_set1_epi32((int)(v - first)), up), range);
        const __m512i value = _mm512_add_epi32(_mm512_set1_epi32((int)v), up);
        const __m512i n = _mm512_maskz_loadu_epi32(inside, count + v);
        add_eight(_mm512_castsi512_si256(n), _mm512_castsi512_si256(value), sums);
        add_eight(_mm512_extracti64x4_epi64(n, 1), _mm512_extracti64x4_epi64(value, 1), sums);
    }
    return (value_sums){_mm512_reduce_add_pd(sums[0]), _mm512_reduce_add_pd(sums[1]),
                        _mm512_reduce_add_pd(sums[2])};
}
#endif

value_sums counter_sums(const uint32_t *count, uint32_t first, uint32_t stop)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return sum_avx512(count, first, stop);
#endif
    return counter_sums_plain(count, first, stop);
}
