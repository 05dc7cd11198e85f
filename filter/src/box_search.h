/* SPDX-License-Identifier: MIT */
/*
 * Tiles that hold more than background and are worth keeping pixel by pixel (docs/format.md, "Kept
 * flags": the encoder's choice).
 */
#ifndef BRAGG_BOX_SEARCH_H
#define BRAGG_BOX_SEARCH_H

#include "counts_plane.h"

/* What a tile may be: touched by a significant box; by what is around a peak. */
enum { BOX_TOUCHES = 1, BOX_IS_NEAR = 2 };

/*
 * Adds to kept[tile] what a tile is.  A box is the 3 x 3 pixels around a pixel, those outside the
 * frame being 0; it is significant if its bytes add up to more than the chance of word[cell], see
 * box_word.  One pixel around a peak is near.  In blank tiles no box is centred:
 * word[BRAGG_NO_CELL], which is theirs, has BOX_NEVER twice.  other[tile] becomes the other eight
 * bits of the tile's word.
 */
void box_search(const counts_plane *plane, const ring_map *map, const uint32_t *word, uint8_t *kept,
                uint8_t *other);

/* Tiles of a row of tiles, from column `first` on, that may have significant boxes. */
typedef struct box_suspects {
    const counts_plane *plane;
    const ring_map *map;
    uint8_t *kept;
    uint32_t row;
    uint32_t first;
    const uint32_t *word;  /* of these tiles */
    const uint16_t *found; /* of their groups: bits of tiles */
    uint32_t ngroups;
} box_suspects;

/* Searches a tile of the row pixel by pixel. */
void box_search_tile(const box_suspects *suspects, uint32_t column);

#if BRAGG_HAVE_X86_KERNELS
/* Searches all suspects. */
void box_search_avx512(const box_suspects *suspects);
#endif

#endif
