/* SPDX-License-Identifier: MIT */
/*
 * Measures peaks (docs/peaks.md, "What is measured").
 *
 * The background is the same for all pixels of a tile.  So what is summed pixel by pixel are
 * integers, tile by tile, and the background is taken off their sums.
 */
#include "peak_measure.h"

#include <math.h>

#include "portable_math.h"
#include "symbols.h"
#include "tile_sums.h" /* count_bits */

static const double METRE_IN_ANGSTROM = 1e10;
enum { PATCH_EDGE = 5, PATCH_REACH = 2 };
/* How wide a spot is taken to be where its tiles hold so little that they are not stored. */
static const double SPOT_SIGMA_PX = 0.7;
static const double SPOT_AT_1 = 0.36044778859782095;  /* exp(-1 / (2 * 0.7^2)) */
static const double SPOT_AT_2 = 0.016879884148789895; /* exp(-4 / (2 * 0.7^2)) */

/* Integer sums over the known pixels of a tile that are in the patch. */
typedef struct tile_part {
    int64_t n;
    int64_t counts;
    /* Of those above the background, and their distances from the peak's largest pixel. */
    int64_t nabove;
    int64_t above;
    int64_t slow;
    int64_t fast;
    int64_t above_slow; /* counts times distances */
    int64_t above_fast;
} tile_part;

/* Sums over a patch. */
typedef struct patch_sums {
    double signal; /* above the background */
    double variance;
    double mass; /* of what is above the background alone, as the moments */
    double slow;
    double fast;
    uint32_t n;
} patch_sums;

BRAGG_INLINE void add_part(const peak_cell *cell, const tile_part *p, patch_sums *s)
{
    s->signal += (double)p->counts - (double)p->n * cell->expected;
    s->variance += (double)p->n * cell->variance;
    s->mass += (double)p->above - (double)p->nabove * cell->expected;
    s->slow += (double)p->above_slow - (double)p->slow * cell->expected;
    s->fast += (double)p->above_fast - (double)p->fast * cell->expected;
    s->n += (uint32_t)p->n;
}

/* Adds the known pixels of the patch that are in tile k. */
static void add_values(const peak_block *b, uint64_t patch, uint32_t k, patch_sums *s)
{
    const int64_t background = b->cell[k]->whole_expected;
    const int64_t slow = b->at / BLOCK_EDGE;
    const int64_t fast = b->at % BLOCK_EDGE;
    tile_part part = {0};
    for (uint64_t left = patch & b->known & peak_block_bits(k, 0xFFFF); left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        const int64_t value = b->value[at];
        const int64_t down = at / BLOCK_EDGE - slow;
        const int64_t right = at % BLOCK_EDGE - fast;
        part.n++;
        part.counts += value;
        if (value <= background)
            continue;
        part.nabove++;
        part.above += value;
        part.slow += down;
        part.fast += right;
        part.above_slow += down * value;
        part.above_fast += right * value;
    }
    add_part(b->cell[k], &part, s);
}

/*
 * Sums over rows of bytes, in words of four 16-bit numbers: number j is that of the columns 2 j and
 * 2 j + 1, or of the odd one alone.
 */
typedef struct row_sums {
    uint64_t counts;
    uint64_t nabove;
    uint64_t above;
    uint64_t nabove_odd;
    uint64_t above_odd;
    uint64_t nabove_down; /* times the number of the row in the block, as the next */
    uint64_t above_down;
} row_sums;

/* The sum of the numbers of half a word. */
static int64_t half_sum(uint64_t word, uint32_t half)
{
    const uint32_t pair = (uint32_t)(word >> 32 * half);
    return (pair & 0xFFFF) + (pair >> 16);
}

/* Distances become those from the peak, which is in row `slow` and column `fast` of the block. */
BRAGG_INLINE tile_part part_of(const row_sums *r, uint32_t half, int64_t slow, int64_t fast)
{
    const int64_t nabove = half_sum(r->nabove, half);
    const int64_t above = half_sum(r->above, half);
    /* Columns 4 half + 0, 1, 2, 3: half a word's second number is that of the last two. */
    const int64_t nfast = 4 * half * nabove +
                          2 * (int64_t)(r->nabove >> (32 * half + 16) & 0xFFFF) +
                          half_sum(r->nabove_odd, half);
    const int64_t above_fast = 4 * half * above +
                               2 * (int64_t)(r->above >> (32 * half + 16) & 0xFFFF) +
                               half_sum(r->above_odd, half);
    return (tile_part){.counts = half_sum(r->counts, half),
                       .nabove = nabove,
                       .above = above,
                       .slow = half_sum(r->nabove_down, half) - slow * nabove,
                       .fast = nfast - fast * nabove,
                       .above_slow = half_sum(r->above_down, half) - slow * above,
                       .above_fast = above_fast - fast * above};
}

