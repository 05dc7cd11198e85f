/* SPDX-License-Identifier: MIT */
/*
 * Moment matching (docs/statistics.md, "Tilt").
 *
 * Over the discarded pixels of a ring, with y = (n - mean) / scale, the tilts a and b solve
 *     sum over cells of N_c E_c[y] = sum of y,   sum over cells of N_c E_c[y^2] = sum of y^2,
 * where E_c is the mean over the cell's tilted distribution.  Distributions exp(a y + b y^2) form
 * an exponential family, so these are the likelihood equations of a concave problem and Newton's
 * steps lead there; the matrix of second derivatives is the covariance of (y, y^2).
 */
#include "noise_fit.h"
#include "scratch.h"

#include <math.h>

enum { MAX_STEPS = 25 };
static const double CONVERGED = 1e-5;
static const double MAX_STEP = 1.0;
/*
 * Pulls to zero, as weights of squares of the tilts.  That of b is worth one pixel: it decides only
 * where pixels leave b open, as where a handful of them alone could exceed one count.  The mean
 * must be matched in any case, so that of a merely keeps the matrix regular.
 */
static const double PRIOR_A = 1e-3;
static const double PRIOR_B = 1.0;

/* Sums over the discarded pixels of a ring, and their expectation for some tilts. */
typedef struct moments {
    double y;
    double y2;
    double var_y; /* expectation only: covariance of (y, y2) */
    double cov;
    double var_y2;
} moments;

typedef struct ring_fit {
    const noise_frame *frame;
    const value_sums *discarded; /* per cell */
    const cell_range *range;
    const ring_profile *ring;
    uint32_t first;
    uint32_t last;
    double scale;
    double variance; /* of a pixel, if not to be taken from the histograms; else negative */
    double *npixels; /* per cell of the map: discarded pixels */
} ring_fit;

/* Moments of the discarded pixels; counts them, too. */
static moments found_moments(const ring_fit *fit)
{
    moments m = {0};
    const double mean = fit->ring->mean;
    for (uint32_t c = fit->first; c < fit->last; c++) {
        const value_sums s = fit->discarded[c];
        fit->npixels[c] = s.n;
        if (s.n == 0)
            continue;
        const double offset = s.sum / s.n - mean;
        const double variance =
            fit->variance < 0 ? s.sum_squares / s.n - (s.sum / s.n) * (s.sum / s.n) : fit->variance;
        m.y += s.n * offset / fit->scale;
        m.y2 += s.n * (offset * offset + variance) / (fit->scale * fit->scale);
    }
    return m;
}

/* Adds N times the moments of one cell's distribution. */
static void add_cell(const ring_fit *fit, uint32_t cell, double npixels, const double *weight,
                     moments *m)
{
    const cell_range *r = &fit->range[cell];
    double total = 0, y1 = 0, y2 = 0, y3 = 0, y4 = 0;
    for (uint32_t j = 0; j < r->nvalues; j++) {
        const double y = (noise_value(r, j) - fit->ring->mean) / fit->scale;
        const double p = weight[j];
        total += p;
        y1 += p * y;
        y2 += p * y * y;
        y3 += p * y * y * y;
        y4 += p * y * y * y * y;
    }
    y1 /= total;
    y2 /= total;
    y3 /= total;
    y4 /= total;
    m->y += npixels * y1;
    m->y2 += npixels * y2;
    m->var_y += npixels * (y2 - y1 * y1);
    m->cov += npixels * (y3 - y1 * y2);
    m->var_y2 += npixels * (y4 - y2 * y2);
}

static moments expected_moments(const ring_fit *fit, double a, double b)
{
    moments m = {0};
    double weight[NOISE_MAX_VALUES];
    for (uint32_t c = fit->first; c < fit->last; c++) {
        const cell_range *r = &fit->range[c];
        if (fit->npixels[c] == 0)
            continue;
        noise_weights(fit->frame, fit->ring, a, b, c, r, weight);
        add_cell(fit, c, fit->npixels[c], weight, &m);
    }
    return m;
}

static double limited(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* One damped Newton step; returns its length. */
static double newton_step(const moments *found, const moments *expected, int fit_variance,
                          double *a, double *b)
{
    const double g1 = found->y - expected->y - PRIOR_A * *a;
    const double g2 = found->y2 - expected->y2 - PRIOR_B * *b;
    const double h11 = expected->var_y + PRIOR_A;
    const double h22 = expected->var_y2 + PRIOR_B;
    const double h12 = expected->cov;
    const double det = h11 * h22 - h12 * h12;
    double da = g1 / h11;
    double db = 0;
    if (fit_variance && det > 1e-9 * h11 * h22) {
        da = (h22 * g1 - h12 * g2) / det;
        db = (h11 * g2 - h12 * g1) / det;
    }
    const double length = fabs(da) + fabs(db);
    if (!(length < 1e300)) { /* weights beyond the range of doubles: stay with the plain ones */
        *a = 0;
        *b = 0;
        return 0;
    }
    const double damping = length > MAX_STEP ? MAX_STEP / length : 1.0;
    *a = limited(*a + damping * da, -PROFILE_MAX_TILT1 * PROFILE_TILT_UNIT,
                 PROFILE_MAX_TILT1 * PROFILE_TILT_UNIT);
    *b = limited(*b + damping * db, PROFILE_MIN_TILT2 * PROFILE_TILT_UNIT,
                 PROFILE_MAX_TILT2 * PROFILE_TILT_UNIT);
    return length;
}

static int32_t rounded_tilt(double tilt) { return (int32_t)floor(tilt / PROFILE_TILT_UNIT + 0.5); }

/* Newton's method from the plain distribution; b is rounded first and a follows it. */
static void fit_ring(const ring_fit *fit, uint32_t nvalues, ring_profile *ring)
{
    const moments found = found_moments(fit);
    double a = 0;
    double b = 0;
    int fit_variance = nvalues > 2;
    for (int pass = 0; pass < 2; pass++) {
        for (int step = 0; step < MAX_STEPS; step++) {
            const moments expected = expected_moments(fit, a, b);
            if (newton_step(&found, &expected, fit_variance, &a, &b) < CONVERGED)
                break;
        }
        b = rounded_tilt(b) * PROFILE_TILT_UNIT;
        fit_variance = 0;
    }
    ring->tilt1 = rounded_tilt(a);
    ring->tilt2 = rounded_tilt(b);
}

h5bragg_status noise_fit(const noise_frame *frame, const cell_range *range,
                         const discarded_sums *discarded, ring_profile *profile)
{
    const ring_map *map = frame->map;
    double *npixels = scratch_take((map->ncells + 1u) * sizeof *npixels);
    if (!npixels)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        const uint32_t first = map->first_cell[ring];
        const uint32_t last = map->first_cell[ring + 1];
        uint32_t nvalues = 0;
        for (uint32_t c = first; c < last; c++)
            nvalues = range[c].nvalues > nvalues ? range[c].nvalues : nvalues;
        if (!profile[ring].is_general || nvalues < 2) /* nothing to fit, or an empty ring */
            continue;
        const ring_fit fit = {.frame = frame,
                              .discarded = discarded->cell,
                              .range = range,
                              .ring = &profile[ring],
                              .first = first,
                              .last = last,
                              .scale = noise_scale(&profile[ring], range[first].is_normal),
                              .variance = discarded->variance ? discarded->variance[ring] : -1.0,
                              .npixels = npixels};
        fit_ring(&fit, nvalues, &profile[ring]);
    }
    scratch_give(npixels);
    return H5BRAGG_OK;
}
