/* SPDX-License-Identifier: MIT */
/*
 * Fits the tilts of general rings so that restored pixels have the mean and variance of the
 * discarded (docs/statistics.md, "Tilt").
 */
#ifndef BRAGG_NOISE_FIT_H
#define BRAGG_NOISE_FIT_H

#include "noise_model.h"

/* What is discarded. */
typedef struct discarded_sums {
    value_sums *cell; /* per cell: valid pixels of drawn tiles within the range */
    double *variance; /* per general ring, with local counts: of a pixel about the mean of its
                         tile, less what the quantisation of sums adds; negative where unknown */
    uint32_t *tiles;  /* drawn tiles of general rings */
    size_t ntiles;
} discarded_sums;

/* Sets tilt1 and tilt2 of every general ring of the profile. */
h5bragg_status noise_fit(const noise_frame *frame, const cell_range *range,
                         const discarded_sums *discarded, ring_profile *profile);

#endif
