/* SPDX-License-Identifier: MIT */
/*
 * Draws tiles: docs/format.md, "Pattern noise".
 *
 * For each tile of a row of macro blocks a pattern and a permutation are chosen, then one row of
 * tiles after the other is drawn.  Some kernels put patterns into the frame at once; others, and
 * all where coarse blocks are scattered, put them into a strip of bytes, which is widened.  Coarse
 * blocks always come from it.  What has no pattern of 16 pixels is put into the frame afterwards.
 */
#include "coarse_fill.h"
#include "scratch.h"
#include "tile_bytes.h"

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
    const pattern_book *book = t->cells.book;
    uint8_t is_made[NLEVEL_NUMBERS] = {0};
    t->patterns = (draw_patterns){.full = book->full[0],
                                  .half = book->half ? book->half[0] : NULL,
                                  .table = book->permutations};
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &m->profile[map->ring[c]];
        t->threshold[c] = NOT_PATTERN;
        t->cells.run[c] = t->cells.level[c][0] = t->cells.level[c][1] = CHOICE_NO_PATTERN;
        if (ring->is_general)
            continue;
        t->threshold[c] = (uint8_t)m->range[c].high;
        t->patterns.half = t->threshold[c] > PATTERN_HALF_THRESHOLD ? NULL : t->patterns.half;
        t->cells.run[c] = pattern_run(book, t->threshold[c]);
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
    frame->exact_reader.ahead = &t->ahead;
    frame->grid.ahead = &t->ahead;
    t->stride = padded * TILE_EDGE;
    t->strip = scratch_take_zeros(t->stride, TILE_NPIXELS);
    t->variant = scratch_take_zeros(MACRO_EDGE * padded + DRAW_MOST_NTILES, sizeof *t->variant);
    t->permutation = scratch_take_zeros(MACRO_EDGE * padded + DRAW_MOST_NTILES, 1);
    t->threshold = scratch_take(ncells);
    t->ngeneral = scratch_take(ncells * sizeof *t->ngeneral);
    t->mean = scratch_take(ncells * sizeof *t->mean);
    t->cells.book = frame->model.book;
    t->cells.run = scratch_take(CHOICE_NCELLS * sizeof *t->cells.run);
    t->cells.level = scratch_take(CHOICE_NCELLS * sizeof *t->cells.level);
    t->cut = scratch_take(padded * sizeof *t->cut);
    t->cut_tile = scratch_take(MACRO_EDGE * padded * sizeof *t->cut_tile);
    if (!t->strip || !t->variant || !t->permutation || !t->threshold || !t->ngeneral || !t->mean ||
        !t->cells.run || !t->cells.level || !t->cut || !t->cut_tile)
        return H5BRAGG_NO_MEMORY;
    if (fill == H5BRAGG_FILL_NOISE)
        return set_cells(t) || (t->kernels->draws_picks && picked_reader_draw(&frame->picked))
                   ? H5BRAGG_NO_MEMORY
                   : H5BRAGG_OK;
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
    scratch_give(t->cut_tile);
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
    uint32_t *variant;
    uint8_t *permutation;
    cut_tile *cut_tile;
    uint32_t nrows;             /* of pixels */
    uint8_t *pixels[TILE_EDGE]; /* in the strip */
} tile_row;

static tile_row row_at(const tile_fill *t, uint32_t row)
{
    const sparse_frame *f = t->frame;
    const ring_map *map = f->model.noise.map;
    const size_t at = (size_t)row * map->ntx;
    const size_t padded_at = row * (t->stride / TILE_EDGE);
    tile_row r = {.number = MACRO_EDGE * f->macro_row + row};
    r.first = (size_t)r.number * map->ntx;
    r.cell = map->cell + r.first;
    r.open = f->open + at;
    r.hash = f->hash + at;
    r.sum = f->sum + at;
    r.variant = t->variant + padded_at;
    r.permutation = t->permutation + padded_at;
    r.cut_tile = t->cut_tile + padded_at;
    const uint32_t nleft = map->ny - TILE_EDGE * r.number;
    r.nrows = nleft < TILE_EDGE ? nleft : TILE_EDGE;
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        r.pixels[k] = t->strip + (row * TILE_EDGE + k) * t->stride;
    return r;
}

/*
 * With local counts: finds the patterns of tiles of which only some pixels are drawn, and asks for
 * them, as they are far apart.  There is much to do before they are drawn.
 */
static int find_cut_tiles(const tile_fill *t, const tile_row *r, uint32_t ncut)
{
    for (uint32_t k = 0; k < ncut; k++) {
        const uint32_t column = t->cut[k];
        const uint32_t hash = r->hash[column];
        const uint32_t open = r->open[column];
        const uint8_t *rows = pattern_row(t->cells.book, count_bits(open),
                                          t->threshold[r->cell[column]], (uint32_t)r->sum[column]);
        if (!rows)
            return 0;
        r->cut_tile[k] = (cut_tile){rows + choice_variant(hash), column, hash, open};
        __builtin_prefetch(r->cut_tile[k].pattern);
    }
    return 1;
}

enum { CUT_AT_ONCE = 16 };

