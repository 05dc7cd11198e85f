/* SPDX-License-Identifier: MIT */
/*
 * Draws tiles: docs/format.md, "Pattern noise".
 *
 * A row of tiles is drawn into a strip of bytes, four rows of pixels that stay in the fastest
 * cache: for each tile a pattern and a permutation are chosen, the kernel puts them in place, and
 * the rows are widened into the frame.  What has no pattern of 16 pixels is drawn afterwards.
 * Without local counts there is nothing of the kind, and some kernels do it all at once.
 */
#include "coarse_fill.h"
#include "noise_hash.h"
#include "scratch.h"

#include <math.h>

enum { NOT_PATTERN = 0xFF, LEVEL_UNITS = 256 };

/* Levels by number, T * LEVEL_NLEVELS + level, as cells have them. */
enum { NLEVEL_NUMBERS = (PATTERN_MAX_THRESHOLD + 1) * LEVEL_NLEVELS };

/* Makes a level and the rows of its sums.  Cells share levels: one that has been asked for is known
 * by the frame itself. */
BRAGG_INLINE int make_level(const tile_fill *t, uint32_t number, uint8_t *is_made)
{
    if (is_made[number])
        return 1;
    const uint32_t threshold = number / LEVEL_NLEVELS;
    const level_table *table = level_get(threshold, number % LEVEL_NLEVELS);
    is_made[number] = table && level_rows_make(t->cells.book, threshold, table);
    return is_made[number];
}

/* The levels x / 256 of a cell: on average over the 256 places between two of them, x. */
static int set_levels(const tile_fill *t, uint32_t c, const ring_profile *ring, uint8_t *is_made)
{
    const int32_t level = (int32_t)noise_level(&t->frame->model.noise, ring, c);
    for (int is_odd = 0; is_odd < 2; is_odd++) {
        int32_t x = level + (is_odd ? ring->spread : -ring->spread);
        x = x < 0 ? 0 : x > PROFILE_MAX_SPREAD ? PROFILE_MAX_SPREAD : x;
        const uint32_t place =
            t->threshold[c] * (uint32_t)(LEVEL_NLEVELS * LEVEL_UNITS) + (uint32_t)x;
        const uint32_t number = place / LEVEL_UNITS;
        t->cells.level[c][is_odd] = place;
        if (!make_level(t, number, is_made) ||
            (place % LEVEL_UNITS && !make_level(t, number + 1, is_made)))
            return 0;
    }
    return 1;
}

/* What noise is drawn from. */
static h5bragg_status set_cells(tile_fill *t)
{
    const frame_model *m = &t->frame->model;
    const ring_map *map = m->noise.map;
    uint8_t is_made[NLEVEL_NUMBERS] = {0};
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &m->profile[map->ring[c]];
        t->threshold[c] = NOT_PATTERN;
        t->cells.run[c] = t->cells.level[c][0] = t->cells.level[c][1] = CHOICE_NO_PATTERN;
        if (ring->is_general)
            continue;
        t->threshold[c] = (uint8_t)m->range[c].high;
        t->cells.run[c] = pattern_run(t->cells.book, t->threshold[c]);
        if (!m->layout.has_local && !set_levels(t, c, ring, is_made))
            return H5BRAGG_NO_MEMORY;
    }
    if (m->tables) /* there are general rings */
        frame_model_count_general(m, t->ngeneral);
    return H5BRAGG_OK;
}

static void set_means(tile_fill *t)
{
    const frame_model *m = &t->frame->model;
    const ring_map *map = m->noise.map;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &m->profile[map->ring[c]];
        const double mean = floor(profile_level_mean(ring) * map->normalisation[c] + 0.5);
        const int64_t most = m->range[c].high;
        t->mean[c] = ring->is_general      ? noise_mean(m->tables, c)
                     : mean < (double)most ? (int64_t)mean
                                           : most;
    }
}

