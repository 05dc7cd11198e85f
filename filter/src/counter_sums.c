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

static void sum_plain(const uint32_t *count, uint32_t first, uint32_t stop, value_sums *sums)
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
    sums->n = (double)n;
    sums->sum = (double)(sum + shift * n);
    sums->sum_squares = (double)(squares + shift * (2 * sum + shift * n));
}

#if defined(BRAGG_X86_64)
#define KERNEL512 __attribute__((target("avx512f")))

/* Of eight or more counters: partial sums of what value_sums has. */
typedef struct sums_512 {
    __m512d n;
    __m512d sum;
    __m512d squares;
} sums_512;

/* Adds eight counters of the values v. */
KERNEL512 static inline void add_eight(__m256i count, __m512d v, sums_512 *s)
{
    const __m512d n = _mm512_cvtepu32_pd(count);
    const __m512d sum = _mm512_mul_pd(n, v);
    s->n = _mm512_add_pd(s->n, n);
    s->sum = _mm512_add_pd(s->sum, sum);
    s->squares = _mm512_add_pd(s->squares, _mm512_mul_pd(sum, v));
}

/* The sums of the eight numbers of a, and of those of b. */
KERNEL512 static inline __m128d sum_two(__m512d a, __m512d b)
{
    const __m512d two = _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(two), _mm512_extractf64x4_pd(two, 1));
    return _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
}

/* Sixteen counters at a time, those out of the range being zero: most ranges are short. */
KERNEL512 static void sum_avx512(const uint32_t *count, uint32_t first, uint32_t stop,
                                 value_sums *sums)
{
    const __m512d start = _mm512_set1_pd(first);
    const __m512d step = _mm512_set1_pd(16);
    __m512d low = _mm512_add_pd(start, _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7));
    __m512d high = _mm512_add_pd(start, _mm512_setr_pd(8, 9, 10, 11, 12, 13, 14, 15));
    sums_512 s = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};
    for (uint32_t v = first; v < stop; v += 16) {
        const uint32_t inside = stop - v < 16 ? (1u << (stop - v)) - 1 : 0xFFFF;
        const __m512i n = _mm512_maskz_loadu_epi32((__mmask16)inside, count + v);
        add_eight(_mm512_castsi512_si256(n), low, &s);
        add_eight(_mm512_extracti64x4_epi64(n, 1), high, &s);
        low = _mm512_add_pd(low, step);
        high = _mm512_add_pd(high, step);
    }
    _mm_storeu_pd(&sums->n, sum_two(s.n, s.sum)); /* the sum lies behind it */
    sums->sum_squares = _mm_cvtsd_f64(sum_two(s.squares, s.squares));
}
#endif

counter_sums_function *counter_sums_kernel(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return sum_avx512;
#endif
    (void)level;
    return sum_plain;
}
