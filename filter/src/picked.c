/* SPDX-License-Identifier: MIT */
/*
 * Positions and values of picked pixels: docs/format.md, "Picked pixels".
 *
 * How far the next pixel is depends on how likely the background exceeds the threshold, which
 * jumps from ring to ring because counts are integers; how high it is depends on the background
 * below it; and pixels of a peak stand together.  The contexts follow that.
 */
#include "picked.h"

#include <stdlib.h>

#include "portable_math.h"

/* Number of j from 1 to 9 with P(n > threshold) < 2^-j. */
static uint8_t gap_context_of(double expected, int64_t threshold)
{
    double weight = portable_exp(-expected);
    double sum = weight;
    double bound = 0.5;
    uint8_t context = 0;
    for (int64_t n = 1; n <= threshold; n++) {
        weight = weight * expected / (double)n;
        sum += weight;
    }
    for (int j = 1; j <= 9; j++, bound *= 0.5)
        context = (uint8_t)(context + (1.0 - sum < bound));
    return context;
}

static uint8_t excess_context_of(double expected, int64_t threshold)
{
    if (!(expected >= 0))
        return EXCESS_CONTEXT;
    const double x = 8.0 * expected / (double)(threshold + 2);
    return (uint8_t)(EXCESS_CONTEXT + (x > 0 ? (int)(x < 7.0 ? x : 7.0) : 0));
}

/* A symbol that stands for no number leads out of the frame. */
static void set_gaps(picked_state *state)
{
    for (uint32_t symbol = 0; symbol < 256; symbol++) {
        const int is_direct = symbol < NUMBER_DIRECT;
        const uint32_t nbits = is_direct ? 0 : (symbol - NUMBER_DIRECT) / 4 + 2;
        const int is_number = symbol <= NUMBER_LARGEST_SYMBOL;
        state->gap_nbits[symbol] = (uint8_t)(is_number ? nbits : 0);
        state->gap_least[symbol] = is_direct   ? symbol
                                   : is_number ? (uint64_t)(4 | (symbol & 3)) << nbits
                                               : UINT64_MAX / 2;
    }
}

h5bragg_status picked_state_make(const frame_model *model, picked_state *state)
{
    const ring_map *map = model->noise.map;
    memset(state, 0, sizeof *state);
    state->model = model;
    state->cell = malloc((map->ncells + 1u) * sizeof *state->cell);
    if (!state->cell)
        return H5BRAGG_NO_MEMORY;
    set_gaps(state);
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &model->profile[map->ring[c]];
        const double expected = noise_expected(&model->noise, ring, c);
        const int64_t threshold = model->range[c].high;
        state->cell[c].least = threshold + 1;
        state->cell[c].gap_context =
            ring->is_general ? NO_CELL_CONTEXT : gap_context_of(expected, threshold);
        state->cell[c].excess_context = excess_context_of(expected, threshold);
    }
    return H5BRAGG_OK;
}

void picked_state_free(picked_state *state)
{
    free(state->cell);
    memset(state, 0, sizeof *state);
}

uint32_t next_gap_context(const picked_state *state)
{
    const ring_map *map = state->model->noise.map;
    if (state->last_excess >= PEAK_EXCESS)
        return PEAK_CONTEXT;
    const uint64_t tile = state->next / TILE_NPIXELS;
    if (tile >= ring_map_ntiles(map) || map->cell[tile] == BRAGG_NO_CELL)
        return NO_CELL_CONTEXT;
    return state->cell[map->cell[tile]].gap_context;
}

/*
 * One pixel, whose gap has a context; returns 0 where it cannot be.  is_sure, a constant, says that
 * there are words for it.  Gaps are read without branches, as it is a matter of chance which have
 * raw bits.
 */
BRAGG_INLINE int read_one(picked_state *state, const ring_map *map, symbol_reader *r,
                          const int is_sure, uint32_t *context, picked_pixel *pixel)
{
    const uint32_t symbol =
        is_sure ? symbol_get_sure(r, *context * SYMBOLS_CONTEXT_NBYTES) : symbol_get(r, *context);
    const uint64_t gap = state->gap_least[symbol] + raw_bits_get(r, state->gap_nbits[symbol]);
    const uint64_t place = state->next + gap;
    const uint64_t tile = place / TILE_NPIXELS;
    if (tile >= ring_map_ntiles(map) || map->cell[tile] == BRAGG_NO_CELL)
        return 0;
    const picked_cell *cell = &state->cell[map->cell[tile]];
    const uint32_t excess = is_sure
                                ? symbol_get_sure(r, cell->excess_context * SYMBOLS_CONTEXT_NBYTES)
                                : symbol_get(r, cell->excess_context);
    state->last_excess = number_of(r, excess);
    state->next = place + 1;
    *pixel = (picked_pixel){place, cell->least + (int64_t)state->last_excess};
    *context = cell->gap_context;
    if (state->last_excess >= PEAK_EXCESS)
        *context = PEAK_CONTEXT;
    else if (state->next % TILE_NPIXELS == 0)
        *context = next_gap_context(state);
    return 1;
}

uint32_t picked_read(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n)
{
    const ring_map *map = state->model->noise.map;
    symbol_reader r = *s; /* in registers */
    uint32_t context = next_gap_context(state);
    uint32_t k = 0;
    int is_good = 1;
    while (k < n && is_good && symbols_has_words(&r, 2))
        is_good = read_one(state, map, &r, 1, &context, &pixel[k++]);
    while (k < n && is_good)
        is_good = read_one(state, map, &r, 0, &context, &pixel[k++]);
    *s = r;
    return is_good ? k : k - 1;
}