h5bragg_status tile_fill_make(sparse_frame *frame, h5bragg_fill fill, tile_fill *t)
{
    const ring_map *map = frame->model.noise.map;
    const size_t padded =
        ((size_t)map->ntx + DRAW_MOST_NTILES - 1) / DRAW_MOST_NTILES * DRAW_MOST_NTILES;
    const size_t ncells = map->ncells + 1u;
    memset(t, 0, sizeof *t);
    t->frame = frame;
    t->kernels = draw_kernels_get(bragg_cpu_level());
    t->choice = choice_kernels_get(bragg_cpu_level());
    t->fill = fill;
    picked_reader_ask_for(&frame->picked, &t->ahead);
    t->stride = padded * TILE_EDGE;
    t->strip = scratch_take_zeros(t->stride, TILE_NPIXELS);
    t->variant = scratch_take_zeros(padded, sizeof *t->variant);
    t->permutation = scratch_take_zeros(padded, 1);
    t->threshold = scratch_take(ncells);
    t->ngeneral = scratch_take(ncells * sizeof *t->ngeneral);
    t->mean = scratch_take(ncells * sizeof *t->mean);
    t->cells.book = frame->model.book;
    t->cells.run = scratch_take(ncells * sizeof *t->cells.run);
    t->cells.level = scratch_take(CHOICE_NCELLS * sizeof *t->cells.level);
    t->cut = scratch_take(padded * sizeof *t->cut);
    if (!t->strip || !t->variant || !t->permutation || !t->threshold || !t->ngeneral || !t->mean ||
        !t->cells.run || !t->cells.level || !t->cut)
        return H5BRAGG_NO_MEMORY;
    if (fill == H5BRAGG_FILL_NOISE)
        return set_cells(t);
    set_means(t);
    return H5BRAGG_OK;
}

void tile_fill_free(tile_fill *t)
{
    scratch_give(t->strip);
    scratch_give(t->variant);
    scratch_give(t->permutation);
    scratch_give(t->threshold);
    scratch_give(t->ngeneral);
    scratch_give(t->mean);
    scratch_give(t->cells.run);
    scratch_give(t->cells.level);
    scratch_give(t->cut);
    memset(t, 0, sizeof *t);
}

/* A row of tiles at work. */
typedef struct tile_row {
    uint32_t number; /* of the row in the frame */
    size_t first;    /* number of its first tile */
    const uint16_t *cell;
    const uint16_t *open;
    const uint32_t *hash;
    const int64_t *sum;
    uint8_t *pixels[TILE_EDGE]; /* in the strip */
} tile_row;

static tile_row row_at(const tile_fill *t, uint32_t row)
{
    const sparse_frame *f = t->frame;
    const ring_map *map = f->model.noise.map;
    const size_t at = (size_t)row * map->ntx;
    tile_row r = {.number = MACRO_EDGE * f->macro_row + row};
    r.first = (size_t)r.number * map->ntx;
    r.cell = map->cell + r.first;
    r.open = f->open + at;
    r.hash = f->hash + at;
    r.sum = f->sum + at;
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        r.pixels[k] = t->strip + (row * TILE_EDGE + k) * t->stride;
    return r;
}

/* Draws the pixels of a tile that are open, of which there are f. */
static void draw_cut_tile(const tile_row *r, uint32_t column, uint32_t f, const uint8_t *variant)
{
    const uint32_t open = r->open[column];
    uint32_t from = (r->hash[column] >> CHOICE_PERMUTATION_SHIFT) * f >> 8;
    for (uint32_t left = open; left; left &= left - 1) {
        const uint32_t p = lowest_bit(left);
        r->pixels[p / TILE_EDGE][column * TILE_EDGE + p % TILE_EDGE] = variant[from];
        from = from + 1 < f ? from + 1 : 0;
    }
}

enum { CUT_AT_ONCE = 16 };

/* With local counts: the listed tiles.  Their patterns are far apart: some are asked for at once.
 */
static int draw_cut_tiles(const tile_fill *t, const tile_row *r, uint32_t ncut)
{
    for (uint32_t first = 0; first < ncut; first += CUT_AT_ONCE) {
        const uint32_t n = ncut - first < CUT_AT_ONCE ? ncut - first : CUT_AT_ONCE;
        const uint8_t *variant[CUT_AT_ONCE];
        uint32_t f[CUT_AT_ONCE];
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t column = t->cut[first + k];
            f[k] = count_bits(r->open[column]);
            const uint8_t *rows =
                pattern_row(t->frame->model.book, f[k], t->threshold[r->cell[column]],
                            (uint32_t)r->sum[column]);
            if (!rows)
                return 0;
            variant[k] = rows + choice_variant(r->hash[column]);
            __builtin_prefetch(variant[k]);
        }
        for (uint32_t k = 0; k < n; k++)
            draw_cut_tile(r, t->cut[first + k], f[k], variant[k]);
    }
    return 1;
}

