/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks among the picked pixels of a chunk.
 *
 * They are many, and most of them alone.  So they are only put where they belong in a few rows of
 * pixels, with a bit for each; the tiles of those that may be the largest of a peak are listed, and
 * looked at when the next row of macro blocks is there, too.
 */
#include "peak_picked.h"

#include <stdlib.h>

#include "peak_window.h"
#include "scratch.h"
#include "symbols.h"

enum {
    NBANDS = 3,
    BAND_EDGE = TILE_EDGE * MACRO_EDGE, /* rows of pixels in a row of macro blocks */
    BITS_BEFORE = 8,                    /* of a row of bits */
    BITS_BEHIND = 16,
    INVERSE_SHIFT = 44
};

/* A row of macro blocks. */
typedef struct picked_band {
    uint32_t *value; /* BAND_EDGE * nx, modulo 2^32; set where the bit is */
    uint8_t *known;  /* BAND_EDGE rows of bits */
    uint32_t *hot;   /* tiles that may have a peak, by their numbers in the frame */
    uint32_t nhot;
} picked_band;

typedef struct picked_search {
    sparse_frame *frame;
    const peak_rules *rules;
    const ring_map *map;
    picked_band band[NBANDS];
    peak_window window;
    size_t row_nbytes;    /* of bits */
    uint64_t inverse_row; /* 2^INVERSE_SHIFT / nx: positions are divided by nx with it */
    int is_signed;
    h5bragg_peak_list *list;
} picked_search;

static void free_bands(picked_search *s)
{
    for (int k = 0; k < NBANDS; k++) {
        scratch_give(s->band[k].value);
        scratch_give(s->band[k].known);
        scratch_give(s->band[k].hot);
    }
}

static h5bragg_status make_bands(picked_search *s)
{
    s->row_nbytes = (BITS_BEFORE + (size_t)s->map->nx + BITS_BEHIND + 7) / 8;
    s->inverse_row = ((uint64_t)1 << INVERSE_SHIFT) / s->map->nx + 1;
    for (int k = 0; k < NBANDS; k++) {
        picked_band *band = &s->band[k];
        band->value = scratch_take((size_t)BAND_EDGE * s->map->nx * sizeof *band->value);
        band->known = scratch_take_zeros(BAND_EDGE, s->row_nbytes);
        band->hot = scratch_take((size_t)MACRO_EDGE * s->map->ntx * sizeof *band->hot);
        if (!band->value || !band->known || !band->hot)
            return H5BRAGG_NO_MEMORY;
    }
    return H5BRAGG_OK;
}

static int64_t value_of(const picked_search *s, uint32_t raw)
{
    return s->is_signed ? (int64_t)(int32_t)raw : (int64_t)raw;
}

/* Puts a pixel of a row of macro blocks in, and its tile into the list if it may be a peak. */
BRAGG_INLINE void put_pixel(picked_search *s, picked_band *band, uint32_t slow, uint32_t fast,
                            uint32_t raw)
{
    const uint32_t tile =
        (MACRO_EDGE * s->frame->macro_row + slow / TILE_EDGE) * s->map->ntx + fast / TILE_EDGE;
    const uint16_t cell = s->map->cell[tile];
    const uint32_t bit = fast + BITS_BEFORE;
    band->value[(size_t)slow * s->map->nx + fast] = raw;
    band->known[slow * s->row_nbytes + bit / 8] |= (uint8_t)(1u << bit % 8);
    /* As unsigned numbers negative ones are large: they are looked at. */
    if (cell == BRAGG_NO_CELL || raw < s->rules->byte_limit[cell])
        return;
    if (band->nhot == 0 || band->hot[band->nhot - 1] != tile)
        band->hot[band->nhot++] = tile;
}

/* The picked pixels of the row at work.  Positions are below 2^20: multiplying divides exactly. */
static void put_picked(picked_search *s, picked_band *band)
{
    const picked_reader *picked = &s->frame->picked;
    const uint32_t nx = s->map->nx;
    for (uint32_t k = 0; k < picked->n; k++) {
        const uint32_t at = picked->at[k];
        const uint32_t slow = (uint32_t)(at * s->inverse_row >> INVERSE_SHIFT);
        put_pixel(s, band, slow, at - slow * nx, picked->value[k]);
    }
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The pixels of exact tiles, of which there are few; a value that the type does not have is wrong.
 */
static h5bragg_status put_exact(picked_search *s, picked_band *band)
{
    const int64_t least = pixel_minimum(s->frame->model.noise.type);
    const int64_t most = pixel_maximum(s->frame->model.noise.type);
    const uint32_t npicked = band->nhot;
    for (uint32_t row = 0; row < s->frame->nrows; row++) {
        const exact_tile *tile;
        const uint32_t ntiles = sparse_frame_exact_tiles(s->frame, row, &tile);
        for (const exact_tile *end = tile + ntiles; tile < end; tile++) {
            for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
                if (!(tile->valid >> p & 1))
                    continue;
                const int64_t value = exact_tile_value(tile, p);
                if (value < least || value > most)
                    return H5BRAGG_CORRUPT;
                put_pixel(s, band, TILE_EDGE * row + p / TILE_EDGE,
                          TILE_EDGE * tile->column + p % TILE_EDGE, (uint32_t)value);
            }
        }
    }
    if (band->nhot > npicked)
        qsort(band->hot, band->nhot, sizeof *band->hot, by_number);
    return H5BRAGG_OK;
}

