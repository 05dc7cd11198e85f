/* SPDX-License-Identifier: MIT */
/* Thresholds and distributions of the cells: docs/format.md, "Threshold" and "General
 * noise". */
#include "noise_model.h"

#include <math.h>

#include "mask.h"
#include "patterns.h"
#include "portable_math.h"

/* Pixels this many standard deviations below the mean are picked, being no background. */
static const double LOW_REACH = 8.0;
static const double MAX_SKEW = 2.0;

double noise_sigma(const noise_frame *f, const ring_profile *ring, uint32_t cell)
{
    if (f->params->error_model == H5BRAGG_AZIMUTHAL)
        return ring->std * f->map->normalisation[cell];
    const double expected = noise_expected(f, ring, cell);
    return expected > 0 ? sqrt(expected) : 0;
}

double noise_skew(double expected, double sigma)
{
    const double skew = sigma * sigma / expected;
    return skew < MAX_SKEW ? skew : MAX_SKEW;
}

/*
 * The cut.  For counting pixels it may be that quantile of the Poisson distribution, to third
 * order, which k is of the normal one: at low counts a fixed number of sigmas would keep what is
 * mere chance.
 */
int64_t noise_threshold_at(const noise_frame *f, double expected, double sigma, double k,
                           int is_quantile)
{
    double cut = expected + k * sigma;
    if (is_quantile && f->is_counting && k > 1.0 && expected > 0)
        cut = cut + (k * k - 1.0) / 6.0 * noise_skew(expected, sigma);
    const double type_max = (double)pixel_maximum(f->type);
    const double least = f->is_counting ? 0.0 : (double)pixel_minimum(f->type);
    const double limited = cut < least ? least : cut > type_max ? type_max : cut;
    int64_t t = (int64_t)limited;
    t -= (double)t > limited; /* floor, without a call */
    while (mask_number(&f->codes, t) && t > pixel_minimum(f->type))
        t--;
    return t;
}

int64_t noise_threshold(const noise_frame *f, const ring_profile *ring, uint32_t cell)
{
    return noise_threshold_at(f, noise_expected(f, ring, cell), noise_sigma(f, ring, cell),
                              f->params->snr_pick, f->params->local_counts > 0);
}

static int threshold_fits_pattern(const noise_frame *f, const ring_profile *ring, uint32_t cell,
                                  int64_t threshold)
{
    return f->is_counting && threshold <= PATTERN_MAX_THRESHOLD &&
           noise_level(f, ring, cell) <= PROFILE_MAX_SPREAD;
}

/* Single counts up to `high`: from zero, unless that is far below the background. */
static cell_range counting_range(const noise_frame *f, const ring_profile *ring, uint32_t cell,
                                 int64_t high)
{
    const double expected = noise_expected(f, ring, cell);
    const double least = floor(expected - LOW_REACH * noise_sigma(f, ring, cell));
    const int64_t low = least <= 0 ? 0 : least < (double)high ? (int64_t)least : high;
    const cell_range r = {low, high, 1, (uint32_t)(high - low) + 1, 0, 0};
    return r;
}

/* From `high` down to LOW_REACH below the mean, in at most NOISE_MAX_VALUES equal steps. */
static cell_range normal_range(const noise_frame *f, int64_t high, double sigma)
{
    const double span = ceil((f->params->snr_pick + LOW_REACH) * sigma) + 1.0;
    const int64_t least = f->is_counting ? 0 : pixel_minimum(f->type);
    cell_range r = {0, high, 1, 1, 1, 0};
    while (span > (double)r.step * NOISE_MAX_VALUES)
        r.step *= 2;
    const int64_t wanted = (int64_t)ceil(span / (double)r.step);
    const int64_t possible = (high - least + 1) / r.step;
    const int64_t n = wanted < possible ? wanted : possible;
    if (n < 1) {
        r.step = 1;
        r.low = high;
        return r;
    }
    r.nvalues = (uint32_t)n;
    r.low = high - n * r.step + 1;
    return r;
}

static h5bragg_status pattern_ranges(const noise_frame *f, const ring_profile *ring, uint32_t first,
                                     uint32_t last, cell_range *range)
{
    for (uint32_t c = first; c < last; c++) {
        const int64_t high = noise_threshold(f, ring, c);
        if (!threshold_fits_pattern(f, ring, c, high))
            return H5BRAGG_CORRUPT;
        range[c] = (cell_range){0, high, 1, (uint32_t)high + 1, 0, 1};
    }
    return H5BRAGG_OK;
}

