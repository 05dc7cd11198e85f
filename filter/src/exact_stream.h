/* SPDX-License-Identifier: MIT */
/* Reads and writes exact tiles: docs/format.md, "Exact values", version 2. */
#ifndef BRAGG_EXACT_STREAM_H
#define BRAGG_EXACT_STREAM_H

#include "byte_numbers.h"
#include "exact_levels.h"
#include "lines_ahead.h"
#include "row_lists.h"

/* Zero-initialise before exact_reader_open. */
typedef struct exact_reader {
    exact_levels levels;
    wide_reader level_symbols;
    wide_reader value_symbols;
    uint32_t *place;    /* of the tiles of a row of macro blocks in the grid of levels */
    lines_ahead *ahead; /* asked for meanwhile; NULL: nothing is */
} exact_reader;

/* As wide_symbols_open, wide_symbols_close and symbol_reader_free. */
h5bragg_status exact_reader_open(byte_reader *in, uint32_t version, const ring_map *map,
                                 exact_reader *r);
h5bragg_status exact_reader_close(const exact_reader *r);
void exact_reader_free(exact_reader *r);

/*
 * Reads the exact tiles of the next row of macro blocks, of which row, column and valid pixels,
 * some, are known.  Returns 0 if a level does not exist: rows that follow must not be read then.
 */
int exact_tiles_read(exact_reader *r, const exact_rule *const *rule, exact_tile *tile,
                     uint32_t ntiles);

/* The exact tiles of a row of tiles. */
typedef struct exact_columns {
    uint16_t *column;
    uint32_t n;
    const uint8_t *byte; /* see exact_row_add */
} exact_columns;

/* One whose values are not bytes. */
typedef struct exact_odd {
    uint32_t number; /* among those of its row */
    uint8_t row;
    uint16_t valid;
    const uint64_t *t; /* what it stores for valid pixels */
} exact_odd;

/* The least sum of a tile's bytes that has the largest level. */
enum { EXACT_LARGE_SUM = 1 << (EXACT_NLEVELS - 2) };

typedef struct exact_writer {
    exact_levels levels;
    symbol_writer level_symbols;
    symbol_writer value_symbols;
    number_symbols numbers;
    uint8_t *digits; /* by cell, BRAGG_NO_CELL among them: see exact_rule_digits */
    uint8_t grid_of_sum[EXACT_LARGE_SUM + 1]; /* 1 + level by sum, the last also of larger ones */
    size_t stride;                 /* of bytes, from row to row of pixels, or EXACT_LISTED */
    exact_columns row[MACRO_EDGE]; /* of the row of macro blocks at work, as all below */
    uint16_t *column;              /* memory of the rows */
    exact_odd *odd;
    uint32_t nodd;
    uint64_t *t;
    size_t nt;
} exact_writer;

enum { EXACT_LISTED = 0 };

/*
 * rule: ncells and that of blank tiles.  stride: EXACT_LISTED if bytes are not in a plane.  Free
 * with exact_writer_free, also after an error.
 */
h5bragg_status exact_writer_make(const ring_map *map, const exact_rule *rule, size_t stride,
                                 exact_writer *w);
void exact_writer_free(exact_writer *w);

/*
 * Adds a row of tiles, `row` being 0 to 3, in the macro blocks.  Its exact tiles with valid pixels
 * are n, whose columns stand in w->row[row].column already.  Cells, and sums of tiles' bytes, are
 * given for every column.
 *
 * Those that are not odd, see below, belong to a counting frame; their pixels are all valid and
 * below 255.  byte: the first one of the row's first tile, in a plane; else those of these tiles,
 * one tile behind the other.  They stay until the row of macro blocks is written.
 */
void exact_row_add(exact_writer *w, uint32_t row, uint32_t n, const uint16_t *cell,
                   const uint16_t *sum, const uint8_t *byte);

/* Then tells what tile `number` of these is, if it is none of bytes; such come in their order. */
void exact_odd_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t number,
                   uint16_t valid, const int64_t value[TILE_NPIXELS]);

/* Writes the tiles of a row of macro blocks and moves on to the next. */
void exact_writer_end_row(exact_writer *w);

/* Puts out both streams; fails as symbols_write does, also for lack of memory earlier on. */
void exact_writer_finish(exact_writer *w, byte_writer *out);

#endif
