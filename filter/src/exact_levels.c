/* SPDX-License-Identifier: MIT */
/* Contexts of exact tiles: docs/format.md, "Exact values", version 2. */
#include "exact_levels.h"

#include "cpu_level.h"

enum { GRID_NROWS = MACRO_EDGE + 2, NARRAYS = 5, STEEP = 4, STEEPEST = EXACT_SLOPES / 2 };

/* How a tile that gets brighter to one side divides: 0 its dark part, 2 its bright one. */
static void make_shades(exact_levels *levels)
{
    static const int WEIGHT[TILE_EDGE] = {3, 1, -1, -3};
    memset(levels->shade, 0, sizeof levels->shade);
    for (int k = 0; k < EXACT_SLOPES * EXACT_SLOPES; k++) {
        const int x = k / EXACT_SLOPES - STEEPEST;
        const int y = k % EXACT_SLOPES - STEEPEST;
        for (int p = 0; p < TILE_NPIXELS; p++) {
            const int g = WEIGHT[p % TILE_EDGE] * x + WEIGHT[p / TILE_EDGE] * y;
            levels->shade[k][p] = (uint8_t)((g > -STEEP) + (g >= STEEP));
        }
    }
}

/* Runs of places at work: the last one may end in the row behind them, or behind the grid. */
static size_t nruns(const exact_levels *levels)
{
    return ((size_t)MACRO_EDGE * levels->stride + EXACT_RUN - 1) / EXACT_RUN;
}

h5bragg_status exact_levels_make(const ring_map *map, exact_levels *levels)
{
    levels->stride = map->ntx + 2;
    const size_t nplaces = (size_t)GRID_NROWS * levels->stride + EXACT_RUN + 1;
    levels->grid = scratch_take_zeros(NARRAYS * nplaces + nruns(levels), 1);
    if (!levels->grid)
        return H5BRAGG_NO_MEMORY;
    levels->digits = levels->grid + nplaces;
    levels->context = levels->digits + nplaces;
    levels->first = levels->context + nplaces;
    levels->shape = levels->first + nplaces;
    levels->is_used = levels->shape + nplaces;
    make_shades(levels);
    return H5BRAGG_OK;
}

void exact_levels_free(exact_levels *levels)
{
    scratch_give(levels->grid);
    levels->grid = NULL;
}

/* A run of places, and those around it. */
typedef struct grid_run {
    const uint8_t *here;
    const uint8_t *above;
    const uint8_t *below;
} grid_run;

static grid_run run_at(const exact_levels *levels, size_t run)
{
    const uint8_t *here = levels->grid + levels->stride + run * EXACT_RUN;
    return (grid_run){here, here - levels->stride, here + levels->stride};
}

BRAGG_INLINE void look_beside(grid_run g, const uint8_t *digits, uint8_t *restrict context)
{
    for (size_t k = 0; k < EXACT_RUN; k++) {
        const uint8_t *at = g.here + k;
        const uint8_t n =
            (uint8_t)((at[-1] != 0) + (at[1] != 0) + (g.above[k] != 0) + (g.below[k] != 0));
        const uint8_t beside = (uint8_t)((n > 1) + (n > 2));
        const uint8_t sum = (uint8_t)(digits[k] + digits[k] + digits[k] + beside - 2);
        context[k] = digits[k] ? sum : 0;
    }
}

BRAGG_INLINE void look_beside_all(exact_levels *levels)
{
    for (size_t run = 0; run < nruns(levels); run++) {
        const size_t first = levels->stride + run * EXACT_RUN;
        if (levels->is_used[run])
            look_beside(run_at(levels, run), levels->digits + first, levels->context + first);
    }
}

/* 1 + level, of a place in the grid. */
static inline uint8_t level_of(uint8_t place, uint8_t otherwise)
{
    return place ? place : otherwise;
}

/* X + 4, or Y + 4, of levels that are below 16. */
static inline uint8_t slope_of(uint8_t more, uint8_t less)
{
    const uint8_t x = (uint8_t)(16 + more - less);
    const uint8_t high = x > 16 - STEEPEST ? x : 16 - STEEPEST;
    return (uint8_t)((high < 16 + STEEPEST ? high : 16 + STEEPEST) - (16 - STEEPEST));
}

BRAGG_INLINE void look_around(grid_run g, const uint8_t *digits, uint8_t *restrict first,
                              uint8_t *restrict shape)
{
    for (size_t k = 0; k < EXACT_RUN; k++) {
        const uint8_t *at = g.here + k;
        const uint8_t level = (uint8_t)(*at - 1);
        const uint8_t most = digits[k] > 1 ? digits[k] : 1;
        const uint8_t least = level < most ? level : most;
        const uint8_t x = slope_of(level_of(at[-1], least), level_of(at[1], least));
        const uint8_t y = slope_of(level_of(g.above[k], least), level_of(g.below[k], least));
        const uint8_t sloping = (uint8_t)(EXACT_SLOPES * x + y);
        const uint8_t dimmest = (uint8_t)(level + level + level - 2);
        first[k] = level ? dimmest : 0;
        shape[k] = level ? sloping : (uint8_t)(EXACT_NSHAPES - 1);
    }
}

BRAGG_INLINE void look_around_all(exact_levels *levels)
{
    for (size_t run = 0; run < nruns(levels); run++) {
        const size_t first = levels->stride + run * EXACT_RUN;
        if (levels->is_used[run])
            look_around(run_at(levels, run), levels->digits + first, levels->first + first,
                        levels->shape + first);
    }
}

/* Loops that compilers make vectors of, as long as the processor has them. */
#if defined(BRAGG_X86_64)
#define KERNEL __attribute__((target("avx2")))

KERNEL static void look_beside_avx2(exact_levels *levels) { look_beside_all(levels); }
KERNEL static void look_around_avx2(exact_levels *levels) { look_around_all(levels); }

static int has_avx2(void)
{
    return bragg_cpu_level() == CPU_AVX2 || bragg_cpu_level() == CPU_AVX512;
}
#endif

void exact_levels_look_beside(exact_levels *levels)
{
#if defined(BRAGG_X86_64)
    if (has_avx2()) {
        look_beside_avx2(levels);
        return;
    }
#endif
    look_beside_all(levels);
}

void exact_levels_look_around(exact_levels *levels)
{
#if defined(BRAGG_X86_64)
    if (has_avx2()) {
        look_around_avx2(levels);
        return;
    }
#endif
    look_around_all(levels);
}

void exact_levels_next_row(exact_levels *levels)
{
    const size_t stride = levels->stride;
    memcpy(levels->grid, levels->grid + MACRO_EDGE * stride, stride);
    memset(levels->grid + stride, 0, MACRO_EDGE * stride);
    memset(levels->is_used, 0, nruns(levels));
}
