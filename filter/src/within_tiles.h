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

enum { WITHIN_NIDLE = 8 };

/*
 * A row for every threshold of a ring, its cells being consecutive; the first ones are for tiles
 * that do not count, several so that additions need not wait for one another.
 */
typedef struct within_counts {
    uint32_t *row;   /* of a cell: ncells, and WITHIN_NIDLE of other tiles */
    uint32_t *first; /* likewise: the counter of the row that is for sum 0; shares its memory */
    uint32_t nrows;
    size_t ncounters;
    uint64_t *squares; /* per row: sum of squares of its pixels */
    uint32_t *counter; /* of tiles, by their sum */
} within_counts;

/* Says where tiles are to be counted; free with within_counts_free, also after an error. */
h5bragg_status within_counts_make(const frame_model *model, within_counts *counts);

void within_counts_free(within_counts *counts);

/*
 * Measures the whole tiles of pattern rings that have no pixel above the threshold: ring[nbins],
 * given source->calm for the ranges of the model.
 */
h5bragg_status within_tiles_measure(const frame_source *source, const frame_model *model,
                                    within_tiles *ring);

#endif
