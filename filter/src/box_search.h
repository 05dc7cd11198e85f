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

enum { BOX_NROWS = 3, BOX_SLACK = 64 };

/* A search of one frame, and its buffers. */
typedef struct box_search {
    const counts_plane *plane;
    const ring_map *map;
    const uint32_t *word;
    uint8_t *memory;
    box_hits hits[BOX_NROWS]; /* of rows of tiles, by their number modulo three; and 0 beyond */
    uint8_t *touching;        /* of the row at work: columns of boxes that touch its tiles, */
    uint8_t *near;            /* and of peaks near them */
} box_search;

/*
 * word[cell] says which boxes are significant, see box_word: the 3 x 3 pixels around a pixel, those
 * outside the frame being 0.  One pixel around a peak is near.  In blank tiles no box is centred:
 * word[BRAGG_NO_CELL], which is theirs, has BOX_NEVER.  Free with box_search_free, also after an
 * error.
 */
h5bragg_status box_search_make(const counts_plane *plane, const ring_map *map, const uint32_t *word,
                               box_search *search);

void box_search_free(box_search *search);

/*
 * What the tiles of a row are; rows follow each other from 0.  kept has room for whole groups and
 * BOX_SLACK bytes more.  Returns the other eight bits of the tiles' words, which stay until the
 * next row.
 */
const uint8_t *box_search_row(box_search *search, uint32_t row, uint8_t *kept);

#endif
