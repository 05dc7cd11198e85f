/* SPDX-License-Identifier: MIT */
/*
 * Integer quantiles of the Poisson distribution.
 *
 * Gaussian cut-offs at mean + cut * sqrt(mean) are wrong for few counts: at 0.05 counts a pixel
 * with one count is "4 sigma" out, and clipping it leaves a background of nothing.  Quantiles of
 * the distribution itself reject at the same rate at every mean, and what they do reject is
 * corrected for by the truncated mean.
 */
#include "poisson.h"

#include <math.h>
#include <string.h>

#include "pixel.h" /* BRAGG_INLINE */
#include "poisson_avx512.h"
#include "portable_math.h"

/* So many means go side by side: their sums do not wait for one another, and become vectors. */
enum { NLANES = 32 };

/* Below this the sum of probabilities no longer resolves the tail. */
static const double SMALLEST_TAIL = 1e-15;
/* Above this, sums of weights overflow. */
static const double MOST_WEIGHT = 1e280;

static poisson_range normal_range(double mean, double cut)
{
    const double skew = (cut * cut - 1.0) / 6.0; /* Cornish-Fisher, skewness 1 / sqrt(mean) */
    const double half = cut * sqrt(mean);
    const poisson_range r = {(int64_t)ceil(mean - half + skew), (int64_t)floor(mean + half + skew)};
    return r;
}

void poisson_tails(const double *cut, size_t n, double *tail)
{
    portable_normal_tail_all(cut, n, tail);
    for (size_t i = 0; i < n; i++)
        tail[i] = tail[i] > SMALLEST_TAIL ? tail[i] : SMALLEST_TAIL;
}

poisson_range poisson_clip_range(double mean, double cut)
{
    double tail;
    poisson_tails(&cut, 1, &tail);
    const poisson_cuts cuts = {&mean, &cut, &tail, 1};
    poisson_range range;
    poisson_clip_ranges(&cuts, &range);
    return range;
}

/* Adds up probabilities, from no count on. */
typedef struct range_lanes {
    double mean[NLANES];
    double tail[NLANES];
    double probability[NLANES]; /* P(n = k) */
    double below[NLANES];       /* P(n < k) */
    double low[NLANES];
    double high[NLANES];
} range_lanes;

/* Whether one of them is negative, which their sign bits tell. */
BRAGG_INLINE int some_negative(const double x[NLANES])
{
    uint64_t bits[NLANES];
    uint64_t any = 0;
    memcpy(bits, x, sizeof bits);
    for (int i = 0; i < NLANES; i++)
        any |= bits[i];
    return any >> 63 != 0;
}

/*
 * high is the first with P(n > high) <= tail, low the first with P(n <= low) > tail: each is the
 * number of those before it.
 */
BRAGG_INLINE void find_ranges(range_lanes *x)
{
    double margin[NLANES]; /* tail - P(n > k) */
    for (int k = 0; k < POISSON_MAX_COUNT; k++) {
        const double reciprocal = 1.0 / (k + 1);
        for (int i = 0; i < NLANES; i++) {
            margin[i] = x->tail[i] - (1.0 - x->below[i] - x->probability[i]);
            x->below[i] += x->probability[i];
            x->probability[i] *= x->mean[i] * reciprocal;
            x->low[i] += x->below[i] <= x->tail[i] ? 1.0 : 0.0;
            x->high[i] += margin[i] < 0.0 ? 1.0 : 0.0;
        }
        if (!some_negative(margin))
            break;
    }
}

/* Of cuts start to start + n.  Other lanes, and means that are not for sums, are done at once. */
BRAGG_INLINE void ranges_of_some(const poisson_cuts *cuts, size_t start, size_t n,
                                 poisson_range *range)
{
    const double *mean = cuts->mean + start;
    double exponent[NLANES];
    range_lanes x;
    for (size_t i = 0; i < NLANES; i++) {
        const int is_summed = i < n && mean[i] > 0 && mean[i] <= POISSON_EXACT_LIMIT;
        x.mean[i] = is_summed ? mean[i] : 0;
        x.tail[i] = is_summed ? cuts->tail[start + i] : 1;
        x.below[i] = 0;
        x.low[i] = 0;
        x.high[i] = 0;
        exponent[i] = -x.mean[i];
    }
    portable_exp_quickly(exponent, NLANES, x.probability);
    find_ranges(&x);
    for (size_t i = 0; i < n; i++) {
        range[start + i] =
            (poisson_range){mean[i] > 0 ? (int64_t)x.low[i] : INT64_MIN, (int64_t)x.high[i]};
        if (mean[i] > POISSON_EXACT_LIMIT)
            range[start + i] = normal_range(mean[i], cuts->cut[start + i]);
    }
}