/* Chooses the patterns of a row; *ncut gets the number of tiles of which only some pixels are
 * drawn. */
static h5bragg_status choose_patterns(tile_fill *t, const tile_row *r, uint32_t *ncut)
{
    const sparse_frame *f = t->frame;
    const uint32_t ntx = f->model.noise.map->ntx;
    choice_row choice = {.ntx = ntx,
                         .is_odd = r->number & 1,
                         .cell = r->cell,
                         .open = r->open,
                         .hash = r->hash,
                         .more_seed = ~f->header->seed,
                         .first_number = (uint32_t)r->first,
                         .sum = r->sum,
                         .is_coarse = f->grid.is_coarse,
                         .ahead = &t->ahead,
                         .variant = t->variant,
                         .permutation = t->permutation,
                         .cut = t->cut};
    choose_function *choose = f->model.layout.has_local ? t->choice->by_sum : t->choice->by_level;
    if (!choose(&t->cells, &choice))
        return H5BRAGG_NO_MEMORY;
    t->has_general[r->number % MACRO_EDGE] = choice.has_general;
    *ncut = choice.ncut;
    return H5BRAGG_OK;
}

/* Draws whole tiles of a row into the strip. */
static void draw_strip(const tile_fill *t, const tile_row *r)
{
    const pattern_book *book = t->cells.book;
    t->kernels->draw(book->full[0], t->variant, t->permutation, book->permutations,
                     t->stride / TILE_EDGE, r->pixels);
}

/* With local counts: a row of tiles goes into the strip, but for coarse blocks. */
static h5bragg_status draw_by_sums(tile_fill *t, const tile_row *r)
{
    uint32_t ncut;
    const h5bragg_status status = choose_patterns(t, r, &ncut);
    if (status)
        return status;
    draw_strip(t, r);
    return draw_cut_tiles(t, r, ncut) ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void tile_fill_aim(tile_fill *t, uint32_t macro_row, const void *pixels)
{
    const noise_frame *f = &t->frame->model.noise;
    const size_t row_nbytes = f->map->nx * h5bragg_pixel_nbytes(f->type);
    const uint32_t first = MACRO_EDGE * TILE_EDGE * macro_row;
    const uint32_t nleft = f->map->ny - first;
    const uint32_t nrows = nleft < MACRO_EDGE * TILE_EDGE ? nleft : MACRO_EDGE * TILE_EDGE;
    t->ahead = lines_ahead_of((const uint8_t *)pixels + first * row_nbytes, nrows * row_nbytes);
    lines_ahead_find_pages(&t->ahead);
}

h5bragg_status tile_fill_start(tile_fill *t)
{
    const sparse_frame *f = t->frame;
    if (t->fill == H5BRAGG_FILL_MEAN || !f->model.layout.has_local)
        return H5BRAGG_OK;
    for (uint32_t row = 0; row < f->nrows; row++) {
        const tile_row r = row_at(t, row);
        const h5bragg_status status = draw_by_sums(t, &r);
        if (status)
            return status;
    }
    if (!f->grid.may_be_coarse)
        return H5BRAGG_OK;
    for (uint32_t block = 0; block < f->grid.nblocks; block++) {
        if (f->grid.is_coarse[block])
            coarse_fill(t, block);
    }
    return H5BRAGG_OK;
}

BRAGG_INLINE void put_tile(const h5bragg_pixel_type type, const ring_map *map, uint32_t row,
                           uint32_t column, uint16_t open, const int64_t value[TILE_NPIXELS],
                           void *pixels)
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (open >> p & 1)
            pixel_set(pixels, type, tile_pixel(map, row, column, p), value[p]);
    }
}

static void draw_general_tile(const tile_fill *t, const tile_row *r, uint32_t column, void *pixels)
{
    const frame_model *m = &t->frame->model;
    noise_tile tile = {.number = (uint32_t)(r->first + column),
                       .hash = r->hash[column],
                       .cell = r->cell[column],
                       .valid = r->open[column],
                       .has_sum = m->layout.has_local,
                       .sum = r->sum[column]};
    noise_draw_tile(m->tables, t->frame->header->seed, &tile);
    DISPATCH_PIXEL_TYPE(m->noise.type, put_tile, m->noise.map, r->number, column, tile.valid,
                        tile.value, pixels)
}

