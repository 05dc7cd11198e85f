/* SPDX-License-Identifier: MIT */
/* What is discarded of a frame, cell by cell. */
#ifndef BRAGG_DISCARDED_H
#define BRAGG_DISCARDED_H

#include "frame_fit.h"
#include "noise_fit.h"

/* Sums over the pixels to be drawn.  Free with discarded_sums_free, also after an error. */
h5bragg_status discarded_sums_make(const frame_source *source, const frame_model *model,
                                   discarded_sums *discarded);

void discarded_sums_free(discarded_sums *discarded);

#endif
