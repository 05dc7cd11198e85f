/* SPDX-License-Identifier: MIT */
/*
 * A tile must be kept where its pixels cannot be drawn: some are below their range or under the
 * static mask and, with local counts, above the threshold.
 *
 * With local counts, tiles that hold more than background are kept as well.  A weak reflection need
 * not have a single pixel above the threshold, but its pixels together stand out: where the sum of
 * a 3 x 3 box exceeds what the ring expects by more than chance, the tiles that the box touches are
 * kept, and round peaks those that one pixel around it touches.
 */
#include "tile_choice.h"

#include <math.h>
#include <stdlib.h>

#include "box_search.h"
#include "symbols.h"
#include "wide_box_search.h"

enum { BOX_NPIXELS = 9, CALM_AT_ONCE = 256 };
/* So much more significant is a peak, which has wings, than what just stands out. */
static const double PEAK_SIGMA = 2.0;
/* So much more significant must be what is kept where there are hardly any counts. */
static const double SPARSE_SIGMA = 1.25;

/* The pixels of a tile one by one. */
static int must_keep_pixels(const frame_source *s, const frame_model *m, size_t tile,
                            const cell_range *r)
{
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(s->plane.valid[tile] >> p & 1))
            continue;
        if (value[p] < r->low || (m->layout.has_local && value[p] > r->high))
            return 1;
        const uint32_t row = (uint32_t)(tile / s->map->ntx);
        const size_t i = tile_pixel(s->map, row, (uint32_t)(tile % s->map->ntx), p);
        if (s->static_mask && s->static_mask[i])
            return 1;
    }
    return 0;
}

static int must_keep(const frame_source *s, const frame_model *m, size_t tile)
{
    const cell_range *r = &m->range[s->map->cell[tile]];
    const int is_simple = !s->plane.has_large[tile] && m->noise.is_counting && r->low == 0;
    if (is_simple && s->plane.largest[tile] <= r->high)
        return m->layout.has_local && r->is_pattern && s->plane.sum[tile] > PATTERN_MAX_SUM;
    if (is_simple)
        return m->layout.has_local;
    return must_keep_pixels(s, m, tile, r);
}

/* Tiles of a cell whose bytes are all below this, and few, need not be looked at more closely. */
static uint8_t plain_below(const frame_model *m, const cell_range *r)
{
    if (!m->noise.is_counting || r->low != 0 || r->high < 0)
        return 0;
    return (uint8_t)(r->high < BYTE_LOOKUP ? r->high + 1 : BYTE_LOOKUP);
}

/* Calm are tiles without bytes of `below` or more, and few counts: loops without branches. */
static void find_calm(const frame_source *s, const uint8_t *below, size_t first, uint8_t *calm)
{
    const uint16_t *cell = s->map->cell + first;
    const uint8_t *largest = s->plane.largest + first;
    const uint16_t *sum = s->plane.sum + first;
    const uint8_t *kept = s->kept + first;
    const uint32_t ncells = s->map->ncells;
    const uint32_t ntx = s->map->ntx;
    uint8_t limit[CALM_AT_ONCE];
    for (uint32_t start = 0; start < ntx; start += CALM_AT_ONCE) {
        const uint32_t n = ntx - start < CALM_AT_ONCE ? ntx - start : CALM_AT_ONCE;
        for (uint32_t t = 0; t < n; t++)
            limit[t] = below[cell[start + t] < ncells ? cell[start + t] : ncells];
        for (uint32_t t = start; t < start + n; t++)
            calm[t] = (uint8_t)((largest[t] < limit[t - start]) & (kept[t] == 0));
        for (uint32_t t = start; t < start + n; t++)
            calm[t] &= (uint8_t)(sum[t] <= PATTERN_MAX_SUM);
    }
}

/* Tiles that are not calm, and whether they must be kept. */
static void choose_others(frame_source *s, const frame_model *m, size_t first, const uint8_t *calm)
{
    const uint32_t ntx = s->map->ntx;
    for (uint32_t start = 0; start < ntx; start += CALM_NTILES) {
        uint64_t tiles = restless_tiles(calm + start, ntx - start);
        for (; tiles; tiles &= tiles - 1) {
            const size_t tile = first + start + floor_log2(tiles & (0 - tiles)) / 8;
            if (s->map->cell[tile] == BRAGG_NO_CELL)
                s->kept[tile] = 0;
            else if (!s->kept[tile] && s->plane.valid[tile])
                s->kept[tile] = (uint8_t)must_keep(s, m, tile);
        }
    }
}

