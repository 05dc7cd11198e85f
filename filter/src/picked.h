/* SPDX-License-Identifier: MIT */
/*
 * What cells and tiles mean for their picked pixels (docs/format.md, "Picked pixels"), as writer
 * and reader need it.
 *
 * A tile has four lines of four pixels.  Which lines of a tile hold picked pixels is one symbol,
 * which pixels of such a line are picked another; heights above the threshold follow.  Each of the
 * three has contexts that are known before its first symbol of a row is read, so that vectors can
 * read whole rows.
 */
#ifndef BRAGG_PICKED_H
#define BRAGG_PICKED_H

#include "frame_model.h"

enum { LINES_NCONTEXTS = 32, PIXELS_NCONTEXTS = 4, HEIGHTS_NCONTEXTS = 28 };
enum { PICKED_GENERAL_CHANCE = 10, LINE_NPIXELS = TILE_EDGE };
enum { LINES_SLACK = 4 }; /* room behind lists of lines and of pixels, which are made in fours */

/* What a cell means for its picked pixels. */
typedef struct picked_cell {
    int64_t least;      /* value of a picked pixel */
    uint8_t chance;     /* level, 0 to 10 */
    uint8_t background; /* 8 * E / (T + 2), 0 to 7 */
} picked_cell;

/* ncells cells; give them to scratch_give. */
h5bragg_status picked_cells_make(const frame_model *model, picked_cell **cell);

/* Contexts of a frame's cells. */
typedef struct picked_contexts {
    const ring_map *map;
    picked_cell *cell;
    uint32_t *lines; /* ncells + 1: contexts, a byte each, by class of the tile above; last those of
                        tiles that are not open */
    uint8_t *heights; /* ncells: least context */
} picked_contexts;

/* Free with picked_contexts_free, also after an error. */
h5bragg_status picked_contexts_make(const frame_model *model, picked_contexts *contexts);
void picked_contexts_free(picked_contexts *contexts);

/* A row of tiles: cells, pixels that are drawn, and the symbols of the tiles above. */
typedef struct picked_tiles {
    const uint16_t *cell;
    const uint16_t *open;
    const uint8_t *above;
} picked_tiles;

/* The contexts of the symbols of a row of tiles. */
void picked_lines_contexts(const picked_contexts *contexts, const picked_tiles *tiles,
                           uint8_t *context);

/*
 * Lists the lines that hold picked pixels, as 4 * column + line, with the contexts of their
 * symbols, from the symbols, below 16, of ntiles tiles; returns their number.  Both lists need
 * LINES_SLACK more room.
 */
uint32_t picked_lines_list(const uint8_t *symbol, uint32_t ntiles, uint16_t *line,
                           uint8_t *context);

/* The set bits of 0 to 15: their number, and where they are, rest 0. */
extern const uint8_t PICKED_NBITS[16];
extern const uint8_t PICKED_BITS[16][LINE_NPIXELS];

#endif
