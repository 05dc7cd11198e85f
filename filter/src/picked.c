/* SPDX-License-Identifier: MIT */
/*
 * Positions and values of picked pixels: docs/format.md, "Picked pixels".
 *
 * How far the next pixel is depends on how likely the background exceeds the threshold, which
 * jumps from ring to ring because counts are integers; how high it is depends on the background
 * below it; and pixels of a peak stand together.  The contexts follow that.
 */
#include "picked.h"

#include "portable_math.h"
#include "scratch.h"

/* Cells whose weights are summed side by side: a division waits for the one before it. */
enum { NCELLS_AT_ONCE = 8 };

/* P(n <= threshold) of some cells. */
static void sum_weights(const double *expected, const int64_t *threshold, double *sum)
{
    double weight[NCELLS_AT_ONCE];
    int64_t most = 0;
    for (int i = 0; i < NCELLS_AT_ONCE; i++) {
        weight[i] = sum[i] = portable_exp(-expected[i]);
        most = threshold[i] > most ? threshold[i] : most;
    }
    for (int64_t n = 1; n <= most; n++) {
        for (int i = 0; i < NCELLS_AT_ONCE; i++) {
            weight[i] = weight[i] * expected[i] / (double)n;
            sum[i] = n <= threshold[i] ? sum[i] + weight[i] : sum[i];
        }
    }
}

/* Number of j from 1 to 9 with 1 - sum < 2^-j. */
static uint8_t gap_context_of(double sum)
{
    double bound = 0.5;
    uint8_t context = 0;
    for (int j = 1; j <= 9; j++, bound *= 0.5)
        context = (uint8_t)(context + (1.0 - sum < bound));
    return context;
}

static uint8_t excess_context_of(double expected, int64_t threshold)
{
    if (!(expected >= 0))
        return PICKED_EXCESS_CONTEXT;
    const double x = 8.0 * expected / (double)(threshold + 2);
    return (uint8_t)(PICKED_EXCESS_CONTEXT + (x > 0 ? (int)(x < 7.0 ? x : 7.0) : 0));
}

/* A symbol that stands for no number leads out of the frame. */
static void set_numbers(picked_state *state)
{
    for (uint32_t symbol = 0; symbol < 256; symbol++) {
        const int is_direct = symbol < NUMBER_DIRECT;
        const uint32_t nbits = is_direct ? 0 : (symbol - NUMBER_DIRECT) / 4 + 2;
        const int is_number = symbol <= NUMBER_LARGEST_SYMBOL;
        picked_numbers *numbers = &state->numbers[symbol];
        numbers->nbits = is_number ? nbits : 0;
        numbers->mask = ((uint32_t)1 << numbers->nbits) - 1;
        numbers->least = is_direct   ? symbol
                         : is_number ? (uint64_t)(4 | (symbol & 3)) << nbits
                                     : PICKED_NO_NUMBER;
    }
}

/* Sets NCELLS_AT_ONCE cells from one on, as far as there are as many. */
static void set_cells(picked_state *state, uint32_t first)
{
    const frame_model *model = state->model;
    const ring_map *map = model->noise.map;
    const uint32_t n = map->ncells - first < NCELLS_AT_ONCE ? map->ncells - first : NCELLS_AT_ONCE;
    double expected[NCELLS_AT_ONCE] = {0};
    int64_t threshold[NCELLS_AT_ONCE] = {0}; /* 0 in general rings, whose sums are not needed */
    double sum[NCELLS_AT_ONCE];
    for (uint32_t k = 0; k < n; k++) {
        const ring_profile *ring = &model->profile[map->ring[first + k]];
        expected[k] = noise_expected(&model->noise, ring, first + k);
        threshold[k] = ring->is_general ? 0 : model->range[first + k].high;
    }
    sum_weights(expected, threshold, sum);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t c = first + k;
        const int64_t high = model->range[c].high;
        picked_cell *cell = &state->cell[c];
        cell->least = high + 1;
        cell->gap_context = model->profile[map->ring[c]].is_general ? PICKED_NO_CELL_CONTEXT
                                                                    : gap_context_of(sum[k]);
        cell->excess_context = excess_context_of(expected[k], high);
        state->contexts[c] = (uint16_t)(cell->gap_context << 8 | cell->excess_context);
    }
}

h5bragg_status picked_state_make(const frame_model *model, picked_state *state)
{
    const ring_map *map = model->noise.map;
    memset(state, 0, sizeof *state);
    state->model = model;
    state->cell = scratch_take((map->ncells + 1u) * sizeof *state->cell);
    state->contexts = scratch_take((BRAGG_NO_CELL + 1) * sizeof *state->contexts);
    if (!state->cell || !state->contexts)
        return H5BRAGG_NO_MEMORY;
    state->contexts[BRAGG_NO_CELL] = PICKED_NO_CELL_CONTEXT << 8;
    set_numbers(state);
    for (uint32_t c = 0; c < map->ncells; c += NCELLS_AT_ONCE)
        set_cells(state, c);
    return H5BRAGG_OK;
}

void picked_state_free(picked_state *state)
{
    scratch_give(state->cell);
    scratch_give(state->contexts);
    memset(state, 0, sizeof *state);
}

uint32_t picked_gap_context(const picked_state *state)
{
    const ring_map *map = state->model->noise.map;
    if (state->last_excess >= PICKED_PEAK_EXCESS)
        return PICKED_PEAK_CONTEXT;
    const uint64_t tile = state->next / TILE_NPIXELS;
    if (tile >= ring_map_ntiles(map) || map->cell[tile] == BRAGG_NO_CELL)
        return PICKED_NO_CELL_CONTEXT;
    return state->cell[map->cell[tile]].gap_context;
}
