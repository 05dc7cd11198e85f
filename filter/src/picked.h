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
#include "lines_ahead.h"

enum { LINES_NCONTEXTS = 32, PIXELS_NCONTEXTS = 4, HEIGHTS_NCONTEXTS = 28 };
enum { PICKED_GENERAL_CHANCE = 10, LINE_NPIXELS = TILE_EDGE };
enum { LINES_SLACK = 64 }; /* room behind lists of lines and of pixels, made many at a time */

/* What a cell means for its picked pixels. */
typedef struct picked_cell {
    int64_t least;      /* value of a picked pixel */
    uint8_t chance;     /* level, 0 to 10 */
    uint8_t background; /* 8 * E / (T + 2), 0 to 7 */
} picked_cell;

/* ncells cells; give them to scratch_give. */
h5bragg_status picked_cells_make(const frame_model *model, picked_cell **cell);

/* Of a cell: what heights are above, modulo 2^32, their least context, and whether it is so near to
 * the largest value of the type that not all of one symbol are possible. */
typedef struct picked_base {
    uint32_t least;
    uint16_t context;
    uint16_t is_tight;
} picked_base;

/* Contexts of a frame's cells. */
typedef struct picked_contexts {
    const ring_map *map;
    picked_cell *cell;
    uint32_t *lines; /* ncells + 1: contexts, a byte each, by class of the tile above; last those of
                        tiles that are not open */
    picked_base *heights; /* by cell; also that of blank tiles, BRAGG_NO_CELL, which has none */
} picked_contexts;

/* Free with picked_contexts_free, also after an error. */
h5bragg_status picked_contexts_make(const frame_model *model, picked_contexts *contexts);
void picked_contexts_free(picked_contexts *contexts);

/* A row of tiles: cells, pixels that are drawn, and the symbols of the tiles above. */
typedef struct picked_tiles {
    const uint16_t *cell;
    const uint16_t *open;
    const uint8_t *above;
    lines_ahead *ahead; /* asked for meanwhile; NULL: nothing is */
} picked_tiles;

/* The contexts of the symbols of a row of tiles. */
void picked_lines_contexts(const picked_contexts *contexts, const picked_tiles *tiles,
                           uint8_t *context);

/* The same of a row of tiles that is being written. */
typedef struct picked_row {
    const uint16_t *cell;
    const uint16_t *valid;
    const uint8_t *kept;
    const uint16_t *pixels; /* bits of those that are picked, of drawn tiles alone */
    const uint8_t *above;
} picked_row;

/* Symbols of a row of tiles, and with their contexts as a symbol_writer has them. */
typedef void picked_lines_function(const picked_contexts *contexts, const picked_row *row,
                                   uint8_t *symbol, uint16_t *pair);

picked_lines_function picked_lines_symbols;
picked_lines_function picked_lines_symbols_plain; /* the reference */

/* Lines that hold picked pixels, in arrays with room for LINES_SLACK more. */
typedef struct picked_lines {
    uint16_t *line;   /* 4 * column + line */
    uint16_t *cell;   /* of the tile */
    uint8_t *pixels;  /* four bits of those that the tile has */
    uint8_t *context; /* of the symbol */
} picked_lines;

/* Free with picked_lines_free, also after an error. */
h5bragg_status picked_lines_make(size_t nlines, picked_lines *lines);
void picked_lines_free(picked_lines *lines);

/* Those from number n on. */
picked_lines picked_lines_from(const picked_lines *lines, uint32_t n);

/*
 * Lists the lines that hold picked pixels, by the symbols of ntiles tiles, of which four bits
 * count; tiles->open are any bits of the tiles' pixels, and tiles->above is not read.  Returns
 * their number.
 */
uint32_t picked_lines_list(const uint8_t *symbol, const picked_tiles *tiles, uint32_t ntiles,
                           const picked_lines *to);

/* Where the pixels of a row of tiles are to be: the first, and from a line or a column of tiles to
 * the next. */
typedef struct picked_places {
    uint32_t first;
    uint32_t line;
    uint32_t column;
} picked_places;

/* Picked pixels, in arrays with room for LINES_SLACK more. */
typedef struct picked_pixels {
    uint32_t *at;
    uint32_t *least;  /* values of heights of 0, modulo 2^32; NULL if nobody wants them */
    uint16_t *cell;   /* likewise, beside `least` alone */
    uint8_t *context; /* of heights */
} picked_pixels;

/* Those from number n on. */
static inline picked_pixels picked_pixels_from(const picked_pixels *pixels, uint32_t n)
{
    return (picked_pixels){pixels->at + n, pixels->least ? pixels->least + n : NULL,
                           pixels->cell ? pixels->cell + n : NULL, pixels->context + n};
}

enum { SEEN_IMPOSSIBLE = 0x1FF, SEEN_TIGHT_SHIFT = 9 };

/*
 * Lists the pixels of n lines, by their symbols; returns their number.  *seen gets bits of
 * SEEN_IMPOSSIBLE if there is one that the lines do not have, and those above if a cell is tight.
 */
uint32_t picked_pixels_list(const picked_base *base, const picked_places *places,
                            const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                            const picked_pixels *to, uint32_t *seen);

/* The same in plain C. */
void picked_lines_contexts_plain(const picked_contexts *contexts, const picked_tiles *tiles,
                                 uint8_t *context);
uint32_t picked_lines_list_plain(const uint8_t *symbol, const picked_tiles *tiles, uint32_t ntiles,
                                 const picked_lines *to);
uint32_t picked_pixels_list_plain(const picked_base *base, const picked_places *places,
                                  const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                                  const picked_pixels *to, uint32_t *seen);

/* The set bits of 0 to 15: their number, and where they are, rest 0. */
static const uint8_t PICKED_NBITS[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
static const uint32_t PICKED_BITS[16][LINE_NPIXELS] = {
    {0}, {0},    {1},    {0, 1},    {2},    {0, 2},    {1, 2},    {0, 1, 2},
    {3}, {0, 3}, {1, 3}, {0, 1, 3}, {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};

/* By the symbol of the tile above: eight times the class, (number of set bits + 1) / 2. */
static const uint8_t PICKED_CLASS_SHIFT[16] = {0, 8, 8, 8, 8, 8, 8, 16, 8, 8, 8, 16, 8, 16, 16, 16};

#endif
