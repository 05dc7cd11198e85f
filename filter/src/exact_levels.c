/* SPDX-License-Identifier: MIT */
/* Contexts of exact tiles: docs/format.md, "Exact values", version 2. */
#include "exact_levels.h"

enum { GRID_NROWS = MACRO_EDGE + 2, STEEP = 4 };

/* How a tile that gets brighter to one side divides: 0 its dark part, 2 its bright one. */
static void make_shades(exact_levels *levels)
{
    static const int WEIGHT[TILE_EDGE] = {3, 1, -1, -3};
    for (int k = 0; k < EXACT_SLOPES * EXACT_SLOPES; k++) {
        const int x = k / EXACT_SLOPES - EXACT_SLOPES / 2;
        const int y = k % EXACT_SLOPES - EXACT_SLOPES / 2;
        for (int p = 0; p < TILE_NPIXELS; p++) {
            const int g = WEIGHT[p % TILE_EDGE] * x + WEIGHT[p / TILE_EDGE] * y;
            levels->shade[k][p] = (uint8_t)((g > -STEEP) + (g >= STEEP));
        }
    }
}

h5bragg_status exact_levels_make(const ring_map *map, exact_levels *levels)
{
    levels->stride = map->ntx + 2;
    levels->grid = scratch_take_zeros((size_t)GRID_NROWS * levels->stride, 1);
    make_shades(levels);
    return levels->grid ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void exact_levels_free(exact_levels *levels)
{
    scratch_give(levels->grid);
    levels->grid = NULL;
}

void exact_levels_next_row(exact_levels *levels)
{
    const size_t stride = levels->stride;
    memcpy(levels->grid, levels->grid + MACRO_EDGE * stride, stride);
    memset(levels->grid + stride, 0, MACRO_EDGE * stride);
}
