/* SPDX-License-Identifier: MIT */
/* Draws coarse blocks: docs/format.md, "Pattern noise" (Coarse blocks). */
#ifndef BRAGG_COARSE_FILL_H
#define BRAGG_COARSE_FILL_H

#include "tile_fill.h"

/* Finds the runs of the row of macro blocks at work.  Coarse ones are zeros in the strip then. */
void coarse_fill_find_runs(tile_fill *t);

/*
 * Throws the counts of the coarse blocks of the row of macro blocks at work one by one; there is
 * room for them.  All their pixels in the strip are 0 so far.
 */
void coarse_fill(const tile_fill *t);

#endif
