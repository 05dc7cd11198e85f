/* SPDX-License-Identifier: MIT */
/*
 * Tiles that hold more than background and are worth keeping pixel by pixel (docs/format.md, "Kept
 * flags": the encoder's choice).
 */
#ifndef BRAGG_BOX_SEARCH_H
#define BRAGG_BOX_SEARCH_H

#include "counts_plane.h"

/* What box sums around the pixels of a cell mean. */
typedef struct box_cut {
    uint16_t chance; /* the largest that is still chance */
    uint16_t peak;   /* from beyond this on it is a peak, which has wings; at least `chance` */
} box_cut;

/* What a tile may be: touched by a significant box; by what is around a peak. */
enum { BOX_TOUCHES = 1, BOX_IS_NEAR = 2 };

/*
 * Adds to kept[tile] what a tile is.  A box is the 3 x 3 pixels around a pixel, those outside the
 * frame being 0; it is significant if its bytes add up to more than cut[cell].chance of the pixel's
 * tile.  One pixel around a peak is near.  In blank tiles no box is centred:
 * cut[BRAGG_NO_CELL], which is theirs, has UINT16_MAX twice.
 */
void box_search(const counts_plane *plane, const ring_map *map, const box_cut *cut, uint8_t *kept);

/* Tiles of a row of tiles, from column `first` on, that may have significant boxes. */
typedef struct box_suspects {
    const counts_plane *plane;
    const ring_map *map;
    const box_cut *cut;
    uint8_t *kept;
    uint32_t row;
    uint32_t first;
    const uint8_t *found; /* per tile; a multiple of eight */
    uint32_t nfound;
} box_suspects;

/* Searches a tile pixel by pixel. */
void box_search_tile(const box_suspects *suspects, uint32_t column);

#if BRAGG_HAVE_X86_KERNELS
/* Searches all suspects. */
void box_search_avx512(const box_suspects *suspects);
#endif

#endif
