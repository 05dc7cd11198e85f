/* SPDX-License-Identifier: MIT */
/* Tiles as on a chessboard: those whose row and column add up to odd numbers (docs/statistics.md).
 */
#ifndef BRAGG_ODD_TILES_H
#define BRAGG_ODD_TILES_H

#include "frame_fit.h"

/*
 * Of the drawn pixels of a ring, the share that odd tiles have; half where there is none.  Fills
 * share[map->nbins] where is_wanted is not 0.
 */
h5bragg_status odd_tiles_share(const frame_source *source, const uint8_t *is_wanted, double *share);

#endif