/* The tiles of general rings. */
static void draw_general(const tile_fill *t, const tile_row *r, void *pixels)
{
    const ring_map *map = t->frame->model.noise.map;
    const uint32_t nblocks = ring_map_nblocks(map);
    const cell_span *span = map->span + (size_t)(r->number / MACRO_EDGE) * nblocks;
    for (uint32_t block = 0; block < nblocks; block++) {
        const uint32_t stop = ring_map_block_stop(map, block);
        if (!cell_span_has(span[block], t->ngeneral))
            continue;
        for (uint32_t column = MACRO_EDGE * block; column < stop; column++) {
            if (r->open[column] && t->threshold[r->cell[column]] == NOT_PATTERN)
                draw_general_tile(t, r, column, pixels);
        }
    }
}

static void fill_means(const tile_fill *t, const tile_row *r, void *pixels)
{
    const noise_frame *f = &t->frame->model.noise;
    for (uint32_t column = 0; column < f->map->ntx; column++) {
        if (r->open[column] == 0)
            continue;
        int64_t value[TILE_NPIXELS];
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            value[p] = t->mean[r->cell[column]];
        DISPATCH_PIXEL_TYPE(f->type, put_tile, f->map, r->number, column, r->open[column], value,
                            pixels)
    }
}

/* Where the rows of pixels of a row of tiles are in the frame; returns how many it has. */
static uint32_t rows_of(const tile_fill *t, const tile_row *r, void *pixels, void *rows[TILE_EDGE])
{
    const noise_frame *f = &t->frame->model.noise;
    const size_t nbytes = f->map->nx * h5bragg_pixel_nbytes(f->type);
    const uint32_t first = TILE_EDGE * r->number;
    const uint32_t nrows = f->map->ny - first < TILE_EDGE ? f->map->ny - first : TILE_EDGE;
    for (uint32_t k = 0; k < nrows; k++)
        rows[k] = (uint8_t *)pixels + (first + k) * nbytes;
    return nrows;
}

/* Puts a row of tiles from the strip into the frame. */
static void widen_strip(const tile_fill *t, const tile_row *r, uint32_t nrows,
                        void *const rows[TILE_EDGE])
{
    const noise_frame *f = &t->frame->model.noise;
    for (uint32_t k = 0; k < nrows; k++)
        t->kernels->widen(r->pixels[k], f->map->nx, h5bragg_pixel_nbytes(f->type), rows[k]);
}

/* Without local counts: there is nothing to be done in a strip, and kernels may do without one. */
static h5bragg_status draw_by_levels(tile_fill *t, const tile_row *r, uint32_t nrows,
                                     void *const rows[TILE_EDGE])
{
    const noise_frame *f = &t->frame->model.noise;
    const pattern_book *book = t->cells.book;
    const size_t pixel_nbytes = h5bragg_pixel_nbytes(f->type);
    uint32_t ncut;
    const h5bragg_status status = choose_patterns(t, r, &ncut);
    if (status)
        return status;
    if (t->kernels->draw_pixels && nrows == TILE_EDGE && pixel_nbytes > 1) {
        t->kernels->draw_pixels(book->full[0], t->variant, t->permutation, book->permutations,
                                f->map->nx, pixel_nbytes, rows);
        return H5BRAGG_OK;
    }
    draw_strip(t, r);
    widen_strip(t, r, nrows, rows);
    return H5BRAGG_OK;
}

h5bragg_status tile_fill_row(tile_fill *t, uint32_t row, void *pixels)
{
    const int is_noise = t->fill == H5BRAGG_FILL_NOISE;
    const tile_row r = row_at(t, row);
    void *rows[TILE_EDGE];
    const uint32_t nrows = rows_of(t, &r, pixels, rows);
    h5bragg_status status = H5BRAGG_OK;
    if (is_noise && !t->frame->model.layout.has_local)
        status = draw_by_levels(t, &r, nrows, rows);
    else
        widen_strip(t, &r, nrows, rows);
    if (status)
        return status;
    if (!is_noise)
        fill_means(t, &r, pixels);
    else if (t->has_general[row])
        draw_general(t, &r, pixels);
    return H5BRAGG_OK;
}
