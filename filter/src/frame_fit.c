/* SPDX-License-Identifier: MIT */
/*
 * Fits what is restored to what is discarded (docs/statistics.md).
 *
 * Rings of counts are pattern rings: patterns have the variance of Poisson counts under the
 * threshold, given the sum of their tile.  With local counts that is all, as the sums are stored.
 * Without, the level of a ring is chosen so that its mean comes back, and the spread so that what
 * varies along the ring does.  One dispersion for the frame takes care of counts that are not quite
 * Poisson's; rings far from it, and whatever is no count, are general.
 */
#include "frame_fit.h"

#include <math.h>
#include <stdlib.h>

#include "general_fit.h"
#include "level_fit.h"

/* A ring is general if its dispersion is that far from the frame's, and beyond chance. */
static const double MAX_DEVIATION = 0.03;

BRAGG_INLINE void copy_pixels(const h5bragg_pixel_type type, const frame_source *s, uint32_t row,
                              uint32_t column, uint16_t valid, int64_t value[TILE_NPIXELS])
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        value[p] = 0;
        if (valid >> p & 1)
            value[p] = pixel_get(s->frame.pixels, type, tile_pixel(s->map, row, column, p));
    }
}

void frame_source_tile(const frame_source *s, size_t tile, int64_t value[TILE_NPIXELS])
{
    const uint32_t row = (uint32_t)(tile / s->map->ntx);
    const uint32_t column = (uint32_t)(tile % s->map->ntx);
    if (!s->plane.has_large[tile]) { /* the bytes say all, and are at hand */
        const uint8_t *byte = s->plane.value + TILE_EDGE * (row * s->plane.stride + column);
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            value[p] = byte[p / TILE_EDGE * s->plane.stride + p % TILE_EDGE];
        return;
    }
    DISPATCH_PIXEL_TYPE(s->frame.type, copy_pixels, s, row, column, s->plane.valid[tile], value)
}

/* Far less varied than counts are, as a constant is: patterns cannot do that. */
static int is_too_even(const frame_model *model, const ring_profile *ring)
{
    return model->layout.is_azimuthal && ring->std * ring->std < 0.5 * ring->mean;
}

h5bragg_status frame_fit_kinds(frame_model *model)
{
    const ring_map *map = model->noise.map;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        ring_profile *p = &model->profile[ring];
        p->is_general =
            !model->noise.is_counting || p->level > PROFILE_MAX_LEVEL || is_too_even(model, p);
        for (uint32_t c = map->first_cell[ring]; c < map->first_cell[ring + 1]; c++)
            p->is_general |= !noise_fits_pattern(&model->noise, p, c);
    }
    return frame_model_set_ranges(model);
}

/* Sums over tiles of a ring or of the frame: what varies within them, found and expected. */
typedef struct within_tiles {
    double found;
    double expected;
    double added; /* by the quantisation of sums */
    double ntiles;
} within_tiles;

/* Variance that a step adds to a sum: that of the integers it lumps together. */
static double step_variance(const frame_model *m, uint16_t cell)
{
    if (!m->layout.has_local)
        return 0;
    const double e = m->profile[m->noise.map->ring[cell]].mean * m->noise.map->normalisation[cell] *
                     TILE_NPIXELS;
    double step = floor(m->noise.params->local_step * sqrt(e));
    step = step > e / 2 ? floor(e / 2) : step;
    return step > 1 ? (step * step - 1) / 12 : 0;
}

/* What the tiles of a cell of a pattern ring have in common. */
typedef struct within_cell {
    const _Atomic(double) *squares; /* as pattern_squares, by sum; NULL until asked for */
    double added;
    int is_pattern;
} within_cell;

static within_cell *make_within_cells(const frame_model *m)
{
    const uint32_t ncells = m->noise.map->ncells;
    within_cell *cell = malloc((ncells + 1u) * sizeof *cell);
    for (uint32_t c = 0; cell && c < ncells; c++)
        cell[c] = (within_cell){NULL, 0, m->range[c].is_pattern};
    return cell;
}

/* The expected sum of squares of a whole tile; negative if there is no memory. */
BRAGG_INLINE double squares_of(const frame_model *m, uint16_t cell, within_cell *known,
                               uint32_t sum)
{
    const uint32_t high = (uint32_t)m->range[cell].high;
    if (!known->squares) {
        const pattern_weights *weights = pattern_weights_get(high);
        if (!weights)
            return -1.0;
        known->squares = weights->squares[TILE_NPIXELS - 1];
        known->added = step_variance(m, cell) / TILE_NPIXELS;
    }
    const double squares = atomic_load_explicit(&known->squares[sum], memory_order_relaxed);
    return squares > 0 ? squares : pattern_squares(TILE_NPIXELS, high, sum, NULL);
}

