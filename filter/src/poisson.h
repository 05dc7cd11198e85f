/* SPDX-License-Identifier: MIT */
/* The Poisson distribution: integer quantiles and truncated means, for the sigma-clip. */
#ifndef BRAGG_POISSON_H
#define BRAGG_POISSON_H

#include <stddef.h>
#include <stdint.h>

#include "cpu_level.h"

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

/* n means, each with its cut and how often a normal variate is beyond it. */
typedef struct poisson_cuts {
    const double *mean;
    const double *cut;
    const double *tail;
    size_t n;
} poisson_cuts;

/* poisson_clip_range of all of them. */
void poisson_clip_ranges(const poisson_cuts *cuts, poisson_range *range);

/* n means, each with a range of values. */
typedef struct poisson_cells {
    const double *mean;
    const double *low;
    const double *high;
    size_t n;
} poisson_cells;

/*
 * Mean and variance of Poisson variates conditioned on low <= n <= high, low being no less than 0.
 * Above POISSON_EXACT_LIMIT and POISSON_MAX_COUNT nothing is taken to be cut off.  The variance is
 * also what the conditioned mean grows by with the logarithm of the mean.
 */
void poisson_truncated(const poisson_cells *cells, double *truncated, double *variance);

/* The two for a level of instructions, which makes them faster and changes no bit. */
typedef struct poisson_kernels {
    void (*clip_ranges)(const poisson_cuts *cuts, poisson_range *range);
    void (*truncated)(const poisson_cells *cells, double *truncated, double *variance);
} poisson_kernels;

const poisson_kernels *poisson_kernels_of(cpu_level level);

#endif
