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

#include "poisson.h"
#include "portable_math.h"
#include "scratch.h"

/* A ring at work. */
typedef struct ring_clip {
    uint32_t first; /* cells [first, last) */
    uint32_t last;
    double cut;
    double n;
    double mean;
    double std;
    double sem;
    int lower_too;
    int is_new;  /* mean and standard deviation are not those of the cuts in `next` */
    int is_done; /* its cuts are final */
} ring_clip;

/* All of them.  They go through the cycles together, so that exponentials come in batches. */
typedef struct frame_clip {
    const histogram *h;
    const ring_map *map;
    const h5bragg_params *params;
    int is_poisson;      /* clip with the model's variance */
    ring_clip *ring;     /* nbins */
    double *tail;        /* nbins: of its cut, poisson_tails */
    poisson_range *keep; /* per cell: the values kept */
    poisson_range *next; /* per cell: those to be kept by the present estimate */
    value_sums *sums;    /* per cell: over the values kept */
    double *exponent;    /* per cell: minus what is expected */
    double *zeros;       /* per cell: probability of no count */
} frame_clip;

static void sum_cells(const frame_clip *c, ring_clip *ring)
{
    ring->n = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
        c->sums[k] = histogram_sums(c->h, k, c->keep[k].low, c->keep[k].high);
        ring->n += c->sums[k].n;
    }
}

/* Expected sum of counts of the kept pixels if the background were `mean`. */
static double expected_sum(const frame_clip *c, const ring_clip *ring, double mean)
{
    double sum = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
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
static double untruncated_mean(const frame_clip *c, const ring_clip *ring, double mean, double sum)
{
    for (int k = 0; k < 8 && mean > 0; k++) {
        const double factor = sum / expected_sum(c, ring, mean);
        mean *= factor;
        if (fabs(factor - 1.0) < 1e-7)
            break;
    }
    return mean;
}

/* Mean and standard deviation from the kept pixels. */
static void estimate(const frame_clip *c, int is_poisson, ring_clip *ring)
{
    const double mean_before = ring->mean;
    const double std_before = ring->std;
    double sum = 0;
    double weight = 0;
    double weight_squares = 0;
    double variance = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
        const double w = c->map->normalisation[k];
        sum += c->sums[k].sum;
        weight += c->sums[k].n * w;
        weight_squares += c->sums[k].n * w * w;
    }
    ring->mean = sum / weight;
    if (is_poisson) {
        ring->mean = untruncated_mean(c, ring, ring->mean, sum);
        variance = ring->mean > 0 ? ring->mean * weight : 0;
    } else {
        for (uint32_t k = ring->first; k < ring->last; k++) {
            const double e = ring->mean * c->map->normalisation[k];
            variance += c->sums[k].sum_squares - e * (2 * c->sums[k].sum - e * c->sums[k].n);
        }
    }
    ring->std = variance > 0 ? sqrt(variance / weight_squares) : 0;
    ring->sem = variance > 0 ? sqrt(variance) / weight : 0;
    ring->is_new |= ring->mean != mean_before || ring->std != std_before;
}

static poisson_range normal_range(const frame_clip *c, const ring_clip *ring, uint32_t cell)
{
    const double w = c->map->normalisation[cell];
    /* The slack keeps pixels that are all equal, whose mean may be a rounding error away. */
    const double expected = ring->mean * w;
    const double half = ring->cut * ring->std * w + 1e-9 * (1.0 + fabs(expected));
    const poisson_range r = {(int64_t)ceil(expected - half), (int64_t)floor(expected + half)};
    return r;
}

/* The cuts that new estimates ask for. */
static void find_cuts(const frame_clip *c)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->map->nbins && c->is_poisson; k++) {
        const ring_clip *ring = &c->ring[k];
        for (uint32_t i = ring->first; i < ring->last && ring->is_new; i++)
            c->exponent[n++] = -(ring->mean * c->map->normalisation[i]);
    }
    portable_exp_quickly(c->exponent, n, c->zeros);
    n = 0;
    for (uint32_t k = 0; k < c->map->nbins; k++) {
        ring_clip *ring = &c->ring[k];
        for (uint32_t i = ring->first; i < ring->last && ring->is_new; i++, n++)
            c->next[i] = c->is_poisson ? poisson_tail_range(-c->exponent[n], ring->cut, c->tail[k],
                                                            c->zeros[n])
                                       : normal_range(c, ring, i);
        ring->is_new = 0;
    }
}

/* What moving the cuts has changed. */
typedef struct cut_moves {
    int any;
    int of_pixels; /* between the cuts of the histogram's values, some of which may be there */
} cut_moves;

/* Moves the cuts to the present estimate. */
static void move_cuts(const frame_clip *c, const ring_clip *ring, cut_moves *moves)
{
    const int64_t least = c->h->has_negative ? INT64_MIN : 0;
    moves->any = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
        const poisson_range r = c->next[k];
        poisson_range *keep = &c->keep[k];
        moves->any |= keep->high != r.high;
        moves->of_pixels |= keep->high != r.high;
        keep->high = r.high;
        if (!ring->lower_too)
            continue;
        moves->any |= keep->low != r.low;
        moves->of_pixels |=
            (keep->low > least ? keep->low : least) != (r.low > least ? r.low : least);
        keep->low = r.low;
    }
}

