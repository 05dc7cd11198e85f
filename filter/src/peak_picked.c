/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks among the picked pixels of a chunk.
 *
 * They are many, and most of them alone.  So they are only put where they belong in a few rows of
 * bytes; the tiles of those that may be the largest of a peak are listed, and looked at when the
 * next row of macro blocks is there, too.
 */
#include "peak_picked.h"

#include <stdlib.h>

#include "peak_block.h"
#include "plane_kernels.h" /* BYTE_LOOKUP */
#include "scratch.h"
#include "symbols.h"

enum {
    NBANDS = 3,
    BAND_EDGE = TILE_EDGE * MACRO_EDGE, /* rows of pixels in a row of macro blocks */
    SLACK = 8,                          /* blocks may begin before a row, and end behind it */
    INVERSE_SHIFT = 44
};

/* A row of macro blocks. */
typedef struct picked_band {
    uint8_t *memory;
    uint8_t *byte;   /* BAND_EDGE * nx, in `memory`; 0 where no pixel is known */
    uint32_t *value; /* likewise, modulo 2^32; set where the byte is BYTE_LOOKUP */
    uint32_t *hot;   /* tiles that may have a peak, by their numbers in the frame */
    uint32_t nhot;
} picked_band;

typedef struct picked_search {
    sparse_frame *frame;
    const peak_rules *rules;
    const ring_map *map;
    picked_band band[NBANDS];
    peak_block block;
    uint64_t inverse_row; /* 2^INVERSE_SHIFT / nx: positions are divided by nx with it */
    uint32_t *hot;        /* pixels of the row of macro blocks that reach their limits */
    int is_signed;
    h5bragg_peak_list *list;
} picked_search;

static void free_bands(picked_search *s)
{
    for (int k = 0; k < NBANDS; k++) {
        scratch_give(s->band[k].memory);
        scratch_give(s->band[k].value);
        scratch_give(s->band[k].hot);
    }
    scratch_give(s->hot);
}

static h5bragg_status make_bands(picked_search *s)
{
    const size_t npixels = (size_t)BAND_EDGE * s->map->nx;
    s->inverse_row = ((uint64_t)1 << INVERSE_SHIFT) / s->map->nx + 1;
    s->hot = scratch_take(npixels * sizeof *s->hot);
    if (!s->hot)
        return H5BRAGG_NO_MEMORY;
    for (int k = 0; k < NBANDS; k++) {
        picked_band *band = &s->band[k];
        band->memory = scratch_take_zeros(npixels + 2 * (size_t)SLACK, 1);
        band->value = scratch_take(npixels * sizeof *band->value);
        band->hot = scratch_take((size_t)MACRO_EDGE * s->map->ntx * sizeof *band->hot);
        if (!band->memory || !band->value || !band->hot)
            return H5BRAGG_NO_MEMORY;
        band->byte = band->memory + SLACK;
    }
    return H5BRAGG_OK;
}

static int64_t value_of(const picked_search *s, uint32_t raw)
{
    return s->is_signed ? (int64_t)(int32_t)raw : (int64_t)raw;
}

/* Puts a pixel of a row of macro blocks in. */
BRAGG_INLINE void put_value(const picked_band *band, uint32_t at, uint32_t raw)
{
    const int is_byte = raw - 1 < BYTE_LOOKUP - 1;
    band->byte[at] = (uint8_t)(is_byte ? raw : BYTE_LOOKUP);
    if (!is_byte)
        band->value[at] = raw;
}

static void put_values(const picked_band *band, const uint32_t *restrict at,
                       const uint32_t *restrict value, uint32_t n)
{
    const picked_band to = *band; /* which bytes cannot overwrite */
    for (uint32_t k = 0; k < n; k++)
        put_value(&to, at[k], value[k]);
}

/* Puts the tile of a pixel into the list if the pixel may be a peak. */
static void list_if_hot(const picked_search *s, picked_band *band, uint32_t at, uint32_t raw)
{
    /* Positions are below 2^20: multiplying divides exactly. */
    const uint32_t slow = (uint32_t)(at * s->inverse_row >> INVERSE_SHIFT);
    const uint32_t fast = at - slow * s->map->nx;
    const uint32_t tile =
        (MACRO_EDGE * s->frame->macro_row + slow / TILE_EDGE) * s->map->ntx + fast / TILE_EDGE;
    const uint16_t cell = s->map->cell[tile];
    /* As unsigned numbers negative ones are large: they are looked at. */
    if (cell == BRAGG_NO_CELL || raw < s->rules->byte_limit[cell])
        return;
    if (band->nhot == 0 || band->hot[band->nhot - 1] != tile)
        band->hot[band->nhot++] = tile;
}

