/* SPDX-License-Identifier: MIT */
/*
 * With local counts, pixels of a general ring are drawn and then changed by single counts until
 * their tile has its sum.  That moves the variance within tiles, mostly towards that of Poisson
 * counts, by an amount that no simple formula gives.  So tiles are drawn here as a reader will, and
 * the tilts are fitted again to a variance that is larger or smaller by what went wrong.
 */
#include "general_fit.h"

#include "noise_hash.h"
#include "scratch.h"
#include "tile_sums.h"

enum { ROUNDS = 3, MOST_TILES = 8192 };
/* A variance that is farther off has other reasons. */
static const double MAX_FACTOR = 3.0;

/* A tile that is drawn again and again, with the sum that it has in the frame. */
typedef struct sample_tile {
    uint32_t number;
    uint16_t cell;
    uint16_t valid;
    int64_t sum; /* of value - low */
} sample_tile;

/* Such tiles, all over the frame, and what is to vary within them. */
typedef struct drawn_sample {
    sample_tile *tile;
    size_t ntiles;
    double wanted;
} drawn_sample;

static double squares_within(const int64_t value[TILE_NPIXELS], uint16_t valid)
{
    int64_t sum = 0;
    double squares = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        sum += value[p]; /* 0 if it is not valid */
    const double mean = (double)sum / (double)count_pixels(valid);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const double deviation = (double)value[p] - mean;
        squares += valid >> p & 1 ? deviation * deviation : 0;
    }
    return squares;
}

/* What varies within a tile that is drawn. */
static double draw_squares(const frame_model *m, const sample_tile *tile)
{
    noise_tile drawn = {.number = tile->number,
                        .hash = noise_hash(0, tile->number),
                        .cell = tile->cell,
                        .valid = tile->valid,
                        .has_sum = 1,
                        .sum = tile->sum};
    noise_draw_tile(m->tables, 0, &drawn);
    return squares_within(drawn.value, tile->valid);
}

static sample_tile sample_tile_of(const frame_source *s, const frame_model *m, uint32_t tile)
{
    sample_tile t = {.number = tile, .cell = s->map->cell[tile], .valid = s->plane.valid[tile]};
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        t.sum += t.valid >> p & 1 ? value[p] - m->range[t.cell].low : 0;
    return t;
}

/* Tiles of two pixels or more whose variance is known; returns their number. */
static size_t list_known(const frame_source *s, const discarded_sums *d, uint32_t *known)
{
    size_t n = 0;
    for (size_t k = 0; k < d->ntiles; k++) {
        const uint32_t tile = d->tiles[k];
        const uint32_t valid = s->plane.valid[tile];
        if ((valid & (valid - 1)) != 0 && d->variance[s->map->ring[s->map->cell[tile]]] >= 0)
            known[n++] = tile;
    }
    return n;
}

/* Up to MOST_TILES of them. */
static h5bragg_status choose_sample(const frame_source *s, const frame_model *m,
                                    const discarded_sums *d, drawn_sample *sample)
{
    uint32_t *known = scratch_take((d->ntiles + 1) * sizeof *known);
    const size_t n = known ? list_known(s, d, known) : 0;
    const size_t step = n / MOST_TILES + 1;
    *sample = (drawn_sample){.tile = scratch_take((n / step + 1) * sizeof *sample->tile)};
    const int has_all = known && sample->tile;
    for (size_t k = 0; k < n && has_all; k += step) {
        const sample_tile tile = sample_tile_of(s, m, known[k]);
        const double freedom = count_pixels(tile.valid) - 1.0;
        sample->wanted += freedom * d->variance[s->map->ring[tile.cell]];
        sample->tile[sample->ntiles++] = tile;
    }
    scratch_give(known);
    return has_all ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

/* What is wanted over what is drawn. */
static double missing_factor(const frame_model *m, const drawn_sample *sample)
{
    double drawn = 0;
    for (size_t k = 0; k < sample->ntiles; k++)
        drawn += draw_squares(m, &sample->tile[k]);
    if (!(sample->wanted > 0 && drawn > 0))
        return 1.0;
    const double factor = sample->wanted / drawn;
    return factor > MAX_FACTOR ? MAX_FACTOR : factor < 1.0 / MAX_FACTOR ? 1.0 / MAX_FACTOR : factor;
}

h5bragg_status general_fit(const frame_source *s, frame_model *m, discarded_sums *discarded)
{
    const uint32_t nbins = m->layout.nbins;
    h5bragg_status status = noise_fit(&m->noise, m->range, discarded, m->profile);
    if (status || !discarded->variance)
        return status;
    drawn_sample sample = {0};
    status = choose_sample(s, m, discarded, &sample);
    for (int round = 0; round < ROUNDS && !status; round++) {
        status = frame_model_make_tables(m);
        if (status || !m->tables)
            break;
        const double factor = missing_factor(m, &sample);
        for (uint32_t ring = 0; ring < nbins; ring++)
            discarded->variance[ring] *= factor;
        status = noise_fit(&m->noise, m->range, discarded, m->profile);
    }
    scratch_give(sample.tile);
    return status;
}
