/* SPDX-License-Identifier: MIT */
/* The Poisson distribution: integer quantiles and truncated means, for the sigma-clip. */
#ifndef BRAGG_POISSON_H
#define BRAGG_POISSON_H

#include <stddef.h>
#include <stdint.h>

/* Above this mean the normal approximation, corrected for skewness, serves. */
#define POISSON_EXACT_LIMIT 200.0
/* Counts beyond this do not occur below that mean. */
#define POISSON_MAX_COUNT 1000

/* The values that a sigma-clip at `cut` standard deviations keeps. */
typedef struct poisson_range {
    int64_t low;
    int64_t high;
} poisson_range;

/*
 * The range outside of which, on either side, a variate of this mean falls no more often than a
 * normal variate beyond `cut` standard deviations.
 */
poisson_range poisson_clip_range(double mean, double cut);

/* How often a normal variate is beyond each of n cuts, as far as sums of probabilities resolve it.
 */
void poisson_tails(const double *cut, size_t n, double *tail);

/*
 * poisson_clip_range for many means and few cuts: tail is that of the cut, zeros = exp(-mean) the
 * probability of no count.
 */
poisson_range poisson_tail_range(double mean, double cut, double tail, double zeros);

/*
 * Mean of a Poisson variate conditioned on low <= n <= high, for a mean up to POISSON_EXACT_LIMIT
 * and high up to POISSON_MAX_COUNT; the nearer bound where the range has no probability to speak
 * of.
 */
double poisson_truncated_mean(double mean, int64_t low, int64_t high);

#endif
