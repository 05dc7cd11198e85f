/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in a frame: in the tiles that its chunk has exactly.
 *
 * With local counts every high pixel is in a kept tile, so only those are looked at, and of them
 * only the few whose largest byte may be high.
 */
#include "peak_search.h"

#include <stdlib.h>

#include "peak_window.h"
#include "scratch.h"
#include "symbols.h"

enum { ASKED_AHEAD = 6 /* tiles */ };

/* The frame and what is looked for in it. */
typedef struct search {
    const frame_source *source;
    peak_rules rules;
    peak_window window;
    h5bragg_peak_list *list;
} search;

/* Rows of pixels: those of the frame, or its bytes, which are fewer and at hand. */
typedef struct pixel_rows {
    const void *pixels;
    size_t stride;
} pixel_rows;

/* Where the part of a tile that lies in the window begins. */
static size_t first_pixel(const search *s, const pixel_rows *from, uint32_t k)
{
    const uint32_t down = k / WINDOW_NTILES;
    const uint32_t right = k % WINDOW_NTILES;
    const size_t slow = TILE_EDGE * (s->window.tile_row + down - 1) + WINDOW_PART[down].first;
    const size_t fast = TILE_EDGE * (s->window.tile_column + right - 1) + WINDOW_PART[right].first;
    return slow * from->stride + fast;
}

BRAGG_INLINE void put_row(const h5bragg_pixel_type type, const void *pixels, size_t pixel,
                          const peak_cell *cell, uint32_t at, uint32_t n, peak_window *window)
{
    int64_t value[TILE_EDGE];
    for (uint32_t k = 0; k < n; k++)
        value[k] = pixel_get(pixels, type, pixel + k);
    peak_window_put_row(window, cell, at, n, value);
}

/* Puts a tile in of which some pixels are usable. */
BRAGG_INLINE void put_some(const h5bragg_pixel_type type, const pixel_rows *from, uint32_t k,
                           uint32_t usable, search *s)
{
    const window_part rows = WINDOW_PART[k / WINDOW_NTILES];
    const window_part columns = WINDOW_PART[k % WINDOW_NTILES];
    size_t pixel = first_pixel(s, from, k);
    for (uint32_t i = 0; i < rows.n; i++, pixel += from->stride) {
        const uint32_t bits = usable >> (TILE_EDGE * (rows.first + i) + columns.first);
        const uint32_t at = WINDOW_EDGE * (rows.at + i) + columns.at;
        for (uint32_t j = 0; j < columns.n; j++) {
            if (bits >> j & 1)
                peak_window_put(&s->window, s->window.cell[k], at + j,
                                pixel_get(from->pixels, type, pixel + j));
        }
    }
}

/* Puts a tile in all of whose pixels are usable, with local counts. */
BRAGG_INLINE void put_whole(const h5bragg_pixel_type type, const pixel_rows *from, uint32_t k,
                            search *s)
{
    const window_part rows = WINDOW_PART[k / WINDOW_NTILES];
    const window_part columns = WINDOW_PART[k % WINDOW_NTILES];
    const peak_cell *cell = s->window.cell[k];
    size_t pixel = first_pixel(s, from, k);
    for (uint32_t i = 0; i < rows.n; i++, pixel += from->stride) {
        const uint32_t at = WINDOW_EDGE * (rows.at + i) + columns.at;
        if (columns.n == TILE_EDGE)
            put_row(type, from->pixels, pixel, cell, at, TILE_EDGE, &s->window);
        else
            put_row(type, from->pixels, pixel, cell, at, WINDOW_MARGIN, &s->window);
    }
}

BRAGG_INLINE void put_usable(const h5bragg_pixel_type type, const pixel_rows *from, uint32_t k,
                             uint32_t usable, search *s)
{
    if (usable == 0xFFFF && s->rules.has_local)
        put_whole(type, from, k, s);
    else
        put_some(type, from, k, usable, s);
}

/* Puts tile k of the window in, if it is stored. */
BRAGG_INLINE void put_tile(const h5bragg_pixel_type type, search *s, size_t tile, uint32_t k)
{
    const frame_source *source = s->source;
    const uint32_t down = k / WINDOW_NTILES;
    const uint32_t right = k % WINDOW_NTILES;
    const uint32_t ntx = s->rules.map->ntx;
    const size_t other = tile + (size_t)down * ntx + right - ntx - 1; /* if it is in the frame */
    uint32_t usable = peak_window_usable(&s->rules, &s->window, down, right, 0xFFFF);
    if (usable && s->rules.has_local && !source->kept[other])
        peak_window_put_drawn(&s->rules, &s->window, k, source->plane.valid[other]);
    if (!usable || (s->rules.has_local && !source->kept[other]))
        return;
    usable &= source->plane.valid[other];
    const pixel_rows frame = {source->frame.pixels, s->rules.map->nx};
    const pixel_rows bytes = {source->plane.value, source->plane.stride};
    if (!source->listed && !source->plane.has_large[other])
        put_usable(H5BRAGG_U8, &bytes, k, usable, s);
    else
        put_usable(type, &frame, k, usable, s);
}

