/* SPDX-License-Identifier: MIT */
/*
 * A box of 3 x 3 pixels that stands out touches up to four tiles, and a peak is near more.  Where
 * there are hardly any counts, or much significance is asked for, only those of them are kept that
 * hold more than background.
 */
#include "faint_tiles.h"

#include <math.h>

#include "scratch.h"
#include "symbols.h"

/* Where there are hardly any counts tiles must hold so many sigma, and more round peaks: less would
 * be lost in their noise. */
static const double SPARSE_FAINT_SIGMA = 1.0;
static const double SPARSE_WING_SIGMA = 3.25;
/*
 * Above this significance wings are not kept, and tiles must hold more than background, by a
 * growing number of sigma, or a pixel that is so many sigma above its own: the middle of a weak
 * spot.
 */
static const double LENIENT_SIGMA = 3.0;
static const double FAINT_GROWTH = 2.0;
static const double MOST_FAINT_SIGMA = 1.5;
static const double FAINT_PIXEL_SIGMA = 2.25;

double cell_expected(const frame_model *m, uint32_t cell)
{
    return noise_expected(&m->noise, &m->profile[m->noise.map->ring[cell]], cell);
}

int cell_is_sparse(const frame_model *m, uint32_t cell)
{
    const double block = TILE_NPIXELS * MACRO_EDGE * MACRO_EDGE * cell_expected(m, cell);
    return m->noise.is_counting && block < m->noise.params->coarse_limit;
}

/* More than that many sigma beyond the background of a tile. */
static uint16_t least_counts(double expected, double sigma)
{
    const double least = floor(expected + sigma * sqrt(expected) + 0.5) + 1.0;
    return (uint16_t)(least < UINT16_MAX ? least : UINT16_MAX);
}

/* More than z sigma beyond what a pixel expects, to third order as for the threshold. */
static uint16_t least_pixel(double expected, double z)
{
    const double least = floor(expected + z * sqrt(expected) + (z * z - 1.0) / 6.0) + 1.0;
    return (uint16_t)(least < UINT16_MAX ? least : UINT16_MAX);
}

static faint_limits sparse_limits(double expected)
{
    const uint16_t wing = least_counts(expected, SPARSE_WING_SIGMA);
    faint_limits limits = {{0}, UINT16_MAX};
    limits.least[BOX_TOUCHES] = least_counts(expected, SPARSE_FAINT_SIGMA);
    limits.least[BOX_IS_NEAR] = limits.least[BOX_TOUCHES | BOX_IS_NEAR] = wing;
    return limits;
}

faint_limits faint_limits_of(const frame_model *m, uint32_t cell)
{
    faint_limits limits = {{0}, 0};
    const double found = cell_expected(m, cell);
    const double expected = found > 0 ? found : 0;
    double sigma = FAINT_GROWTH * (m->noise.params->local_significance - LENIENT_SIGMA);
    sigma = sigma < MOST_FAINT_SIGMA ? sigma : MOST_FAINT_SIGMA;
    if (cell_is_sparse(m, cell))
        return sparse_limits(TILE_NPIXELS * expected);
    if (!m->noise.is_counting || sigma <= 0)
        return limits;
    const uint16_t touched = least_counts(TILE_NPIXELS * expected, sigma);
    limits.least[BOX_TOUCHES] = limits.least[BOX_TOUCHES | BOX_IS_NEAR] = touched;
    limits.least[BOX_IS_NEAR] = UINT16_MAX;
    limits.pixel = least_pixel(expected, FAINT_PIXEL_SIGMA);
    return limits;
}

static void drop_if_faint(frame_source *s, const faint_limits *limits, size_t tile)
{
    const uint32_t c = s->map->cell[tile] < s->map->ncells ? s->map->cell[tile] : s->map->ncells;
    const faint_limits *of = &limits[c];
    const uint8_t what = s->kept[tile];
    const int is_known = !s->plane.has_large[tile] && s->plane.valid[tile] == 0xFFFF;
    const int is_spot = (what & BOX_TOUCHES) && s->plane.largest[tile] >= of->pixel;
    s->kept[tile] = !is_known || is_spot || s->plane.sum[tile] >= of->least[what];
}

/* Of eight tiles those that boxes touch: few, if any. */
static void drop_faint_of(frame_source *s, const faint_limits *limits, size_t first)
{
    const uint8_t *kept = s->kept + first;
    uint64_t left = load_u64(kept);
    while (left) {
        const uint32_t t = lowest_bit(left) / 8;
        drop_if_faint(s, limits, first + t);
        left &= ~((uint64_t)0xFF << 8 * t);
    }
}

h5bragg_status faint_tiles_drop(frame_source *s, const frame_model *m)
{
    const ring_map *map = s->map;
    const size_t ntiles = ring_map_ntiles(map);
    uint8_t *kept = s->kept;
    faint_limits *limits = scratch_take_zeros(map->ncells + 1u, sizeof *limits);
    int any = 0;
    size_t start = 0;
    if (!limits)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++) {
        limits[c] = faint_limits_of(m, c);
        any |= limits[c].least[BOX_TOUCHES] > 0;
    }
    for (; any && start + 8 <= ntiles; start += 8)
        drop_faint_of(s, limits, start);
    for (size_t t = start; any && t < ntiles; t++) {
        if (kept[t])
            drop_if_faint(s, limits, t);
    }
    for (size_t t = 0; !any && t < ntiles; t++)
        kept[t] = kept[t] != 0;
    scratch_give(limits);
    return H5BRAGG_OK;
}
