/* SPDX-License-Identifier: MIT */
/* Which tiles of a row are drawn and which are stored exactly: docs/format.md, "Kept flags". */
#ifndef BRAGG_TILE_SORT_H
#define BRAGG_TILE_SORT_H

#include "pixel.h"
#include "ring_map.h"
#include "symbols.h"

/* What a row of tiles is sorted by. */
typedef struct tile_flags {
    uint32_t ntiles;
    const uint8_t *symbol; /* below 16, of the quads and, 0, of what lacks to GROUP_NTILES tiles */
    const uint16_t *cell;  /* rows lie one behind the other: what is below may be asked for */
    const uint16_t *valid;
} tile_flags;

/*
 * open[ntiles] become the pixels that are drawn, and a bit of exact[], one element for GROUP_NTILES
 * tiles, whether a tile has valid pixels that are not.  Returns 0 if a tile may not be kept.
 */
int tiles_sort(const tile_flags *flags, uint16_t *open, uint16_t *exact);

#endif