static h5bragg_status read_band(picked_search *s, uint32_t macro_row)
{
    picked_band *band = &s->band[macro_row % NBANDS];
    memset(band->known, 0, BAND_EDGE * s->row_nbytes);
    band->nhot = 0;
    const h5bragg_status status = sparse_frame_read_row(s->frame, macro_row, 0);
    if (status)
        return status;
    put_picked(s, band);
    return put_exact(s, band);
}

/* Bits of the eight pixels of a row of the window. */
static uint32_t bits_of_row(const picked_search *s, uint32_t slow, uint32_t tile_column)
{
    const picked_band *band = &s->band[slow / BAND_EDGE % NBANDS];
    const uint32_t first = BITS_BEFORE + TILE_EDGE * tile_column - WINDOW_MARGIN;
    const uint8_t *bits = band->known + slow % BAND_EDGE * s->row_nbytes + first / 8;
    return load_u16(bits) >> first % 8 & 0xFF;
}

static uint64_t usable_places(picked_search *s)
{
    uint64_t places = 0;
    for (uint32_t k = 0; k < WINDOW_NTILES * WINDOW_NTILES; k++)
        places |= peak_window_place(k, peak_window_usable(s->rules, &s->window, k / WINDOW_NTILES,
                                                          k % WINDOW_NTILES, 0xFFFF));
    return places;
}

static h5bragg_status look_at_tile(picked_search *s, uint32_t tile)
{
    const uint32_t row = tile / s->map->ntx;
    const uint32_t column = tile % s->map->ntx;
    peak_window_start(s->rules, row, column, &s->window);
    const uint64_t usable = usable_places(s);
    for (uint32_t i = 0; i < WINDOW_EDGE; i++) {
        const uint32_t slow = TILE_EDGE * row + i - WINDOW_MARGIN; /* beyond all above the frame */
        uint32_t bits = (uint32_t)(usable >> WINDOW_EDGE * i & 0xFF);
        if (!bits || slow >= s->map->ny)
            continue;
        bits &= bits_of_row(s, slow, column);
        const picked_band *band = &s->band[slow / BAND_EDGE % NBANDS];
        const uint32_t *value = band->value + (size_t)(slow % BAND_EDGE) * s->map->nx;
        for (; bits; bits &= bits - 1) {
            const uint32_t j = lowest_bit(bits);
            const uint32_t fast = TILE_EDGE * column + j - WINDOW_MARGIN;
            peak_window_put(&s->window, peak_window_cell(&s->window, WINDOW_EDGE * i + j),
                            WINDOW_EDGE * i + j, value_of(s, value[fast]));
        }
    }
    return peak_window_find(s->rules, &s->window, peak_window_candidates(s->rules, &s->window),
                            s->list);
}

static h5bragg_status search_band(picked_search *s, uint32_t macro_row)
{
    const picked_band *band = &s->band[macro_row % NBANDS];
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t k = 0; k < band->nhot && !status; k++) {
        if (k == 0 || band->hot[k] != band->hot[k - 1])
            status = look_at_tile(s, band->hot[k]);
    }
    return status;
}

h5bragg_status peak_picked_search(sparse_frame *frame, const peak_rules *rules,
                                  h5bragg_peak_list *list)
{
    picked_search s = {.frame = frame,
                       .rules = rules,
                       .map = rules->map,
                       .is_signed = pixel_minimum(frame->model.noise.type) < 0,
                       .list = list};
    const uint32_t nrows = sparse_frame_nrows(s.map);
    h5bragg_status status = make_bands(&s);
    for (uint32_t k = 0; k < nrows && !status; k++) {
        status = read_band(&s, k);
        if (!status && k > 0)
            status = search_band(&s, k - 1);
    }
    if (!status)
        status = search_band(&s, nrows - 1);
    free_bands(&s);
    return status;
}
