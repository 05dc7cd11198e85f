/* SPDX-License-Identifier: MIT */
/*
 * A weak reflection need not have a single pixel above the threshold, but its pixels together stand
 * out of the background.  The sum of a 3 x 3 box around every pixel is compared with the largest
 * one that is still chance; where it is larger, the tiles that the box touches are stored exactly
 * (docs/format.md, "Kept flags").  Peaks have wings: where the sum is far larger, so are the tiles
 * that one pixel around the box touches.
 *
 * First only the largest box of each tile is known; the few tiles that have one too many are
 * searched again, pixel by pixel.
 */
#include "box_search.h"

enum { REACH = 1, PEAK_REACH = 2, AT_ONCE = 16 /* groups */ };

/* The box sums around the pixels of a tile: three neighbours first, then three rows of these. */
static void box_sums(const uint8_t *tile, size_t stride, uint16_t sum[TILE_NPIXELS])
{
    uint16_t three[TILE_EDGE + 2][TILE_EDGE];
    for (uint32_t i = 0; i < TILE_EDGE + 2; i++) {
        const uint8_t *row = tile - stride - 1 + i * stride;
        for (uint32_t j = 0; j < TILE_EDGE; j++)
            three[i][j] = (uint16_t)(row[j] + row[j + 1] + row[j + 2]);
    }
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        for (uint32_t j = 0; j < TILE_EDGE; j++)
            sum[i * TILE_EDGE + j] = (uint16_t)(three[i][j] + three[i + 1][j] + three[i + 2][j]);
    }
}

static void keep_around(const ring_map *map, uint32_t row, uint32_t column, uint32_t reach,
                        uint8_t *kept)
{
    const uint32_t top = row > reach ? row - reach : 0;
    const uint32_t left = column > reach ? column - reach : 0;
    const uint32_t bottom = row + reach < map->ny ? row + reach : map->ny - 1;
    const uint32_t right = column + reach < map->nx ? column + reach : map->nx - 1;
    for (uint32_t i = top / TILE_EDGE; i <= bottom / TILE_EDGE; i++) {
        for (uint32_t j = left / TILE_EDGE; j <= right / TILE_EDGE; j++)
            kept[(size_t)i * map->ntx + j] = 1;
    }
}

static void search_tile(const counts_plane *plane, const ring_map *map, uint32_t tile_row,
                        uint32_t tile_column, const box_cut *cut, uint8_t *kept)
{
    const uint16_t inside = tile_inside(map, tile_row, tile_column);
    uint16_t sum[TILE_NPIXELS];
    box_sums(plane->value + TILE_EDGE * (tile_row * plane->stride + tile_column), plane->stride,
             sum);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (sum[p] <= cut->chance || !(inside >> p & 1))
            continue;
        keep_around(map, TILE_EDGE * tile_row + p / TILE_EDGE,
                    TILE_EDGE * tile_column + p % TILE_EDGE,
                    sum[p] > cut->peak ? PEAK_REACH : REACH, kept);
    }
}

void box_search(const counts_plane *plane, const ring_map *map, const box_cut *cut, uint8_t *kept)
{
    uint16_t largest[AT_ONCE * GROUP_NTILES];
    const uint32_t ngroups = (uint32_t)counts_plane_ngroups(map);
    for (uint32_t row = 0; row < map->nty; row++) {
        const uint16_t *cell = map->cell + (size_t)row * map->ntx;
        const uint8_t *value = plane->value + (size_t)row * TILE_EDGE * plane->stride;
        for (uint32_t group = 0; group < ngroups; group += AT_ONCE) {
            const uint32_t first = group * GROUP_NTILES;
            const uint32_t n = ngroups - group < AT_ONCE ? ngroups - group : AT_ONCE;
            const uint32_t stop =
                first + n * GROUP_NTILES < map->ntx ? first + n * GROUP_NTILES : map->ntx;
            plane->kernels->box(value + (size_t)TILE_EDGE * first, plane->stride, n, largest);
            for (uint32_t t = first; t < stop; t++) {
                if (cell[t] != BRAGG_NO_CELL && largest[t - first] > cut[cell[t]].chance)
                    search_tile(plane, map, row, t, &cut[cell[t]], kept);
            }
        }
    }
}
