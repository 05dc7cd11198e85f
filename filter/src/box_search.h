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

enum { BOX_MOST_GROUPS = 32 };

/* Tiles of a row of tiles, from column `first` on, that may have significant boxes. */
typedef struct box_suspects {
    const uint8_t *value;  /* of the first of these tiles: the plane's bytes, */
    size_t stride;         /* from row to row */
    const uint32_t *word;  /* of these tiles */
    const uint16_t *found; /* of their groups: bits of tiles; and of one more group, without any */
    uint32_t ngroups;      /* at most BOX_MOST_GROUPS */
    uint32_t last;         /* the row's last tile, less `first` */
    uint16_t inside;       /* pixels of a tile that are in the frame, */
    uint16_t inside_last;  /* and of the last one */
} box_suspects;

/*
 * What a tile's hits make of it and its neighbours, as bytes of three columns side by side: bits
 * 2 r and 2 r + 1 of byte c are BOX_TOUCHES and BOX_IS_NEAR of the neighbour in row r - 1, column
 * c - 1.  box_reach[8 c + 2 r] are the pixels of the tile whose boxes touch it, and the next entry
 * those whose peaks are near.
 */
extern const uint16_t box_reach[32];

#if BRAGG_HAVE_X86_KERNELS
/*
 * Searches the suspects pixel by pixel.  mark[t], zero before, is of column first + t - 1; there is
 * room for one column more than those from first - 1 on that the groups touch.
 */
void box_search_avx512(const box_suspects *suspects, uint8_t *mark);
#endif

#endif
