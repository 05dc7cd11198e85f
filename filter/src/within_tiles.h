/* SPDX-License-Identifier: MIT */
/* What varies within the tiles of pattern rings (docs/statistics.md, "Patterns": dispersion). */
#ifndef BRAGG_WITHIN_TILES_H
#define BRAGG_WITHIN_TILES_H

#include "frame_fit.h"

/* Sums over tiles of a ring or of the frame: squares of deviations from the mean of the tile. */
typedef struct within_tiles {
    double found;
    double expected; /* of Poisson counts under the threshold with the sums of these tiles */
    double ntiles;
    double dispersion; /* found over expected, less 1; 0 where nothing is expected */
} within_tiles;

static inline double within_tiles_dispersion(const within_tiles *w)
{
    return w->expected > 0 ? w->found / w->expected - 1.0 : 0;
}

/*
 * Measures the whole tiles of pattern rings that have no pixel above the threshold: ring[nbins],
 * given source->calm for the ranges of the model.
 */
h5bragg_status within_tiles_measure(const frame_source *source, const frame_model *model,
                                    within_tiles *ring);

#endif
