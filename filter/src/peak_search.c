/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in a frame: in the tiles that its chunk has exactly.
 *
 * With local counts every high pixel is in a kept tile, so only those are looked at, and of them
 * only the few whose largest byte may be high.
 */
#include "peak_search.h"

#include "peak_window.h"
#include "symbols.h"

/* The frame and what is looked for in it. */
typedef struct search {
    const frame_source *source;
    peak_rules rules;
    peak_window window;
    h5bragg_peak_list *list;
} search;

/* Puts the pixels of one of the nine tiles of the window in. */
BRAGG_INLINE void put_tile(const h5bragg_pixel_type type, search *s, uint32_t down, uint32_t right,
                           uint32_t usable)
{
    const ring_map *map = s->rules.map;
    const window_part rows = WINDOW_PART[down];
    const window_part columns = WINDOW_PART[right];
    const peak_cell *cell = s->window.cell[WINDOW_NTILES * down + right];
    size_t pixel = tile_pixel(map, s->window.tile_row + down - 1, s->window.tile_column + right - 1,
                              TILE_EDGE * rows.first + columns.first);
    for (uint32_t i = 0; i < rows.n; i++, pixel += map->nx) {
        const uint32_t bits = usable >> (TILE_EDGE * (rows.first + i) + columns.first);
        const uint32_t at = WINDOW_EDGE * (rows.at + i) + columns.at;
        for (uint32_t j = 0; j < columns.n; j++) {
            if (bits >> j & 1)
                peak_window_put(&s->window, cell, at + j,
                                pixel_get(s->source->frame.pixels, type, pixel + j));
        }
    }
}

BRAGG_INLINE void fill_window(const h5bragg_pixel_type type, search *s, size_t tile)
{
    const frame_source *source = s->source;
    const uint32_t ntx = s->rules.map->ntx;
    for (uint32_t k = 0; k < WINDOW_NTILES * WINDOW_NTILES; k++) {
        const uint32_t down = k / WINDOW_NTILES;
        const uint32_t right = k % WINDOW_NTILES;
        const size_t other =
            tile + (size_t)down * ntx + right - ntx - 1; /* if it is in the frame */
        const uint32_t usable = peak_window_usable(&s->rules, &s->window, down, right, 0xFFFF);
        const int is_stored = usable && (!s->rules.has_local || source->kept[other]);
        if (is_stored)
            put_tile(type, s, down, right, usable & source->plane.valid[other]);
    }
}

static h5bragg_status look_at_tile(search *s, size_t tile)
{
    const ring_map *map = s->rules.map;
    peak_window_start(&s->rules, (uint32_t)(tile / map->ntx), (uint32_t)(tile % map->ntx),
                      &s->window);
    DISPATCH_PIXEL_TYPE(s->source->frame.type, fill_window, s, tile)
    return peak_window_find(&s->rules, &s->window, s->list);
}

/* Whether a tile that is stored may have a high pixel. */
static int may_be_high(const search *s, size_t tile)
{
    const uint16_t cell = s->rules.map->cell[tile];
    return cell != BRAGG_NO_CELL && s->source->plane.largest[tile] >= s->rules.byte_limit[cell];
}

/* Up to eight tiles side by side, of which none may be stored. */
static uint64_t stored_tiles(const search *s, size_t first, size_t n)
{
    uint8_t kept[8] = {0};
    memcpy(kept, s->source->kept + first, n);
    return load_u32(kept) | (uint64_t)load_u32(kept + 4) << 32;
}

static h5bragg_status search_kept(search *s)
{
    const size_t ntiles = ring_map_ntiles(s->rules.map);
    h5bragg_status status = H5BRAGG_OK;
    for (size_t first = 0; first < ntiles && !status; first += 8) {
        uint64_t left = stored_tiles(s, first, ntiles - first < 8 ? ntiles - first : 8);
        for (; left && !status; left &= left - 1) {
            const size_t tile = first + floor_log2(left & (0 - left)) / 8;
            if (may_be_high(s, tile))
                status = look_at_tile(s, tile);
        }
    }
    return status;
}

static h5bragg_status search_all(search *s)
{
    const size_t ntiles = ring_map_ntiles(s->rules.map);
    h5bragg_status status = H5BRAGG_OK;
    for (size_t tile = 0; tile < ntiles && !status; tile++) {
        if (may_be_high(s, tile))
            status = look_at_tile(s, tile);
    }
    return status;
}

h5bragg_status peak_search(const frame_source *source, const frame_model *m,
                           const peak_request *request)
{
    search s = {.source = source, .list = request->list};
    s.list->npeaks = 0;
    h5bragg_status status =
        peak_rules_make(m, request->geometry, source->static_mask, &request->params, &s.rules);
    if (!status)
        status = m->layout.has_local ? search_kept(&s) : search_all(&s);
    peak_rules_free(&s.rules);
    return status;
}
