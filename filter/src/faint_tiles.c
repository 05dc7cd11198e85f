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

enum { AT_ONCE = 64 /* tiles: at most BOX_SLACK */ };
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

int mean_is_sparse(const frame_model *m, double mean)
{
    const double block = TILE_NPIXELS * MACRO_EDGE * MACRO_EDGE * mean;
    return m->noise.is_counting && block < m->noise.params->coarse_limit;
}

/* The least number above x >= 0, limited; casts are floors that every processor has. */
static uint16_t least_above(double x)
{
    return (uint16_t)(x < UINT16_MAX - 1 ? (uint32_t)x + 1 : UINT16_MAX);
}

/* More than that many sigma beyond the background of a tile. */
static uint16_t least_counts(double expected, double sigma)
{
    return least_above(expected + sigma * sqrt(expected) + 0.5);
}

/* More than z sigma beyond what a pixel expects, to third order as for the threshold. */
static uint16_t least_pixel(double expected, double z)
{
    return least_above(expected + z * sqrt(expected) + (z * z - 1.0) / 6.0);
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
    if (mean_is_sparse(m, found))
        return sparse_limits(TILE_NPIXELS * expected);
    if (!m->noise.is_counting || sigma <= 0)
        return limits;
    const uint16_t touched = least_counts(TILE_NPIXELS * expected, sigma);
    limits.least[BOX_TOUCHES] = limits.least[BOX_TOUCHES | BOX_IS_NEAR] = touched;
    limits.least[BOX_IS_NEAR] = UINT16_MAX;
    limits.pixel = least_pixel(expected, FAINT_PIXEL_SIGMA);
    return limits;
}

/* Without branches, as all of this is a matter of chance. */
static uint8_t holds_more(const frame_source *s, const faint_limits *limits, size_t tile,
                          uint8_t what)
{
    const uint32_t c = s->map->cell[tile] < s->map->ncells ? s->map->cell[tile] : s->map->ncells;
    const faint_limits *of = &limits[c];
    const uint32_t largest = s->plane.largest[tile];
    const uint32_t is_unknown = (largest == BYTE_LOOKUP) | (s->plane.valid[tile] != 0xFFFF);
    const uint32_t is_spot = ((what & BOX_TOUCHES) != 0) & (largest >= of->pixel);
    const uint32_t is_bright = s->plane.sum[tile] >= of->least[what];
    return (uint8_t)(is_unknown | is_spot | is_bright);
}

/* Of 64 tiles those that boxes touch or are near. */
static uint64_t kept_bits(const uint8_t *kept)
{
    uint64_t bits = 0;
    for (uint32_t t = 0; t < AT_ONCE; t += 8) {
        const uint64_t some = load_u64(kept + t);
        const uint64_t each = (some | some >> 1) & 0x0101010101010101u;
        bits |= (each * 0x0102040810204080u >> 56) << t;
    }
    return bits;
}

/* Of n tiles side by side. */
static void drop_faint(const frame_source *s, const faint_limits *limits, size_t first, uint32_t n,
                       uint8_t *kept)
{
    for (uint32_t t = 0; t < n; t += AT_ONCE) {
        const uint64_t inside = n - t < AT_ONCE ? ((uint64_t)1 << (n - t)) - 1 : UINT64_MAX;
        for (uint64_t left = kept_bits(kept + t) & inside; left; left &= left - 1) {
            const size_t k = t + lowest_bit(left);
            kept[k] = holds_more(s, limits, first + k, kept[k]);
        }
    }
}

static void list_cells(const frame_model *m, faint_tiles *faint)
{
    const uint32_t ncells = m->noise.map->ncells;
    faint->nlimited[0] = 0;
    for (uint32_t c = 0; c < ncells; c++) {
        faint->limits[c] = faint_limits_of(m, c);
        const int has_limits = faint->limits[c].least[BOX_TOUCHES] > 0;
        faint->nlimited[c + 1] = faint->nlimited[c] + (has_limits ? 1 : 0);
        if (has_limits && faint->nlimited[c] == 0)
            faint->first = (uint16_t)c;
        if (has_limits)
            faint->last = (uint16_t)c;
    }
    faint->limits[ncells] = (faint_limits){{0}, 0};
}

h5bragg_status faint_tiles_make(const frame_model *m, faint_tiles *faint)
{
    const ring_map *map = m->noise.map;
    *faint = (faint_tiles){scratch_take((map->ncells + 1u) * sizeof *faint->limits),
                           scratch_take((map->ncells + 1u) * sizeof *faint->nlimited),
                           scratch_take(ring_map_nblocks(map) * sizeof *faint->stretch),
                           0,
                           0,
                           0};
    if (!faint->limits || !faint->nlimited || !faint->stretch)
        return H5BRAGG_NO_MEMORY;
    list_cells(m, faint);
    if (faint->nlimited[map->ncells] == 0)
        faint_tiles_free(faint);
    return H5BRAGG_OK;
}

void faint_tiles_free(faint_tiles *faint)
{
    scratch_give(faint->limits);
    scratch_give(faint->nlimited);
    scratch_give(faint->stretch);
    *faint = (faint_tiles){0};
}

/* Whether some of n macro blocks may have limits. */
static int some_limited(const faint_tiles *faint, const cell_span *span, uint32_t n)
{
    uint32_t some = 0;
    for (uint32_t k = 0; k < n; k++)
        some |= (span[k].least <= faint->last) & (span[k].most >= faint->first);
    return some != 0;
}

/* Only macro blocks that may have limits are looked at: in bright frames, hardly any. */
static void list_stretches(faint_tiles *faint, const ring_map *map, uint32_t macro_row)
{
    const uint32_t nblocks = ring_map_nblocks(map);
    const cell_span *span = map->span + (size_t)macro_row * nblocks;
    faint->nstretches = 0;
    if (!some_limited(faint, span, nblocks))
        return;
    for (uint32_t block = 0, next; block < nblocks; block = next + 1) {
        next = block;
        while (next < nblocks && cell_span_has(span[next], faint->nlimited))
            next++;
        if (next == block)
            continue;
        const uint32_t first = MACRO_EDGE * block;
        faint->stretch[faint->nstretches++] =
            (faint_stretch){first, ring_map_block_stop(map, next - 1) - first};
    }
}

void faint_tiles_drop(faint_tiles *faint, const frame_source *s, uint32_t row, uint8_t *kept)
{
    if (row % MACRO_EDGE == 0)
        list_stretches(faint, s->map, row / MACRO_EDGE);
    for (uint32_t k = 0; k < faint->nstretches; k++) {
        const faint_stretch *stretch = &faint->stretch[k];
        const size_t first = (size_t)row * s->map->ntx + stretch->first;
        drop_faint(s, faint->limits, first, stretch->n, kept + stretch->first);
    }
}
