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

enum { MAX_ROUNDS = 8, NLISTS = 7 };

/* Where expectations grow at least like this power of the mean, Newton's steps are safe. */
static const double LEAST_GROWTH = 0.8;

/* A ring at work. */
typedef struct ring_clip {
    uint32_t first; /* cells [first, last) */
    uint32_t last;
    double cut;
    double n;      /* pixels kept, */
    double sum;    /* their counts, */
    double weight; /* normalisations */
    double weight_squares;
    double mean;
    double std;
    double sem;
    int lower_too;
    int is_new;  /* other pixels are kept: mean, standard deviation and `next` must follow */
    int is_done; /* its cuts are final */
} ring_clip;

/* All of them.  They go through the cycles together, so that cells come in batches. */
typedef struct frame_clip {
    const histogram *h;
    const ring_map *map;
    const h5bragg_params *params;
    int is_poisson;      /* clip with the model's variance */
    ring_clip *ring;     /* nbins */
    double *ring_cut;    /* nbins: as in `ring` */
    double *ring_tail;   /* nbins: poisson_tails of them */
    value_range *keep;   /* per cell: the values kept */
    poisson_range *next; /* per cell: those to be kept by the present estimate */
    value_sums *sums;    /* per cell: over the values kept */

    /* Cells of some rings, listed one behind the other: */
    double *expected;
    double *cut;  /* of their rings */
    double *tail; /* likewise */
    poisson_range *range;
    double *low; /* the values kept */
    double *high;
    double *truncated; /* what mean and variance they should have */
    double *variance;
    uint32_t *open; /* rings whose mean is not corrected for clipping yet */
} frame_clip;

/* Sums over the kept values of cells side by side. */
static void sum_cells(const frame_clip *c, uint32_t first, uint32_t last)
{
    histogram_sums_all(c->h, first, last, c->keep + first, c->sums + first);
}

/* Pixels kept of a ring, given the sums of its cells. */
static double count_kept(const frame_clip *c, const ring_clip *ring)
{
    double n = 0;
    for (uint32_t k = ring->first; k < ring->last; k++)
        n += c->sums[k].n;
    return n;
}

/* Lists the cells of the open rings. */
static poisson_cells list_open(const frame_clip *c, uint32_t nopen)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < nopen; k++) {
        const ring_clip *ring = &c->ring[c->open[k]];
        for (uint32_t i = ring->first; i < ring->last; i++, n++) {
            c->expected[n] = ring->mean * c->map->normalisation[i];
            c->low[n] = c->keep[i].low > 0 ? (double)c->keep[i].low : 0.0;
            c->high[n] = (double)c->keep[i].high;
        }
    }
    const poisson_cells cells = {c->expected, c->low, c->high, n};
    return cells;
}

/*
 * One step towards the mean whose clipped expectation is what was found: clipping itself lowers a
 * mean.  Mostly the expectation grows almost like the mean.  Newton's steps then double the digits:
 * after one of 1e-4 what is left is of the order of 1e-8.  Where cuts leave little of a
 * distribution its expectation hardly grows, and Newton's steps could go astray: there it is taken
 * to be proportional to the mean, which is slower and safe.  Returns whether more of them are
 * needed.
 */
static int correct_mean(const frame_clip *c, uint32_t listed, ring_clip *ring)
{
    double expected = 0;
    double slope = 0; /* by the logarithm of the mean */
    for (uint32_t k = ring->first; k < ring->last; k++, listed++) {
        expected += c->sums[k].n * c->truncated[listed];
        slope += c->sums[k].n * c->variance[listed];
    }
    const double growth = slope / expected;
    const int is_newton = growth > LEAST_GROWTH;
    const double step = (ring->sum / expected - 1.0) / (is_newton ? growth : 1.0);
    ring->mean *= 1.0 + step;
    return fabs(step) >= (is_newton ? 1e-4 : 1e-7) && ring->mean > 0;
}

