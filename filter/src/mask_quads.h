/* SPDX-License-Identifier: MIT */
/* Quads of tiles in which a mask may change, for writing it: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_QUADS_H
#define BRAGG_MASK_QUADS_H

#include "pixel.h"
#include "plane_kernels.h" /* GROUP_NTILES */
#include "ring_map.h"

/* A row of tiles; of the row of tiles above, the first one is its own. */
typedef struct mask_tiles {
    const bragg_frame *frame;
    const ring_map *map;
    uint32_t row;
    const uint16_t *valid; /* ntx */
    const uint16_t *above; /* likewise */
    const uint8_t *found;  /* as of a mask_source, of both rows; NULL if not known */
    const uint8_t *found_above;
} mask_tiles;

/* The pixels of a quad that are valid, 16 bits a tile; all of tiles beyond the edge. */
BRAGG_INLINE uint64_t valid_of_quad(const uint16_t *valid, const ring_map *map, uint32_t t)
{
    if (map->ntx - t >= QUAD_NTILES)
        return valid[t] | (uint64_t)valid[t + 1] << 16 | (uint64_t)valid[t + 2] << 32 |
               (uint64_t)valid[t + 3] << 48;
    uint64_t tiles = UINT64_MAX;
    for (uint32_t k = map->ntx - t; k > 0; k--)
        tiles = tiles << 16 | valid[t + k - 1];
    return tiles;
}

/* A 4 x 4 matrix of rows of tiles, four bits each, transposed: rows of a quad of its tiles, or
 * back.
 */
BRAGG_INLINE uint64_t transpose_quad(uint64_t x)
{
    uint64_t swapped = (x ^ x >> 12) & 0x0000F0F00000F0F0u;
    x ^= swapped | swapped << 12;
    swapped = (x ^ x >> 24) & 0x00000000FF00FF00u;
    return x ^ (swapped | swapped << 24);
}

/* Pixels of a quad that are not valid by rows, 16 bits a row: tiles are as of valid_of_quad. */
BRAGG_INLINE uint64_t masked_rows(uint64_t tiles) { return transpose_quad(~tiles); }

/*
 * Lists the first columns of the quads that have masked pixels or lie below some; returns how many.
 * What is taken over from above is so because of pixels of either.
 */
uint32_t mask_quads_list(const mask_tiles *tiles, uint32_t *quad);

/* Takes those off the list whose masked pixels all equal the pixel above them, itself masked; may
 * leave some. */
uint32_t mask_quads_drop(const mask_tiles *tiles, uint32_t *quad, uint32_t n);

#endif
