/* SPDX-License-Identifier: MIT */
/*
 * Contexts of picked pixels: docs/format.md, "Picked pixels".
 *
 * How many pixels are picked depends on how likely the background exceeds the threshold, which
 * jumps from ring to ring because counts are integers; how high they are depends on the background
 * below them; and pixels of a peak stand together.  The contexts follow that.
 */
#include "picked.h"

#include "portable_math.h"
#include "scratch.h"
#include "symbols.h"

/* Cells whose weights are summed side by side: a division waits for the one before it. */
enum { NCELLS_AT_ONCE = 16 };

/* Quick sums are off by far less, as they are of positive numbers that add up to 1. */
static const double QUICK_ERROR = 1e-10;

/* P(n <= threshold) of some cells, as docs/format.md says it; quickly: but for the last bits. */
BRAGG_INLINE void sum_weights(const int quickly, const double *expected, const int64_t *threshold,
                              double *sum)
{
    double exponent[NCELLS_AT_ONCE];
    double weight[NCELLS_AT_ONCE];
    int64_t most = 0;
    for (int i = 0; i < NCELLS_AT_ONCE; i++) {
        exponent[i] = -expected[i];
        most = threshold[i] > most ? threshold[i] : most;
    }
    (quickly ? portable_exp_quickly : portable_exp_all)(exponent, NCELLS_AT_ONCE, weight);
    memcpy(sum, weight, sizeof weight);
    for (int64_t n = 1; n <= most; n++) {
        const double reciprocal = 1.0 / (double)n;
        for (int i = 0; i < NCELLS_AT_ONCE; i++) {
            const double product = weight[i] * expected[i];
            weight[i] = quickly ? product * reciprocal : product / (double)n;
            sum[i] = n <= threshold[i] ? sum[i] + weight[i] : sum[i];
        }
    }
}

/* Number of j from 1 to 9 with x < 2^-j: from the exponent of x. */
static uint8_t level_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int level = 1022 - (int)(bits >> 52);
    if (!(x > 0))
        return x <= 0 ? 9 : 0; /* no number is less than another */
    return (uint8_t)(level < 0 ? 0 : level > 9 ? 9 : level);
}

/* Chance levels of some cells: of quick sums, unless one of them is too near a bound to be sure. */
static void set_chances(const double *expected, const int64_t *threshold, uint8_t *chance)
{
    double sum[NCELLS_AT_ONCE];
    int is_sure = 1;
    sum_weights(1, expected, threshold, sum);
    for (int i = 0; i < NCELLS_AT_ONCE; i++) {
        chance[i] = level_of(1.0 - sum[i] + QUICK_ERROR);
        is_sure &= expected[i] >= 0 && chance[i] == level_of(1.0 - sum[i] - QUICK_ERROR);
    }
    if (is_sure)
        return;
    sum_weights(0, expected, threshold, sum);
    for (int i = 0; i < NCELLS_AT_ONCE; i++)
        chance[i] = level_of(1.0 - sum[i]);
}

static uint8_t background_of(double expected, int64_t threshold)
{
    const double x = expected < 0 ? 0 : 8.0 * expected / (double)(threshold + 2);
    return x > 0 ? (uint8_t)(x < 7.0 ? x : 7.0) : 0;
}

/* Sets NCELLS_AT_ONCE cells from one on, as far as there are as many. */
static void set_cells(const frame_model *model, picked_cell *cell, uint32_t first)
{
    const ring_map *map = model->noise.map;
    const uint32_t n = map->ncells - first < NCELLS_AT_ONCE ? map->ncells - first : NCELLS_AT_ONCE;
    double expected[NCELLS_AT_ONCE] = {0};
    int64_t threshold[NCELLS_AT_ONCE] = {0}; /* 0 in general rings, whose sums are not needed */
    uint8_t chance[NCELLS_AT_ONCE];
    for (uint32_t k = 0; k < n; k++) {
        const ring_profile *ring = &model->profile[map->ring[first + k]];
        expected[k] = noise_expected(&model->noise, ring, first + k);
        threshold[k] = ring->is_general ? 0 : model->range[first + k].high;
    }
    set_chances(expected, threshold, chance);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t c = first + k;
        const int64_t high = model->range[c].high;
        cell[c].least = high + 1;
        cell[c].chance =
            model->profile[map->ring[c]].is_general ? PICKED_GENERAL_CHANCE : chance[k];
        cell[c].background = background_of(expected[k], high);
    }
}

h5bragg_status picked_cells_make(const frame_model *model, picked_cell **cell)
{
    const uint32_t ncells = model->noise.map->ncells;
    *cell = scratch_take((ncells + 1u) * sizeof **cell);
    for (uint32_t c = 0; *cell && c < ncells; c += NCELLS_AT_ONCE)
        set_cells(model, *cell, c);
    return *cell ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

enum { ABOVE_NCLASSES = 3, GENERAL_CONTEXT = 30, NOT_OPEN_CONTEXT = 31, BACKGROUND_NCONTEXTS = 7 };

h5bragg_status picked_contexts_make(const frame_model *model, picked_contexts *contexts)
{
    const uint32_t each = 0x01010101; /* class */
    const ring_map *map = model->noise.map;
    memset(contexts, 0, sizeof *contexts);
    contexts->map = map;
    contexts->lines = scratch_take((map->ncells + 1u) * sizeof *contexts->lines);
    contexts->heights = scratch_take((BRAGG_NO_CELL + 1u) * sizeof *contexts->heights);
    const h5bragg_status status = picked_cells_make(model, &contexts->cell);
    if (status || !contexts->lines || !contexts->heights)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const picked_cell *cell = &contexts->cell[c];
        contexts->lines[c] = cell->chance == PICKED_GENERAL_CHANCE
                                 ? each * GENERAL_CONTEXT
                                 : each * ABOVE_NCLASSES * cell->chance + 0x020100;
        contexts->heights[c] =
            (picked_base){(uint32_t)(uint64_t)cell->least,
                          (uint16_t)(BACKGROUND_NCONTEXTS * (cell->background / 2)),
                          pixel_maximum(model->noise.type) - cell->least < NUMBER_DIRECT};
    }
    contexts->heights[BRAGG_NO_CELL] = (picked_base){0, 0, 0};
    contexts->lines[map->ncells] = each * NOT_OPEN_CONTEXT;
    return H5BRAGG_OK;
}

void picked_contexts_free(picked_contexts *contexts)
{
    scratch_give(contexts->cell);
    scratch_give(contexts->lines);
    scratch_give(contexts->heights);
    memset(contexts, 0, sizeof *contexts);
}
