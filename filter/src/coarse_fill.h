/* SPDX-License-Identifier: MIT */
/* Draws coarse blocks: docs/format.md, "Pattern noise" (Coarse blocks). */
#ifndef BRAGG_COARSE_FILL_H
#define BRAGG_COARSE_FILL_H

#include "tile_fill.h"

/*
 * Throws the counts of the coarse blocks of the row of macro blocks at work one by one; there is
 * room for them.  Their tiles have been drawn as those without counts: all their pixels are 0.
 */
void coarse_fill(const tile_fill *t);

#endif
