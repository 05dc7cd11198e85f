/* SPDX-License-Identifier: MIT */
/*
 * Levels of exact tiles, and the contexts that follow from them: docs/format.md, "Exact values",
 * version 2.
 *
 * Both directions go through a frame in rows of macro blocks: all its exact tiles are marked, then
 * levels put down, and only then the contexts of values asked for.  What a context takes from the
 * tiles around its own is found for all places of the grid around it at once, whether there are
 * exact tiles or not: these are bytes, many in a vector.
 */
#ifndef BRAGG_EXACT_LEVELS_H
#define BRAGG_EXACT_LEVELS_H

#include "exact_tiles.h"
#include "scratch.h"

enum { EXACT_NLEVELS = 11, EXACT_NCONTEXTS = 31, EXACT_SLOPES = 9 };
enum { EXACT_RUN = 64, EXACT_NSHAPES = EXACT_SLOPES * EXACT_SLOPES + 1 };

/*
 * Rows of the grid: the last one of the row of macro blocks before, those at work, and one without
 * tiles, which has a column more on either side: there and elsewhere 0 is no exact tile, others
 * are 1 + level.  The other arrays are alike.
 */
typedef struct exact_levels {
    uint8_t *grid;
    uint8_t *digits;  /* of a marked tile: see exact_rule_digits */
    uint8_t *context; /* of its level */
    uint8_t *first;   /* the least context of its values; shades are added */
    uint8_t *shape;   /* number of a shade: 9 (X + 4) + Y + 4, or the last for level 0 */
    uint8_t *is_used; /* of runs of EXACT_RUN places, from those at work on: a tile is marked */
    uint32_t stride;
    uint8_t shade[EXACT_NSHAPES][TILE_NPIXELS]; /* 0 to 2; the last of zeros */
} exact_levels;

/* Free with exact_levels_free, also after an error. */
h5bragg_status exact_levels_make(const ring_map *map, exact_levels *levels);
void exact_levels_free(exact_levels *levels);

/* Moves on to the next row of macro blocks. */
void exact_levels_next_row(exact_levels *levels);

/* Place in the grid of a tile in row `row`, 0 to 3, of the macro blocks. */
static inline uint32_t exact_place(const exact_levels *levels, uint32_t row, uint32_t column)
{
    return (row + 1) * levels->stride + column + 1;
}

/* What contexts take from the cell of a tile: 1 + d, or 0 for blank tiles. */
static inline uint8_t exact_rule_digits(const exact_rule *rule)
{
    return (uint8_t)(rule->is_blank ? 0 : 1 + rule->ndigits);
}

/* Tells that there is an exact tile. */
static inline void exact_levels_mark(exact_levels *levels, uint8_t digits, uint32_t place)
{
    levels->grid[place] = 1;
    levels->digits[place] = digits;
    levels->is_used[(place - levels->stride) / EXACT_RUN] = 1;
}

static inline void exact_levels_put(exact_levels *levels, uint32_t place, uint32_t level)
{
    levels->grid[place] = (uint8_t)(1 + level);
}

/* Once all tiles are marked, or have levels: sets `context`. */
void exact_levels_look_beside(exact_levels *levels);

/* Once all levels are put: sets `first` and `shape`. */
void exact_levels_look_around(exact_levels *levels);

/* Contexts of a tile's sixteen pixels from its shade and the least of them. */
BRAGG_INLINE void exact_shade(const uint8_t shade[TILE_NPIXELS], uint8_t first,
                              uint8_t context[TILE_NPIXELS])
{
    const uint64_t all = first * 0x0101010101010101u;
    uint64_t half[2]; /* no byte reaches 32 */
    memcpy(half, shade, sizeof half);
    half[0] += all;
    half[1] += all;
    memcpy(context, half, sizeof half);
}

BRAGG_INLINE void exact_value_contexts(const exact_levels *levels, uint32_t place,
                                       uint8_t context[TILE_NPIXELS])
{
    exact_shade(levels->shade[levels->shape[place]], levels->first[place], context);
}

#endif