BRAGG_INLINE void ranges_of_all(const poisson_cuts *cuts, poisson_range *range)
{
    for (size_t i = 0; i < cuts->n; i += NLANES)
        ranges_of_some(cuts, i, cuts->n - i < NLANES ? cuts->n - i : NLANES, range);
}

/* For ranges that end so far above the mean that the sums below overflow: these do not. */
static void truncate_one(double mean, double low, double high, double *truncated, double *variance)
{
    double weight = 1.0; /* relative to n = low: the common factor cancels */
    double total = 1.0;
    double sum = 0; /* of n - low */
    double squares = 0;
    for (double above = 1.0; above <= high - low; above += 1.0) {
        weight *= mean / (low + above);
        total += weight;
        sum += weight * above;
        squares += weight * (above * above);
    }
    sum /= total;
    *truncated = low + sum;
    *variance = squares / total - sum * sum;
}

/*
 * With w the weights, r = (w_low + ... + w_k) / w_k and d the sum of (k - n) w_n / w_k, both go
 * from k - 1 to k without a division that hangs on the last:
 *
 *     r = 1 + r k / mean,    d = (d + r) k / mean,    and r = 1, d = 0 at k = low.
 *
 * At k = high the conditioned mean is high - d / r.
 */
typedef struct truncated_lanes {
    double mean[NLANES];
    double low[NLANES];
    double high[NLANES];
    double reciprocal[NLANES]; /* of the mean; 0 where nothing is cut off */
    double k[NLANES];
    double r[NLANES];
    double d[NLANES];
} truncated_lanes;

/* At k = high less the number of steps, which is returned: all lanes end together. */
BRAGG_INLINE double start_lanes(truncated_lanes *x)
{
    double most = 0;
    for (int i = 0; i < NLANES; i++) {
        double is_cut = x->mean[i] > 0.0 ? 1.0 : 0.0;
        is_cut = x->mean[i] <= POISSON_EXACT_LIMIT ? is_cut : 0.0;
        is_cut = x->high[i] <= POISSON_MAX_COUNT ? is_cut : 0.0;
        const double divisor = is_cut > 0.0 ? x->mean[i] : 1.0;
        x->reciprocal[i] = is_cut / divisor;
        x->low[i] = is_cut > 0.0 ? x->low[i] : 0.0;
        x->high[i] = is_cut > 0.0 ? x->high[i] : 0.0;
        x->r[i] = 1.0;
        x->d[i] = 0.0;
    }
    for (int i = 0; i < NLANES; i++)
        most = x->high[i] - x->low[i] > most ? x->high[i] - x->low[i] : most;
    for (int i = 0; i < NLANES; i++)
        x->k[i] = x->high[i] - most;
    return most;
}

/* Below low r stays 1 and d stays 0. */
BRAGG_INLINE void sum_weights(truncated_lanes *x)
{
    const double nsteps = start_lanes(x);
    for (double step = 0; step < nsteps; step += 1.0) {
        for (int i = 0; i < NLANES; i++) {
            x->k[i] += 1.0;
            const double has_begun = x->k[i] > x->low[i] ? 1.0 : 0.0;
            const double ratio = x->k[i] * x->reciprocal[i] * has_begun;
            const double before = x->r[i] * ratio;
            x->d[i] = x->d[i] * ratio + before;
            x->r[i] = 1.0 + before;
        }
    }
}

/* With p the probabilities, the variance is
 * mean (1 - (high - low + 1) p_high) - (truncated - mean) (truncated - low). */
