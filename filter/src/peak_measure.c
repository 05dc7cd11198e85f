/* SPDX-License-Identifier: MIT */
/* Measures peaks (docs/peaks.md, "What is measured"). */
#include "peak_measure.h"

#include <math.h>

#include "peak_sums.h"

static const double METRE_IN_ANGSTROM = 1e10;
enum { PATCH_EDGE = 5, PATCH_REACH = 2 };
/* How wide a spot is taken to be where its tiles hold so little that they are not stored. */
static const double SPOT_SIGMA_PX = 0.7;
static const double SPOT_AT_1 = 0.36044778859782095;  /* exp(-1 / (2 * 0.7^2)) */
static const double SPOT_AT_2 = 0.016879884148789895; /* exp(-4 / (2 * 0.7^2)) */

/* e^(centre / s^2), s being the width of a spot: within 1e-8 for all centres in a patch. */
static double spot_step(double centre)
{
    const double y =
        centre / (8.0 * SPOT_SIGMA_PX * SPOT_SIGMA_PX); /* its Taylor series, |y| < 0.52 */
    const double y2 = y * y;
    const double low = (1.0 + y) + y2 * (1.0 / 2 + y * (1.0 / 6));
    const double middle = (1.0 / 24 + y * (1.0 / 120)) + y2 * (1.0 / 720 + y * (1.0 / 5040));
    const double high = 1.0 / 40320 + y * (1.0 / 362880);
    const double root = low + y2 * y2 * (middle + y2 * y2 * high);
    const double fourth = root * root * (root * root);
    return fourth * fourth;
}

/*
 * Weights of a spot in the rows, or columns, of a patch around a pixel, from its centre on, up to a
 * factor: exp(-(k - c)^2 / 2 s^2) ~ exp(-k^2 / 2 s^2) * exp(c / s^2)^k.
 */
static void spot_weights(double centre, double *weight)
{
    const double step = spot_step(centre);
    const double back = 1.0 / step;
    weight[0] = SPOT_AT_2 * (back * back);
    weight[1] = SPOT_AT_1 * back;
    weight[2] = 1.0;
    weight[3] = SPOT_AT_1 * step;
    weight[4] = SPOT_AT_2 * (step * step);
}

/* Sums of weights in those columns of a patch that are given by bits. */
typedef struct column_sums {
    double all;
    double right; /* of weights times their distance from the middle */
    uint32_t columns;
} column_sums;

static void sum_columns(const double weight[PATCH_EDGE], uint64_t bits, column_sums *sums)
{
    const uint32_t columns = (uint32_t)bits & ((1u << PATCH_EDGE) - 1);
    if (columns == sums->columns) /* as in most rows */
        return;
    *sums = (column_sums){.columns = columns};
    for (uint32_t j = 0; j < PATCH_EDGE; j++) {
        const double own = (double)(columns >> j & 1) * weight[j];
        sums->all += own;
        sums->right += own * ((int)j - PATCH_REACH);
    }
}

/*
 * Adds what a spot of usual width would have in the pixels of the patch that are drawn: its wings,
 * where they were too weak to be kept.
 */
static void add_wings(const peak_block *b, uint64_t patch, patch_sums *s)
{
    const uint32_t first = b->at - PATCH_REACH * (BLOCK_EDGE + 1);
    const uint64_t known = (patch & b->known) >> first;
    const uint64_t drawn = (patch & b->drawn) >> first;
    double slow[PATCH_EDGE];
    double fast[PATCH_EDGE];
    column_sums there = {0};
    column_sums lost = {0};
    double weight = 0; /* of known pixels; of drawn ones the others */
    double wings = 0;
    double down = 0;
    double right = 0;
    if (!drawn || !(s->signal > 0) || !(s->mass > 0))
        return;
    spot_weights(s->slow / s->mass, slow);
    spot_weights(s->fast / s->mass, fast);
    for (uint32_t i = 0; i < PATCH_EDGE; i++) {
        sum_columns(fast, known >> BLOCK_EDGE * i, &there);
        sum_columns(fast, drawn >> BLOCK_EDGE * i, &lost);
        weight += slow[i] * there.all;
        wings += slow[i] * lost.all;
        down += slow[i] * lost.all * ((int)i - PATCH_REACH);
        right += slow[i] * lost.right;
    }
    const double height = s->signal / weight;
    s->signal += height * wings;
    s->mass += height * wings;
    s->slow += height * down;
    s->fast += height * right;
}

/* Where the peak is seen from the sample: radius and resolution. */
static void set_direction(const peak_rules *r, const h5bragg_panel *p, h5bragg_peak *peak)
{
    const double i = peak->slow_px - p->slow_start;
    const double j = peak->fast_px - p->fast_start;
    double v[3];
    for (int k = 0; k < 3; k++)
        v[k] = p->origin_m[k] + i * p->slow_m[k] + j * p->fast_m[k];
    const double across = sqrt(v[0] * v[0] + v[1] * v[1]);
    const double scatter = ring_map_scatter(v);
    const double wavelength_a = METRE_IN_ANGSTROM * r->geometry->wavelength_m;
    peak->radius_m = v[2] > 0 ? r->geometry->distance_m * (across / v[2]) : INFINITY;
    peak->resolution_a = wavelength_a > 0 ? wavelength_a / scatter : 0;
}

void peak_measure(const peak_rules *r, const peak_block *b, uint64_t patch, h5bragg_peak *peak)
{
    const uint32_t row = b->at / BLOCK_EDGE;
    const uint32_t column = b->at % BLOCK_EDGE;
    const uint32_t slow = TILE_EDGE * b->tile_row + row; /* both may wrap around and come back */
    const uint32_t fast = TILE_EDGE * b->tile_column + column;
    patch_sums s = peak_sum_patch(r, b, patch);
    add_wings(b, patch, &s);
    *peak = (h5bragg_peak){
        .slow_px = slow + 0.5 + (s.mass > 0 ? s.slow / s.mass : 0),
        .fast_px = fast + 0.5 + (s.mass > 0 ? s.fast / s.mass : 0),
        .intensity = s.signal,
        .sigma = sqrt(s.variance + (s.signal > 0 ? s.signal : 0)),
        .background = peak_cell_at(b, b->at)->expected,
        .maximum = b->is_narrow ? (int64_t)(b->row[row] >> 8 * column & 0xFF) : b->value[b->at],
        .slow = slow,
        .fast = fast,
        .npixels = s.n,
    };
    set_direction(r, b->panel, peak);
}
