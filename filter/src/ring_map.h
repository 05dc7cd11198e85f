/* SPDX-License-Identifier: MIT */
/*
 * The ring map: which radial bin and which normalisation a tile of 4 x 4 pixels has
 * (docs/format.md, "Tiles and rings").
 *
 * Tiles of one ring whose normalisation (polarization times solid angle) rounds to the same class
 * form a cell.  Background, thresholds and noise are made per cell, so that no stage needs more
 * than one 16-bit number per tile.  Cells of a ring are consecutive.
 */
#ifndef BRAGG_RING_MAP_H
#define BRAGG_RING_MAP_H

#include <stddef.h>

#include "h5bragg.h"

enum {
    BRAGG_NO_CELL = 0xFFFF,
    BRAGG_MAX_CELLS = 0xFFFE,
    TILE_EDGE = 4,
    TILE_NPIXELS = 16,
    GROUP_NTILES = 16, /* side by side, which vectors deal with at a time */
    QUAD_NTILES = 4,   /* side by side */
    MACRO_EDGE = 4     /* tiles, either way */
};

/* The range of the numbers of a macro block's cells, that of blank tiles being the largest. */
typedef struct cell_span {
    uint16_t least;
    uint16_t most;
} cell_span;

typedef struct ring_map {
    uint32_t ny;
    uint32_t nx;
    uint32_t nty; /* rows and columns of tiles */
    uint32_t ntx;
    uint32_t nbins;
    uint32_t ncells;
    uint32_t most_ntiles;  /* no cell has more tiles */
    double scatter_min;    /* 2 sin(theta) at the middle of the innermost tile */
    double scatter_width;  /* of one ring */
    uint16_t *cell;        /* nty * ntx; BRAGG_NO_CELL for blank tiles */
    cell_span *span;       /* of macro blocks, nblocks in a row */
    uint32_t *first_cell;  /* nbins + 1 */
    uint16_t *ring;        /* ncells: the ring that a cell belongs to */
    double *normalisation; /* ncells */
    double *root;          /* ncells: of the normalisation */
    uint32_t *ntiles;      /* 2 nbins: of a ring those whose row and column add up to an even
                              number, then those of odd ones */
} ring_map;

/*
 * Whether a macro block may have cells of some kind, of which before[c] are those before cell c.
 * Cells of a block are near each other, so most have none even in their range.
 */
static inline int cell_span_has(cell_span span, const uint32_t *before)
{
    return span.most == BRAGG_NO_CELL || before[span.most + 1] != before[span.least];
}

/* Makes the map; *map must be freed with ring_map_free. */
h5bragg_status ring_map_make(const h5bragg_geometry *geometry, const h5bragg_params *params,
                             ring_map **map);

void ring_map_free(ring_map *map);

/* The radial coordinate of a point, 2 sin(theta). */
double ring_map_scatter(const double v[3]);

static inline size_t ring_map_ntiles(const ring_map *map) { return (size_t)map->nty * map->ntx; }

/* Macro blocks in a row. */
static inline uint32_t ring_map_nblocks(const ring_map *map)
{
    return (map->ntx + MACRO_EDGE - 1) / MACRO_EDGE;
}

/* Columns of tiles of a macro block end here. */
static inline uint32_t ring_map_block_stop(const ring_map *map, uint32_t block)
{
    const uint32_t stop = MACRO_EDGE * (block + 1);
    return stop < map->ntx ? stop : map->ntx;
}

/* Groups of tiles in a row. */
static inline size_t ring_map_ngroups(const ring_map *map)
{
    return (map->ntx + (size_t)GROUP_NTILES - 1) / GROUP_NTILES;
}

/* Bit p is set if pixel p of the tile lies in the frame. */
static inline uint16_t tile_inside(const ring_map *map, uint32_t tile_row, uint32_t tile_column)
{
    const uint32_t below = map->ny - TILE_EDGE * tile_row;
    const uint32_t right = map->nx - TILE_EDGE * tile_column;
    const uint32_t columns = right >= TILE_EDGE ? 0xF : (1u << right) - 1;
    const uint32_t rows = below >= TILE_EDGE ? 0x1111 : 0x1111u & ((1u << (4 * below)) - 1);
    return (uint16_t)(rows * columns);
}

/* Index of pixel p of a tile in scan order. */
static inline size_t tile_pixel(const ring_map *map, uint32_t tile_row, uint32_t tile_column,
                                uint32_t p)
{
    return (size_t)(TILE_EDGE * tile_row + p / TILE_EDGE) * map->nx + TILE_EDGE * tile_column +
           p % TILE_EDGE;
}

#endif
