/* SPDX-License-Identifier: MIT */
/*
 * Sigma-clipping (docs/statistics.md; the method of Kieffer et al., J. Appl. Cryst. 58, 138, 2025).
 *
 * A pixel with n counts and normalisation w belongs to the background n ~ m w of its ring.  Over
 * the pixels kept, m = sum n / sum w.  The variance is the model's m w (poisson) or the measured
 * sum (n - m w)^2 / sum w^2 (azimuthal).  Pixels farther from m w than the cut-off are dropped and
 * the estimate is repeated. The cut-off is at least Chauvenet's: where one pixel of the ring is
 * expected by chance.
 *
 * Peaks only ever add counts.  So the upper cut works first, until it is stable, and only then the
 * lower one: a ring whose mean is spoilt by a bright peak cannot lose its background pixels.
 */
#include "background.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "poisson.h"
#include "portable_math.h"

/* The ring at work. */
typedef struct ring_clip {
    const histogram *h;
    const ring_map *map;
    uint32_t first; /* cells [first, last) */
    uint32_t last;
    int is_poisson; /* clip with the model's variance */
    double cut;
    double tail;         /* of the cut: poisson_tail */
    poisson_range *keep; /* per cell of the map: the values kept */
    value_sums *sums;    /* per cell: over those values */
    double n;
    double mean;
    double std;
} ring_clip;

static void sum_cells(ring_clip *c)
{
    c->n = 0;
    for (uint32_t k = c->first; k < c->last; k++) {
        c->sums[k] = histogram_sums(c->h, k, c->keep[k].low, c->keep[k].high);
        c->n += c->sums[k].n;
    }
}

/* Expected sum of counts of the kept pixels if the background were `mean`. */
static double expected_sum(const ring_clip *c, double mean)
{
    double sum = 0;
    for (uint32_t k = c->first; k < c->last; k++) {
        const double expected = mean * c->map->normalisation[k];
        const poisson_range r = c->keep[k];
        if (c->sums[k].n == 0)
            continue;
        const int is_cut = r.high <= POISSON_MAX_COUNT && expected <= POISSON_EXACT_LIMIT;
        sum += c->sums[k].n * (is_cut ? poisson_truncated_mean(expected, r.low, r.high) : expected);
    }
    return sum;
}

/* The mean whose clipped expectation is what was found: clipping itself lowers a mean. */
static double untruncated_mean(const ring_clip *c, double mean, double sum)
{
    for (int k = 0; k < 8 && mean > 0; k++) {
        const double factor = sum / expected_sum(c, mean);
        mean *= factor;
        if (fabs(factor - 1.0) < 1e-7)
            break;
    }
    return mean;
}

/* Mean and standard deviation from the kept pixels. */
static void estimate(ring_clip *c, double *sem)
{
    double sum = 0;
    double weight = 0;
    double weight_squares = 0;
    double variance = 0;
    for (uint32_t k = c->first; k < c->last; k++) {
        const double w = c->map->normalisation[k];
        sum += c->sums[k].sum;
        weight += c->sums[k].n * w;
        weight_squares += c->sums[k].n * w * w;
    }
    c->mean = sum / weight;
    if (c->is_poisson) {
        c->mean = untruncated_mean(c, c->mean, sum);
        variance = c->mean > 0 ? c->mean * weight : 0;
    } else {
        for (uint32_t k = c->first; k < c->last; k++) {
            const double e = c->mean * c->map->normalisation[k];
            variance += c->sums[k].sum_squares - e * (2 * c->sums[k].sum - e * c->sums[k].n);
        }
    }
    c->std = variance > 0 ? sqrt(variance / weight_squares) : 0;
    *sem = variance > 0 ? sqrt(variance) / weight : 0;
}

