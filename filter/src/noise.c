/* SPDX-License-Identifier: MIT */
/*
 * Counter-based noise: docs/format.md, "Noise".
 *
 * The random number of a pixel is a hash of the frame's seed and the pixel's index, so any pixel
 * can be drawn alone, in any order, with the same result everywhere.  One 32-bit hash serves two
 * neighbouring pixels.  A pixel becomes value number j of its cell, j being how many cumulative
 * probabilities (in 1/65536) do not exceed its 16 bits.
 */
#include "noise.h"

#include <math.h>
#include <stdlib.h>

#include "noise_hash.h"

/* One cell, as the fill loop wants it. */
typedef struct cell_table {
    int64_t low;
    int64_t step;
    int64_t mean;
    uint32_t nvalues;
    uint32_t first; /* index of its nvalues - 1 thresholds */
    cell_moments moments;
} cell_table;

struct noise_tables {
    noise_frame frame;
    cell_table *cell;
    uint32_t *threshold;
};

/* Restored values that would read as masked move up to the next that does not. */
static int64_t avoid_mask_codes(const bragg_mask_codes *codes, int64_t value)
{
    while (mask_number(codes, value))
        value++;
    return value;
}

static void tabulate(const bragg_mask_codes *codes, const cell_range *r, const double *weight,
                     cell_table *cell, uint32_t *threshold)
{
    double total = 0;
    double sum = 0;
    double sum_squares = 0;
    for (uint32_t j = 0; j < r->nvalues; j++) {
        const double y = noise_value(r, j) - (double)r->low;
        total += weight[j];
        sum += weight[j] * y;
        sum_squares += weight[j] * y * y;
    }
    cell->low = r->low;
    cell->step = r->step;
    cell->nvalues = r->nvalues;
    if (!(total > 0 && total < 1e300)) { /* only a forged profile: any value in range will do */
        cell->mean = cell->low = r->high;
        cell->step = cell->nvalues = 1;
        cell->moments = (cell_moments){(double)(r->high - r->low), 0};
        return;
    }
    double below = 0;
    for (uint32_t j = 0; j + 1 < r->nvalues; j++) {
        below += weight[j];
        threshold[j] = (uint32_t)floor(below / total * NOISE_DRAW_RANGE + 0.5);
    }
    const double mean = sum / total;
    const double variance = sum_squares / total - mean * mean;
    cell->moments = (cell_moments){mean, variance > 0 ? variance : 0};
    cell->mean = avoid_mask_codes(codes, r->low + (int64_t)floor(mean + 0.5));
}

h5bragg_status noise_tables_make(const noise_frame *frame, const ring_profile *profile,
                                 const cell_range *range, noise_tables **result)
{
    const ring_map *map = frame->map;
    double weight[NOISE_MAX_VALUES];
    size_t nthresholds = 0;
    for (uint32_t c = 0; c < map->ncells; c++)
        nthresholds += range[c].nvalues - 1;
    noise_tables *tables = calloc(1, sizeof *tables);
    *result = tables;
    if (!tables)
        return H5BRAGG_NO_MEMORY;
    tables->frame = *frame;
    tables->cell = malloc((map->ncells + 1u) * sizeof *tables->cell);
    tables->threshold = malloc((nthresholds + 1) * sizeof *tables->threshold);
    if (!tables->cell || !tables->threshold)
        return H5BRAGG_NO_MEMORY;
    uint32_t next = 0;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        const ring_profile *p = &profile[ring];
        for (uint32_t c = map->first_cell[ring]; c < map->first_cell[ring + 1]; c++) {
            noise_weights(frame, p, p->tilt1 * PROFILE_TILT_UNIT, p->tilt2 * PROFILE_TILT_UNIT, c,
                          &range[c], weight);
            tables->cell[c].first = next;
            tabulate(&frame->codes, &range[c], weight, &tables->cell[c], tables->threshold + next);
            next += range[c].nvalues - 1;
        }
    }
    return H5BRAGG_OK;
}

cell_moments noise_moments(const noise_tables *tables, uint32_t cell)
{
    return tables->cell[cell].moments;
}

void noise_tables_free(noise_tables *tables)
{
    if (!tables)
        return;
    free(tables->cell);
    free(tables->threshold);
    free(tables);
}

/*
 * Number of thresholds not above r.  Halves until few are left, then counts without a branch on r:
 * the draw is random, so a search that stops early would be mispredicted at nearly every pixel.
 */
BRAGG_INLINE uint32_t draw(const uint32_t *threshold, uint32_t n, uint32_t r)
{
    uint32_t low = 0;
    while (n > 16) {
        const uint32_t half = n / 2;
        low += threshold[low + half - 1] <= r ? half : 0;
        n -= half;
    }
    uint32_t j = low;
    for (uint32_t k = low; k < low + n; k++)
        j += threshold[k] <= r;
    return j;
}

BRAGG_INLINE int64_t restored(const noise_tables *t, const cell_table *cell, uint64_t seed,
                              uint32_t pixel, uint32_t r)
{
    const uint32_t j = draw(t->threshold + cell->first, cell->nvalues - 1, r);
    int64_t value = cell->low + (int64_t)j * cell->step;
    if (cell->step > 1) {
        const uint32_t within = noise_hash(~seed, pixel);
        value += (int64_t)(((uint64_t)within * (uint64_t)cell->step) >> 32);
        value = avoid_mask_codes(&t->frame.codes, value);
    }
    return value;
}

BRAGG_INLINE void fill_noise(const h5bragg_pixel_type type, const noise_tables *t, uint64_t seed,
                             void *pixels)
{
    const ring_map *map = t->frame.map;
    const size_t npixels = (size_t)map->ny * map->nx;
    uint32_t bits = 0;
    for (size_t i = 0; i < npixels; i++) {
        bits = i & 1 ? bits >> 16 : noise_hash(seed, (uint32_t)(i >> 1));
        const uint16_t cell = map->cell[i];
        int64_t value = 0;
        if (cell != BRAGG_NO_CELL)
            value = restored(t, &t->cell[cell], seed, (uint32_t)i, bits & 0xFFFF);
        pixel_set(pixels, type, i, value);
    }
}

BRAGG_INLINE void fill_mean(const h5bragg_pixel_type type, const noise_tables *t, void *pixels)
{
    const ring_map *map = t->frame.map;
    const size_t npixels = (size_t)map->ny * map->nx;
    for (size_t i = 0; i < npixels; i++) {
        const uint16_t cell = map->cell[i];
        pixel_set(pixels, type, i, cell == BRAGG_NO_CELL ? 0 : t->cell[cell].mean);
    }
}

void noise_fill(const noise_tables *tables, uint64_t seed, h5bragg_fill fill, void *pixels)
{
    if (fill == H5BRAGG_FILL_MEAN) {
        DISPATCH_PIXEL_TYPE(tables->frame.type, fill_mean, tables, pixels)
    } else {
        DISPATCH_PIXEL_TYPE(tables->frame.type, fill_noise, tables, seed, pixels)
    }
}
