/* SPDX-License-Identifier: MIT */
/* Levels and spreads of pattern rings without local counts (docs/format.md, "Profile"). */
#ifndef BRAGG_LEVEL_FIT_H
#define BRAGG_LEVEL_FIT_H

#include "frame_fit.h"

/* The dispersion of a frame is stored in 1/400. */
#define DISPERSION_UNITS 400.0
/* A deviation is beyond chance if it is so many times its standard error. */
#define CHANCE_SIGMA 4.0

/*
 * Sets level and spread of every pattern ring, and corrects the dispersion, so that restored pixels
 * have the mean and the variance of those discarded: sums per cell of the map.
 */
h5bragg_status level_fit_rings(const frame_source *source, frame_model *model,
                               const value_sums *discarded);

#endif
