/* SPDX-License-Identifier: MIT */
/*
 * Local counts: docs/format.md, "Local counts".
 *
 * The counts of a block's discarded pixels, above the low ends of their ranges, are summed.  A sum
 * of variance V is quantised in steps of about sqrt(V): finer ones would store the sum's own noise.
 * The steps are offset at random from block to block (subtractive dither), so that the middle of a
 * step is an unbiased estimate of the sum, whatever the sums are distributed like.
 *
 * What the ring model predicts is scaled by what the blocks before (left and above) had of their
 * predictions: in a shadow, or on a slope, predictions and steps adapt.
 *
 * Drawn pixels then get the sum by single counts: one is added to a random pixel, or a random count
 * is taken away.  For Poisson pixels that is exactly the distribution conditioned on the sum.
 */
#include "local_counts.h"

#include <math.h>
#include <stdlib.h>

#include "noise_hash.h"

enum { SHIFT_ROUNDS = 4, TRIES_PER_COUNT = 64, MAX_SINGLE_COUNTS = 4096 };
static const double MAX_STEP = 1e9;
/* How many blocks before weigh as much as the ring model's prediction. */
static const double MODEL_WEIGHT = 0.5;

/* The discarded pixels of a block. */
typedef struct block_pixels {
    uint32_t n;
    uint32_t index[LOCAL_MAX_PIXELS];
    double expected; /* of their sum, above the low ends of the ranges */
    double variance;
    int64_t capacity; /* largest possible sum */
    int is_normal;
} block_pixels;

void local_mark_exact(const ring_map *map, const uint8_t *mask, const picked_pixels *picked,
                      uint8_t *exact)
{
    const size_t npixels = (size_t)map->ny * map->nx;
    for (size_t i = 0; i < npixels; i++)
        exact[i] = mask[i] || map->cell[i] == BRAGG_NO_CELL;
    for (uint32_t k = 0; k < picked->n; k++)
        exact[picked->index[k]] = 1;
}

static void gather(const local_frame *f, size_t number, block_pixels *b)
{
    const local_block at = local_block_at(f->grid, number);
    *b = (block_pixels){0};
    for (uint32_t row = at.top; row < at.bottom; row++) {
        for (uint32_t column = at.left; column < at.right; column++) {
            const size_t i = (size_t)row * f->grid->nx + column;
            if (f->exact[i])
                continue;
            const uint16_t cell = f->noise->map->cell[i];
            const cell_moments m = noise_moments(f->tables, cell);
            b->index[b->n++] = (uint32_t)i;
            b->expected += m.mean;
            b->variance += m.variance;
            b->capacity += f->range[cell].high - f->range[cell].low;
            b->is_normal |= f->range[cell].is_normal;
        }
    }
}

/* Predicted and restored sums of the blocks so far; both zero where nothing is stored. */
typedef struct sum_history {
    double *predicted;
    double *restored;
} sum_history;

