/* SPDX-License-Identifier: MIT */
/*
 * Noise of general rings: docs/format.md, "General noise".
 *
 * The random number of a pixel is a hash of the frame's seed and the pixel's place, so any tile
 * can be drawn alone, in any order, with the same result everywhere.  One 32-bit hash serves two
 * neighbouring pixels.  A pixel becomes value number j of its cell, j being how many cumulative
 * probabilities (in 1/65536) do not exceed its 16 bits.
 *
 * Tiles whose values are single counts and no mask codes, as nearly all are, are drawn and changed
 * as small numbers; others one step after the other, as the document says it.
 */
#include "noise.h"

#include <math.h>

#include "cpu_level.h"
#include "mask.h"
#include "noise_hash.h"
#include "scratch.h"

#if defined(BRAGG_X86_64)
#include <emmintrin.h>
#endif

enum { GUIDE_SHIFT = 8, GUIDE_SIZE = NOISE_DRAW_RANGE >> GUIDE_SHIFT };

/* One cell, as the fill loop wants it. */
typedef struct cell_table {
    int64_t low;
    int64_t step;
    int64_t mean;
    uint32_t nvalues;
    uint32_t first; /* index of its nvalues - 1 thresholds, and of one that nothing reaches */
    cell_moments moments;
    int is_simple;             /* single counts, no mask code among them, and no normal ring */
    uint8_t guide[GUIDE_SIZE]; /* thresholds that 16 bits reach, by the upper half of these */
} cell_table;

