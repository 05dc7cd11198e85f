/* SPDX-License-Identifier: MIT */
/* Fits the tilts of every ring so that restored pixels have the mean and variance of the discarded.
 */
#ifndef BRAGG_NOISE_FIT_H
#define BRAGG_NOISE_FIT_H

#include "noise_model.h"

/*
 * Sets tilt1 and tilt2 of every ring of the profile, from the discarded pixels in the histograms.
 * variance, if not NULL, has the variance of a pixel in every ring, to be matched instead of that
 * of the histograms; negative where it is unknown.
 */
h5bragg_status noise_fit(const noise_frame *frame, const histogram *h, const cell_range *range,
                         const double *variance, ring_profile *profile);

#endif