/* Lists those of n pixels that reach the limits of their cells; returns their number. */
static uint32_t find_hot(const uint8_t *restrict limit, const uint32_t *restrict value,
                         const uint16_t *restrict cell, uint32_t n, uint32_t *restrict hot)
{
    uint32_t nhot = 0;
    for (uint32_t k = 0; k < n; k++) {
        hot[nhot] = k;
        nhot += value[k] >= limit[cell[k]];
    }
    return nhot;
}

static void put_picked(picked_search *s, picked_band *band)
{
    const picked_reader *picked = &s->frame->picked;
    put_values(band, picked->at, picked->value, picked->n);
    if (!picked->cell) {
        for (uint32_t k = 0; k < picked->n; k++)
            list_if_hot(s, band, picked->at[k], picked->value[k]);
        return;
    }
    const uint32_t nhot =
        find_hot(s->rules->byte_limit, picked->value, picked->cell, picked->n, s->hot);
    for (uint32_t k = 0; k < nhot; k++)
        list_if_hot(s, band, picked->at[s->hot[k]], picked->value[s->hot[k]]);
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Pixels of an exact tile of a cell; of those that are not above its threshold none is known. */
static h5bragg_status put_tile(picked_search *s, picked_band *band, const exact_tile *tile,
                               int64_t stored)
{
    const int64_t least = pixel_minimum(s->frame->model.noise.type);
    const int64_t most = pixel_maximum(s->frame->model.noise.type);
    for (uint32_t left = tile->valid; left; left &= left - 1) {
        const uint32_t p = lowest_bit(left);
        const int64_t value = exact_tile_value(tile, p);
        if (value < least || value > most)
            return H5BRAGG_CORRUPT;
        const uint32_t at = (TILE_EDGE * tile->row + p / TILE_EDGE) * s->map->nx +
                            TILE_EDGE * tile->column + p % TILE_EDGE;
        if (value <= stored)
            continue;
        put_value(band, at, (uint32_t)value);
        list_if_hot(s, band, at, (uint32_t)value);
    }
    return H5BRAGG_OK;
}

/* Exact tiles, of which there are few. */
static h5bragg_status put_exact(picked_search *s, picked_band *band)
{
    const uint32_t npicked = band->nhot;
    for (uint32_t row = 0; row < s->frame->nrows; row++) {
        const size_t first = (size_t)(MACRO_EDGE * s->frame->macro_row + row) * s->map->ntx;
        const exact_tile *tile;
        const uint32_t ntiles = sparse_frame_exact_tiles(s->frame, row, &tile);
        for (const exact_tile *end = tile + ntiles; tile < end; tile++) {
            const uint16_t cell = s->map->cell[first + tile->column];
            const int64_t stored = cell == BRAGG_NO_CELL ? INT64_MAX : s->rules->cell[cell].stored;
            const h5bragg_status status = put_tile(s, band, tile, stored);
            if (status)
                return status;
        }
    }
    if (band->nhot > npicked)
        qsort(band->hot, band->nhot, sizeof *band->hot, by_number);
    return H5BRAGG_OK;
}

static h5bragg_status read_band(picked_search *s, uint32_t macro_row)
{
    picked_band *band = &s->band[macro_row % NBANDS];
    memset(band->byte, 0, (size_t)BAND_EDGE * s->map->nx);
    band->nhot = 0;
    const h5bragg_status status = sparse_frame_read_row(s->frame, macro_row, 0);
    if (status)
        return status;
    put_picked(s, band);
    return put_exact(s, band);
}

/* Bits of the pixels of a tile that are in the frame and not under the mask. */
static uint32_t usable_pixels(const picked_search *s, uint32_t row, uint32_t column)
{
    const size_t tile = (size_t)row * s->map->ntx + column;
    return peak_uncovered(s->rules, tile, tile_inside(s->map, row, column));
}

/* Known values of a band are taken from where its byte says so. */
static int64_t value_at(const picked_search *s, const picked_band *band, size_t at)
{
    return band->byte[at] == BYTE_LOOKUP ? value_of(s, band->value[at]) : (int64_t)band->byte[at];
}

/* Where the bytes of the upper, or lower, two tiles of a block begin. */
static const uint8_t *bytes_of_half(const picked_search *s, const peak_block *b, uint32_t half)
{
    const uint32_t slow = TILE_EDGE * (b->tile_row + half);
    const picked_band *band = &s->band[slow / BAND_EDGE % NBANDS];
    return band->byte + (size_t)(slow % BAND_EDGE) * s->map->nx +
           (ptrdiff_t)TILE_EDGE * (int32_t)b->tile_column;
}

/* Bytes of usable tiles of the block, and which pixels they stand for. */
static void fill_bytes(const picked_search *s, peak_block *b)
{
    const uint64_t usable = b->known;
    const size_t nx = s->map->nx;
    for (uint32_t i = 0; i < BLOCK_EDGE; i += 2) {
        const uint32_t columns = (uint32_t)(usable >> BLOCK_EDGE * i & 0xFFFF);
        const uint8_t *byte = bytes_of_half(s, b, i / TILE_EDGE) + i % TILE_EDGE * nx;
        const uint64_t first = columns & 0xFF ? load_u64(byte) : 0;
        const uint64_t second = columns >> 8 ? load_u64(byte + nx) : 0;
        peak_rows_set(b->row, i, first & peak_bytes_of_bits(columns & 0xFF),
                      second & peak_bytes_of_bits(columns >> 8));
    }
    b->known = peak_rows_above(b->row, (const uint64_t[2]){0, 0});
    const uint64_t most = peak_bytes_of(BYTE_LOOKUP - 1);
    b->is_narrow &= peak_rows_above(b->row, (const uint64_t[2]){most, most}) == 0;
}

static void fill_values(const picked_search *s, peak_block *b)
{
    for (uint64_t left = b->known; left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        const uint32_t slow = TILE_EDGE * b->tile_row + at / BLOCK_EDGE;
        const uint32_t fast = TILE_EDGE * b->tile_column + at % BLOCK_EDGE;
        const picked_band *band = &s->band[slow / BAND_EDGE % NBANDS];
        b->value[at] = value_at(s, band, (size_t)(slow % BAND_EDGE) * s->map->nx + fast);
    }
}

static void fill_block(picked_search *s, peak_block *b)
{
    uint32_t usable[BLOCK_NTILES];
    for (uint32_t k = 0; k < BLOCK_NTILES; k++) {
        const int is_there = peak_block_tile(s->rules, b, k) != SIZE_MAX;
        usable[k] = is_there ? usable_pixels(s, b->tile_row + k / 2, b->tile_column + k % 2) : 0;
    }
    b->known = peak_block_pixels(usable);
    fill_bytes(s, b);
    if (!b->is_narrow)
        fill_values(s, b);
}

/* Whether one of eight bytes is BYTE_LOOKUP, 255: what becomes 0 when all bits are changed. */
static int has_look_up(const uint8_t *byte)
{
    const uint64_t word = load_u64(byte);
    return ((~word - peak_bytes_of(1)) & word & peak_bytes_of(0x80)) != 0;
}

/* Pixels of a tile that may be peaks. */
static uint32_t candidates_of(const picked_search *s, const picked_band *band, uint32_t row,
                              uint32_t column)
{
    const peak_cell *cell = &s->rules->cell[s->map->cell[(size_t)row * s->map->ntx + column]];
    const size_t first =
        (size_t)(row % MACRO_EDGE * TILE_EDGE) * s->map->nx + (size_t)column * TILE_EDGE;
    const uint32_t usable = usable_pixels(s, row, column);
    uint8_t byte[TILE_NPIXELS];
    int64_t value[TILE_NPIXELS];
    uint32_t known = 0;
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        memcpy(byte + TILE_EDGE * i, band->byte + first + (size_t)i * s->map->nx, TILE_EDGE);
    const int is_large = has_look_up(byte) || has_look_up(byte + 8);
    if (!is_large && cell->is_small && usable == 0xFFFF)
        return peak_candidates_bytes(s->rules, cell, byte);
    for (uint32_t left = usable; left; left &= left - 1) {
        const uint32_t p = lowest_bit(left);
        const size_t at = first + (size_t)(p / TILE_EDGE) * s->map->nx + p % TILE_EDGE;
        value[p] = value_at(s, band, at);
        known |= (uint32_t)(byte[p] != 0) << p;
    }
    return peak_candidates(s->rules, cell, known, value);
}

static h5bragg_status look_at_tile(picked_search *s, const picked_band *band, uint32_t tile)
{
    const uint32_t row = tile / s->map->ntx;
    const uint32_t column = tile % s->map->ntx;
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t left = candidates_of(s, band, row, column); left && !status; left &= left - 1) {
        peak_block_start(s->rules, row, column, lowest_bit(left), &s->block);
        fill_block(s, &s->block);
        const uint32_t nhigh = peak_block_count(s->rules, &s->block);
        if (nhigh)
            status = peak_block_add(s->rules, &s->block, nhigh, s->list);
    }
    return status;
}

static h5bragg_status search_band(picked_search *s, uint32_t macro_row)
{
    const picked_band *band = &s->band[macro_row % NBANDS];
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t k = 0; k < band->nhot && !status; k++) {
        if (k == 0 || band->hot[k] != band->hot[k - 1])
            status = look_at_tile(s, band, band->hot[k]);
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
    if (!status)
        status = picked_reader_want_cells(&frame->picked);
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
