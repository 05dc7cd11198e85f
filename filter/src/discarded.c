/* SPDX-License-Identifier: MIT */
/*
 * Sums over discarded pixels (docs/statistics.md, "Tilt").
 *
 * Without local counts the histograms have them, as hardly a tile is kept.  With local counts they
 * matter in general rings alone, where the variance that counts is that within tiles: what varies
 * between them comes back with the sums.
 */
#include "discarded.h"
#include "scratch.h"

#include <math.h>

/* With fewer degrees of freedom a variance tells nothing. */
static const double LEAST_FREEDOM = 8.0;

/* Sums over the tiles of general rings. */
typedef struct general_sums {
    const frame_source *source;
    const frame_model *model;
    value_sums *cell;
    double *squares; /* per ring: deviations from the mean of the tile */
    double *freedom;
} general_sums;

/* Sums over the discarded pixels of a tile; `within` is of the deviations from their mean. */
typedef struct drawn_moments {
    value_sums all;
    double within;
} drawn_moments;

/* Values of whose squares 16 can be added up, and multiplied by 16, in 63 bits. */
static int are_small(const cell_range *r)
{
    const int64_t most = (int64_t)1 << 27;
    return r->low > -most && r->high < most;
}

static drawn_moments sum_small(const int64_t value[TILE_NPIXELS], uint32_t valid,
                               const cell_range *r)
{
    int64_t n = 0;
    int64_t sum = 0;
    int64_t squares = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const int64_t is_in = (valid >> p & 1) & (value[p] >= r->low) & (value[p] <= r->high);
        const int64_t x = value[p] & -is_in;
        n += is_in;
        sum += x;
        squares += x * x;
    }
    const double within = n ? (double)(n * squares - sum * sum) / (double)n : 0;
    return (drawn_moments){{(double)n, (double)sum, (double)squares}, within};
}

static drawn_moments sum_any(const int64_t value[TILE_NPIXELS], uint32_t valid, const cell_range *r)
{
    drawn_moments s = {{0, 0, 0}, 0};
    uint32_t in = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(valid >> p & 1) || value[p] < r->low || value[p] > r->high)
            continue;
        const double x = (double)value[p];
        in |= 1u << p;
        s.all.n += 1;
        s.all.sum += x;
        s.all.sum_squares += x * x;
    }
    const double mean = s.all.n > 0 ? s.all.sum / s.all.n : 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const double deviation = (double)value[p] - mean;
        s.within += in >> p & 1 ? deviation * deviation : 0;
    }
    return s;
}

static void add_tile(const general_sums *g, size_t tile)
{
    const frame_source *s = g->source;
    const uint16_t cell = s->map->cell[tile];
    const uint16_t valid = s->plane.valid[tile];
    const cell_range *r = &g->model->range[cell];
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    const drawn_moments sums = are_small(r) ? sum_small(value, valid, r) : sum_any(value, valid, r);
    g->cell[cell].n += sums.all.n;
    g->cell[cell].sum += sums.all.sum;
    g->cell[cell].sum_squares += sums.all.sum_squares;
    if (sums.all.n < 2)
        return;
    g->squares[s->map->ring[cell]] += sums.within;
    g->freedom[s->map->ring[cell]] += sums.all.n - 1.0;
}

/*
 * Steps s of the sums of n pixels add (s^2 - 1) / 12 to the variance of a sum, 1 / n^2 of it to
 * that of a pixel.  The noise gets so much less that the frame's variance is kept.
 */
static double without_quantisation(double variance, double local_step)
{
    const double step = floor(local_step * sqrt(TILE_NPIXELS * variance));
    const double n = TILE_NPIXELS;
    const double added = step > 1.0 ? (step * step - 1.0) / (12.0 * n * n) : 0;
    return variance > added ? variance - added : variance;
}

/* Asks for the bytes of a tile, which have left the caches. */
static void ask_for_bytes(const frame_source *s, size_t tile)
{
    const size_t row = tile / s->map->ntx;
    const size_t column = tile % s->map->ntx;
    for (size_t i = 0; i < TILE_EDGE && !s->listed; i++)
        ask_for(s->plane.value + (TILE_EDGE * row + i) * s->plane.stride + TILE_EDGE * column);
}

static void sum_general(general_sums *g, const discarded_sums *d)
{
    enum { ASKED_AHEAD = 16 };
    for (size_t k = 0; k < d->ntiles; k++) {
        if (d->ntiles - k > ASKED_AHEAD)
            ask_for_bytes(g->source, d->tiles[k + ASKED_AHEAD]);
        add_tile(g, d->tiles[k]);
    }
    for (uint32_t ring = 0; ring < g->source->map->nbins && d->variance; ring++) {
        d->variance[ring] = -1.0;
        if (g->freedom[ring] > LEAST_FREEDOM)
            d->variance[ring] = without_quantisation(g->squares[ring] / g->freedom[ring],
                                                     g->model->noise.params->local_step);
    }
}

