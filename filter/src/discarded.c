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

static void add_tile(const general_sums *g, size_t tile)
{
    const frame_source *s = g->source;
    const uint16_t cell = s->map->cell[tile];
    const cell_range *r = &g->model->range[cell];
    int64_t value[TILE_NPIXELS];
    value_sums sums = {0, 0, 0};
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(s->plane.valid[tile] >> p & 1) || value[p] < r->low || value[p] > r->high)
            continue;
        const double x = (double)value[p];
        sums.n += 1;
        sums.sum += x;
        sums.sum_squares += x * x;
    }
    g->cell[cell].n += sums.n;
    g->cell[cell].sum += sums.sum;
    g->cell[cell].sum_squares += sums.sum_squares;
    if (sums.n < 2)
        return;
    const double mean = sums.sum / sums.n;
    double squares = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const int is_in =
            s->plane.valid[tile] >> p & 1 && value[p] >= r->low && value[p] <= r->high;
        squares += is_in ? ((double)value[p] - mean) * ((double)value[p] - mean) : 0;
    }
    g->squares[s->map->ring[cell]] += squares;
    g->freedom[s->map->ring[cell]] += sums.n - 1.0;
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

static void sum_general(general_sums *g, const discarded_sums *d)
{
    for (size_t k = 0; k < d->ntiles; k++)
        add_tile(g, d->tiles[k]);
    for (uint32_t ring = 0; ring < g->source->map->nbins && d->variance; ring++) {
        d->variance[ring] = -1.0;
        if (g->freedom[ring] > LEAST_FREEDOM)
            d->variance[ring] = without_quantisation(g->squares[ring] / g->freedom[ring],
                                                     g->model->noise.params->local_step);
    }
}

/* Lists the drawn tiles of general rings: every tile is written, and stays if it is one. */
static h5bragg_status list_general(const frame_source *s, const frame_model *m, discarded_sums *d)
{
    const uint32_t ncells = s->map->ncells;
    const uint32_t ntiles = (uint32_t)ring_map_ntiles(s->map);
    uint8_t *is_general = scratch_take_zeros(ncells + 1u, 1); /* and of blank tiles */
    d->tiles = scratch_take(ntiles * sizeof *d->tiles);
    if (!is_general || !d->tiles) {
        scratch_give(is_general);
        return H5BRAGG_NO_MEMORY;
    }
    for (uint32_t c = 0; c < ncells; c++)
        is_general[c] = !m->range[c].is_pattern;
    uint32_t *end = d->tiles;
    for (uint32_t tile = 0; tile < ntiles; tile++) {
        const uint32_t cell = s->map->cell[tile];
        *end = tile;
        end += is_general[cell < ncells ? cell : ncells] & (s->kept[tile] == 0);
    }
    d->ntiles = (size_t)(end - d->tiles);
    scratch_give(is_general);
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
                d->cell[c] = histogram_sums(&s->counts, c, 0, m->range[c].high);
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
