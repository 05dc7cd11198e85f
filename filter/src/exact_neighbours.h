/* SPDX-License-Identifier: MIT */
/*
 * Exact values of version 1, whose contexts follow from neighbours: docs/format.md, "Exact values".
 * They are no longer written.
 */
#ifndef BRAGG_EXACT_NEIGHBOURS_H
#define BRAGG_EXACT_NEIGHBOURS_H

#include "exact_tiles.h"

enum { NEIGHBOUR_NCONTEXTS = 15 };
/* What neighbours can count, in eighths: 2 * left + 2 * above + corner of 8 * 255 each. */
enum { NEIGHBOUR_UNIT = 8, NEIGHBOUR_MOST = 8 * 255, NEIGHBOURS_MOST = 5 * NEIGHBOUR_MOST };

/* What pixels of exact tiles of the row above and to the left count; others have nothing. */
typedef struct exact_lines {
    int16_t *above; /* from one column before the frame */
    int16_t *below;
    uint32_t *above_tiles; /* columns of tiles that have left something there */
    uint32_t *below_tiles;
    uint32_t nabove;
    uint32_t nbelow;
    int16_t left[TILE_EDGE];
    uint32_t left_column;                     /* of the exact tile that `left` is of, plus 1 */
    uint8_t context[NEIGHBOURS_MOST / 2 + 1]; /* by half of A, which is even */
} exact_lines;

/* Free with exact_lines_free, also after an error. */
h5bragg_status exact_lines_make(const ring_map *map, exact_lines *lines);
void exact_lines_free(exact_lines *lines);

/* Reads the exact tiles of one row, from the left; rows must be read in order. */
void exact_row_read(exact_lines *lines, symbol_reader *s, const exact_rule *const *rule,
                    exact_tile *tile, uint32_t ntiles);

#endif
