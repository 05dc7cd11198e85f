/* SPDX-License-Identifier: MIT */
/*
 * With local counts: the exact tiles of a chunk by rows, three rows of macro blocks at a time, so
 * that a tile of the middle one has all that is around it at hand.
 */
#ifndef BRAGG_PEAK_BANDS_H
#define BRAGG_PEAK_BANDS_H

#include "sparse_frame.h"

/* A row of macro blocks. */
typedef struct peak_band {
    exact_tile *tile; /* row by row, in each in the order of columns */
    uint32_t start[MACRO_EDGE + 1];
    uint32_t *number; /* MACRO_EDGE * ntx: 1 + number in `tile`, or 0 */
} peak_band;

/* Exact tiles of a row of tiles. */
typedef struct exact_row {
    const exact_tile *tile;
    uint32_t n;
} exact_row;

enum { NBANDS = 3 };

typedef struct peak_bands {
    sparse_frame *frame;
    peak_band band[NBANDS];
    uint32_t nread; /* rows of macro blocks */
} peak_bands;

/*
 * For a frame that was opened.  Free with peak_bands_free, also after an error, and before the
 * frame is closed.
 */
h5bragg_status peak_bands_make(sparse_frame *frame, peak_bands *bands);
void peak_bands_free(peak_bands *bands);

/* Reads the next row of macro blocks. */
h5bragg_status peak_bands_read(peak_bands *bands);

/* A row of tiles of those at hand; an empty one if it is not in the frame. */
exact_row peak_bands_row(const peak_bands *bands, uint32_t row);

/* A row of tiles of those at hand: the tiles of its row of macro blocks, and by column 1 + the
 * number of the tile there, or 0. */
typedef struct band_row {
    const exact_tile *tile;
    const uint32_t *number;
} band_row;

static inline band_row peak_bands_place(const peak_bands *bands, uint32_t row)
{
    const peak_band *band = &bands->band[row / MACRO_EDGE % NBANDS];
    const uint32_t ntx = bands->frame->model.noise.map->ntx;
    return (band_row){band->tile, band->number + (size_t)(row % MACRO_EDGE) * ntx};
}

#endif
