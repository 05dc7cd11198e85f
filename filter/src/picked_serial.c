/* SPDX-License-Identifier: MIT */
/*
 * Reads the picked pixels of chunks of version 1: docs/format.md, "Picked pixels", "Version 1".
 *
 * A pixel is the gap to it and its height; the context of each follows from what came before it.
 */
#include "picked_reader.h"

/* PEAK_HEIGHT: from this on a pixel is one of a peak. */
enum { NO_CELL_CONTEXT = 10, PEAK_CONTEXT = 11, HEIGHT_CONTEXT = 12, PEAK_HEIGHT = 4 };

/* Context of the gap to the next pixel. */
static uint32_t gap_context(const picked_serial *s, const ring_map *map)
{
    if (s->height >= PEAK_HEIGHT)
        return PEAK_CONTEXT;
    const uint64_t tile = s->place / TILE_NPIXELS;
    if (tile >= ring_map_ntiles(map) || map->cell[tile] == BRAGG_NO_CELL)
        return NO_CELL_CONTEXT;
    return s->cell[map->cell[tile]].chance;
}

/* Puts the pixel whose place is known, in a tile of the rows at hand, on the list. */
static h5bragg_status put_pixel(picked_reader *r, uint64_t first_tile, const uint16_t *open)
{
    picked_serial *s = &r->serial;
    const ring_map *map = r->model->noise.map;
    const uint64_t tile = s->place / TILE_NPIXELS;
    const uint32_t p = (uint32_t)(s->place % TILE_NPIXELS);
    const uint32_t local = (uint32_t)(tile - first_tile);
    if (!(open[local] >> p & 1))
        return H5BRAGG_CORRUPT;
    const picked_cell *cell = &s->cell[map->cell[tile]];
    s->height = number_get(&s->stream, HEIGHT_CONTEXT + (uint32_t)cell->background);
    s->place++;
    s->is_known = 0;
    const int64_t value = cell->least + (int64_t)s->height;
    if (value > pixel_maximum(r->model->noise.type))
        return H5BRAGG_CORRUPT;
    r->at[r->n] = (TILE_EDGE * (local / map->ntx) + p / TILE_EDGE) * map->nx +
                  TILE_EDGE * (local % map->ntx) + p % TILE_EDGE;
    r->value[r->n++] = (uint32_t)(uint64_t)value;
    return H5BRAGG_OK;
}

h5bragg_status picked_serial_row(picked_reader *r, uint32_t macro_row, uint32_t nrows,
                                 const uint16_t *open)
{
    picked_serial *s = &r->serial;
    const ring_map *map = r->model->noise.map;
    const uint64_t first_tile = (uint64_t)MACRO_EDGE * macro_row * map->ntx;
    const uint64_t stop = (first_tile + (uint64_t)nrows * map->ntx) * TILE_NPIXELS;
    h5bragg_status status = H5BRAGG_OK;
    while (!status && r->nread + r->n < r->nwanted) {
        if (!s->is_known)
            s->place += number_get(&s->stream, gap_context(s, map));
        s->is_known = 1;
        if (s->place >= stop)
            break;
        status = put_pixel(r, first_tile, open);
    }
    return status;
}