struct noise_tables {
    noise_frame frame;
    const cell_range *range;
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

static int has_mask_code(const bragg_mask_codes *codes, int64_t low, int64_t high)
{
    int any = 0;
    for (uint32_t k = 0; k < codes->n; k++)
        any |= codes->value[k] >= low && codes->value[k] <= high;
    return any;
}

static void set_guide(const uint32_t *threshold, uint8_t *guide)
{
    uint32_t j = 0;
    for (uint32_t i = 0; i < GUIDE_SIZE; i++) {
        while (threshold[j] <= i << GUIDE_SHIFT)
            j++;
        guide[i] = (uint8_t)j;
    }
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
        sum_squares += weight[j] * (y * y);
    }
    cell->low = r->low;
    cell->step = r->step;
    cell->nvalues = r->nvalues;
    cell->is_simple = r->step == 1 && !r->is_normal && !has_mask_code(codes, r->low, r->high);
    threshold[r->nvalues - 1] = UINT32_MAX;
    memset(cell->guide, 0, sizeof cell->guide);
    if (!(total > 0 && total < 1e300)) { /* only a forged profile: any value in range will do */
        cell->is_simple = 0;
        threshold[0] = UINT32_MAX;
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
    set_guide(threshold, cell->guide);
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
        nthresholds += range[c].is_pattern ? 0 : range[c].nvalues;
    noise_tables *tables = scratch_take_zeros(1, sizeof *tables);
    *result = tables;
    if (!tables)
        return H5BRAGG_NO_MEMORY;
    tables->frame = *frame;
    tables->range = range;
    tables->cell = scratch_take((map->ncells + 1u) * sizeof *tables->cell);
    tables->threshold = scratch_take((nthresholds + 1) * sizeof *tables->threshold);
    if (!tables->cell || !tables->threshold)
        return H5BRAGG_NO_MEMORY;
    uint32_t next = 0;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        const ring_profile *p = &profile[ring];
        if (!p->is_general)
            continue;
        for (uint32_t c = map->first_cell[ring]; c < map->first_cell[ring + 1]; c++) {
            noise_weights(frame, p, p->tilt1 * PROFILE_TILT_UNIT, p->tilt2 * PROFILE_TILT_UNIT, c,
                          &range[c], weight);
            tables->cell[c].first = next;
            tabulate(&frame->codes, &range[c], weight, &tables->cell[c], tables->threshold + next);
            next += range[c].nvalues;
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
    scratch_give(tables->cell);
    scratch_give(tables->threshold);
    scratch_give(tables);
}

/*
 * Number of thresholds not above r.  Behind those of the guide there is hardly ever more than one:
 * the draw is random, so two are looked at without a branch on r, before the few that may be left.
 */
BRAGG_INLINE uint32_t draw(const noise_tables *t, const cell_table *cell, uint32_t r)
{
    const uint32_t *threshold = t->threshold + cell->first;
    uint32_t j = cell->guide[r >> GUIDE_SHIFT];
    j += threshold[j] <= r;
    j += threshold[j] <= r;
    while (threshold[j] <= r)
        j++;
    return j;
}

/* Sums are reached by moving all pixels at first, where distributions are wide, then by counts. */
enum { SHIFT_ROUNDS = 4, MAX_SINGLE_COUNTS = 4096, TRIES_PER_COUNT = 64 };
/* General noise has random bits of its own. */
static const uint64_t GENERAL_SEED = 0x5DEECE66Du;

static int64_t draw_pixel(const noise_tables *t, const cell_table *cell, uint64_t seed,
                          uint32_t place)
{
    const uint32_t bits = noise_hash(seed ^ GENERAL_SEED, place >> 1);
    const uint32_t r = place & 1 ? bits >> 16 : bits & 0xFFFF;
    const uint32_t j = draw(t, cell, r);
    int64_t value = cell->low + (int64_t)j * cell->step;
    if (cell->step > 1) {
        const uint32_t within = noise_hash(~seed ^ GENERAL_SEED, place);
        value += (int64_t)(((uint64_t)within * (uint64_t)cell->step) >> 32);
        value = avoid_mask_codes(&t->frame.codes, value);
    }
    return value;
}

/* The drawn pixels of a tile and what may be done to them. */
typedef struct tile_pixels {
    const cell_range *range;
    const bragg_mask_codes *codes;
    int64_t *pixel[TILE_NPIXELS];
    uint32_t n;
} tile_pixels;

/* Adds `change` to a pixel if that stays in its range and is no mask code; returns whether it did.
 */
static int change_pixel(const tile_pixels *t, int64_t *pixel, int64_t change)
{
    const int64_t value = *pixel + change;
    if (value < t->range->low || value > t->range->high || mask_number(t->codes, value))
        return 0;
    *pixel = value;
    return 1;
}

/* The pixel that holds count number `count` of the tile. */
static int64_t *pixel_of_count(const tile_pixels *t, int64_t count)
{
    for (uint32_t k = 0; k < t->n; k++) {
        count -= *t->pixel[k] - t->range->low;
        if (count < 0)
            return t->pixel[k];
    }
    return t->pixel[0];
}

/* Wide distributions move as a whole: single counts would take for ever. */
static int64_t shift_pixels(const tile_pixels *t, int64_t missing)
{
    const int64_t each = missing / (int64_t)t->n;
    for (uint32_t k = 0; k < t->n; k++) {
        const int64_t most = t->range->high - *t->pixel[k];
        const int64_t least = t->range->low - *t->pixel[k];
        const int64_t change = each > most ? most : each < least ? least : each;
        if (change_pixel(t, t->pixel[k], change))
            missing -= change;
    }
    return missing;
}

/* floor(bits * n / 2^32), exactly, for n >= 0. */
static int64_t scaled(uint32_t bits, int64_t n)
{
    const uint64_t low = (uint64_t)bits * ((uint64_t)n & 0xFFFFFFFFu) >> 32;
    return (int64_t)((uint64_t)bits * ((uint64_t)n >> 32) + low);
}

static void reach_sum(const tile_pixels *t, int64_t wanted, uint32_t state)
{
    int64_t sum = 0;
    for (uint32_t k = 0; k < t->n; k++)
        sum += *t->pixel[k] - t->range->low;
    for (int round = 0; t->range->is_normal && round < SHIFT_ROUNDS; round++)
        sum = wanted - shift_pixels(t, wanted - sum);
    const int64_t distance = wanted > sum ? wanted - sum : sum - wanted;
    const int64_t counts = distance < MAX_SINGLE_COUNTS ? distance : MAX_SINGLE_COUNTS;
    for (int64_t tries = TRIES_PER_COUNT * counts; sum != wanted && tries > 0; tries--) {
        const uint32_t bits = next_bits(&state);
        if (sum < wanted)
            sum += change_pixel(t, t->pixel[scaled(bits, t->n)], 1);
        else
            sum -= change_pixel(t, pixel_of_count(t, scaled(bits, sum)), -1);
    }
}

/* The drawn pixels of a simple tile above the low end of their range; those behind are 0. */
typedef struct small_tile {
    int32_t count[TILE_NPIXELS];
    uint32_t n;
    int32_t most; /* of each */
} small_tile;

/* Adds counts, each to a pixel by chance, if it has room. */
static void raise_sum(small_tile *s, int32_t missing, int32_t tries, uint32_t state)
{
    for (; missing > 0 && tries > 0; tries--) {
        int32_t *count = &s->count[(uint64_t)next_bits(&state) * s->n >> 32];
        const int32_t has_room = *count < s->most;
        *count += has_room;
        missing -= has_room;
    }
}

/* Sums of the counts of a tile until each pixel. */
typedef struct running_sums {
#if defined(BRAGG_X86_64)
    __m128i four[TILE_EDGE]; /* compilers make no vectors of the loop below */
#else
    int32_t until[TILE_NPIXELS];
#endif
} running_sums;

/* Takes away count `number` of a tile: from the pixel that holds it on, sums are above it. */
BRAGG_INLINE void take_count(running_sums *s, int32_t number)
{
#if defined(BRAGG_X86_64)
    const __m128i limit = _mm_set1_epi32(number);
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        s->four[k] = _mm_add_epi32(s->four[k], _mm_cmpgt_epi32(s->four[k], limit));
#else
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        s->until[k] -= s->until[k] > number;
#endif
}

/* Takes single counts away, each of all that there are with the same chance. */
static void lower_sum(small_tile *s, int32_t sum, int32_t wanted, int32_t tries, uint32_t state)
{
    int32_t up_to[TILE_NPIXELS];
    int32_t all = 0;
    running_sums running;
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        up_to[k] = all += s->count[k];
    memcpy(&running, up_to, sizeof running);
    for (; sum > wanted && tries > 0; tries--, sum--)
        take_count(&running, (int32_t)((uint64_t)next_bits(&state) * (uint32_t)sum >> 32));
    memcpy(up_to, &running, sizeof running);
    for (uint32_t k = TILE_NPIXELS - 1; k > 0; k--)
        s->count[k] = up_to[k] - up_to[k - 1];
    s->count[0] = up_to[0];
}

/* As reach_sum. */
static void reach_small_sum(small_tile *s, int64_t wanted, uint32_t state)
{
    int32_t sum = 0;
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        sum += s->count[k];
    const int64_t distance = wanted > sum ? wanted - sum : sum - wanted;
    const int32_t counts = (int32_t)(distance < MAX_SINGLE_COUNTS ? distance : MAX_SINGLE_COUNTS);
    const int32_t tries = TRIES_PER_COUNT * counts;
    if (wanted > sum)
        raise_sum(s, distance < INT32_MAX ? (int32_t)distance : INT32_MAX, tries, state);
    else
        lower_sum(s, sum, wanted > 0 ? (int32_t)wanted : 0, tries, state);
}

static void draw_small_tile(const noise_tables *t, const cell_table *cell, uint64_t seed,
                            noise_tile *tile)
{
    small_tile s = {.most = (int32_t)cell->nvalues - 1};
    uint32_t bits[TILE_NPIXELS / 2];
    for (uint32_t k = 0; k < TILE_NPIXELS / 2; k++)
        bits[k] = noise_hash(seed ^ GENERAL_SEED, tile->number * (TILE_NPIXELS / 2) + k);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint32_t r = bits[p / 2] >> 16 * (p & 1) & 0xFFFF;
        s.count[s.n] = (int32_t)draw(t, cell, r); /* if it is valid, it stays */
        s.n += tile->valid >> p & 1;
    }
    for (uint32_t k = s.n; k < TILE_NPIXELS; k++)
        s.count[k] = 0;
    if (tile->has_sum && s.n > 0)
        reach_small_sum(&s, tile->sum, tile->hash | 1);
    uint32_t k = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint32_t is_valid = tile->valid >> p & 1;
        tile->value[p] = is_valid ? cell->low + s.count[k] : 0;
        k += is_valid;
    }
}

void noise_draw_tile_plain(const noise_tables *t, uint64_t seed, noise_tile *tile)
{
    const cell_table *cell = &t->cell[tile->cell];
    tile_pixels pixels = {.range = &t->range[tile->cell], .codes = &t->frame.codes};
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        tile->value[p] = 0;
        if (!(tile->valid >> p & 1))
            continue;
        tile->value[p] = draw_pixel(t, cell, seed, tile->number * TILE_NPIXELS + p);
        pixels.pixel[pixels.n++] = &tile->value[p];
    }
    if (tile->has_sum && pixels.n > 0)
        reach_sum(&pixels, tile->sum, tile->hash | 1);
}

void noise_draw_tile(const noise_tables *t, uint64_t seed, noise_tile *tile)
{
    const cell_table *cell = &t->cell[tile->cell];
    if (cell->is_simple)
        draw_small_tile(t, cell, seed, tile);
    else
        noise_draw_tile_plain(t, seed, tile);
}

int64_t noise_mean(const noise_tables *tables, uint32_t cell) { return tables->cell[cell].mean; }
