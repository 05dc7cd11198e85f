/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in a frame: in the tiles that its chunk has exactly.
 *
 * With local counts every high pixel is in a kept tile, so only those are looked at, and of them
 * only the few whose largest byte may be high.
 */
#include "peak_search.h"

#include <stdlib.h>

#include "peak_block.h"
#include "scratch.h"
#include "symbols.h"

enum { ASKED_AHEAD = 6 /* tiles */, ASKED_BEFORE = 2, ASKED_EDGE = 8 /* pixels */ };

/* The frame and what is looked for in it. */
typedef struct search {
    const frame_source *source;
    peak_rules rules;
    peak_block block;
    h5bragg_peak_list *list;
} search;

/* Whether a tile is stored exactly if its pixels are high enough. */
static int is_stored(const search *s, size_t tile)
{
    return !s->rules.has_local || s->source->kept[tile];
}

/* Whether the bytes of a tile are its values. */
static int has_bytes(const search *s, size_t tile)
{
    return !s->source->listed && !s->source->plane.has_large[tile];
}

/* Where the plane has the bytes of the upper, or lower, two tiles, or NULL if none is known.  The
 * tile before the first one of a row is among the zeros before the plane. */
static const uint8_t *bytes_of_half(const search *s, const peak_block *b, uint32_t half)
{
    const counts_plane *plane = &s->source->plane;
    if (!(b->known >> 32 * half & UINT32_MAX))
        return NULL;
    return plane->value + (size_t)TILE_EDGE * (b->tile_row + half) * plane->stride +
           (ptrdiff_t)TILE_EDGE * (int32_t)b->tile_column;
}

/* Without local counts: pixels that are above their thresholds of being stored are known. */
static void drop_bytes_below(const search *s, const uint8_t *const half[2], peak_block *b)
{
    uint64_t above = 0;
    for (uint32_t i = 0; i < BLOCK_EDGE; i++) {
        const peak_cell *const *cell = &b->cell[i / TILE_EDGE * 2];
        const uint64_t limits = peak_row_limits(cell[0]->stored, cell[1]->stored);
        const uint8_t *bytes = half[i / TILE_EDGE];
        const uint64_t row = bytes ? load_u64(bytes + i % TILE_EDGE * s->source->plane.stride) : 0;
        above |= (uint64_t)peak_bytes_above(row, limits) << BLOCK_EDGE * i;
    }
    b->known &= above;
}

/* The bytes of the block that are known. */
static void fill_bytes(const search *s, peak_block *b)
{
    const size_t stride = s->source->plane.stride;
    const uint8_t *const half[2] = {bytes_of_half(s, b, 0), bytes_of_half(s, b, 1)};
    if (!s->rules.has_local)
        drop_bytes_below(s, half, b);
    for (uint32_t i = 0; i < BLOCK_EDGE; i += 2) {
        const uint8_t *bytes = half[i / TILE_EDGE];
        const uint32_t known = (uint32_t)(b->known >> BLOCK_EDGE * i & 0xFFFF);
        if (!bytes) {
            peak_rows_set(b->row, i, 0, 0);
            continue;
        }
        bytes += i % TILE_EDGE * stride;
        peak_rows_set(b->row, i, load_u64(bytes) & peak_bytes_of_bits(known & 0xFF),
                      load_u64(bytes + stride) & peak_bytes_of_bits(known >> BLOCK_EDGE));
    }
}

BRAGG_INLINE void fill_values(const h5bragg_pixel_type type, const search *s, peak_block *b)
{
    for (uint64_t left = b->known; left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        const uint32_t slow = TILE_EDGE * b->tile_row + at / BLOCK_EDGE; /* may wrap around and */
        const uint32_t fast = TILE_EDGE * b->tile_column + at % BLOCK_EDGE; /* come back */
        const size_t pixel = (size_t)slow * s->rules.map->nx + fast;
        b->value[at] = pixel_get(s->source->frame.pixels, type, pixel);
        if (b->value[at] <= peak_cell_at(b, at)->stored)
            b->known &= ~((uint64_t)1 << at);
    }
}

/* What a chunk would have of the four tiles. */
static void fill_block(const search *s, peak_block *b)
{
    uint32_t known[BLOCK_NTILES] = {0};
    uint32_t drawn[BLOCK_NTILES] = {0};
    for (uint32_t k = 0; k < BLOCK_NTILES; k++) {
        const size_t tile = peak_block_tile(&s->rules, b, k);
        if (tile == SIZE_MAX)
            continue;
        const uint32_t pixels = peak_uncovered(&s->rules, tile, s->source->plane.valid[tile]);
        if (!is_stored(s, tile)) {
            drawn[k] = pixels;
            continue;
        }
        known[k] = pixels;
        b->is_narrow &= has_bytes(s, tile);
    }
    b->known = peak_block_pixels(known);
    b->drawn = peak_block_pixels(drawn);
    if (b->is_narrow) {
        fill_bytes(s, b);
        return;
    }
    DISPATCH_PIXEL_TYPE(s->source->frame.type, fill_values, s, b)
}

/* Pixels of a tile that may be peaks. */
static uint32_t candidates_of(const search *s, size_t tile)
{
    const frame_source *source = s->source;
    const ring_map *map = s->rules.map;
    const uint32_t row = (uint32_t)(tile / map->ntx);
    const uint32_t column = (uint32_t)(tile % map->ntx);
    const peak_cell *cell = &s->rules.cell[map->cell[tile]];
    const uint32_t pixels = peak_uncovered(&s->rules, tile, source->plane.valid[tile]);
    if (has_bytes(s, tile) && cell->is_small && pixels == 0xFFFF) {
        const uint8_t *value =
            source->plane.value + (size_t)TILE_EDGE * (row * source->plane.stride + column);
        uint8_t byte[TILE_NPIXELS];
        for (uint32_t i = 0; i < TILE_EDGE; i++)
            memcpy(byte + TILE_EDGE * i, value + i * source->plane.stride, TILE_EDGE);
        return peak_candidates_bytes(&s->rules, cell, byte);
    }
    int64_t value[TILE_NPIXELS];
    frame_source_tile(source, tile, value);
    return peak_candidates(&s->rules, cell, pixels, value);
}

static h5bragg_status look_at_tile(search *s, size_t tile)
{
    const ring_map *map = s->rules.map;
    const uint32_t row = (uint32_t)(tile / map->ntx);
    const uint32_t column = (uint32_t)(tile % map->ntx);
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t left = candidates_of(s, tile); left && !status; left &= left - 1) {
        peak_block_start(&s->rules, row, column, lowest_bit(left), &s->block);
        fill_block(s, &s->block);
        const uint32_t nhigh = peak_block_count(&s->rules, &s->block);
        if (nhigh)
            status = peak_block_add(&s->rules, &s->block, nhigh, s->list);
    }
    return status;
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
    const size_t first = row > ASKED_BEFORE ? row - ASKED_BEFORE : 0;
    const size_t left = column > ASKED_BEFORE ? column - ASKED_BEFORE : 0;
    const uint8_t *at =
        (const uint8_t *)s->source->frame.pixels + (first * map->nx + left) * nbytes;
    for (uint32_t i = 0; i < ASKED_EDGE && first + i < map->ny; i++, at += map->nx * nbytes) {
        __builtin_prefetch(at);
        __builtin_prefetch(at + (ASKED_EDGE - 1) * nbytes);
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
                 is_stored(s, sorted[k]))
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
