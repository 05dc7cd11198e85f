/* SPDX-License-Identifier: MIT */
/*
 * Writes the picked pixels of drawn tiles, one row of tiles at a time (docs/format.md, "Picked
 * pixels").
 *
 * Which pixels of a tile are above the threshold is a matter of chance.  So the loops over them
 * have no branches: bits of all tiles of a row come first, the places of the set bits next, symbols
 * and raw bits last.
 */
#ifndef BRAGG_PICKED_WRITER_H
#define BRAGG_PICKED_WRITER_H

#include "fast_numbers.h"
#include "frame_fit.h"
#include "picked.h"

/*
 * What is known of a cell's, and so a tile's, picked pixels: the threshold, or 255 if it is none of
 * 0 to 254, the context of a gap that starts here, and that of an excess.
 */
enum {
    PICK_THRESHOLD = 0xFF,
    PICK_GAP_SHIFT = 8,
    PICK_EXCESS_SHIFT = 16,
    PICK_SPECIAL = 1 << 24 /* blank tiles, and thresholds that no byte can be compared with */
};

typedef struct picked_writer {
    picked_state state;
    number_symbols numbers;
    uint32_t *rule; /* ncells, and that of blank tiles */
    /* Of the row at work, with room for whole groups of tiles: */
    uint32_t *tile;    /* rules */
    uint16_t *above;   /* bits of pixels above the threshold; 0 in special tiles */
    uint8_t *excess;   /* by place: of these pixels, less 1; of others anything */
    uint16_t *special; /* per group: bits of tiles that are kept, blank or not all in bytes */
    uint32_t *place;   /* of those pixels, from the first of the row; padded */
    uint32_t nplaces;
    uint32_t at; /* places written so far */
} picked_writer;

/* Free with picked_writer_free, also after an error. */
h5bragg_status picked_writer_make(const frame_model *model, picked_writer *p);
void picked_writer_free(picked_writer *p);

/* Moves on to a row of tiles. */
void picked_writer_start_row(picked_writer *p, const frame_source *source, uint32_t tile_row);

/*
 * Writes what is picked in tiles of the row that are not special, up to column `stop`; returns the
 * number of pixels.
 */
uint32_t picked_writer_go_on(picked_writer *p, const ring_map *map, uint32_t tile_row,
                             uint32_t stop, symbol_writer *s);

/* Writes a pixel of a cell behind the last one. */
void picked_write(picked_state *state, symbol_writer *s, uint64_t place, uint16_t cell,
                  int64_t value);

/* A row of tiles as kernels look at it. */
typedef struct pick_row {
    const uint8_t *value; /* of the plane; rows are whole groups of tiles */
    size_t stride;
    const uint16_t *cell; /* these three: ntx */
    const uint8_t *kept;
    const uint8_t *has_large;
    uint32_t ntx;
    const uint32_t *rule;
    uint32_t ncells;
} pick_row;

/* What is found, as in a picked_writer. */
typedef struct found_row {
    uint32_t *tile;
    uint16_t *above;
    uint8_t *excess;
    uint16_t *special;
} found_row;

typedef void find_picked_function(const pick_row *row, const found_row *found);

/* That of this machine. */
find_picked_function *find_picked_kernel(void);

find_picked_function find_picked_plain; /* the reference */

#endif