static void general_ranges(const noise_frame *f, const ring_profile *ring, uint32_t first,
                           uint32_t last, cell_range *range)
{
    int is_normal = !f->is_counting;
    for (uint32_t c = first; c < last; c++) {
        range[c].high = noise_threshold(f, ring, c);
        is_normal |= range[c].high >= NOISE_MAX_VALUES;
    }
    for (uint32_t c = first; c < last; c++) {
        const int64_t high = range[c].high;
        range[c] = is_normal ? normal_range(f, high, noise_sigma(f, ring, c))
                             : counting_range(f, ring, c, high);
    }
}

h5bragg_status noise_ring_ranges(const noise_frame *f, const ring_profile *profile, uint32_t ring,
                                 cell_range *range)
{
    const ring_profile *p = &profile[ring];
    const uint32_t first = f->map->first_cell[ring];
    const uint32_t last = f->map->first_cell[ring + 1];
    if (!p->is_general)
        return pattern_ranges(f, p, first, last, range);
    general_ranges(f, p, first, last, range);
    return H5BRAGG_OK;
}

h5bragg_status noise_ranges(const noise_frame *f, const ring_profile *profile, cell_range *range)
{
    for (uint32_t ring = 0; ring < f->map->nbins; ring++) {
        const h5bragg_status status = noise_ring_ranges(f, profile, ring, range);
        if (status)
            return status;
    }
    return H5BRAGG_OK;
}

double noise_scale(const ring_profile *ring, int is_normal)
{
    double scale = ring->std > 0.5 ? ring->std : 0.5;
    if (!is_normal && ring->mean > scale * scale)
        scale = sqrt(ring->mean);
    return scale;
}

/* The logarithm of the weight is base + linear * n + square * n^2 (+ ln of the Poisson weight). */
typedef struct exponent {
    double linear;
    double square;
} exponent;

/* Poisson probability of n + way counts relative to n. */
static double poisson_ratio(double expected, double n, int way)
{
    if (!(expected > 0)) /* a forged profile; no weight may be negative */
        return 0;
    return way > 0 ? expected / (n + 1.0) : n / expected;
}

/*
 * Weights from value `from` to value `to` (up or down), the one at `from` being set.  Neighbours
 * differ by exp(linear d + square ((n + d)^2 - n^2)), itself a geometric sequence, so that two
 * exponentials serve a whole distribution.
 */
static void extend_weights(const cell_range *r, exponent e, double expected, int from, int to,
                           double *weight)
{
    const int way = to >= from ? 1 : -1;
    const double d = way * (double)r->step;
    const double n = noise_value(r, (uint32_t)from);
    double ratio = portable_exp(d * (e.linear + e.square * (2.0 * n + d)));
    const double growth = portable_exp(2.0 * e.square * d * d);
    for (int j = from; j != to; j += way) {
        double factor = ratio;
        if (!r->is_normal)
            factor *= poisson_ratio(expected, (double)r->low + j, way);
        weight[j + way] = weight[j] * factor;
        ratio *= growth;
    }
}

/* A draw must never look like a masked pixel. */
static void forbid_mask_codes(const bragg_mask_codes *codes, const cell_range *r, double *weight)
{
    for (uint32_t k = 0; k < codes->n && r->step == 1; k++) {
        if (codes->value[k] >= r->low && codes->value[k] <= r->high)
            weight[codes->value[k] - r->low] = 0;
    }
}

void noise_weights(const noise_frame *f, const ring_profile *ring, double tilt1, double tilt2,
                   uint32_t cell, const cell_range *r, double *weight)
{
    const double scale = noise_scale(ring, r->is_normal);
    const double expected = noise_expected(f, ring, cell);
    const double b = tilt2 / (scale * scale);
    exponent e = {tilt1 / scale - 2.0 * b * ring->mean, b};
    if (r->is_normal) {
        const double sigma = noise_sigma(f, ring, cell);
        const double v = sigma > 0.25 ? sigma * sigma : 0.0625;
        e.linear += expected / v;
        e.square -= 0.5 / v;
    }
    /* Start at the value nearest to the expectation: weights stay near 1 where it matters. */
    const double guess = (expected - (double)r->low) / (double)r->step;
    const int last = (int)r->nvalues - 1;
    const int start = guess < 0 ? 0 : guess > last ? last : (int)guess;
    weight[start] = 1.0;
    extend_weights(r, e, expected, start, last, weight);
    extend_weights(r, e, expected, start, 0, weight);
    forbid_mask_codes(&f->codes, r, weight);
}
