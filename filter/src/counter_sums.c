/* SPDX-License-Identifier: MIT */
/*
 * Number, sum and sum of squares of what counters have counted.  All sums are below 2^53: doubles
 * hold them exactly, in whatever order they are made.
 */
#include "counter_sums.h"

#include "plane_kernels.h" /* HISTOGRAM_NCOUNTS */

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

static void sum_counters(const uint32_t *count, uint32_t first, uint32_t stop, value_sums *sums)
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

static void sum_plain(const uint32_t *count, const value_range *range, size_t ncells,
                      value_sums *sums)
{
    for (size_t k = 0; k < ncells; k++) {
        const int64_t low = range[k].low > 0 ? range[k].low : 0;
        const int64_t high =
            range[k].high < HISTOGRAM_NCOUNTS ? range[k].high : HISTOGRAM_NCOUNTS - 1;
        if (low <= high)
            sum_counters(count + k * HISTOGRAM_NCOUNTS, (uint32_t)low, (uint32_t)high + 1,
                         &sums[k]);
        else
            sums[k] = (value_sums){0, 0, 0};
    }
}

#if defined(BRAGG_X86_64)
#define KERNEL512 __attribute__((target("avx512f")))

_Static_assert(HISTOGRAM_NCOUNTS == 64, "a bit for each in 64");

/* Bit v is set if v is in the range. */
static inline uint64_t counters_in(value_range r)
{
    const uint64_t up_to = r.high < 0 ? 0 : r.high < 63 ? ((uint64_t)2 << r.high) - 1 : UINT64_MAX;
    const uint64_t from = r.low > 63 ? 0 : r.low > 0 ? UINT64_MAX << r.low : UINT64_MAX;
    return up_to & from;
}

/* Partial sums of what value_sums has. */
typedef struct sums_512 {
    __m512d n;
    __m512d sum;
    __m512d squares;
} sums_512;

/* Adds eight counters of the values from v on.  Whole numbers are exact with fused operations. */
KERNEL512 static inline void add_eight(__m256i count, int v, sums_512 *s)
{
    const __m512d n = _mm512_cvtepu32_pd(count);
    const __m512d value = _mm512_setr_pd(v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7);
    s->n = _mm512_add_pd(s->n, n);
    s->sum = _mm512_fmadd_pd(n, value, s->sum);
    s->squares = _mm512_fmadd_pd(n, _mm512_mul_pd(value, value), s->squares);
}

KERNEL512 static inline void add_sixteen(const uint32_t *count, uint64_t inside, int v, sums_512 *s)
{
    const __m512i n = _mm512_maskz_loadu_epi32((__mmask16)(inside >> v), count + v);
    add_eight(_mm512_castsi512_si256(n), v, s);
    add_eight(_mm512_extracti64x4_epi64(n, 1), v + 8, s);
}

/* The sums of the eight numbers of a, and of those of b. */
KERNEL512 static inline __m128d sum_two(__m512d a, __m512d b)
{
    const __m512d two = _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(two), _mm512_extractf64x4_pd(two, 1));
    return _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
}

/* Without loops over the counters of a cell: their ends would be foretold wrongly. */
KERNEL512 static void sum_avx512(const uint32_t *count, const value_range *range, size_t ncells,
                                 value_sums *sums)
{
    for (size_t k = 0; k < ncells; k++, count += HISTOGRAM_NCOUNTS) {
        const uint64_t inside = counters_in(range[k]);
        sums_512 s = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};
        add_sixteen(count, inside, 0, &s);
        if (inside >> 16) { /* not where there is little background */
            add_sixteen(count, inside, 16, &s);
            add_sixteen(count, inside, 32, &s);
            add_sixteen(count, inside, 48, &s);
        }
        _mm_storeu_pd(&sums[k].n, sum_two(s.n, s.sum)); /* the sum lies behind it */
        sums[k].sum_squares = _mm_cvtsd_f64(sum_two(s.squares, s.squares));
    }
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
