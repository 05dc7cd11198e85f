/* SPDX-License-Identifier: MIT */
/*
 * Picked pixels of a row of macro blocks as patterns are drawn: which pixels of each tile, and in
 * their order a byte of each value.  Few values are larger than a byte; these are listed with where
 * they are, and put into the frame when all is drawn.
 */
#ifndef BRAGG_PICKED_DRAWN_H
#define BRAGG_PICKED_DRAWN_H

#include "picked.h"
#include "symbols.h"

enum { DRAWN_NTILES = 16, DRAWN_SLACK = 64 };

typedef struct picked_drawn {
    uint32_t *base;   /* by cell, and BRAGG_NO_CELL: least value | context of heights << 8 */
    uint16_t *pixels; /* bits by tile; rows of `ngroups` times DRAWN_NTILES */
    uint32_t *start;  /* of DRAWN_NTILES tiles: pixels before, in the row of macro blocks */
    uint8_t *value;   /* with DRAWN_SLACK more, as all that is listed by pixels */
    uint32_t ngroups;
} picked_drawn;

/* Of cells without general rings, for pixels of at least two bytes.  Free with picked_drawn_free,
 * also after an error. */
h5bragg_status picked_drawn_make(const picked_contexts *contexts, picked_drawn *drawn);
void picked_drawn_free(picked_drawn *drawn);

/* A row of tiles that is being listed: its number in the row of macro blocks, the symbols of its
 * tiles, and those of its lines, of which DRAWN_SLACK more may be read. */
typedef struct drawn_row {
    uint32_t row;
    const picked_tiles *tiles;
    uint32_t ntiles;
    const uint8_t *symbol;
    const uint8_t *line_symbol;
} drawn_row;

/* Puts down the contexts of the symbols of lines, with DRAWN_SLACK more; returns their number. */
typedef uint32_t drawn_lines_function(const drawn_row *row, uint8_t *context);

/*
 * Lists the pixels of a row of tiles behind n others: bits, starts, least values and contexts of
 * heights.  Returns the number of all; *is_impossible becomes 1 if there is one that is not open.
 * Symbols of lines are at most 15.
 */
typedef uint32_t drawn_list_function(const picked_drawn *drawn, const drawn_row *row, uint32_t n,
                                     uint8_t *context, int *is_impossible);

/* Values that are no bytes, by the number of the pixel. */
typedef struct drawn_large {
    uint32_t *number;
    uint32_t *value;
    uint32_t n;
} drawn_large;

/* Adds the heights of n pixels; returns 0 if a value is above `most`. */
typedef int drawn_add_function(const picked_drawn *drawn, symbol_reader *heights,
                               const uint8_t *symbol, uint32_t n, int64_t most, drawn_large *large);

drawn_lines_function drawn_lines;
drawn_list_function drawn_list;
drawn_add_function drawn_add;

/* The same in plain C. */
drawn_lines_function drawn_lines_plain;
drawn_list_function drawn_list_plain;
drawn_add_function drawn_add_plain;

/* Makes pixel numbers from the first one of the row of macro blocks on of those in the list, which
 * are in order; nx pixels are a row. */
void drawn_find_places(const picked_drawn *drawn, uint32_t nx, const drawn_large *large);

#endif
