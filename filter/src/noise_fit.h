/* SPDX-License-Identifier: MIT */
/* Fits the tilts of every ring so that restored pixels have the mean and variance of the discarded.
 */
#ifndef BRAGG_NOISE_FIT_H
#define BRAGG_NOISE_FIT_H

#include "noise_model.h"

/* Sets tilt1 and tilt2 of every ring of the profile. */
void noise_fit(const noise_frame *frame, const histogram *h, const cell_range *range,
               ring_profile *profile);

#endif
