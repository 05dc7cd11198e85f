/* SPDX-License-Identifier: MIT */
/*
 * The map knows how many tiles of either parity a ring has.  Off these go pixels that are not
 * drawn: few, and only in macro blocks that may have tiles of the rings that are asked for.
 */
#include "odd_tiles.h"

#include <string.h>

#include "scratch.h"
#include "tile_sums.h"

/* Whether all pixels of the tiles of a macro block are drawn in a row of tiles, if it has four. */
static int are_whole(const frame_source *s, size_t first, uint32_t n)
{
    uint64_t valid;
    uint32_t kept;
    if (n < MACRO_EDGE)
        return 0;
    memcpy(&valid, s->plane.valid + first, sizeof valid);
    memcpy(&kept, s->kept + first, sizeof kept);
    return valid == UINT64_MAX && kept == 0;
}

/* Takes the pixels of n tiles, side by side, that are not drawn off their rings. */
static void take_off(const frame_source *s, size_t first, uint32_t n, uint32_t is_odd,
                     uint32_t *npixels)
{
    const ring_map *map = s->map;
    for (size_t tile = first; tile < first + n; tile++, is_odd ^= 1) {
        const uint32_t ndrawn = s->kept[tile] ? 0 : count_pixels(s->plane.valid[tile]);
        if (map->cell[tile] != BRAGG_NO_CELL)
            npixels[2u * map->ring[map->cell[tile]] + is_odd] -= TILE_NPIXELS - ndrawn;
    }
}

static void take_off_block(const frame_source *s, uint32_t macro_row, uint32_t block,
                           uint32_t *npixels)
{
    const uint32_t column = MACRO_EDGE * block;
    const uint32_t n = ring_map_block_stop(s->map, block) - column;
    const uint32_t end = MACRO_EDGE * (macro_row + 1);
    for (uint32_t row = MACRO_EDGE * macro_row; row < end && row < s->map->nty; row++) {
        const size_t first = (size_t)row * s->map->ntx + column;
        if (!are_whole(s, first, n))
            take_off(s, first, n, row & 1, npixels);
    }
}

/* npixels[2 * ring]: the drawn pixels of even tiles, and behind them those of odd ones. */
static void count_drawn(const frame_source *s, const uint32_t *nwanted, uint32_t *npixels)
{
    const ring_map *map = s->map;
    const uint32_t nblocks = ring_map_nblocks(map);
    for (uint32_t k = 0; k < 2u * map->nbins; k++)
        npixels[k] = TILE_NPIXELS * map->ntiles[k];
    for (uint32_t macro_row = 0; MACRO_EDGE * macro_row < map->nty; macro_row++) {
        const cell_span *span = map->span + (size_t)macro_row * nblocks;
        for (uint32_t block = 0; block < nblocks; block++) {
            if (cell_span_has(span[block], nwanted))
                take_off_block(s, macro_row, block, npixels);
        }
    }
}

h5bragg_status odd_tiles_share(const frame_source *s, const uint8_t *is_wanted, double *share)
{
    const ring_map *map = s->map;
    uint32_t *nwanted = scratch_take((map->ncells + (size_t)1) * sizeof *nwanted); /* before */
    uint32_t *npixels = scratch_take(2u * map->nbins * sizeof *npixels);
    const int has_all = nwanted && npixels;
    if (has_all) {
        nwanted[0] = 0;
        for (uint32_t c = 0; c < map->ncells; c++)
            nwanted[c + 1] = nwanted[c] + (is_wanted[map->ring[c]] != 0);
        count_drawn(s, nwanted, npixels);
        for (uint32_t ring = 0; ring < map->nbins; ring++) {
            const double n = npixels[2u * ring + 1];
            const double all = npixels[2u * ring] + n;
            share[ring] = all > 0 ? n / all : 0.5;
        }
    }
    scratch_give(nwanted);
    scratch_give(npixels);
    return has_all ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}
