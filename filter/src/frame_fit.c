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

#include "general_fit.h"
#include "level_fit.h"
#include "scratch.h"
#include "within_tiles.h"

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

/* Replaces bytes that say so. */
BRAGG_INLINE void look_up_pixels(const h5bragg_pixel_type type, const frame_source *s, uint32_t row,
                                 uint32_t column, int64_t value[TILE_NPIXELS])
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (value[p] == BYTE_LOOKUP)
            value[p] = pixel_get(s->frame.pixels, type, tile_pixel(s->map, row, column, p));
    }
}

void frame_source_tile(const frame_source *s, size_t tile, int64_t value[TILE_NPIXELS])
{
    const uint32_t row = (uint32_t)(tile / s->map->ntx);
    const uint32_t column = (uint32_t)(tile % s->map->ntx);
    if (s->listed) {
        DISPATCH_PIXEL_TYPE(s->frame.type, copy_pixels, s, row, column, s->plane.valid[tile], value)
        return;
    }
    const uint8_t *byte = s->plane.value + TILE_EDGE * (row * s->plane.stride + column);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        value[p] = byte[p / TILE_EDGE * s->plane.stride + p % TILE_EDGE];
    if (s->plane.has_large[tile])
        DISPATCH_PIXEL_TYPE(s->frame.type, look_up_pixels, s, row, column, value)
}

void frame_source_ask(const frame_source *s, size_t tile)
{
#if defined(__GNUC__)
    const uint32_t row = (uint32_t)(tile / s->map->ntx);
    const uint32_t column = (uint32_t)(tile % s->map->ntx);
    const size_t nbytes = h5bragg_pixel_nbytes(s->frame.type);
    const uint8_t *pixels = s->frame.pixels;
    if (!s->listed && !s->plane.has_large[tile])
        return;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const size_t line = TILE_EDGE * row + p / TILE_EDGE;
        const size_t at = TILE_EDGE * column + p % TILE_EDGE;
        if (s->listed || s->plane.value[line * s->plane.stride + at] == BYTE_LOOKUP)
            __builtin_prefetch(pixels + tile_pixel(s->map, row, column, p) * nbytes);
    }
#else
    (void)s, (void)tile;
#endif
}

/* General rings have ranges whatever they are. */
static void make_general(frame_model *m, uint32_t ring)
{
    m->profile[ring].is_general = 1;
    noise_ring_ranges(&m->noise, m->profile, ring, m->range);
}

void frame_fit_kinds(frame_model *model)
{
    for (uint32_t ring = 0; ring < model->layout.nbins; ring++) {
        if (model->profile[ring].level > PROFILE_MAX_LEVEL ||
            noise_ring_ranges(&model->noise, model->profile, ring, model->range))
            make_general(model, ring);
    }
}

static within_tiles sum_pattern_rings(const frame_model *m, const within_tiles *ring)
{
    within_tiles all = {0};
    for (uint32_t k = 0; k < m->layout.nbins; k++) {
        if (m->profile[k].is_general)
            continue;
        all.found += ring[k].found;
        all.expected += ring[k].expected;
        all.ntiles += ring[k].ntiles;
    }
    all.dispersion = within_tiles_dispersion(&all);
    return all;
}

/* Pattern rings that expect something: their dispersions, close together for the loop below. */
typedef struct ring_dispersions {
    double *value;
    uint64_t *ntiles;
    size_t n;
} ring_dispersions;

/* No branches: nothing foretells them. */
static uint64_t tiles_above(const ring_dispersions *d, double limit)
{
    const double *restrict value = d->value;
    const uint64_t *restrict ntiles = d->ntiles;
    uint64_t above = 0;
    for (size_t i = 0; i < d->n; i++)
        above += ntiles[i] & -(uint64_t)(value[i] > limit);
    return above;
}

/* Median of the dispersions, weighted by their tiles: odd rings do not move it. */
static double median_dispersion(const ring_dispersions *d)
{
    double low = -1.0;
    double high = 4.0;
    const uint64_t all = tiles_above(d, -INFINITY);
    for (int k = 0; k < 40; k++) {
        const double middle = 0.5 * (low + high);
        const uint64_t above = tiles_above(d, middle);
        *(above > all - above ? &low : &high) = middle;
    }
    return low > -1.0 ? low : 0;
}

static h5bragg_status typical_dispersion(const frame_model *m, const within_tiles *ring,
                                         double *typical)
{
    const uint32_t nbins = m->layout.nbins;
    ring_dispersions d = {scratch_take(nbins * sizeof *d.value),
                          scratch_take(nbins * sizeof *d.ntiles), 0};
    const int has_all = d.value && d.ntiles;
    for (uint32_t k = 0; k < nbins && has_all; k++) {
        d.value[d.n] = ring[k].dispersion;
        d.ntiles[d.n] = (uint64_t)ring[k].ntiles;
        d.n += !m->profile[k].is_general & (ring[k].expected > 0);
    }
    if (has_all)
        *typical = median_dispersion(&d);
    scratch_give(d.value);
    scratch_give(d.ntiles);
    return has_all ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

/* Sets the dispersion, given the typical one; returns whether rings have become general. */
static int fit_dispersion(frame_model *m, const within_tiles *ring, double typical)
{
    const double most = PATTERN_MAX_DISPERSION / DISPERSION_UNITS;
    typical = typical > most ? most : typical < -most ? -most : typical;
    int has_changed = 0;
    for (uint32_t k = 0; k < m->layout.nbins; k++) {
        if (m->profile[k].is_general || !(ring[k].expected > 0))
            continue;
        /* Counts that are rare vary more than normal ones: each tile is worth its own counts. */
        const double error = sqrt(2.0 / (15.0 * ring[k].ntiles) + 1.0 / ring[k].expected);
        const double deviation = fabs(ring[k].dispersion - typical);
        if (deviation > MAX_DEVIATION && deviation > CHANCE_SIGMA * error)
            make_general(m, k);
        has_changed |= m->profile[k].is_general;
    }
    const within_tiles all = sum_pattern_rings(m, ring);
    double units = floor(DISPERSION_UNITS * all.dispersion + 0.5);
    units = units > PATTERN_MAX_DISPERSION ? PATTERN_MAX_DISPERSION : units;
    units = units < -PATTERN_MAX_DISPERSION ? -PATTERN_MAX_DISPERSION : units;
    m->dispersion = (int)units;
    return has_changed;
}

h5bragg_status frame_fit_dispersion(const frame_source *s, frame_model *m, int *has_new_ranges)
{
    double typical = 0;
    within_tiles *within = scratch_take(s->map->nbins * sizeof *within);
    h5bragg_status status = within ? within_tiles_measure(s, m, within) : H5BRAGG_NO_MEMORY;
    if (!status)
        status = typical_dispersion(m, within, &typical);
    *has_new_ranges = !status && fit_dispersion(m, within, typical);
    scratch_give(within);
    return status;
}

h5bragg_status frame_fit(const frame_source *s, frame_model *m)
{
    discarded_sums discarded = {0};
    h5bragg_status status = discarded_sums_make(s, m, &discarded);
    if (!status && !m->layout.has_local)
        status = level_fit_rings(s, m, discarded.cell);
    if (!status)
        status = general_fit(s, m, &discarded);
    discarded_sums_free(&discarded);
    return status;
}