/* Where a tile lies in the frame as a whole its other pixels become something. */
BRAGG_INLINE void draw_cut_tiles(const h5bragg_pixel_type type, const tile_fill *t,
                                 const tile_row *r, uint32_t ncut, void *pixels)
{
    const ring_map *map = t->frame->model.noise.map;
    for (uint32_t first = 0; first < ncut; first += CUT_AT_ONCE) {
        const cut_tile *tile = r->cut_tile + first;
        const uint32_t n = ncut - first < CUT_AT_ONCE ? ncut - first : CUT_AT_ONCE;
        uint8_t drawn[CUT_AT_ONCE][TILE_NPIXELS];
        t->kernels->spread_cut(tile, n, drawn);
        for (uint32_t k = 0; k < n; k++) {
            const size_t at = tile_pixel(map, r->number, tile[k].column, 0);
            if (r->nrows == TILE_EDGE && TILE_EDGE * (tile[k].column + 1) <= map->nx) {
                tile_bytes_put(type, drawn[k], at, map->nx, pixels);
                continue;
            }
            for (uint32_t left = tile[k].open; left; left &= left - 1) {
                const uint32_t p = lowest_bit(left);
                pixel_set(pixels, type, tile_pixel(map, r->number, tile[k].column, p), drawn[k][p]);
            }
        }
    }
}

static h5bragg_status choose_patterns(tile_fill *t, const tile_row *r, uint32_t row)
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
                         .variant = r->variant,
                         .permutation = r->permutation,
                         .cut = t->cut};
    choose_function *choose = f->model.layout.has_local ? t->choice->by_sum : t->choice->by_level;
    if (!choose(&t->cells, &choice))
        return H5BRAGG_NO_MEMORY;
    t->has_general[row] = choice.has_general;
    t->ncut[row] = choice.ncut;
    return find_cut_tiles(t, r, choice.ncut) ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
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

/* Whether a row of tiles goes into the frame without a strip, but for coarse blocks. */
static int is_drawn_at_once(const tile_fill *t, const tile_row *r)
{
    return t->kernels->draw_pixels && r->nrows == TILE_EDGE && t->nruns > 0 &&
           h5bragg_pixel_nbytes(t->frame->model.noise.type) > 1;
}

h5bragg_status tile_fill_start(tile_fill *t)
{
    const sparse_frame *f = t->frame;
    if (t->fill == H5BRAGG_FILL_MEAN)
        return H5BRAGG_OK;
    coarse_fill_find_runs(t);
    for (uint32_t row = 0; row < f->nrows; row++) {
        const tile_row r = row_at(t, row);
        const h5bragg_status status = choose_patterns(t, &r, row);
        if (status)
            return status;
        if (!is_drawn_at_once(t, &r))
            t->kernels->draw(t->patterns.full, r.variant, r.permutation, t->patterns.table,
                             t->stride / TILE_EDGE, r.pixels);
    }
    coarse_fill(t);
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

/* Draws runs of blocks into the frame; coarse ones, without picks, come from the strip. */
static void draw_runs(const tile_fill *t, const tile_row *r, size_t pixel_nbytes,
                      void *const rows[TILE_EDGE])
{
    const sum_grid *grid = &t->frame->grid;
    const uint32_t nx = t->frame->model.noise.map->nx;
    const draw_picks picks = picked_reader_picks(&t->frame->picked, r->number % MACRO_EDGE);
    uint32_t first = 0;
    for (uint32_t run = 0; run < t->nruns; first = t->run_stop[run++]) {
        const uint32_t tile = MACRO_EDGE * first;
        const uint32_t x = TILE_EDGE * tile;
        const uint32_t stop = MACRO_EDGE * TILE_EDGE * t->run_stop[run];
        const uint32_t n = (stop < nx ? stop : nx) - x;
        const int is_coarse = grid->ncoarse > 0 && grid->is_coarse[first];
        void *to[TILE_EDGE];
        for (uint32_t k = 0; k < TILE_EDGE; k++) {
            to[k] = (uint8_t *)rows[k] + pixel_nbytes * x;
            if (is_coarse)
                t->kernels->widen(r->pixels[k] + x, n, pixel_nbytes, to[k]);
        }
        if (!is_coarse)
            t->kernels->draw_pixels(&t->patterns, r->variant + tile, r->permutation + tile, &picks,
                                    n, pixel_nbytes, to);
    }
}

/* Puts patterns, with picks, and coarse blocks into the frame; without noise, zeros. */
static void draw_row(const tile_fill *t, const tile_row *r, void *pixels)
{
    const noise_frame *f = &t->frame->model.noise;
    const size_t pixel_nbytes = h5bragg_pixel_nbytes(f->type);
    const size_t row_nbytes = f->map->nx * pixel_nbytes;
    void *rows[TILE_EDGE];
    for (uint32_t k = 0; k < r->nrows; k++)
        rows[k] = (uint8_t *)pixels + (TILE_EDGE * (size_t)r->number + k) * row_nbytes;
    if (t->fill == H5BRAGG_FILL_NOISE && is_drawn_at_once(t, r)) {
        draw_runs(t, r, pixel_nbytes, rows);
        return;
    }
    for (uint32_t k = 0; k < r->nrows; k++)
        t->kernels->widen(r->pixels[k], f->map->nx, pixel_nbytes, rows[k]);
}

h5bragg_status tile_fill_row(tile_fill *t, uint32_t row, void *pixels)
{
    const tile_row r = row_at(t, row);
    draw_row(t, &r, pixels);
    if (t->fill == H5BRAGG_FILL_MEAN) {
        fill_means(t, &r, pixels);
        return H5BRAGG_OK;
    }
    if (t->ncut[row])
        DISPATCH_PIXEL_TYPE(t->frame->model.noise.type, draw_cut_tiles, t, &r, t->ncut[row], pixels)
    if (t->has_general[row])
        draw_general(t, &r, pixels);
    return H5BRAGG_OK;
}
