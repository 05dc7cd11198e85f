/* SPDX-License-Identifier: MIT */
/*
 * With local counts, pixels of a general ring are drawn and then changed by single counts until
 * their tile has its sum.  That moves the variance within tiles, mostly towards that of Poisson
 * counts, by an amount that no simple formula gives.  So tiles are drawn here as a reader will, and
 * the tilts are fitted again to a variance that is larger or smaller by what went wrong.
 */
#include "general_fit.h"

#include <stdlib.h>

#include "noise_hash.h"

enum { ROUNDS = 3, MOST_TILES = 8192 };
/* A variance that is farther off has other reasons. */
static const double MAX_FACTOR = 3.0;

/* Variance within tiles over all general rings. */
typedef struct drawn_sums {
    double wanted;
    double drawn;
} drawn_sums;

static double squares_within(const int64_t value[TILE_NPIXELS], uint16_t valid)
{
    double n = 0;
    double sum = 0;
    double squares = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        n += valid >> p & 1;
        sum += valid >> p & 1 ? (double)value[p] : 0;
    }
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const double deviation = (double)value[p] - sum / n;
        squares += valid >> p & 1 ? deviation * deviation : 0;
    }
    return squares;
}

/* Draws a tile with the sum that it has in the frame. */
static void add_tile(const frame_source *s, const frame_model *m, const double *variance,
                     size_t tile, drawn_sums *sums)
{
    const uint16_t cell = s->map->cell[tile];
    const uint16_t valid = s->plane.valid[tile];
    int64_t value[TILE_NPIXELS];
    double freedom = -1.0;
    noise_tile drawn = {.number = (uint32_t)tile,
                        .hash = noise_hash(0, (uint32_t)tile),
                        .cell = cell,
                        .valid = valid,
                        .has_sum = 1};
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        drawn.sum += valid >> p & 1 ? value[p] - m->range[cell].low : 0;
        freedom += valid >> p & 1;
    }
    noise_draw_tile(m->tables, 0, &drawn);
    sums->wanted += freedom * variance[s->map->ring[cell]];
    sums->drawn += squares_within(drawn.value, valid);
}

static int is_general_tile(const frame_source *s, const frame_model *m, const double *variance,
                           size_t tile)
{
    const uint16_t cell = s->map->cell[tile];
    const uint16_t valid = s->plane.valid[tile];
    return cell != BRAGG_NO_CELL && !s->kept[tile] && (valid & (valid - 1)) != 0 &&
           !m->range[cell].is_pattern && variance[s->map->ring[cell]] >= 0;
}

/* What is wanted over what is drawn, for up to MOST_TILES tiles all over the frame. */
static double missing_factor(const frame_source *s, const frame_model *m, const double *variance)
{
    const size_t ntiles = ring_map_ntiles(s->map);
    drawn_sums sums = {0, 0};
    size_t n = 0;
    for (size_t tile = 0; tile < ntiles; tile++)
        n += (size_t)is_general_tile(s, m, variance, tile);
    const size_t stride = n / MOST_TILES + 1;
    for (size_t tile = 0, k = 0; tile < ntiles; tile++) {
        if (is_general_tile(s, m, variance, tile) && k++ % stride == 0)
            add_tile(s, m, variance, tile, &sums);
    }
    if (!(sums.wanted > 0 && sums.drawn > 0))
        return 1.0;
    const double factor = sums.wanted / sums.drawn;
    return factor > MAX_FACTOR ? MAX_FACTOR : factor < 1.0 / MAX_FACTOR ? 1.0 / MAX_FACTOR : factor;
}

h5bragg_status general_fit(const frame_source *s, frame_model *m, discarded_sums *discarded)
{
    const uint32_t nbins = m->layout.nbins;
    h5bragg_status status = noise_fit(&m->noise, m->range, discarded, m->profile);
    if (status || !discarded->variance)
        return status;
    double *wanted = malloc(nbins * sizeof *wanted);
    if (!wanted)
        return H5BRAGG_NO_MEMORY;
    memcpy(wanted, discarded->variance, nbins * sizeof *wanted);
    for (int round = 0; round < ROUNDS && !status; round++) {
        status = frame_model_complete(m);
        if (status || !m->tables)
            break;
        const double factor = missing_factor(s, m, wanted);
        for (uint32_t ring = 0; ring < nbins; ring++)
            discarded->variance[ring] *= factor;
        status = noise_fit(&m->noise, m->range, discarded, m->profile);
    }
    free(wanted);
    return status;
}