static void correct_means(const frame_clip *c, uint32_t nopen)
{
    for (int round = 0; round < MAX_ROUNDS && nopen; round++) {
        const poisson_cells cells = list_open(c, nopen);
        uint32_t listed = 0;
        uint32_t nleft = 0;
        poisson_truncated(&cells, c->truncated, c->variance);
        for (uint32_t k = 0; k < nopen; k++) {
            const uint32_t number = c->open[k];
            ring_clip *ring = &c->ring[number];
            if (correct_mean(c, listed, ring))
                c->open[nleft++] = number;
            listed += ring->last - ring->first;
        }
        nopen = nleft;
    }
}

/* The mean of the kept pixels. */
static void take_mean(const frame_clip *c, ring_clip *ring)
{
    ring->sum = 0;
    ring->weight = 0;
    ring->weight_squares = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
        const double w = c->map->normalisation[k];
        ring->sum += c->sums[k].sum;
        ring->weight += c->sums[k].n * w;
        ring->weight_squares += c->sums[k].n * w * w;
    }
    ring->mean = ring->sum / ring->weight;
}

/* The standard deviation of pixels, and of their mean, given their squares about it. */
static void set_deviation(double squares, ring_clip *ring)
{
    ring->std = squares > 0 ? sqrt(squares / ring->weight_squares) : 0;
    ring->sem = squares > 0 ? sqrt(squares) / ring->weight : 0;
}

/* As measured. */
static void take_deviation(const frame_clip *c, ring_clip *ring)
{
    double squares = 0;
    for (uint32_t k = ring->first; k < ring->last; k++) {
        const double e = ring->mean * c->map->normalisation[k];
        squares += c->sums[k].sum_squares - e * (2 * c->sums[k].sum - e * c->sums[k].n);
    }
    set_deviation(squares, ring);
}

/* Mean and measured deviation of rings that keep other pixels than before; that of the model is for
 * the last mean alone. */
static void estimate_rings(const frame_clip *c, int is_poisson)
{
    uint32_t nopen = 0;
    for (uint32_t k = 0; k < c->map->nbins; k++) {
        ring_clip *ring = &c->ring[k];
        if (!ring->is_new)
            continue;
        take_mean(c, ring);
        const int is_cut = c->keep[ring->first].high != INT64_MAX; /* and so are its other cells */
        if (is_poisson && is_cut && ring->mean > 0)
            c->open[nopen++] = k;
    }
    correct_means(c, nopen);
    for (uint32_t k = 0; k < c->map->nbins && !is_poisson; k++) {
        if (c->ring[k].is_new)
            take_deviation(c, &c->ring[k]);
    }
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

/* Lists the cells of rings with new estimates. */
static poisson_cuts list_new(const frame_clip *c)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->map->nbins; k++) {
        const ring_clip *ring = &c->ring[k];
        for (uint32_t i = ring->first; i < ring->last && ring->is_new; i++, n++) {
            c->expected[n] = ring->mean * c->map->normalisation[i];
            c->cut[n] = ring->cut;
            c->tail[n] = c->ring_tail[k];
        }
    }
    const poisson_cuts cuts = {c->expected, c->cut, c->tail, n};
    return cuts;
}

