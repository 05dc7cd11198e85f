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

enum { AT_ONCE = 64 /* tiles */ };
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
static void drop_if_faint(frame_source *s, const faint_limits *limits, size_t tile)
{
    const uint32_t c = s->map->cell[tile] < s->map->ncells ? s->map->cell[tile] : s->map->ncells;
    const faint_limits *of = &limits[c];
    const uint8_t what = s->kept[tile];
    const uint32_t is_unknown = (s->plane.has_large[tile] != 0) | (s->plane.valid[tile] != 0xFFFF);
    const uint32_t is_spot = ((what & BOX_TOUCHES) != 0) & (s->plane.largest[tile] >= of->pixel);
    const uint32_t is_bright = s->plane.sum[tile] >= of->least[what];
    s->kept[tile] = (uint8_t)(is_unknown | is_spot | is_bright);
}

/* Of up to 64 tiles those that boxes touch or are near. */
static uint64_t kept_bits(const uint8_t *kept, size_t nleft)
{
    uint64_t bits = 0;
    for (size_t t = 0; t < AT_ONCE && t < nleft; t += 8) {
        uint8_t eight[8] = {0};
        memcpy(eight, kept + t, nleft - t < 8 ? nleft - t : 8);
        const uint64_t some = load_u64(eight);
        const uint64_t each = (some | some >> 1) & 0x0101010101010101u;
        bits |= (each * 0x0102040810204080u >> 56) << t;
    }
    return bits;
}

/* Of tiles side by side. */
static void drop_faint(frame_source *s, const faint_limits *limits, size_t first, size_t n)
{
    for (size_t t = 0; t < n; t += AT_ONCE) {
        uint64_t left = kept_bits(s->kept + first + t, n - t);
        for (; left; left &= left - 1)
            drop_if_faint(s, limits, first + t + lowest_bit(left));
    }
}

/* Limits of cells, all 0 for blank tiles, and how many cells before each have some. */
typedef struct faint_cells {
    faint_limits *limits;
    uint32_t *nlimited;
} faint_cells;

static void list_cells(const frame_model *m, const faint_cells *cells)
{
    const uint32_t ncells = m->noise.map->ncells;
    cells->nlimited[0] = 0;
    for (uint32_t c = 0; c < ncells; c++) {
        cells->limits[c] = faint_limits_of(m, c);
        cells->nlimited[c + 1] = cells->nlimited[c] + (cells->limits[c].least[BOX_TOUCHES] > 0);
    }
    cells->limits[ncells] = (faint_limits){{0}, 0};
}

/* Only macro blocks that may have limits are looked at: in bright frames, none. */
static void drop_faint_of_blocks(frame_source *s, const faint_cells *cells, uint32_t macro_row)
{
    const ring_map *map = s->map;
    const uint32_t nblocks = ring_map_nblocks(map);
    const cell_span *span = map->span + (size_t)macro_row * nblocks;
    const uint32_t start = MACRO_EDGE * macro_row;
    const uint32_t stop = start + MACRO_EDGE < map->nty ? start + MACRO_EDGE : map->nty;
    for (uint32_t block = 0, next; block < nblocks; block = next + 1) {
        next = block;
        while (next < nblocks && cell_span_has(span[next], cells->nlimited))
            next++;
        if (next == block)
            continue;
        const uint32_t first = MACRO_EDGE * block;
        const uint32_t n = ring_map_block_stop(map, next - 1) - first;
        for (uint32_t row = start; row < stop; row++)
            drop_faint(s, cells->limits, (size_t)row * map->ntx + first, n);
    }
}

h5bragg_status faint_tiles_drop(frame_source *s, const frame_model *m)
{
    const ring_map *map = s->map;
    const size_t ntiles = ring_map_ntiles(map);
    uint8_t *kept = s->kept;
    const faint_cells cells = {scratch_take((map->ncells + 1u) * sizeof *cells.limits),
                               scratch_take((map->ncells + 1u) * sizeof *cells.nlimited)};
    const h5bragg_status status = cells.limits && cells.nlimited ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status) {
        list_cells(m, &cells);
        for (uint32_t row = 0; MACRO_EDGE * row < map->nty; row++)
            drop_faint_of_blocks(s, &cells, row);
        for (size_t t = 0; t < ntiles; t++)
            kept[t] = kept[t] != 0;
    }
    scratch_give(cells.limits);
    scratch_give(cells.nlimited);
    return status;
}
