/* SPDX-License-Identifier: MIT */
/*
 * The distribution of discarded pixels (docs/format.md, "Noise").
 *
 * A pixel of a cell is discarded if low <= n <= high, the threshold; others are picked.  Discarded
 * pixels come back as a draw from the cell's distribution *conditioned on that range*: the
 * background distribution of the ring, tilted by exp(a y + b y^2), y = (n - mean) / scale, so that
 * its mean and variance are those of the pixels that were discarded.  With a = b = 0 it is the
 * plain Poisson or normal distribution.
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
} cell_range;

/* What all cells of a frame share. */
typedef struct noise_frame {
    const ring_map *map;
    const h5bragg_params *params;
    bragg_mask_codes codes;
    h5bragg_pixel_type type;
    int is_counting; /* no valid pixel is negative */
} noise_frame;

/* Ranges of all cells from the profile: range[map->ncells]. */
void noise_ranges(const noise_frame *frame, const ring_profile *profile, cell_range *range);

/* Distribution of one cell up to a constant: weight[range->nvalues]. */
void noise_weights(const noise_frame *frame, const ring_profile *ring, double tilt1, double tilt2,
                   uint32_t cell, const cell_range *range, double *weight);

/* Counts that the background gives a pixel of a cell. */
static inline double noise_expected(const noise_frame *frame, const ring_profile *ring,
                                    uint32_t cell)
{
    return ring->mean * frame->map->normalisation[cell];
}

/* Those of all cells: expected[map->ncells]. */
void noise_expected_all(const noise_frame *frame, const ring_profile *profile, double *expected);

/* Standard deviation of one pixel of a cell, in counts. */
double noise_sigma(const noise_frame *frame, const ring_profile *ring, uint32_t cell);

/* Length that the tilts are relative to: about the width of the distribution, at least 0.5. */
double noise_scale(const ring_profile *ring, int is_normal);

/* Value at the middle of step j. */
static inline double noise_value(const cell_range *range, uint32_t j)
{
    return (double)range->low + (double)j * (double)range->step + 0.5 * (double)(range->step - 1);
}

#endif