/* Where nothing survives both cuts: gives up the lower one and, if need be, the upper one. */
static void reopen_cuts(const frame_clip *c, ring_clip *ring)
{
    for (uint32_t k = ring->first; k < ring->last; k++)
        c->keep[k].low = INT64_MIN;
    sum_cells(c, ring);
    if (ring->n > 0)
        return;
    for (uint32_t k = ring->first; k < ring->last; k++)
        c->keep[k].high = INT64_MAX;
    sum_cells(c, ring);
}

/* sqrt(2 ln(n / sqrt(2 pi))): beyond it less than about one of n pixels is expected. */
static double chauvenet_cut(double n)
{
    const double least = n > 3.0 ? n : 3.0;
    return sqrt(2.0 * portable_log(least / 2.50662827463100050242));
}

/* All pixels of all rings, and cuts for as many. */
static void start_rings(const frame_clip *c)
{
    const uint32_t nbins = c->map->nbins;
    double *cuts = c->exponent;
    for (uint32_t k = 0; k < c->map->ncells; k++)
        c->keep[k] = (poisson_range){INT64_MIN, INT64_MAX};
    for (uint32_t k = 0; k < nbins; k++) {
        ring_clip *ring = &c->ring[k];
        *ring = (ring_clip){.first = c->map->first_cell[k], .last = c->map->first_cell[k + 1]};
        sum_cells(c, ring);
        const double chauvenet = chauvenet_cut(ring->n);
        ring->cut = c->params->snr_clip > chauvenet ? c->params->snr_clip : chauvenet;
        ring->is_done = ring->n == 0;
        cuts[k] = ring->cut;
    }
    if (c->is_poisson)
        poisson_tails(cuts, nbins, c->tail);
}

/* One cycle of a ring. */
static void clip_ring(const frame_clip *c, uint32_t cycle, ring_clip *ring)
{
    cut_moves moves = {0, 0};
    move_cuts(c, ring, &moves);
    if (!moves.any && ring->lower_too) {
        ring->is_done = 1;
        return;
    }
    if (!moves.any || cycle + 2 >= c->params->cycles) {
        ring->lower_too = 1;
        move_cuts(c, ring, &moves);
    }
    if (!moves.of_pixels)
        return;
    sum_cells(c, ring);
    ring->is_done = ring->n == 0;
    if (ring->is_done)
        reopen_cuts(c, ring);
    estimate(c, c->is_poisson, ring);
}

static void clip_rings(const frame_clip *c, ring_background *rings)
{
    const uint32_t nbins = c->map->nbins;
    const int is_hybrid = c->params->error_model == H5BRAGG_HYBRID;
    start_rings(c);
    for (uint32_t k = 0; k < nbins; k++) {
        rings[k] = (ring_background){.npixels = (uint32_t)c->ring[k].n};
        if (c->ring[k].n > 0) {
            estimate(c, c->is_poisson, &c->ring[k]);
            c->ring[k].is_new = 1;
        }
    }
    for (uint32_t cycle = 0; cycle < c->params->cycles; cycle++) {
        find_cuts(c);
        for (uint32_t k = 0; k < nbins; k++) {
            if (!c->ring[k].is_done)
                clip_ring(c, cycle, &c->ring[k]);
        }
    }
    for (uint32_t k = 0; k < nbins; k++) {
        ring_clip *ring = &c->ring[k];
        if (rings[k].npixels == 0)
            continue;
        if (is_hybrid)
            estimate(c, 1, ring);
        rings[k].mean = ring->mean;
        rings[k].std = ring->std;
        rings[k].sem = ring->sem;
        rings[k].count = (uint32_t)ring->n;
    }
}

h5bragg_status background_make(const histogram *h, const ring_map *map,
                               const h5bragg_params *params, ring_background *rings)
{
    const size_t ncells = map->ncells + 1u;
    const size_t nbins = map->nbins + 1u;
    const size_t nscratch = ncells > nbins ? ncells : nbins; /* first it is for rings */
    const frame_clip clip = {.h = h,
                             .map = map,
                             .params = params,
                             .is_poisson = params->error_model == H5BRAGG_POISSON,
                             .ring = scratch_take(nbins * sizeof *clip.ring),
                             .tail = scratch_take(nbins * sizeof *clip.tail),
                             .keep = scratch_take(ncells * sizeof *clip.keep),
                             .next = scratch_take(ncells * sizeof *clip.next),
                             .sums = scratch_take(ncells * sizeof *clip.sums),
                             .exponent = scratch_take_zeros(nscratch, sizeof *clip.exponent),
                             .zeros = scratch_take(ncells * sizeof *clip.zeros)};
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    if (clip.ring && clip.tail && clip.keep && clip.next && clip.sums && clip.exponent &&
        clip.zeros) {
        clip_rings(&clip, rings);
        status = H5BRAGG_OK;
    }
    scratch_give(clip.ring);
    scratch_give(clip.tail);
    scratch_give(clip.keep);
    scratch_give(clip.next);
    scratch_give(clip.sums);
    scratch_give(clip.exponent);
    scratch_give(clip.zeros);
    return status;
}
