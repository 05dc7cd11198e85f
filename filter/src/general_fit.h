/* SPDX-License-Identifier: MIT */
/* Tilts of general rings that are restored with local counts (docs/statistics.md). */
#ifndef BRAGG_GENERAL_FIT_H
#define BRAGG_GENERAL_FIT_H

#include "discarded.h"

/*
 * Fits the general rings of a model to what is discarded, and once more to what drawing tiles makes
 * of it: reaching the sum of a tile changes the variance within it.
 */
h5bragg_status general_fit(const frame_source *source, frame_model *model,
                           discarded_sums *discarded);

#endif
