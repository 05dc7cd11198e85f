/* SPDX-License-Identifier: MIT */
/*
 * Draws tiles: docs/format.md, "Pattern noise".
 *
 * A row of tiles is drawn into a strip of bytes, four rows of pixels that stay in the fastest
 * cache: for each tile a pattern and a permutation are chosen, the kernel puts them in place, and
 * the rows are widened into the frame.  What has no pattern of 16 pixels is drawn afterwards.
 */
#include "tile_fill.h"

#include "noise_hash.h"

#include <math.h>
#include <stdlib.h>

enum { NOT_PATTERN = 0xFF, VARIANT_SHIFT = 17, PERMUTATION_SHIFT = 24, LEVEL_UNITS = 256 };
static const uint8_t EMPTY_PATTERN[PATTERN_NBYTES] = {0};

/* The levels x / 256 of a cell: on average over the 256 places between two of them, x. */
static int set_levels(const tile_fill *t, uint32_t c, const ring_profile *ring)
{
    const int32_t level = (int32_t)noise_level(&t->frame->model.noise, ring, c);
    cell_levels *levels = &t->levels[c];
    for (int is_odd = 0; is_odd < 2; is_odd++) {
        int32_t x = level + (is_odd ? ring->spread : -ring->spread);
        x = x < 0 ? 0 : x > PROFILE_MAX_SPREAD ? PROFILE_MAX_SPREAD : x;
        const uint32_t first = (uint32_t)x / LEVEL_UNITS;
        const uint32_t second = x % LEVEL_UNITS ? first + 1 : first;
        levels->part[is_odd] = (uint8_t)(x % LEVEL_UNITS);
        levels->table[is_odd][0] = level_get(t->threshold[c], first);
        levels->table[is_odd][1] = level_get(t->threshold[c], second);
        if (!levels->table[is_odd][0] || !levels->table[is_odd][1])
            return 0;
    }
    return 1;
}

static h5bragg_status set_cells(tile_fill *t)
{
    const frame_model *m = &t->frame->model;
    const ring_map *map = m->noise.map;
    const int has_levels = !m->layout.has_local && t->fill == H5BRAGG_FILL_NOISE;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &m->profile[map->ring[c]];
        t->threshold[c] = NOT_PATTERN;
        t->rows[c] = NULL;
        if (ring->is_general) {
            t->mean[c] = noise_mean(m->tables, c);
            continue;
        }
        const double mean = floor(profile_level_mean(ring) * map->normalisation[c] + 0.5);
        t->threshold[c] = (uint8_t)m->range[c].high;
        t->rows[c] = m->book->rows[TILE_NPIXELS - 1][t->threshold[c]];
        t->mean[c] = mean < (double)m->range[c].high ? (int64_t)mean : m->range[c].high;
        if (has_levels && !set_levels(t, c, ring))
            return H5BRAGG_NO_MEMORY;
    }
    return H5BRAGG_OK;
}

h5bragg_status tile_fill_make(sparse_frame *frame, h5bragg_fill fill, tile_fill *t)
{
    const ring_map *map = frame->model.noise.map;
    const size_t padded = ((size_t)map->ntx + DRAW_NTILES - 1) / DRAW_NTILES * DRAW_NTILES;
    const size_t ncells = map->ncells + 1u;
    memset(t, 0, sizeof *t);
    t->frame = frame;
    t->kernels = draw_kernels_get(bragg_cpu_level());
    t->fill = fill;
    t->stride = padded * TILE_EDGE;
    t->strip = calloc(t->stride, TILE_NPIXELS);
    t->variant = malloc(padded * sizeof *t->variant);
    t->permutation = calloc(padded, 1);
    t->threshold = malloc(ncells);
    t->mean = malloc(ncells * sizeof *t->mean);
    t->rows = malloc(ncells * sizeof *t->rows);
    t->levels = malloc(ncells * sizeof *t->levels);
    t->more = malloc(padded * sizeof *t->more);
    t->cut = malloc(padded * sizeof *t->cut);
    if (!t->strip || !t->variant || !t->permutation || !t->threshold || !t->mean || !t->rows ||
        !t->levels || !t->more || !t->cut)
        return H5BRAGG_NO_MEMORY;
    for (size_t k = 0; k < padded; k++)
        t->variant[k] = EMPTY_PATTERN;
    return set_cells(t);
}