/* Adds the whole tiles of pattern rings that have no pixel above the threshold. */
static h5bragg_status measure_within(const frame_source *s, const frame_model *m,
                                     within_cell *cells, within_tiles *ring)
{
    const counts_plane plane = s->plane;
    const ring_map map = *s->map;
    const uint8_t *calm = s->calm;
    const size_t ntiles = ring_map_ntiles(&map);
    memset(ring, 0, m->layout.nbins * sizeof *ring);
    for (size_t tile = 0; tile < ntiles; tile++) {
        const uint16_t cell = map.cell[tile];
        if (!calm[tile] || plane.valid[tile] != 0xFFFF || !cells[cell].is_pattern)
            continue;
        const double squares = squares_of(m, cell, &cells[cell], plane.sum[tile]);
        if (squares < 0)
            return H5BRAGG_NO_MEMORY;
        const double sum = plane.sum[tile];
        const double even = sum * sum * (1.0 / TILE_NPIXELS); /* squares without any variance */
        within_tiles *w = &ring[map.ring[cell]];
        w->found += plane.squares[tile] - even;
        w->expected += squares - even;
        w->added += cells[cell].added;
        w->ntiles += 1;
    }
    return H5BRAGG_OK;
}

static double dispersion_of(const within_tiles *w)
{
    return w->expected > 0 ? (w->found - w->added) / w->expected - 1.0 : 0;
}

static within_tiles sum_pattern_rings(const frame_model *m, const within_tiles *ring)
{
    within_tiles all = {0};
    for (uint32_t k = 0; k < m->layout.nbins; k++) {
        if (m->profile[k].is_general)
            continue;
        all.found += ring[k].found;
        all.expected += ring[k].expected;
        all.added += ring[k].added;
        all.ntiles += ring[k].ntiles;
    }
    return all;
}

/* Median of the rings' dispersions, weighted by their tiles: odd rings do not move it. */
static double typical_dispersion(const frame_model *m, const within_tiles *ring)
{
    double low = -1.0;
    double high = 4.0;
    for (int k = 0; k < 40; k++) {
        const double middle = 0.5 * (low + high);
        double above = 0;
        double below = 0;
        for (uint32_t i = 0; i < m->layout.nbins; i++) {
            if (m->profile[i].is_general || !(ring[i].expected > 0))
                continue;
            *(dispersion_of(&ring[i]) > middle ? &above : &below) += ring[i].ntiles;
        }
        *(above > below ? &low : &high) = middle;
    }
    return low > -1.0 ? low : 0;
}

/* Sets the dispersion; returns whether rings have become general. */
static int fit_dispersion(frame_model *m, const within_tiles *ring)
{
    const double most = PATTERN_MAX_DISPERSION / DISPERSION_UNITS;
    double typical = typical_dispersion(m, ring);
    typical = typical > most ? most : typical < -most ? -most : typical;
    int has_changed = 0;
    for (uint32_t k = 0; k < m->layout.nbins; k++) {
        if (m->profile[k].is_general || !(ring[k].expected > 0))
            continue;
        /* Counts that are rare vary more than normal ones: each tile is worth its own counts. */
        const double error = sqrt(2.0 / (15.0 * ring[k].ntiles) + 1.0 / ring[k].expected);
        const double deviation = fabs(dispersion_of(&ring[k]) - typical);
        if (deviation > MAX_DEVIATION && deviation > CHANCE_SIGMA * error)
            m->profile[k].is_general = has_changed = 1;
    }
    const within_tiles all = sum_pattern_rings(m, ring);
    double units = floor(DISPERSION_UNITS * dispersion_of(&all) + 0.5);
    units = units > PATTERN_MAX_DISPERSION ? PATTERN_MAX_DISPERSION : units;
    units = units < -PATTERN_MAX_DISPERSION ? -PATTERN_MAX_DISPERSION : units;
    m->dispersion = (int)units;
    return has_changed;
}

h5bragg_status frame_fit(const frame_source *s, frame_model *m, int *has_new_ranges)
{
    const ring_map *map = s->map;
    within_tiles *within = malloc(map->nbins * sizeof *within);
    within_cell *cells = make_within_cells(m);
    discarded_sums discarded = {0};
    h5bragg_status status = within && cells ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status)
        status = measure_within(s, m, cells, within);
    *has_new_ranges = !status && fit_dispersion(m, within);
    if (*has_new_ranges)
        status = frame_model_set_ranges(m);
    if (!status)
        status = discarded_sums_make(s, m, &discarded);
    if (!status && !m->layout.has_local)
        status = level_fit_rings(s, m, discarded.cell);
    if (!status)
        status = general_fit(s, m, &discarded);
    discarded_sums_free(&discarded);
    free(cells);
    free(within);
    return status;
}
