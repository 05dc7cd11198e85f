/* SPDX-License-Identifier: MIT */
/* What cells say of tiles that are stored pixel by pixel: docs/format.md, "Exact values". */
#include "exact_tiles.h"

#include <math.h>

#include "scratch.h"

enum { MOST_ABSENT = 2040, MOST_DIGITS = 9 };

exact_tile *exact_tiles_take(size_t n)
{
    const size_t tile_nbytes = sizeof(exact_tile) + TILE_NPIXELS * sizeof(int64_t);
    exact_tile *tile = n > SIZE_MAX / tile_nbytes ? NULL : scratch_take(n * tile_nbytes);
    for (size_t k = 0; tile && k < n; k++)
        tile[k].value = (int64_t *)(void *)(tile + n) + TILE_NPIXELS * k;
    return tile;
}

/* Version 1: floor(8 * x) within limits. */
static int32_t absent_of(double x)
{
    const double eighths = 8.0 * x;
    return eighths > 0 ? (int32_t)(eighths < MOST_ABSENT ? eighths : MOST_ABSENT) : 0;
}

/* Version 2: binary digits of floor(16 * x) within limits, from the exponent. */
static uint8_t ndigits_of(double x)
{
    const double sixteenths = 16.0 * x;
    uint64_t bits;
    memcpy(&bits, &sixteenths, sizeof bits);
    if (!(sixteenths >= 1.0))
        return 0;
    const uint64_t n = (bits >> 52) - 1022;
    return (uint8_t)(n < MOST_DIGITS ? n : MOST_DIGITS);
}

exact_rule exact_rule_of(const frame_model *model, uint16_t cell)
{
    const noise_frame *f = &model->noise;
    exact_rule rule = {.is_counting = f->is_counting != 0, .is_blank = cell == BRAGG_NO_CELL};
    if (rule.is_blank)
        return rule;
    const ring_profile *ring = &model->profile[f->map->ring[cell]];
    const double expected = noise_expected(f, ring, cell);
    const double x = f->is_counting ? expected : noise_sigma(f, ring, cell);
    rule.absent = absent_of(x);
    rule.ndigits = ndigits_of(x);
    if (f->is_counting)
        return rule;
    const double least = (double)pixel_minimum(f->type);
    const double most = (double)pixel_maximum(f->type);
    const double middle = floor(expected + 0.5);
    rule.predicted = (int64_t)(middle < least ? least : middle > most ? most : middle);
    return rule;
}