void tile_fill_free(tile_fill *t)
{
    free(t->strip);
    free(t->variant);
    free(t->permutation);
    free(t->threshold);
    free(t->mean);
    free(t->rows);
    free(t->levels);
    free(t->more);
    free(t->cut);
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

/* The variant of a tile with a sum; NULL if there is no memory for its row. */
BRAGG_INLINE const uint8_t *variant_of(const tile_fill *t, pattern_rows *rows, uint32_t f,
                                       uint8_t threshold, uint32_t sum, uint32_t hash)
{
    const uint8_t *row = atomic_load_explicit(&rows[sum], memory_order_acquire);
    if (!row)
        row = pattern_row_make(t->frame->model.book, f, threshold, sum);
    return row ? row + PATTERN_NBYTES * (hash >> VARIANT_SHIFT & (PATTERN_NVARIANTS - 1)) : NULL;
}

/* Gives a whole tile its variant; returns 0 if there is no memory. */
BRAGG_INLINE int choose(tile_fill *t, const tile_row *r, uint32_t k, uint32_t sum)
{
    const uint16_t cell = r->cell[k];
    const uint32_t hash = r->hash[k];
    const uint8_t *variant =
        variant_of(t, t->rows[cell], TILE_NPIXELS, t->threshold[cell], sum, hash);
    t->variant[k] = variant ? variant : EMPTY_PATTERN;
    t->permutation[k] = (uint8_t)(hash >> PERMUTATION_SHIFT);
    return variant != NULL;
}

/*
 * With local counts: whole tiles of pattern rings get the variant of their restored sum; those of
 * which only some pixels are drawn are listed.
 */
static int choose_by_sum(tile_fill *t, const tile_row *r)
{
    const sum_grid *grid = &t->frame->grid;
    const uint32_t ntx = t->frame->model.noise.map->ntx;
    int has_all = 1;
    t->ncut = 0;
    for (uint32_t k = 0; k < ntx; k++) {
        const uint16_t open = r->open[k];
        t->variant[k] = EMPTY_PATTERN;
        if (open == 0 || !t->rows[r->cell[k]] || grid->is_coarse[k / MACRO_EDGE])
            continue;
        if (open == 0xFFFF)
            has_all &= choose(t, r, k, (uint32_t)r->sum[k]);
        else
            t->cut[t->ncut++] = k;
    }
    return has_all;
}

/* Without: the sum is drawn from the level of the cell. */
static int choose_by_level(tile_fill *t, const tile_row *r)
{
    const uint32_t ntx = t->frame->model.noise.map->ntx;
    int has_all = 1;
    t->kernels->hash(~t->frame->header->seed, (uint32_t)r->first, ntx, t->more);
    for (uint32_t k = 0; k < ntx; k++) {
        t->variant[k] = EMPTY_PATTERN;
        if (r->open[k] == 0 || !t->rows[r->cell[k]])
            continue;
        const cell_levels *levels = &t->levels[r->cell[k]];
        const uint32_t is_odd = (r->number + k) & 1;
        const uint32_t is_second = (levels->part[is_odd] + t->more[k] % LEVEL_UNITS) / LEVEL_UNITS;
        const level_table *table = levels->table[is_odd][is_second];
        has_all &= choose(t, r, k, level_draw(table, r->hash[k] & 0xFFFF));
    }
    return has_all;
}

/* With local counts: the listed tiles. */
static int draw_cut_tiles(const tile_fill *t, const tile_row *r)
{
    for (uint32_t k = 0; k < t->ncut; k++) {
        const uint32_t column = t->cut[k];
        const uint16_t open = r->open[column];
        const uint32_t f = count_bits(open);
        const uint8_t threshold = t->threshold[r->cell[column]];
        const uint8_t *variant = variant_of(t, t->frame->model.book->rows[f - 1][threshold], f,
                                            threshold, (uint32_t)r->sum[column], r->hash[column]);
        if (!variant)
            return 0;
        uint32_t from = (r->hash[column] >> PERMUTATION_SHIFT) * f >> 8;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            if (!(open >> p & 1))
                continue;
            r->pixels[p / TILE_EDGE][column * TILE_EDGE + p % TILE_EDGE] = variant[from];
            from = from + 1 < f ? from + 1 : 0;
        }
    }
    return 1;
}

/* Where the open pixels of a coarse block are in the strip, and what they may hold. */
typedef struct coarse_pixels {
    uint8_t *pixel[TILE_NPIXELS * MACRO_EDGE * MACRO_EDGE];
    uint8_t most[TILE_NPIXELS * MACRO_EDGE * MACRO_EDGE];
    uint32_t n;
} coarse_pixels;