static h5bragg_status history_make(const local_grid *grid, sum_history *h)
{
    h->predicted = calloc(local_nblocks(grid), sizeof *h->predicted);
    h->restored = calloc(local_nblocks(grid), sizeof *h->restored);
    return h->predicted && h->restored ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

static void history_free(sum_history *h)
{
    free(h->predicted);
    free(h->restored);
}

/* What the blocks to the left and above have of the model's predictions. */
static double local_ratio(const local_grid *grid, const sum_history *h, size_t number,
                          double expected)
{
    const size_t column = number % grid->nfast;
    double restored = MODEL_WEIGHT * expected;
    double predicted = MODEL_WEIGHT * expected;
    if (column > 0) {
        restored += h->restored[number - 1];
        predicted += h->predicted[number - 1];
    }
    if (number >= grid->nfast) {
        const size_t above = number - grid->nfast;
        const size_t first = column > 0 ? above - 1 : above;
        const size_t last = column + 1 < grid->nfast ? above + 1 : above;
        for (size_t k = first; k <= last; k++) {
            restored += h->restored[k];
            predicted += h->predicted[k];
        }
    }
    return predicted > 0 ? restored / predicted : 1.0;
}

/* How the sum of a block is quantised. */
typedef struct sum_code {
    int64_t step;
    int64_t dither;
    int64_t predicted; /* number of the step that is expected */
    int code_class;
} sum_code;

static sum_code code_of(const local_frame *f, const sum_history *h, size_t number,
                        const block_pixels *b)
{
    const double ratio = local_ratio(f->grid, h, number, b->expected);
    const double expected = b->expected * ratio;
    const double variance = b->variance * ratio;
    const double root = floor(sqrt(variance));
    sum_code c = {1, 0, 0, 0};
    c.step = root < 1.0 ? 1 : root > MAX_STEP ? (int64_t)MAX_STEP : (int64_t)root;
    const uint64_t bits = noise_hash(f->seed ^ 0x5DEECE66DULL, (uint32_t)number);
    c.dither = (int64_t)(bits * (uint64_t)c.step >> 32);
    const double limit = (double)b->capacity;
    const double bounded = expected < limit ? expected : limit;
    c.predicted = ((int64_t)floor(bounded + 0.5) + c.dither) / c.step;
    c.code_class = variance < 0.5 ? 0 : variance < 2.0 ? 1 : 2;
    return c;
}

/* xorshift32: the random numbers of one block. */
static uint32_t next_bits(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint32_t block_state(const local_frame *f, size_t number)
{
    return noise_hash(f->seed ^ 0x2545F491ULL, (uint32_t)number) | 1u;
}

/* The middle of step `number`, or of what of it sums can reach; rounded up or down at random. */
static int64_t middle_of_step(const block_pixels *b, const sum_code *c, int64_t number,
                              uint32_t *state)
{
    const int64_t start = number * c->step - c->dither;
    const int64_t stop = start + c->step - 1;
    const int64_t low = start > 0 ? start : 0;
    const int64_t high = stop < b->capacity ? stop : b->capacity;
    return low + (high - low + (int64_t)(next_bits(state) >> 31)) / 2;
}

BRAGG_INLINE int64_t block_sum(const h5bragg_pixel_type type, const local_frame *f,
                               const block_pixels *b, const void *pixels)
{
    int64_t sum = 0;
    for (uint32_t k = 0; k < b->n; k++) {
        const size_t i = b->index[k];
        sum += pixel_get(pixels, type, i) - f->range[f->noise->map->cell[i]].low;
    }
    return sum;
}

/* Remembers what the decoder will make of a block. */
static int64_t restore_sum(const block_pixels *b, const sum_code *c, size_t block, int64_t number,
                           sum_history *h, uint32_t *state)
{
    const int64_t sum = middle_of_step(b, c, number, state);
    h->predicted[block] = b->expected;
    h->restored[block] = (double)sum;
    return sum;
}

BRAGG_INLINE void write_sums(const h5bragg_pixel_type type, const local_frame *f,
                             const void *pixels, sum_history *h, byte_writer *sums)
{
    block_pixels b;
    for (size_t k = 0; k < local_nblocks(f->grid); k++) {
        gather(f, k, &b);
        if (b.capacity == 0)
            continue;
        const sum_code c = code_of(f, h, k, &b);
        const int64_t number = (block_sum(type, f, &b, pixels) + c.dither) / c.step;
        uint32_t state = block_state(f, k);
        write_varint(&sums[c.code_class], zigzag(number - c.predicted));
        restore_sum(&b, &c, k, number, h, &state);
    }
}

h5bragg_status local_write(const local_frame *f, const void *pixels,
                           byte_writer sums[LOCAL_NCLASSES])
{
    sum_history h;
    const h5bragg_status status = history_make(f->grid, &h);
    if (!status) {
        DISPATCH_PIXEL_TYPE(f->noise->type, write_sums, f, pixels, &h, sums)
    }
    history_free(&h);
    return status;
}

/* Adds `change` to pixel i if that stays in its range and is no mask code; returns whether it did.
 */
BRAGG_INLINE int change_pixel(const h5bragg_pixel_type type, const local_frame *f, void *pixels,
                              size_t i, int64_t change)
{
    const cell_range *r = &f->range[f->noise->map->cell[i]];
    const int64_t value = pixel_get(pixels, type, i) + change;
    if (value < r->low || value > r->high || mask_number(&f->noise->codes, value))
        return 0;
    pixel_set(pixels, type, i, value);
    return 1;
}

/* The pixel that holds count number `count` of the block. */
BRAGG_INLINE size_t pixel_of_count(const h5bragg_pixel_type type, const local_frame *f,
                                   const block_pixels *b, const void *pixels, int64_t count)
{
    for (uint32_t k = 0; k < b->n; k++) {
        const size_t i = b->index[k];
        count -= pixel_get(pixels, type, i) - f->range[f->noise->map->cell[i]].low;
        if (count < 0)
            return i;
    }
    return b->index[0];
}

/* Wide distributions move as a whole: single counts would take for ever. */
BRAGG_INLINE int64_t shift_pixels(const h5bragg_pixel_type type, const local_frame *f,
                                  const block_pixels *b, void *pixels, int64_t missing)
{
    const int64_t each = missing / (int64_t)b->n;
    for (uint32_t k = 0; k < b->n; k++) {
        const cell_range *r = &f->range[f->noise->map->cell[b->index[k]]];
        const int64_t value = pixel_get(pixels, type, b->index[k]);
        const int64_t most = r->high - value;
        const int64_t least = r->low - value;
        const int64_t change = each > most ? most : each < least ? least : each;
        if (change_pixel(type, f, pixels, b->index[k], change))
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

BRAGG_INLINE void reach_sum(const h5bragg_pixel_type type, const local_frame *f,
                            const block_pixels *b, void *pixels, int64_t wanted, uint32_t *state)
{
    int64_t sum = block_sum(type, f, b, pixels);
    for (int round = 0; b->is_normal && round < SHIFT_ROUNDS; round++)
        sum = wanted - shift_pixels(type, f, b, pixels, wanted - sum);
    const int64_t distance = wanted > sum ? wanted - sum : sum - wanted;
    const int64_t counts = distance < MAX_SINGLE_COUNTS ? distance : MAX_SINGLE_COUNTS;
    for (int64_t tries = TRIES_PER_COUNT * counts; sum != wanted && tries > 0; tries--) {
        const uint32_t bits = next_bits(state);
        if (sum < wanted) {
            sum += change_pixel(type, f, pixels, b->index[scaled(bits, b->n)], 1);
        } else {
            const size_t i = pixel_of_count(type, f, b, pixels, scaled(bits, sum));
            sum -= change_pixel(type, f, pixels, i, -1);
        }
    }
}

BRAGG_INLINE void apply_sums(const h5bragg_pixel_type type, const local_frame *f, byte_reader *sums,
                             sum_history *h, void *pixels, h5bragg_status *status)
{
    block_pixels b;
    for (size_t k = 0; k < local_nblocks(f->grid) && !*status; k++) {
        gather(f, k, &b);
        if (b.capacity == 0)
            continue;
        const sum_code c = code_of(f, h, k, &b);
        const int64_t residual = unzigzag(read_varint(&sums[c.code_class]));
        const int64_t last = (b.capacity + c.dither) / c.step; /* a sum lies in steps 0 to last */
        if (residual < -c.predicted || residual > last - c.predicted) {
            *status = H5BRAGG_CORRUPT;
            continue;
        }
        uint32_t state = block_state(f, k);
        const int64_t wanted = restore_sum(&b, &c, k, c.predicted + residual, h, &state);
        reach_sum(type, f, &b, pixels, wanted, &state);
    }
}

h5bragg_status local_apply(const local_frame *f, byte_reader sums[LOCAL_NCLASSES], void *pixels)
{
    sum_history h;
    h5bragg_status status = history_make(f->grid, &h);
    if (!status) {
        DISPATCH_PIXEL_TYPE(f->noise->type, apply_sums, f, sums, &h, pixels, &status)
    }
    history_free(&h);
    for (int c = 0; c < LOCAL_NCLASSES && !status; c++) {
        if (sums[c].failed || bytes_left(&sums[c]))
            status = H5BRAGG_CORRUPT;
    }
    return status;
}
