/* SPDX-License-Identifier: MIT */
/*
 * What is discarded, cell by cell (docs/format.md, "Threshold" and "General noise").
 *
 * A pixel of a drawn tile is discarded if low <= n <= high, the threshold of its cell.  In pattern
 * rings discarded pixels are Poisson counts under the threshold and come back as patterns
 * (patterns.h).  In general rings they come back as a draw from the cell's distribution
 * *conditioned on that range*: the background distribution of the ring, tilted by
 * exp(a y + b y^2), y = (n - mean) / scale, so that its mean and variance are those of the pixels
 * that were discarded.
 */
#ifndef BRAGG_NOISE_MODEL_H
#define BRAGG_NOISE_MODEL_H

#include "pixel.h"
#include "profile.h"
#include "settings.h"

enum { NOISE_MAX_VALUES = 256, NOISE_DRAW_RANGE = 65536 };

/* What is discarded in one cell, in steps: value number j stands for low + j * step + 0 .. step
 * - 1. */
typedef struct cell_range {
    int64_t low;
    int64_t high;     /* the threshold: low + nvalues * step - 1 */
    int64_t step;     /* a power of two; 1 unless the background is wide */
    uint32_t nvalues; /* 1 .. NOISE_MAX_VALUES */
    int is_normal;    /* normal distribution instead of Poisson */
    int is_pattern;
} cell_range;

/* What all cells of a frame share. */
typedef struct noise_frame {
    const ring_map *map;
    const h5bragg_params *params;
    bragg_mask_codes codes;
    h5bragg_pixel_type type;
    int is_counting; /* no valid pixel is negative */
} noise_frame;

/*
 * What pixels of this background may be without being k sigma above it; is_quantile: or, in
 * counting frames, without being above the quantile that k stands for.
 */
int64_t noise_threshold_at(const noise_frame *frame, double expected, double sigma, double k,
                           int is_quantile);

/* The threshold of a cell. */
int64_t noise_threshold(const noise_frame *frame, const ring_profile *ring, uint32_t cell);

/*
 * Ranges of all cells from the profile: range[map->ncells].  Fails with H5BRAGG_CORRUPT where a
 * pattern ring may not be one: it has too many counts or too high a threshold.
 */
h5bragg_status noise_ranges(const noise_frame *frame, const ring_profile *profile,
                            cell_range *range);

/* Those of the cells of one ring, likewise. */
h5bragg_status noise_ring_ranges(const noise_frame *frame, const ring_profile *profile,
                                 uint32_t ring, cell_range *range);

/* Distribution of one cell of a general ring up to a constant: weight[range->nvalues]. */
void noise_weights(const noise_frame *frame, const ring_profile *ring, double tilt1, double tilt2,
                   uint32_t cell, const cell_range *range, double *weight);

/* Counts that the background gives a pixel of a cell. */
static inline double noise_expected(const noise_frame *frame, const ring_profile *ring,
                                    uint32_t cell)
{
    return ring->mean * frame->map->normalisation[cell];
}

/* Standard deviation of one pixel of a cell, in counts. */
double noise_sigma(const noise_frame *frame, const ring_profile *ring, uint32_t cell);

/*
 * Third cumulant over variance, for multiples of Poisson counts of this mean, above 0, and standard
 * deviation: 1 for Poisson counts themselves; limited.
 */
double noise_skew(double expected, double sigma);

/* Place of a cell of a pattern ring on the scale of levels, in units of 1/256. */
static inline uint32_t noise_level(const noise_frame *frame, const ring_profile *ring,
                                   uint32_t cell)
{
    const double x = ring->level * frame->map->root[cell] * 8.0 + 0.5;
    return x < UINT32_MAX ? (uint32_t)x : UINT32_MAX;
}

/* Length that the tilts are relative to: about the width of the distribution, at least 0.5. */
double noise_scale(const ring_profile *ring, int is_normal);

/* Value at the middle of step j. */
static inline double noise_value(const cell_range *range, uint32_t j)
{
    return (double)range->low + (double)j * (double)range->step + 0.5 * (double)(range->step - 1);
}

#endif