/* The tile itself, and then those around it that matter; gives the candidates. */
BRAGG_INLINE void fill_window(const h5bragg_pixel_type type, search *s, size_t tile,
                              uint64_t *candidates)
{
    put_tile(type, s, tile, WINDOW_OWN);
    *candidates = peak_window_candidates(&s->rules, &s->window);
    for (uint32_t needs = peak_window_needs(&s->rules, *candidates); needs; needs &= needs - 1)
        put_tile(type, s, tile, lowest_bit(needs));
}

static h5bragg_status look_at_tile(search *s, size_t tile)
{
    const ring_map *map = s->rules.map;
    uint64_t candidates = 0;
    peak_window_start(&s->rules, (uint32_t)(tile / map->ntx), (uint32_t)(tile % map->ntx),
                      &s->window);
    DISPATCH_PIXEL_TYPE(s->source->frame.type, fill_window, s, tile, &candidates)
    return peak_window_find(&s->rules, &s->window, candidates, s->list);
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
    return load_u64(kept);
}

static h5bragg_status search_kept(search *s)
{
    const size_t ntiles = ring_map_ntiles(s->rules.map);
    h5bragg_status status = H5BRAGG_OK;
    for (size_t first = 0; first < ntiles && !status; first += 8) {
        uint64_t left = stored_tiles(s, first, ntiles - first < 8 ? ntiles - first : 8);
        for (; left && !status; left &= left - 1) {
            const size_t tile = first + lowest_bit(left) / 8;
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

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/*
 * Asks for the pixels around a tile that is looked at soon: a frame that somebody else has gone
 * through is not at hand.
 */
static void ask_for_tile(const search *s, size_t tile)
{
#if defined(__GNUC__)
    const ring_map *map = s->rules.map;
    const size_t nbytes = h5bragg_pixel_nbytes(s->source->frame.type);
    const size_t row = tile / map->ntx * TILE_EDGE;
    const size_t column = tile % map->ntx * TILE_EDGE;
    const size_t first = row > WINDOW_MARGIN ? row - WINDOW_MARGIN : 0;
    const size_t left = column > WINDOW_MARGIN ? column - WINDOW_MARGIN : 0;
    const uint8_t *at =
        (const uint8_t *)s->source->frame.pixels + (first * map->nx + left) * nbytes;
    for (uint32_t i = 0; i < WINDOW_EDGE && first + i < map->ny; i++, at += map->nx * nbytes) {
        __builtin_prefetch(at);
        __builtin_prefetch(at + (WINDOW_EDGE - 1) * nbytes);
    }
#else
    (void)s;
    (void)tile;
#endif
}

/* Tiles that others have found: each once, in order. */
static h5bragg_status search_given(search *s, const uint32_t *tile, uint64_t ntiles)
{
    const size_t nall = ring_map_ntiles(s->rules.map);
    if (ntiles > nall)
        return H5BRAGG_BAD_ARGUMENT;
    uint32_t *sorted = scratch_take(((size_t)ntiles + 1) * sizeof *sorted);
    h5bragg_status status = sorted ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status && ntiles) {
        memcpy(sorted, tile, (size_t)ntiles * sizeof *sorted);
        qsort(sorted, (size_t)ntiles, sizeof *sorted, by_number);
    }
    for (uint64_t k = 0; k < ntiles && !status; k++) {
        if (k + ASKED_AHEAD < ntiles && sorted[k + ASKED_AHEAD] < nall)
            ask_for_tile(s, sorted[k + ASKED_AHEAD]);
        if (sorted[k] >= nall)
            status = H5BRAGG_BAD_ARGUMENT;
        else if ((k == 0 || sorted[k] != sorted[k - 1]) && may_be_high(s, sorted[k]) &&
                 (!s->rules.has_local || s->source->kept[sorted[k]]))
            status = look_at_tile(s, sorted[k]);
    }
    scratch_give(sorted);
    return status;
}

h5bragg_status peak_search(const frame_source *source, const frame_model *m,
                           const peak_request *request)
{
    search s = {.source = source, .list = request->list};
    s.list->npeaks = 0;
    h5bragg_status status =
        peak_rules_make(m, request->geometry, source->static_mask, &request->params, &s.rules);
    if (!status && request->tile)
        status = search_given(&s, request->tile, request->ntiles);
    else if (!status)
        status = m->layout.has_local ? search_kept(&s) : search_all(&s);
    peak_rules_free(&s.rules);
    return status;
}
