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
#define KERNEL2 __attribute__((target("avx2")))

enum { BLOCK_NCOUNTERS = 16 };

/* Eight counters from v on, those outside of the range being 0. */
KERNEL2 static inline __m256i load_in_range(const uint32_t *count, int v, __m256i below,
                                            __m256i above)
{
    const __m256i value =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(v));
    const __m256i is_in =
        _mm256_and_si256(_mm256_cmpgt_epi32(value, below), _mm256_cmpgt_epi32(above, value));
    return _mm256_and_si256(_mm256_loadu_si256((const void *)(count + v)), is_in);
}

/* The sums of the four numbers of 64 bits. */
KERNEL2 static inline double sum_four(__m256i a)
{
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    return (double)(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
}

/* The sum of numbers of 32 bits, which may have more. */
KERNEL2 static inline double sum_eight(__m256i a)
{
    const __m256i low = _mm256_and_si256(a, _mm256_set1_epi64x(UINT32_MAX));
    return sum_four(_mm256_add_epi64(low, _mm256_srli_epi64(a, 32)));
}

/* As with AVX-512, below; but blocks of counters above the range are left out. */
KERNEL2 static void sum_avx2(const uint32_t *count, const value_range *range, size_t ncells,
                             value_sums *sums)
{
    const __m256i count_up = /* in the order in which packing leaves numbers */
        _mm256_setr_epi16(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15);
    for (size_t k = 0; k < ncells; k++, count += HISTOGRAM_NCOUNTS) {
        const int64_t low = range[k].low < 0 ? 0 : range[k].low;
        const int64_t high =
            range[k].high < HISTOGRAM_NCOUNTS ? range[k].high : HISTOGRAM_NCOUNTS - 1;
        const int first = low < HISTOGRAM_NCOUNTS ? (int)low : HISTOGRAM_NCOUNTS;
        const int last = high < 0 ? -1 : (int)high;
        const __m256i below = _mm256_set1_epi32(first - 1);
        const __m256i above = _mm256_set1_epi32(last + 1);
        __m256i n = _mm256_setzero_si256();
        __m256i sum = n;
        __m256i squares = n;
        __m256i large = n;
        for (int v = 0; v <= last; v += BLOCK_NCOUNTERS) {
            const __m256i c0 = load_in_range(count, v, below, above);
            const __m256i c1 = load_in_range(count, v + 8, below, above);
            const __m256i c = _mm256_packus_epi32(c0, c1);
            const __m256i value = _mm256_add_epi16(count_up, _mm256_set1_epi16((short)v));
            large = _mm256_or_si256(large, _mm256_or_si256(c0, c1));
            n = _mm256_add_epi32(n, _mm256_madd_epi16(c, _mm256_set1_epi16(1)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(c, value));
            squares =
                _mm256_add_epi32(squares, _mm256_madd_epi16(c, _mm256_mullo_epi16(value, value)));
        }
        if (_mm256_testz_si256(large, _mm256_set1_epi32(~INT16_MAX)))
            sums[k] = (value_sums){sum_eight(n), sum_eight(sum), sum_eight(squares)};
        else
            sum_plain(count, &range[k], 1, &sums[k]);
    }
}

#define KERNEL512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

_Static_assert(HISTOGRAM_NCOUNTS == 64, "a bit for each in 64");

/* Bit v is set if v is in the range. */
static inline uint64_t counters_in(value_range r)
{
    const uint64_t up_to = r.high < 0 ? 0 : r.high < 63 ? ((uint64_t)2 << r.high) - 1 : UINT64_MAX;
    const uint64_t from = r.low > 63 ? 0 : r.low > 0 ? UINT64_MAX << r.low : UINT64_MAX;
    return up_to & from;
}

/* 32 counters as numbers of 16 bits, in the order in which packing leaves them; `large` is not 0
 * where they do not fit. */
KERNEL512 static inline __m512i load_counters(const uint32_t *count, uint32_t inside,
                                              __m512i *large)
{
    const __m512i low = _mm512_maskz_loadu_epi32((__mmask16)inside, count);
    const __m512i high = _mm512_maskz_loadu_epi32((__mmask16)(inside >> 16), count + 16);
    *large = _mm512_or_si512(*large, _mm512_or_si512(low, high));
    return _mm512_packus_epi32(low, high);
}

/* Their values, likewise. */
KERNEL512 static inline __m512i values_from(int v)
{
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_packus_epi32(_mm512_add_epi32(count, _mm512_set1_epi32(v)),
                               _mm512_add_epi32(count, _mm512_set1_epi32(v + 16)));
}

/* The sum of the numbers of a in the low half, of those of b in the high half of 64 bits. */
KERNEL512 static inline __m128i sum_two(__m512i a, __m512i b)
{
    const __m512i two = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(two), _mm512_extracti64x4_epi64(two, 1));
    const __m128i quarter =
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return _mm_add_epi32(quarter, _mm_unpackhi_epi64(quarter, quarter));
}

/* The sum of 32-bit numbers, which may have more bits. */
KERNEL512 static inline __m128i sum_wide(__m512i a)
{
    const __m512i low = _mm512_and_si512(a, _mm512_set1_epi64(UINT32_MAX));
    const __m512i two = _mm512_add_epi64(low, _mm512_srli_epi64(a, 32));
    const __m256i half =
        _mm256_add_epi64(_mm512_castsi512_si256(two), _mm512_extracti64x4_epi64(two, 1));
    const __m128i quarter =
        _mm_add_epi64(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return _mm_add_epi64(quarter, _mm_unpackhi_epi64(quarter, quarter));
}

/*
 * Products of 16 bits, two at a time.  Lanes add up four of them, at most 2^15 63^2 each, and have
 * 32 bits.  There is no loop over the counters of a cell: its end would be foretold wrongly.
 */
KERNEL512 static void sum_avx512(const uint32_t *count, const value_range *range, size_t ncells,
                                 value_sums *sums)
{
    const __m512i one = _mm512_set1_epi16(1);
    const __m512i value[2] = {values_from(0), values_from(32)};
    const __m512i square[2] = {_mm512_mullo_epi16(value[0], value[0]),
                               _mm512_mullo_epi16(value[1], value[1])};
    const __m512i zero = _mm512_setzero_si512();
    for (size_t k = 0; k < ncells; k++, count += HISTOGRAM_NCOUNTS) {
        const uint64_t inside = counters_in(range[k]);
        __m512i large = zero;
        const __m512i low = load_counters(count, (uint32_t)inside, &large);
        __m512i n = _mm512_dpwssd_epi32(zero, low, one);
        __m512i sum = _mm512_dpwssd_epi32(zero, low, value[0]);
        __m512i squares = _mm512_dpwssd_epi32(zero, low, square[0]);
        if (inside >> 32) { /* not where there is little background */
            const __m512i high = load_counters(count + 32, (uint32_t)(inside >> 32), &large);
            n = _mm512_dpwssd_epi32(n, high, one);
            sum = _mm512_dpwssd_epi32(sum, high, value[1]);
            squares = _mm512_dpwssd_epi32(squares, high, square[1]);
        }
        if (_mm512_cmpgt_epu32_mask(large, _mm512_set1_epi32(INT16_MAX))) {
            sum_plain(count, &range[k], 1, &sums[k]);
            continue;
        }
        _mm_storeu_pd(&sums[k].n, _mm_cvtepi32_pd(sum_two(n, sum))); /* the sum lies behind it */
        _mm_store_sd(&sums[k].sum_squares, _mm_cvtepi64_pd(sum_wide(squares)));
    }
}
#endif

counter_sums_function *counter_sums_kernel(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return sum_avx512;
    if (level == CPU_AVX2)
        return sum_avx2;
#endif
    (void)level;
    return sum_plain;
}