static void list_pixels(const tile_fill *t, uint32_t block, coarse_pixels *list)
{
    const uint32_t ntx = t->frame->model.noise.map->ntx;
    const uint32_t stop = MACRO_EDGE * (block + 1) < ntx ? MACRO_EDGE * (block + 1) : ntx;
    list->n = 0;
    for (uint32_t row = 0; row < t->frame->nrows; row++) {
        const tile_row r = row_at(t, row);
        for (uint32_t column = MACRO_EDGE * block; column < stop; column++) {
            for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
                if (!(r.open[column] >> p & 1))
                    continue;
                list->pixel[list->n] = &r.pixels[p / TILE_EDGE][column * TILE_EDGE + p % TILE_EDGE];
                list->most[list->n++] = t->threshold[r.cell[column]];
            }
        }
    }
}

/* Throws the counts of a coarse block one by one; there is room for them. */
static void scatter(const tile_fill *t, uint32_t block)
{
    const sparse_frame *f = t->frame;
    coarse_pixels list;
    uint32_t state = f->hash[MACRO_EDGE * block] | 1;
    list_pixels(t, block, &list);
    for (uint32_t k = 0; k < list.n; k++)
        *list.pixel[k] = 0;
    for (int64_t s = list.n ? f->grid.coarse_sum[block] : 0; s > 0; s--) {
        uint32_t k = (uint32_t)((uint64_t)next_bits(&state) * list.n >> 32);
        while (*list.pixel[k] == list.most[k])
            k = k + 1 < list.n ? k + 1 : 0;
        ++*list.pixel[k];
    }
}

h5bragg_status tile_fill_start(tile_fill *t)
{
    const sparse_frame *f = t->frame;
    if (t->fill == H5BRAGG_FILL_MEAN)
        return H5BRAGG_OK;
    for (uint32_t row = 0; row < f->nrows; row++) {
        const tile_row r = row_at(t, row);
        const int has_all =
            f->model.layout.has_local ? choose_by_sum(t, &r) : choose_by_level(t, &r);
        if (!has_all)
            return H5BRAGG_NO_MEMORY;
        t->kernels->draw(t->variant, t->permutation, t->stride / TILE_EDGE, r.pixels);
        if (f->model.layout.has_local && !draw_cut_tiles(t, &r))
            return H5BRAGG_NO_MEMORY;
    }
    if (!f->model.layout.has_local || !f->grid.may_be_coarse)
        return H5BRAGG_OK;
    for (uint32_t block = 0; block < f->grid.nblocks; block++) {
        if (f->grid.is_coarse[block])
            scatter(t, block);
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

/* The tiles of general rings. */
static void draw_general(const tile_fill *t, const tile_row *r, void *pixels)
{
    const frame_model *m = &t->frame->model;
    const ring_map *map = m->noise.map;
    for (uint32_t column = 0; column < map->ntx; column++) {
        if (r->open[column] == 0 || t->threshold[r->cell[column]] != NOT_PATTERN)
            continue;
        noise_tile tile = {.number = (uint32_t)(r->first + column),
                           .hash = r->hash[column],
                           .cell = r->cell[column],
                           .valid = r->open[column],
                           .has_sum = m->layout.has_local,
                           .sum = r->sum[column]};
        noise_draw_tile(m->tables, t->frame->header->seed, &tile);
        DISPATCH_PIXEL_TYPE(m->noise.type, put_tile, map, r->number, column, tile.valid, tile.value,
                            pixels)
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

void tile_fill_row(tile_fill *t, uint32_t row, void *pixels)
{
    const noise_frame *f = &t->frame->model.noise;
    const tile_row r = row_at(t, row);
    const size_t pixel_nbytes = h5bragg_pixel_nbytes(f->type);
    const size_t row_nbytes = f->map->nx * pixel_nbytes;
    for (uint32_t k = 0; k < TILE_EDGE && TILE_EDGE * r.number + k < f->map->ny; k++) {
        uint8_t *out = (uint8_t *)pixels + (TILE_EDGE * r.number + k) * row_nbytes;
        t->kernels->widen(r.pixels[k], f->map->nx, pixel_nbytes, out);
    }
    if (t->fill == H5BRAGG_FILL_MEAN)
        fill_means(t, &r, pixels);
    else if (t->frame->model.tables)
        draw_general(t, &r, pixels);
}