/* The same for the tiles k and k + 1, side by side; bytes that are not known are 0. */
static void add_bytes(const peak_block *b, uint64_t patch, uint32_t k, patch_sums *s)
{
    const uint64_t low = 0xFF * PEAK_WORDS;
    const uint64_t left = 0x7FFFu - (uint64_t)b->cell[k]->whole_expected;
    const uint64_t right = 0x7FFFu - (uint64_t)b->cell[k + 1]->whole_expected;
    const uint64_t more = (left | left << 16) | (right | right << 16) << 32;
    const uint32_t first = lowest_bit(patch) / BLOCK_EDGE;
    const uint64_t columns = peak_bytes_of_bits((uint32_t)(patch >> BLOCK_EDGE * first & 0xFF));
    row_sums r = {0};
    for (uint32_t i = 2 * k; i < 2 * k + TILE_EDGE; i++) {
        if (!(patch >> BLOCK_EDGE * i & 0xFF))
            continue;
        const uint64_t bytes = b->row[i] & columns;
        const uint64_t even = bytes & low;
        const uint64_t odd = bytes >> 8 & low;
        const uint64_t is_even_above = (even + more) >> 15 & PEAK_WORDS;
        const uint64_t is_odd_above = (odd + more) >> 15 & PEAK_WORDS;
        const uint64_t odd_above = odd & is_odd_above * 0xFFFF;
        const uint64_t nabove = is_even_above + is_odd_above;
        const uint64_t above = (even & is_even_above * 0xFFFF) + odd_above;
        r.counts += even + odd;
        r.nabove += nabove;
        r.above += above;
        r.nabove_odd += is_odd_above;
        r.above_odd += odd_above;
        r.nabove_down += i * nabove;
        r.above_down += i * above;
    }
    for (uint32_t half = 0; half < 2; half++) {
        tile_part part = part_of(&r, half, b->at / BLOCK_EDGE, b->at % BLOCK_EDGE);
        part.n = count_bits64(patch & b->known & peak_block_bits(k + half, 0xFFFF));
        add_part(b->cell[k + half], &part, s);
    }
}

static patch_sums sum_patch(const peak_block *b, uint64_t patch)
{
    patch_sums s = {0};
    for (uint32_t k = 0; k < BLOCK_NTILES; k += b->is_narrow ? 2 : 1) {
        if (b->is_narrow)
            add_bytes(b, patch, k, &s);
        else
            add_values(b, patch, k, &s);
    }
    return s;
}

/*
 * Weights of a spot in the rows, or columns, of a patch around a pixel, from its centre on, up to a
 * factor: exp(-(k - c)^2 / 2 s^2) ~ exp(-k^2 / 2 s^2) * exp(c / s^2)^k.
 */
static void spot_weights(double centre, double *weight)
{
    const double step = portable_exp(centre / (SPOT_SIGMA_PX * SPOT_SIGMA_PX));
    weight[0] = SPOT_AT_2 / (step * step);
    weight[1] = SPOT_AT_1 / step;
    weight[2] = 1.0;
    weight[3] = SPOT_AT_1 * step;
    weight[4] = SPOT_AT_2 * (step * step);
}

/* Sums of weights in those columns of a patch that are given by bits. */
typedef struct column_sums {
    double all;
    double right; /* of weights times their distance from the middle */
} column_sums;

static column_sums sum_columns(const double weight[PATCH_EDGE], uint32_t columns)
{
    column_sums sums = {0};
    for (uint32_t j = 0; j < PATCH_EDGE; j++) {
        const double own = columns >> j & 1 ? weight[j] : 0.0;
        sums.all += own;
        sums.right += own * ((int)j - PATCH_REACH);
    }
    return sums;
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
    double weight = 0; /* of known pixels; of drawn ones the others */
    double wings = 0;
    double down = 0;
    double right = 0;
    if (!drawn || !(s->signal > 0) || !(s->mass > 0))
        return;
    spot_weights(s->slow / s->mass, slow);
    spot_weights(s->fast / s->mass, fast);
    for (uint32_t i = 0; i < PATCH_EDGE; i++) {
        const column_sums there = sum_columns(fast, (uint32_t)(known >> BLOCK_EDGE * i));
        const column_sums lost = sum_columns(fast, (uint32_t)(drawn >> BLOCK_EDGE * i));
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
    patch_sums s = sum_patch(b, patch);
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
