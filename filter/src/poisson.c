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

#include "portable_math.h"

/* Below this the sum of probabilities no longer resolves the tail. */
static const double SMALLEST_TAIL = 1e-15;

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
    return poisson_tail_range(mean, cut, tail, portable_exp(-mean));
}

poisson_range poisson_tail_range(double mean, double cut, double tail, double zeros)
{
    if (!(mean > 0)) {
        const poisson_range zero = {INT64_MIN, 0};
        return zero;
    }
    if (mean > POISSON_EXACT_LIMIT)
        return normal_range(mean, cut);
    poisson_range r = {0, 0};
    double probability = zeros;
    double below = 0; /* P(n < high) */
    while (1.0 - below - probability > tail && r.high < POISSON_MAX_COUNT) {
        below += probability;
        if (below <= tail)
            r.low = r.high + 1;
        r.high++;
        probability *= mean / (double)r.high;
    }
    return r;
}

double poisson_truncated_mean(double mean, int64_t low, int64_t high)
{
    double weight = 1.0; /* relative to n = 0: the common factor cancels */
    double total = 0;
    double sum = 0;
    for (int64_t n = 0; n <= high; n++) {
        if (n > 0)
            weight *= mean / (double)n;
        if (n >= low) {
            total += weight;
            sum += weight * (double)n;
        }
    }
    if (total > 0)
        return sum / total;
    return (double)((double)low > mean ? low : high);
}
