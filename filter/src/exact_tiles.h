/* SPDX-License-Identifier: MIT */
/*
 * Tiles whose pixels are stored one by one: which they are, and their values
 * (docs/format.md, "Kept flags" and "Exact values").
 */
#ifndef BRAGG_EXACT_TILES_H
#define BRAGG_EXACT_TILES_H

#include "frame_model.h"
#include "symbols.h"

enum { FLAG_NCONTEXTS = 32 };

/* Symbols of the quads of one row of tiles and of the row above. */
typedef struct kept_flags {
    uint32_t nquads;
    uint8_t *row; /* with a zero on either side, as is `above` */
    uint8_t *above;
    uint8_t *context;
    uint8_t *symbol;
    int above_is_empty; /* for writing, as this: no tile of it is kept */
    size_t nempty;      /* pairs that wait: of rows without kept tiles, in them and above */
} kept_flags;

h5bragg_status kept_flags_make(const ring_map *map, kept_flags *flags);
void kept_flags_free(kept_flags *flags);

/* Reads the symbols of the quads of one row of tiles.  Returns 0 if one is not below 16: rows that
 * follow must not be read then. */
int kept_flags_read(kept_flags *flags, wide_reader *s);

/* kept[ntx]: 0 or 1 */
void kept_flags_write(kept_flags *flags, symbol_writer *s, const ring_map *map,
                      const uint8_t *kept);

/* After the last row.  Where no tile is kept there are no pairs: the stream is the same. */
void kept_flags_finish(kept_flags *flags, symbol_writer *s);

/*
 * Symbols of the quads of a row, whose tiles are 0 or 1; up to 15 more become 0.  Returns whether
 * some tile is kept.  The second is in portable C, and writes no more.
 */
int kept_symbols(const uint8_t *kept, uint32_t ntx, uint8_t *symbol);
int kept_symbols_plain(const uint8_t *kept, uint32_t ntx, uint8_t *symbol);

/* What a cell, or BRAGG_NO_CELL, means for the pixels of an exact tile. */
typedef struct exact_rule {
    int64_t predicted; /* frames that are not counting: values are stored relative to it */
    int32_t absent;    /* version 1: what a neighbour that stores nothing counts */
    uint8_t ndigits;   /* version 2: d */
    uint8_t is_blank;
    uint8_t is_counting;
} exact_rule;

exact_rule exact_rule_of(const frame_model *model, uint16_t cell);

/* The value that is stored as t. */
static inline int64_t exact_value(const exact_rule *rule, uint64_t t)
{
    return rule->is_counting ? (int64_t)t : rule->predicted + unzigzag(t);
}

/* An exact tile of a row of macro blocks. */
typedef struct exact_tile {
    _Alignas(8) int64_t *value; /* of valid pixels, elsewhere: few tiles need so much room */
    uint32_t column;
    uint16_t valid;
    uint8_t row;       /* of tiles in it */
    uint8_t is_narrow; /* all pixels are valid, and in `byte` in place of `value` */
    uint8_t byte[TILE_NPIXELS];
} exact_tile;

/* Memory for n tiles and their values, to be given to scratch_give; NULL if there is none. */
exact_tile *exact_tiles_take(size_t n);

static inline int64_t exact_tile_value(const exact_tile *tile, uint32_t p)
{
    return tile->is_narrow ? tile->byte[p] : tile->value[p];
}

#endif
