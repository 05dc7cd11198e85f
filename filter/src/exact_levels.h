/* SPDX-License-Identifier: MIT */
/*
 * Levels of exact tiles, and the contexts that follow from them: docs/format.md, "Exact values",
 * version 2.
 *
 * Both directions go through a frame in rows of macro blocks: all its exact tiles are marked, then
 * levels put down, and only then the contexts of values asked for.
 */
#ifndef BRAGG_EXACT_LEVELS_H
#define BRAGG_EXACT_LEVELS_H

#include "exact_tiles.h"
#include "scratch.h"

enum { EXACT_NLEVELS = 11, EXACT_NCONTEXTS = 31, EXACT_SLOPES = 9 };

/*
 * Rows of the grid: the last one of the row of macro blocks before, those at work, and one without
 * tiles, which has a column more on either side: there and elsewhere 0 is no exact tile, others
 * are 1 + level.
 */
typedef struct exact_levels {
    uint8_t *grid;
    uint32_t stride;
    uint8_t shade[EXACT_SLOPES * EXACT_SLOPES][TILE_NPIXELS]; /* 0 to 2, by X + 4 and Y + 4 */
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

/* Tells that there is an exact tile. */
static inline void exact_levels_mark(exact_levels *levels, uint32_t place)
{
    levels->grid[place] = 1;
}

static inline void exact_levels_put(exact_levels *levels, uint32_t place, uint32_t level)
{
    levels->grid[place] = (uint8_t)(1 + level);
}

/* Once all tiles are marked. */
static inline uint8_t exact_level_context(const exact_levels *levels, const exact_rule *rule,
                                          uint32_t place)
{
    const uint8_t *at = levels->grid + place;
    const int nbeside = !!at[-1] + !!at[1] + !!*(at - levels->stride) + !!at[levels->stride];
    const int k = (nbeside > 1) + (nbeside > 2);
    return (uint8_t)(rule->is_blank ? 0 : 1 + 3 * rule->ndigits + k);
}

BRAGG_INLINE uint32_t exact_slope(int32_t more, int32_t less)
{
    enum { MOST = EXACT_SLOPES / 2 };
    const int32_t x = more - less;
    return (uint32_t)((x < -MOST ? -MOST : x > MOST ? MOST : x) + MOST);
}

/* Once all levels are put: the contexts of a tile's sixteen pixels. */
BRAGG_INLINE void exact_value_contexts(const exact_levels *levels, const exact_rule *rule,
                                       uint32_t place, uint8_t context[TILE_NPIXELS])
{
    const uint8_t *at = levels->grid + place;
    const int32_t level = *at - 1;
    const int32_t least = level - 1 < rule->ndigits ? level - 1 : rule->ndigits;
    const int32_t left = at[-1] ? at[-1] - 1 : least;
    const int32_t right = at[1] ? at[1] - 1 : least;
    const int32_t above = *(at - levels->stride) ? *(at - levels->stride) - 1 : least;
    const int32_t below = at[levels->stride] ? at[levels->stride] - 1 : least;
    const uint8_t *shade =
        levels->shade[EXACT_SLOPES * exact_slope(left, right) + exact_slope(above, below)];
    if (level == 0) {
        memset(context, 0, TILE_NPIXELS);
        return;
    }
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        context[p] = (uint8_t)(3 * level - 2 + shade[p]);
}

#endif