/* The cuts that new estimates ask for. */
static void find_cuts(const frame_clip *c)
{
    if (c->is_poisson) {
        const poisson_cuts cuts = list_new(c);
        poisson_clip_ranges(&cuts, c->range);
    }
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->map->nbins; k++) {
        ring_clip *ring = &c->ring[k];
        for (uint32_t i = ring->first; i < ring->last && ring->is_new; i++)
            c->next[i] = c->is_poisson ? c->range[n++] : normal_range(c, ring, i);
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
        value_range *keep = &c->keep[k];
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
    sum_cells(c, ring->first, ring->last);
    ring->n = count_kept(c, ring);
    if (ring->n > 0)
        return;
    for (uint32_t k = ring->first; k < ring->last; k++)
        c->keep[k].high = INT64_MAX;
    sum_cells(c, ring->first, ring->last);
    ring->n = count_kept(c, ring);
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
    for (uint32_t k = 0; k < c->map->ncells; k++)
        c->keep[k] = (value_range){INT64_MIN, INT64_MAX};
    sum_cells(c, 0, c->map->ncells);
    for (uint32_t k = 0; k < nbins; k++) {
        ring_clip *ring = &c->ring[k];
        *ring = (ring_clip){.first = c->map->first_cell[k], .last = c->map->first_cell[k + 1]};
        ring->n = count_kept(c, ring);
        const double chauvenet = chauvenet_cut(ring->n);
        ring->cut = c->params->snr_clip > chauvenet ? c->params->snr_clip : chauvenet;
        ring->is_done = ring->n == 0;
        ring->is_new = ring->n > 0;
        c->ring_cut[k] = ring->cut;
    }
    if (c->is_poisson)
        poisson_tails(c->ring_cut, nbins, c->ring_tail);
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
    sum_cells(c, ring->first, ring->last);
    ring->n = count_kept(c, ring);
    ring->is_done = ring->n == 0;
    if (ring->is_done)
        reopen_cuts(c, ring);
    ring->is_new = 1;
}

static void clip_rings(const frame_clip *c, ring_background *rings)
{
    const uint32_t nbins = c->map->nbins;
    start_rings(c);
    for (uint32_t k = 0; k < nbins; k++)
        rings[k] = (ring_background){.npixels = (uint32_t)c->ring[k].n};
    estimate_rings(c, c->is_poisson);
    for (uint32_t cycle = 0; cycle < c->params->cycles; cycle++) {
        find_cuts(c);
        for (uint32_t k = 0; k < nbins; k++) {
            if (!c->ring[k].is_done)
                clip_ring(c, cycle, &c->ring[k]);
        }
        estimate_rings(c, c->is_poisson);
    }
    if (c->params->error_model == H5BRAGG_HYBRID) {
        for (uint32_t k = 0; k < nbins; k++)
            c->ring[k].is_new = rings[k].npixels > 0;
        estimate_rings(c, 1);
    }
    for (uint32_t k = 0; k < nbins; k++) {
        ring_clip *ring = &c->ring[k];
        if (rings[k].npixels == 0)
            continue;
        if (c->is_poisson || c->params->error_model == H5BRAGG_HYBRID)
            set_deviation(ring->mean * ring->weight, ring);
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
    frame_clip clip = {.h = h,
                       .map = map,
                       .params = params,
                       .is_poisson = params->error_model == H5BRAGG_POISSON,
                       .ring = scratch_take(nbins * sizeof *clip.ring),
                       .keep = scratch_take(ncells * sizeof *clip.keep),
                       .next = scratch_take(ncells * sizeof *clip.next),
                       .sums = scratch_take(ncells * sizeof *clip.sums),
                       .range = scratch_take(ncells * sizeof *clip.range),
                       .open = scratch_take(nbins * sizeof *clip.open)};
    double *numbers = scratch_take((NLISTS * ncells + 2 * nbins) * sizeof *numbers);
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    if (clip.ring && clip.keep && clip.next && clip.sums && clip.range && clip.open && numbers) {
        clip.expected = numbers;
        clip.cut = clip.expected + ncells;
        clip.tail = clip.cut + ncells;
        clip.low = clip.tail + ncells;
        clip.high = clip.low + ncells;
        clip.truncated = clip.high + ncells;
        clip.variance = clip.truncated + ncells;
        clip.ring_cut = clip.variance + ncells;
        clip.ring_tail = clip.ring_cut + nbins;
        clip_rings(&clip, rings);
        status = H5BRAGG_OK;
    }
    scratch_give(clip.ring);
    scratch_give(clip.keep);
    scratch_give(clip.next);
    scratch_give(clip.sums);
    scratch_give(clip.range);
    scratch_give(clip.open);
    scratch_give(numbers);
    return status;
}
