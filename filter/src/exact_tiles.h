/* SPDX-License-Identifier: MIT */
/*
 * Tiles whose pixels are stored one by one: which they are, and their values
 * (docs/format.md, "Kept flags" and "Exact values").
 */
#ifndef BRAGG_EXACT_TILES_H
#define BRAGG_EXACT_TILES_H

#include "fast_numbers.h"
#include "frame_model.h"
#include "symbols.h"

enum { FLAG_NCONTEXTS = 32, EXACT_NCONTEXTS = 15 };
/* What a stored value counts, at most 255 of it, and what stands for one that is not there. */
enum { EXACT_UNIT = 8, EXACT_MOST = 255, EXACT_NOTHING = -1 };

/* Symbols of the quads of one row of tiles and of the row above. */
typedef struct kept_flags {
    uint32_t nquads;
    uint8_t *row; /* with a zero on either side, as is `above` */
    uint8_t *above;
    uint8_t *context;
    uint8_t *symbol;
} kept_flags;

h5bragg_status kept_flags_make(const ring_map *map, kept_flags *flags);
void kept_flags_free(kept_flags *flags);

/* Reads the symbols of the quads of one row of tiles.  Returns 0 if one is not below 16: rows that
 * follow must not be read then. */
int kept_flags_read(kept_flags *flags, wide_reader *s);

/* kept[ntx]: 0 or 1 */
void kept_flags_write(kept_flags *flags, symbol_writer *s, const ring_map *map,
                      const uint8_t *kept);

/* What pixels of exact tiles of the row above and to the left store; others have nothing. */
typedef struct exact_lines {
    int16_t *above; /* from one column before the frame */
    int16_t *below;
    uint32_t *above_tiles; /* columns of tiles that have left something there */
    uint32_t *below_tiles;
    uint32_t nabove;
    uint32_t nbelow;
    int16_t left[TILE_EDGE];
    uint32_t left_column;      /* of the exact tile that `left` comes from, plus 1 */
    uint8_t context[5101];     /* by what the neighbours count, their sum halved */
    uint16_t context_at[5101]; /* the same as places in a symbol_reader's tables */
} exact_lines;

h5bragg_status exact_lines_make(const ring_map *map, exact_lines *lines);
void exact_lines_free(exact_lines *lines);
void exact_lines_next_row(exact_lines *lines);

/* What a cell, or BRAGG_NO_CELL, means for the pixels of an exact tile. */
typedef struct exact_rule {
    int64_t predicted; /* frames that are not counting: values are stored relative to it */
    int32_t absent;    /* what a neighbour that stores nothing counts */
    int is_counting;
} exact_rule;

exact_rule exact_rule_of(const frame_model *model, uint16_t cell);

/* Positions in a tile in the order in which they are stored: by diagonals. */
extern const uint8_t EXACT_ORDER[TILE_NPIXELS];

/* An exact tile of a row. */
typedef struct exact_tile {
    uint32_t column;
    uint16_t valid;
    uint8_t is_narrow; /* all pixels are valid, and in `byte` in place of `value` */
    uint8_t byte[TILE_NPIXELS];
    int64_t value[TILE_NPIXELS]; /* of valid pixels */
} exact_tile;

static inline int64_t exact_tile_value(const exact_tile *tile, uint32_t p)
{
    return tile->is_narrow ? tile->byte[p] : tile->value[p];
}

/* Reads the values of the exact tiles of one row, from the left. */
void exact_row_read(exact_lines *lines, symbol_reader *s, const exact_rule *const *rule,
                    exact_tile *tile, uint32_t ntiles);

/* Any one of them, as it is stored: what exact_row_read is made of. */
void exact_tile_read(exact_lines *lines, symbol_reader *s, int32_t absent, exact_tile *tile);

/* Writes one tile; tiles of a row come from the left. */
void exact_tile_write(exact_lines *lines, symbol_writer *s, const exact_rule *rule,
                      const exact_tile *tile);

/* A tile of a counting frame whose pixels are all valid and below 255. */
typedef struct exact_bytes {
    uint32_t column;
    const uint8_t *byte;
    size_t stride; /* from row to row */
} exact_bytes;

/* Writes one, as exact_tile_write does. */
void exact_bytes_write(exact_lines *lines, symbol_writer *s, const number_symbols *numbers,
                       const exact_rule *rule, const exact_bytes *tile);

#endif