BRAGG_INLINE void truncate_lanes(truncated_lanes *x, double truncated[NLANES],
                                 double variance[NLANES])
{
    double margin[NLANES];
    sum_weights(x);
    for (int i = 0; i < NLANES; i++) {
        const double last = 1.0 / x->r[i]; /* p_high */
        const double mean = x->high[i] - x->d[i] * last;
        const double lost = (x->high[i] - x->low[i] + 1.0) * last;
        const double spread = x->mean[i] * (1.0 - lost) - (mean - x->mean[i]) * (mean - x->low[i]);
        truncated[i] = x->reciprocal[i] > 0.0 ? mean : x->mean[i];
        variance[i] = x->reciprocal[i] > 0.0 ? spread : x->mean[i];
        margin[i] = MOST_WEIGHT - x->r[i];
    }
    if (!some_negative(margin))
        return;
    for (int i = 0; i < NLANES; i++) {
        if (margin[i] < 0)
            truncate_one(x->mean[i], x->low[i], x->high[i], &truncated[i], &variance[i]);
    }
}

BRAGG_INLINE void truncate_all(const poisson_cells *cells, double *truncated, double *variance)
{
    for (size_t i = 0; i < cells->n; i += NLANES) {
        const size_t nbytes = (cells->n - i < NLANES ? cells->n - i : NLANES) * sizeof(double);
        truncated_lanes x;
        double mean[NLANES];
        double spread[NLANES];
        memset(x.mean, 0, sizeof x.mean);
        memset(x.low, 0, sizeof x.low);
        memset(x.high, 0, sizeof x.high);
        memcpy(x.mean, cells->mean + i, nbytes);
        memcpy(x.low, cells->low + i, nbytes);
        memcpy(x.high, cells->high + i, nbytes);
        truncate_lanes(&x, mean, spread);
        memcpy(truncated + i, mean, nbytes);
        memcpy(variance + i, spread, nbytes);
    }
}

#if defined(BRAGG_X86_64)
/* The same in longer vectors: what is not contracted has the same result. */
#define KERNEL2 __attribute__((target("avx2")))

KERNEL2 static void ranges_avx2(const poisson_cuts *cuts, poisson_range *range)
{
    ranges_of_all(cuts, range);
}

static void ranges_avx512(const poisson_cuts *cuts, poisson_range *range)
{
    poisson_ranges_avx512(cuts, range);
    for (size_t i = 0; i < cuts->n; i++) {
        if (cuts->mean[i] > POISSON_EXACT_LIMIT)
            range[i] = normal_range(cuts->mean[i], cuts->cut[i]);
    }
}

KERNEL2 static void truncate_avx2(const poisson_cells *cells, double *truncated, double *variance)
{
    truncate_all(cells, truncated, variance);
}

static void truncate_avx512(const poisson_cells *cells, double *truncated, double *variance)
{
    if (!poisson_truncate_avx512(cells, MOST_WEIGHT, truncated, variance))
        truncate_all(cells, truncated, variance);
}
#endif

static void ranges_plain(const poisson_cuts *cuts, poisson_range *range)
{
    ranges_of_all(cuts, range);
}

static void truncate_plain(const poisson_cells *cells, double *truncated, double *variance)
{
    truncate_all(cells, truncated, variance);
}

const poisson_kernels *poisson_kernels_of(cpu_level level)
{
    static const poisson_kernels PLAIN = {ranges_plain, truncate_plain};
#if defined(BRAGG_X86_64)
    static const poisson_kernels AVX2 = {ranges_avx2, truncate_avx2};
    static const poisson_kernels AVX512 = {ranges_avx512, truncate_avx512};
    if (level == CPU_AVX512)
        return &AVX512;
    if (level == CPU_AVX2)
        return &AVX2;
#endif
    (void)level;
    return &PLAIN;
}

void poisson_clip_ranges(const poisson_cuts *cuts, poisson_range *range)
{
    poisson_kernels_of(bragg_cpu_level())->clip_ranges(cuts, range);
}

void poisson_truncated(const poisson_cells *cells, double *truncated, double *variance)
{
    poisson_kernels_of(bragg_cpu_level())->truncated(cells, truncated, variance);
}
