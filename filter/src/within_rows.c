/* SPDX-License-Identifier: MIT */
/*
 * Most sums that a row has counters for do not occur.  So blocks of counters at either end are left
 * out first.  What is expected of tiles is added up in eight lanes, so that additions run side by
 * side; vectors have the same lanes.
 */
#include "within_rows.h"

#include <string.h>

#include "cpu_level.h"
#include "patterns.h"

enum { NLANES = 8 };

/* Of a block of counters. */
static int has_tiles(const uint32_t counter[NLANES])
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < NLANES; i++)
        any |= counter[i];
    return any != 0;
}

/* All counters are gone through in one direction, as they come out of a far cache. */
static void trim(const uint32_t *counter, uint32_t *first, uint32_t *end)
{
    const uint32_t n = *end;
    uint32_t stop = 0;
    uint32_t at = 0;
    while (n - at >= NLANES && !has_tiles(counter + at))
        at += NLANES;
    *first = at;
    for (; n - at >= NLANES; at += NLANES)
        stop = has_tiles(counter + at) ? at + NLANES : stop;
    for (; at < n; at++)
        stop = counter[at] ? at + 1 : stop;
    *end = stop > *first ? stop : *first;
}

/* In this order. */
static double sum_lanes(const double lane[NLANES])
{
    double total = 0;
    for (uint32_t k = 0; k < NLANES; k++)
        total += lane[k];
    return total;
}

static double expected_squares(const uint32_t *counter, const double *squares, uint32_t n)
{
    double product[PATTERN_MAX_SUM + 1 + NLANES];
    double lane[NLANES] = {0};
    for (uint32_t i = 0; i < n; i++)
        product[i] = (int32_t)counter[i] * squares[i];
    memset(product + n, 0, NLANES * sizeof *product);
    for (uint32_t i = 0; i < n; i += NLANES) {
        for (uint32_t k = 0; k < NLANES; k++)
            lane[k] += product[i + k];
    }
    return sum_lanes(lane);
}

within_row within_row_sums_plain(const uint32_t *counter, const double *squares, uint32_t n)
{
    uint32_t first = 0;
    uint32_t end = n;
    uint64_t ntiles = 0;
    uint64_t even = 0;
    trim(counter, &first, &end);
    for (uint32_t sum = first; sum < end; sum++) {
        ntiles += counter[sum];
        even += (uint64_t)counter[sum] * (sum * sum);
    }
    return (within_row){(double)ntiles, (double)even,
                        expected_squares(counter + first, squares + first, end - first)};
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "symbols.h" /* lowest_bit */

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,lzcnt")))

enum { BLOCK = 16 };

/* Bit k: there are tiles in block k of counters. */
KERNEL BRAGG_INLINE uint32_t used_blocks(const uint32_t *counter, uint32_t nblocks)
{
    uint32_t used = 0;
    for (uint32_t k = 0; k < nblocks; k++) {
        const __m512i tiles = _mm512_loadu_si512(counter + BLOCK * k);
        used |= (uint32_t)(_mm512_test_epi32_mask(tiles, tiles) != 0) << k;
    }
    return used;
}

/* Of eight sums; doubles hold the integers exactly. */
typedef struct eight_sums {
    __m512d sum;
    __m512d even;
    __m512d expected;
} eight_sums;

KERNEL BRAGG_INLINE void add_eight(__m256i counter, const double *squares, eight_sums *s)
{
    const __m512d tiles = _mm512_cvtepi32_pd(counter);
    s->even = _mm512_add_pd(s->even, _mm512_mul_pd(tiles, _mm512_mul_pd(s->sum, s->sum)));
    s->expected = _mm512_add_pd(s->expected, _mm512_mul_pd(tiles, _mm512_loadu_pd(squares)));
    s->sum = _mm512_add_pd(s->sum, _mm512_set1_pd(NLANES));
}

KERNEL static within_row sums_avx512(const uint32_t *counter, const double *squares, uint32_t n)
{
    const uint32_t used = used_blocks(counter, n / BLOCK);
    const uint32_t first = used ? BLOCK * lowest_bit(used) : 0;
    const uint32_t end = BLOCK * (32 - (uint32_t)_lzcnt_u32(used));
    const __m512d lanes = _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7);
    eight_sums s = {_mm512_add_pd(lanes, _mm512_set1_pd((int32_t)first)), _mm512_setzero_pd(),
                    _mm512_setzero_pd()};
    __m512i ntiles = _mm512_setzero_si512();
    double lane[NLANES];
    for (uint32_t at = first; at < end; at += BLOCK) {
        const __m512i tiles = _mm512_loadu_si512(counter + at);
        ntiles = _mm512_add_epi32(ntiles, tiles);
        add_eight(_mm512_castsi512_si256(tiles), squares + at, &s);
        add_eight(_mm512_extracti32x8_epi32(tiles, 1), squares + at + NLANES, &s);
    }
    within_row row = {_mm512_reduce_add_epi32(ntiles), _mm512_reduce_add_pd(s.even), 0};
    _mm512_storeu_pd(lane, s.expected);
    if (n % BLOCK) { /* the largest sum has a block for itself */
        const double tiles = (int32_t)counter[n - 1];
        row.ntiles += tiles;
        row.even += tiles * ((double)(n - 1) * (n - 1));
        lane[0] += tiles * squares[n - 1];
    }
    row.expected = sum_lanes(lane);
    return row;
}
#endif

within_row within_row_sums(const uint32_t *counter, const double *squares, uint32_t n)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return sums_avx512(counter, squares, n);
#endif
    return within_row_sums_plain(counter, squares, n);
}