/* Macro blocks of a row that may have cells of general rings; returns their number. */
static uint32_t list_blocks(const ring_map *map, uint32_t macro_row, const uint32_t *ngeneral,
                            uint32_t *block)
{
    const uint32_t nblocks = ring_map_nblocks(map);
    const cell_span *span = map->span + (size_t)macro_row * nblocks;
    uint32_t n = 0;
    for (uint32_t k = 0; k < nblocks; k++) {
        block[n] = k;
        n += (uint32_t)cell_span_has(span[k], ngeneral);
    }
    return n;
}

/* Adds the drawn tiles of general rings in some macro blocks of a row of tiles: every tile is
 * written, and stays if it is one.  Returns where the list ends. */
static uint32_t *list_row(const frame_source *s, uint32_t row, const uint32_t *ngeneral,
                          const uint32_t *block, uint32_t nblocks, uint32_t *end)
{
    const ring_map *map = s->map;
    const uint32_t first = row * map->ntx;
    for (uint32_t k = 0; k < nblocks; k++) {
        const uint32_t stop = first + ring_map_block_stop(map, block[k]);
        for (uint32_t tile = first + MACRO_EDGE * block[k]; tile < stop; tile++) {
            const uint32_t cell = map->cell[tile] == BRAGG_NO_CELL ? map->ncells : map->cell[tile];
            *end = tile;
            end += (ngeneral[cell + 1] != ngeneral[cell]) & (s->kept[tile] == 0);
        }
    }
    return end;
}

/* Lists the drawn tiles of general rings. */
static h5bragg_status list_general(const frame_source *s, const frame_model *m, discarded_sums *d)
{
    const ring_map *map = s->map;
    uint32_t *ngeneral = scratch_take((map->ncells + (size_t)2) * sizeof *ngeneral); /* before */
    uint32_t *block = scratch_take(ring_map_nblocks(map) * sizeof *block);
    d->tiles = scratch_take((ring_map_ntiles(map) + 1) * sizeof *d->tiles);
    if (!ngeneral || !block || !d->tiles) {
        scratch_give(ngeneral);
        scratch_give(block);
        return H5BRAGG_NO_MEMORY;
    }
    frame_model_count_general(m, ngeneral);
    ngeneral[map->ncells + 1] = ngeneral[map->ncells]; /* blank tiles are none */
    uint32_t nblocks = 0;
    uint32_t *end = d->tiles;
    for (uint32_t row = 0; row < map->nty; row++) {
        if (row % MACRO_EDGE == 0)
            nblocks = list_blocks(map, row / MACRO_EDGE, ngeneral, block);
        end = list_row(s, row, ngeneral, block, nblocks, end);
    }
    d->ntiles = (size_t)(end - d->tiles);
    scratch_give(ngeneral);
    scratch_give(block);
    return H5BRAGG_OK;
}

static int has_general(const frame_model *m)
{
    for (uint32_t ring = 0; ring < m->layout.nbins; ring++) {
        if (m->profile[ring].is_general)
            return 1;
    }
    return 0;
}

h5bragg_status discarded_sums_make(const frame_source *s, const frame_model *m, discarded_sums *d)
{
    const ring_map *map = s->map;
    general_sums g = {.source = s, .model = m};
    memset(d, 0, sizeof *d);
    d->cell = scratch_take_zeros(map->ncells + 1u, sizeof *d->cell);
    if (m->layout.has_local)
        d->variance = scratch_take_zeros(map->nbins, sizeof *d->variance);
    g.squares = scratch_take_zeros(map->nbins, sizeof *g.squares);
    g.freedom = scratch_take_zeros(map->nbins, sizeof *g.freedom);
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    if (d->cell && g.squares && g.freedom && (d->variance || !m->layout.has_local)) {
        g.cell = d->cell;
        for (uint32_t c = 0; c < map->ncells && !m->layout.has_local; c++) {
            if (m->range[c].is_pattern)
                histogram_sums(&s->counts, c, 0, m->range[c].high, &d->cell[c]);
        }
        status = has_general(m) ? list_general(s, m, d) : H5BRAGG_OK;
        if (!status && has_general(m))
            sum_general(&g, d);
    }
    scratch_give(g.squares);
    scratch_give(g.freedom);
    return status;
}

void discarded_sums_free(discarded_sums *d)
{
    scratch_give(d->cell);
    scratch_give(d->variance);
    scratch_give(d->tiles);
    memset(d, 0, sizeof *d);
}
