/* SPDX-License-Identifier: MIT */
/* The square blocks of local counts (docs/format.md, "Local counts"). */
#ifndef BRAGG_LOCAL_GRID_H
#define BRAGG_LOCAL_GRID_H

#include <stddef.h>
#include <stdint.h>

enum { LOCAL_MAX_EDGE = 15, LOCAL_MAX_PIXELS = LOCAL_MAX_EDGE * LOCAL_MAX_EDGE };

typedef struct local_grid {
    uint32_t edge;
    uint32_t ny; /* of the frame, in pixels */
    uint32_t nx;
    uint32_t nslow; /* blocks; the last ones may be cut by the frame's edge */
    uint32_t nfast;
} local_grid;

/* A block's pixels: rows [top, bottom), columns [left, right). */
typedef struct local_block {
    uint32_t top;
    uint32_t bottom;
    uint32_t left;
    uint32_t right;
} local_block;

static inline local_grid local_grid_of(uint32_t edge, uint32_t ny, uint32_t nx)
{
    const local_grid grid = {edge, ny, nx, (ny + edge - 1) / edge, (nx + edge - 1) / edge};
    return grid;
}

static inline size_t local_nblocks(const local_grid *grid)
{
    return (size_t)grid->nslow * grid->nfast;
}

/* Block number k in scan order. */
static inline local_block local_block_at(const local_grid *grid, size_t k)
{
    const uint32_t top = (uint32_t)(k / grid->nfast) * grid->edge;
    const uint32_t left = (uint32_t)(k % grid->nfast) * grid->edge;
    const uint32_t bottom = top + grid->edge < grid->ny ? top + grid->edge : grid->ny;
    const uint32_t right = left + grid->edge < grid->nx ? left + grid->edge : grid->nx;
    const local_block block = {top, bottom, left, right};
    return block;
}

/* Whether a pixel lies in a kept block: kept[local_nblocks]. */
static inline int local_is_kept(const local_grid *grid, const uint8_t *kept, size_t pixel)
{
    const size_t row = pixel / grid->nx;
    const size_t column = pixel % grid->nx;
    return kept[row / grid->edge * grid->nfast + column / grid->edge];
}

#endif
