/* SPDX-License-Identifier: MIT */
/*
 * Writes the picked pixels of drawn tiles, one row of tiles at a time (docs/format.md, "Picked
 * pixels").
 *
 * Which pixels of a tile are above the threshold is a matter of chance.  So the loops over them
 * have no branches: bits of all tiles of a row come first, and their heights one behind the other,
 * lists of lines and pixels next, symbols and raw bits last.
 */
#ifndef BRAGG_PICKED_WRITER_H
#define BRAGG_PICKED_WRITER_H

#include "byte_numbers.h"
#include "cpu_level.h"
#include "frame_fit.h"
#include "picked.h"

/*
 * What is known of a cell's, and so a tile's, picked pixels: the threshold, or 255 if it is none of
 * 0 to 254, in a byte; the least context of heights in the next; the contexts of lines by classes
 * of the tile above, five bits each from bit PICK_LINES(class) on.  The highest bit is set of blank
 * tiles, and of thresholds that no byte can be compared with.
 */
enum { PICK_THRESHOLD = 0xFF, PICK_HEIGHT_BIT = 8, PICK_CONTEXT = 31, PICK_SPECIAL_BIT = 31 };
#define PICK_LINES(class) (16 + 5 * (class))
#define PICK_SPECIAL (UINT32_C(1) << PICK_SPECIAL_BIT)

typedef struct picked_writer {
    picked_contexts contexts;
    number_symbols numbers;
    symbol_writer lines;
    symbol_writer pixels;
    symbol_writer heights;
    uint32_t *rule;    /* by cell, BRAGG_NO_CELL among them */
    int has_odd_cells; /* thresholds that no byte can be compared with */
    /* Of the row at work, with room for whole groups of tiles: */
    uint16_t *odd;          /* of drawn tiles that bytes do not tell of, bits as `above`; else 0 */
    uint16_t *above;        /* bits of pixels above the threshold; 0 in tiles that are not drawn */
    uint32_t *before;       /* per group, and behind the last: number of its first pixel above the
                               threshold */
    uint32_t *tiles_before; /* see put_row */
    uint32_t *list;
    int has_list;      /* `above` and `before` are of the tiles of the list */
    uint8_t *height;   /* of these pixels, in the order of their places; of odd tiles anything */
    uint16_t *special; /* per group: bits of tiles that are kept, blank or not all in bytes */
    uint8_t *symbol;   /* of lines */
    uint8_t *symbol_above;
    picked_lines line; /* with the pixels that are picked */
    uint8_t *line_symbol;
    uint32_t *place; /* of picked pixels, from the first of the row */
    uint8_t *context;
    uint8_t *large; /* heights with raw bits */
    size_t nlisted; /* of the frame: what has been used of listed_pixels.excess */
} picked_writer;

/* Free with picked_writer_free, also after an error. */
h5bragg_status picked_writer_make(const frame_model *model, picked_writer *p);
void picked_writer_free(picked_writer *p);

/* The picked pixels of a row of tiles, which go on from the row above; returns their number. */
uint32_t picked_writer_row(picked_writer *p, const frame_source *source, uint32_t tile_row);

/* Writes the three streams. */
void picked_writer_finish(picked_writer *p, byte_writer *out);

/* A row of tiles as kernels look at it. */
typedef struct pick_row {
    const uint8_t *value; /* of the plane; rows are whole groups of tiles */
    size_t stride;
    const uint16_t *cell; /* these four: ntx */
    const uint16_t *valid;
    const uint8_t *kept;
    const uint8_t *has_large;
    const uint16_t *odd; /* as in a picked_writer */
    uint32_t ntx;
    const uint32_t *rule;
} pick_row;

/* What is found, as in a picked_writer, with room for PICKED_SLACK more heights; in special tiles
 * above is that of `odd`. */
typedef struct found_row {
    uint16_t *above;
    uint32_t *before;
    uint8_t *height;
    uint16_t *special;
} found_row;

enum { PICKED_SLACK = 64 };

/* Returns the number of heights. */
typedef uint32_t find_picked_function(const pick_row *row, const found_row *found);

/* That of this machine. */
find_picked_function *find_picked_kernel(void);

find_picked_function find_picked_plain; /* the reference */

/* Where the streams of a row go on, all with room for PICKED_SLACK more; and a list of the tiles
 * that have picked pixels. */
typedef struct put_row {
    const uint8_t *symbol_above; /* of the lines of the tiles above */
    uint8_t *symbol;
    uint16_t *tile_pair;    /* these with their contexts */
    uint16_t *line_pair;    /* of the pixels of lines */
    uint8_t *context;       /* of heights */
    uint32_t *tiles_before; /* per group: tiles in the list before its own */
    uint32_t *list;         /* how much their rows of pixels are above the threshold, all first rows
                               one behind the other, then the second ones; last their rules */
    size_t list_room;       /* of each of these: whole groups, and one more */
} put_row;

enum { LIST_NARRAYS = TILE_EDGE + 1 };

typedef struct put_counts {
    uint32_t nlines;
    uint32_t npixels;
} put_counts;

/* Finds all that a row of tiles puts into streams: what find_picked_plain, picked_lines_symbols,
 * picked_lines_list and picked_pixels_list find one after the other.  But `above` and `before`
 * are of the tiles of the list alone, of which sixteen are a group. */
typedef put_counts put_row_function(const pick_row *row, const found_row *found,
                                    const put_row *put);

/* That of this machine, or NULL. */
put_row_function *put_row_kernel(void);
#if defined(BRAGG_X86_64)
put_row_function *put_row_avx2(void);
#endif

#endif
