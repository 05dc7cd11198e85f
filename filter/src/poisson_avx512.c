/* SPDX-License-Identifier: MIT */
/*
 * The loops of poisson.c for AVX-512, operation by operation.  Compilers make vectors of those,
 * but put what a loop changes into memory once a count: that takes longer than the arithmetic.
 */
#include "poisson_avx512.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "pixel.h" /* BRAGG_INLINE */
#include "portable_math.h"

#define KERNEL __attribute__((target("avx512f,avx512vl,avx512dq")))

/* Two vectors go side by side: one would wait for its last result. */
enum { LANES = 8, PAIR = 2, BATCH = 64 };

/* Of n numbers those that a vector has. */
static __mmask8 lanes_of(size_t n) { return (__mmask8)(n < LANES ? (1u << n) - 1 : 0xFF); }

/* Means that are for sums, the others being 0. */
KERNEL BRAGG_INLINE __mmask8 is_summed(__m512d mean)
{
    const __mmask8 is_any = _mm512_cmp_pd_mask(mean, _mm512_setzero_pd(), _CMP_GT_OQ);
    return _mm512_mask_cmp_pd_mask(is_any, mean, _mm512_set1_pd(POISSON_EXACT_LIMIT), _CMP_LE_OQ);
}

/* As range_lanes. */
typedef struct range_vector {
    __m512d mean;
    __m512d tail;
    __m512d probability;
    __m512d below;
    __m512i low;
    __m512i high;
} range_vector;

/* One more count; returns which upper tails are still too large. */
KERNEL BRAGG_INLINE __mmask8 add_probability(range_vector *x, __m512d reciprocal)
{
    const __m512d one = _mm512_set1_pd(1.0);
    const __m512d above = _mm512_sub_pd(_mm512_sub_pd(one, x->below), x->probability);
    const __m512d margin = _mm512_sub_pd(x->tail, above);
    const __mmask8 is_open = _mm512_cmp_pd_mask(margin, _mm512_setzero_pd(), _CMP_LT_OQ);
    x->below = _mm512_add_pd(x->below, x->probability);
    x->probability = _mm512_mul_pd(x->probability, _mm512_mul_pd(x->mean, reciprocal));
    const __mmask8 is_low = _mm512_cmp_pd_mask(x->below, x->tail, _CMP_LE_OQ);
    x->low = _mm512_mask_add_epi64(x->low, is_low, x->low, _mm512_set1_epi64(1));
    x->high = _mm512_mask_add_epi64(x->high, is_open, x->high, _mm512_set1_epi64(1));
    return is_open;
}

KERNEL BRAGG_INLINE range_vector start_range(const double *mean, const double *tail, size_t n,
                                             const double *probability)
{
    const __m512d means = _mm512_maskz_loadu_pd(lanes_of(n), mean);
    const __mmask8 summed = is_summed(means);
    const range_vector x = {_mm512_maskz_mov_pd(summed, means),
                            _mm512_mask_loadu_pd(_mm512_set1_pd(1.0), summed, tail),
                            _mm512_loadu_pd(probability),
                            _mm512_setzero_pd(),
                            _mm512_setzero_si512(),
                            _mm512_setzero_si512()};
    return x;
}

/* Lows and highs by turns. */
KERNEL BRAGG_INLINE void store_range(const range_vector *x, const double *mean, size_t n,
                                     poisson_range *range)
{
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    const __mmask8 inside = lanes_of(n);
    const uint32_t stored = n < LANES ? (1u << 2 * n) - 1 : 0xFFFF;
    const __mmask8 is_any =
        _mm512_cmp_pd_mask(_mm512_maskz_loadu_pd(inside, mean), _mm512_setzero_pd(), _CMP_GT_OQ);
    const __m512i low = _mm512_mask_mov_epi64(_mm512_set1_epi64(INT64_MIN), is_any, x->low);
    _mm512_mask_storeu_epi64(range, (__mmask8)stored,
                             _mm512_permutex2var_epi64(low, first, x->high));
    _mm512_mask_storeu_epi64(range + LANES / 2, (__mmask8)(stored >> LANES),
                             _mm512_permutex2var_epi64(low, second, x->high));
}

/* P(n = 0) of n means; 1 of those that are not for sums, and behind them. */
KERNEL static void start_probabilities(const double *mean, size_t n, double probability[BATCH])
{
    double exponent[BATCH];
    for (size_t i = 0; i < BATCH; i += LANES) {
        const __m512d means = _mm512_maskz_loadu_pd(i < n ? lanes_of(n - i) : 0, mean + i);
        _mm512_storeu_pd(exponent + i,
                         _mm512_maskz_sub_pd(is_summed(means), _mm512_setzero_pd(), means));
    }
    portable_exp_kernel(CPU_AVX512)(exponent, BATCH, probability);
}

/* Of n cuts, two vectors at most. */
KERNEL BRAGG_INLINE void find_pair(const double *mean, const double *tail, size_t n,
                                   const double *probability, poisson_range *range)
{
    const size_t nsecond = n > LANES ? n - LANES : 0;
    range_vector x = start_range(mean, tail, n, probability);
    range_vector y = start_range(mean + LANES, tail + LANES, nsecond, probability + LANES);
    for (int k = 0; k < POISSON_MAX_COUNT; k++) {
        const __m512d reciprocal = _mm512_set1_pd(1.0 / (k + 1));
        const __mmask8 is_open = add_probability(&x, reciprocal);
        if (!(is_open | add_probability(&y, reciprocal)))
            break;
    }
    store_range(&x, mean, n, range);
    store_range(&y, mean + LANES, nsecond, range + LANES);
}

