/* SPDX-License-Identifier: MIT */
/* Which blocks hold more than background and are worth keeping pixel by pixel. */
#ifndef BRAGG_SIGNIFICANCE_H
#define BRAGG_SIGNIFICANCE_H

#include "local_grid.h"
#include "noise_model.h"

/*
 * Sets kept[local_nblocks] to 1 for blocks that touch the surroundings of a 3 x 3 box whose counts
 * exceed the background by more than `cut` standard deviations, and to 0 for the others.
 */
h5bragg_status significance_find(const bragg_frame *frame, const noise_frame *noise,
                                 const ring_profile *profile, const double *expected,
                                 const uint8_t *static_mask, const local_grid *grid, double cut,
                                 uint8_t *kept);

#endif
