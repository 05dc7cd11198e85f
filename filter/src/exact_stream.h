/* SPDX-License-Identifier: MIT */
/* Reads and writes exact tiles: docs/format.md, "Exact values", version 2. */
#ifndef BRAGG_EXACT_STREAM_H
#define BRAGG_EXACT_STREAM_H

#include "byte_numbers.h"
#include "exact_levels.h"

/* Zero-initialise before exact_reader_open. */
typedef struct exact_reader {
    exact_levels levels;
    wide_reader level_symbols;
    wide_reader value_symbols;
    uint32_t *place; /* of the tiles of a row of macro blocks in the grid of levels */
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

/* A tile that waits for the levels of those beside it. */
typedef struct exact_item {
    const exact_rule *rule;
    const uint8_t *byte; /* of whole tiles of bytes; NULL for others */
    const uint64_t *t;   /* what others store for valid pixels */
    uint32_t place;
    uint16_t valid;
    uint8_t level;
} exact_item;

typedef struct exact_writer {
    exact_levels levels;
    symbol_writer level_symbols;
    symbol_writer value_symbols;
    number_symbols numbers;
    size_t stride;    /* of bytes, from row to row of pixels */
    exact_item *item; /* of the row of macro blocks at work, as all below */
    uint32_t nitems;
    uint64_t *t;
    size_t nt;
} exact_writer;

/* Free with exact_writer_free, also after an error. */
h5bragg_status exact_writer_make(const ring_map *map, size_t stride, exact_writer *w);
void exact_writer_free(exact_writer *w);

/*
 * Adds a tile in row `row`, 0 to 3, of the macro blocks; tiles come in the order of their numbers,
 * each once.  One without valid pixels is nothing.
 */
void exact_tile_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t column,
                    uint16_t valid, const int64_t value[TILE_NPIXELS]);

/*
 * The same for a tile of a counting frame whose pixels are all valid and below 255: bytes, which
 * stay until the row is written, and their sum.
 */
void exact_bytes_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t column,
                     const uint8_t *byte, uint32_t sum);

/* Writes the tiles of a row of macro blocks and moves on to the next. */
void exact_writer_end_row(exact_writer *w);

/* Puts out both streams; fails as symbols_write does, also for lack of memory earlier on. */
void exact_writer_finish(exact_writer *w, byte_writer *out);

#endif