h5bragg_status tile_choice_update(frame_source *s, const frame_model *m)
{
    const ring_map *map = s->map;
    uint8_t *below = malloc(map->ncells + 1u);
    if (!below)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        below[c] = plain_below(m, &m->range[c]);
    below[map->ncells] = 0; /* blank tiles */
    for (uint32_t row = 0; row < map->nty; row++) {
        const size_t first = (size_t)row * map->ntx;
        find_calm(s, below, first, s->calm + first);
        choose_others(s, m, first, s->calm + first);
    }
    free(below);
    return H5BRAGG_OK;
}

/* Largest sum of a box that is still chance at z sigma, to third order as for the threshold. */
static double sum_cut(const frame_model *m, uint32_t cell, double z)
{
    const noise_frame *f = &m->noise;
    const ring_profile *ring = &m->profile[f->map->ring[cell]];
    const double expected = noise_expected(f, ring, cell);
    const double sigma = noise_sigma(f, ring, cell);
    double cut = BOX_NPIXELS * expected + z * (sqrt((double)BOX_NPIXELS) * sigma);
    if (f->is_counting && expected > 0 && z > 1.0)
        cut += (z * z - 1.0) / 6.0 * noise_skew(expected, sigma);
    return floor(cut);
}

/* Where blocks may be coarse, background is so rare that chance would dominate what is kept. */
static double significance_of(const frame_model *m, uint32_t cell)
{
    const noise_frame *f = &m->noise;
    const double block = TILE_NPIXELS * MACRO_EDGE * MACRO_EDGE *
                         noise_expected(f, &m->profile[f->map->ring[cell]], cell);
    const int is_sparse = f->is_counting && block < f->params->coarse_limit;
    return f->params->local_significance + (is_sparse ? SPARSE_SIGMA : 0);
}

/* Per cell. */
typedef struct cut_tables {
    double *chance;
    double *peak;
    box_cut *bytes;
} cut_tables;

/* Bytes serve where backgrounds are far below their limit: then cuts fit 16 bits, too. */
static int fill_cuts(const frame_model *m, cut_tables *cuts)
{
    int fits_bytes = m->noise.is_counting;
    for (uint32_t c = 0; c < m->noise.map->ncells; c++) {
        const double z = significance_of(m, c);
        cuts->chance[c] = sum_cut(m, c, z);
        cuts->peak[c] = sum_cut(m, c, z + PEAK_SIGMA);
        fits_bytes = fits_bytes && cuts->peak[c] < BOX_NPIXELS * 64.0;
    }
    for (uint32_t c = 0; c < m->noise.map->ncells && fits_bytes; c++) {
        const double chance = cuts->chance[c] > 0 ? cuts->chance[c] : 0;
        const double peak = cuts->peak[c] > chance ? cuts->peak[c] : chance;
        cuts->bytes[c] = (box_cut){(uint16_t)chance, (uint16_t)peak};
    }
    return fits_bytes;
}

static h5bragg_status keep_significant(frame_source *s, const frame_model *m)
{
    const size_t ncells = s->map->ncells + 1u;
    cut_tables cuts = {malloc(ncells * sizeof *cuts.chance), malloc(ncells * sizeof *cuts.peak),
                       malloc(ncells * sizeof *cuts.bytes)};
    h5bragg_status status = cuts.chance && cuts.peak && cuts.bytes ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status && fill_cuts(m, &cuts))
        box_search(&s->plane, s->map, cuts.bytes, s->kept);
    else if (!status)
        status = wide_box_search(s, m, cuts.chance, cuts.peak);
    free(cuts.chance);
    free(cuts.peak);
    free(cuts.bytes);
    return status;
}

h5bragg_status tile_choice(frame_source *s, const frame_model *m)
{
    memset(s->kept, 0, ring_map_ntiles(s->map));
    h5bragg_status status = H5BRAGG_OK;
    if (m->layout.has_local)
        status = keep_significant(s, m);
    return status ? status : tile_choice_update(s, m);
}
