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

h5bragg_status frame_fit_kinds(frame_model *model)
{
    const ring_map *map = model->noise.map;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        ring_profile *p = &model->profile[ring];
        p->is_general |= p->level > PROFILE_MAX_LEVEL;
        for (uint32_t c = map->first_cell[ring]; c < map->first_cell[ring + 1]; c++)
            p->is_general |= !noise_fits_pattern(&model->noise, p, c);
    }
    return frame_model_set_ranges(model);
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
            const int counts = !m->profile[i].is_general & (ring[i].expected > 0);
            const double ntiles = counts ? ring[i].ntiles : 0;
            above += ring[i].dispersion > middle ? ntiles : 0;
            below += ring[i].dispersion > middle ? 0 : ntiles;
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
        const double deviation = fabs(ring[k].dispersion - typical);
        if (deviation > MAX_DEVIATION && deviation > CHANCE_SIGMA * error)
            m->profile[k].is_general = has_changed = 1;
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
    within_tiles *within = scratch_take(s->map->nbins * sizeof *within);
    const h5bragg_status status = within ? within_tiles_measure(s, m, within) : H5BRAGG_NO_MEMORY;
    *has_new_ranges = !status && fit_dispersion(m, within);
    scratch_give(within);
    return *has_new_ranges ? frame_model_set_ranges(m) : status;
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