KERNEL void poisson_ranges_avx512(const poisson_cuts *cuts, poisson_range *range)
{
    for (size_t start = 0; start < cuts->n; start += BATCH) {
        const size_t n = cuts->n - start < BATCH ? cuts->n - start : BATCH;
        double probability[BATCH];
        start_probabilities(cuts->mean + start, n, probability);
        for (size_t i = 0; i < n; i += PAIR * LANES)
            find_pair(cuts->mean + start + i, cuts->tail + start + i, n - i, probability + i,
                      range + start + i);
    }
}

/* As truncated_lanes. */
typedef struct truncated_vector {
    __m512d mean;
    __m512d low;
    __m512d high;
    __m512d reciprocal;
    __m512d k;
    __m512d r;
    __m512d d;
} truncated_vector;

KERNEL BRAGG_INLINE truncated_vector load_cells(const poisson_cells *cells, size_t start)
{
    const __mmask8 inside = start < cells->n ? lanes_of(cells->n - start) : 0;
    const __m512d one = _mm512_set1_pd(1.0);
    const __m512d mean = _mm512_maskz_loadu_pd(inside, cells->mean + start);
    const __m512d high = _mm512_maskz_loadu_pd(inside, cells->high + start);
    const __mmask8 is_cut = _mm512_mask_cmp_pd_mask(is_summed(mean), high,
                                                    _mm512_set1_pd(POISSON_MAX_COUNT), _CMP_LE_OQ);
    const truncated_vector x = {mean,
                                _mm512_maskz_loadu_pd(is_cut, cells->low + start),
                                _mm512_maskz_mov_pd(is_cut, high),
                                _mm512_maskz_div_pd(is_cut, one, mean),
                                _mm512_setzero_pd(),
                                one,
                                _mm512_setzero_pd()};
    return x;
}

KERNEL BRAGG_INLINE void add_weight(truncated_vector *x)
{
    const __m512d one = _mm512_set1_pd(1.0);
    x->k = _mm512_add_pd(x->k, one);
    const __mmask8 has_begun = _mm512_cmp_pd_mask(x->k, x->low, _CMP_GT_OQ);
    const __m512d ratio =
        _mm512_mul_pd(_mm512_mul_pd(x->k, x->reciprocal), _mm512_maskz_mov_pd(has_begun, one));
    const __m512d before = _mm512_mul_pd(x->r, ratio);
    x->d = _mm512_add_pd(_mm512_mul_pd(x->d, ratio), before);
    x->r = _mm512_add_pd(one, before);
}

KERNEL BRAGG_INLINE void store_truncated(const truncated_vector *x, __mmask8 inside,
                                         double *truncated, double *variance)
{
    const __m512d one = _mm512_set1_pd(1.0);
    const __m512d last = _mm512_div_pd(one, x->r);
    const __m512d mean = _mm512_sub_pd(x->high, _mm512_mul_pd(x->d, last));
    const __m512d width = _mm512_add_pd(_mm512_sub_pd(x->high, x->low), one);
    const __m512d lost = _mm512_mul_pd(width, last);
    const __m512d spread =
        _mm512_sub_pd(_mm512_mul_pd(x->mean, _mm512_sub_pd(one, lost)),
                      _mm512_mul_pd(_mm512_sub_pd(mean, x->mean), _mm512_sub_pd(mean, x->low)));
    const __mmask8 is_cut = _mm512_cmp_pd_mask(x->reciprocal, _mm512_setzero_pd(), _CMP_GT_OQ);
    _mm512_mask_storeu_pd(truncated, inside, _mm512_mask_mov_pd(x->mean, is_cut, mean));
    _mm512_mask_storeu_pd(variance, inside, _mm512_mask_mov_pd(x->mean, is_cut, spread));
}

KERNEL int poisson_truncate_avx512(const poisson_cells *cells, double most, double *truncated,
                                   double *variance)
{
    const __m512d limit = _mm512_set1_pd(most);
    __mmask8 is_beyond = 0;
    for (size_t start = 0; start < cells->n; start += PAIR * LANES) {
        const size_t second = start + LANES;
        truncated_vector x = load_cells(cells, start);
        truncated_vector y = load_cells(cells, second);
        const __m512d widest =
            _mm512_max_pd(_mm512_sub_pd(x.high, x.low), _mm512_sub_pd(y.high, y.low));
        const double found = _mm512_reduce_max_pd(widest);
        const double nsteps = found > 0 ? found : 0;
        x.k = _mm512_sub_pd(x.high, _mm512_set1_pd(nsteps));
        y.k = _mm512_sub_pd(y.high, _mm512_set1_pd(nsteps));
        for (double step = 0; step < nsteps; step += 1.0) {
            add_weight(&x);
            add_weight(&y);
        }
        is_beyond |= _mm512_cmp_pd_mask(x.r, limit, _CMP_GT_OQ);
        is_beyond |= _mm512_cmp_pd_mask(y.r, limit, _CMP_GT_OQ);
        store_truncated(&x, lanes_of(cells->n - start), truncated + start, variance + start);
        if (second < cells->n)
            store_truncated(&y, lanes_of(cells->n - second), truncated + second, variance + second);
    }
    return !is_beyond;
}
#endif