static poisson_range clip_range(const ring_clip *c, uint32_t cell)
{
    const double w = c->map->normalisation[cell];
    if (c->is_poisson)
        return poisson_tail_range(c->mean * w, c->cut, c->tail);
    /* The slack keeps pixels that are all equal, whose mean may be a rounding error away. */
    const double expected = c->mean * w;
    const double half = c->cut * c->std * w + 1e-9 * (1.0 + fabs(expected));
    const poisson_range r = {(int64_t)ceil(expected - half), (int64_t)floor(expected + half)};
    return r;
}

/* Moves the cuts to the present estimate; returns whether any of them moved. */
static int move_cuts(ring_clip *c, int lower_too)
{
    int moved = 0;
    for (uint32_t k = c->first; k < c->last; k++) {
        const poisson_range r = clip_range(c, k);
        moved |= c->keep[k].high != r.high || (lower_too && c->keep[k].low != r.low);
        c->keep[k].high = r.high;
        if (lower_too)
            c->keep[k].low = r.low;
    }
    return moved;
}

/* Where nothing survives both cuts: gives up the lower one and, if need be, the upper one. */
static void reopen_cuts(ring_clip *c)
{
    for (uint32_t k = c->first; k < c->last; k++)
        c->keep[k].low = INT64_MIN;
    sum_cells(c);
    if (c->n > 0)
        return;
    for (uint32_t k = c->first; k < c->last; k++)
        c->keep[k].high = INT64_MAX;
    sum_cells(c);
}

/* sqrt(2 ln(n / sqrt(2 pi))): beyond it less than about one of n pixels is expected. */
static double chauvenet_cut(double n)
{
    const double least = n > 3.0 ? n : 3.0;
    return sqrt(2.0 * portable_log(least / 2.50662827463100050242));
}

static void clip_ring(ring_clip *c, const h5bragg_params *params, ring_background *ring)
{
    int lower_too = 0;
    sum_cells(c);
    ring->npixels = (uint32_t)c->n;
    if (c->n == 0)
        return;
    const double chauvenet = chauvenet_cut(c->n);
    c->cut = params->snr_clip > chauvenet ? params->snr_clip : chauvenet;
    c->is_poisson = params->error_model == H5BRAGG_POISSON;
    if (c->is_poisson)
        c->tail = poisson_tail(c->cut);
    estimate(c, &ring->sem);
    for (uint32_t cycle = 0; cycle < params->cycles; cycle++) {
        int moved = move_cuts(c, lower_too);
        if (!moved && lower_too)
            break;
        if (!moved || cycle + 2 >= params->cycles) {
            lower_too = 1;
            moved = move_cuts(c, lower_too);
        }
        sum_cells(c);
        const int is_empty = c->n == 0;
        if (is_empty)
            reopen_cuts(c);
        estimate(c, &ring->sem);
        if (is_empty)
            break;
    }
    if (params->error_model == H5BRAGG_HYBRID) {
        c->is_poisson = 1;
        estimate(c, &ring->sem);
    }
    ring->mean = c->mean;
    ring->std = c->std;
    ring->count = (uint32_t)c->n;
}

h5bragg_status background_make(const histogram *h, const ring_map *map,
                               const h5bragg_params *params, ring_background *rings)
{
    ring_clip clip = {.h = h, .map = map};
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    clip.keep = malloc((map->ncells + 1u) * sizeof *clip.keep);
    clip.sums = malloc((map->ncells + 1u) * sizeof *clip.sums);
    if (!clip.keep || !clip.sums)
        goto done;
    for (uint32_t k = 0; k < map->ncells; k++)
        clip.keep[k] = (poisson_range){INT64_MIN, INT64_MAX};
    memset(rings, 0, map->nbins * sizeof *rings);
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        clip.first = map->first_cell[ring];
        clip.last = map->first_cell[ring + 1];
        clip_ring(&clip, params, &rings[ring]);
    }
    status = H5BRAGG_OK;
done:
    free(clip.keep);
    free(clip.sums);
    return status;
}
