/* SPDX-License-Identifier: MIT */
/* Writes the sums of tiles, and chooses scales: docs/format.md, "Scales and sums". */
#include "sum_rules.h"

#include <math.h>
#include <stdlib.h>

/* A scale is worth its bits where the counts of a block are this far from its prediction. */
static const double SCALE_SIGMA = 4.0;
/* Signed numbers are below this. */
static const int64_t MAX_NUMBER = INT64_C(1) << 33;

static void write_sum(sum_grid *grid, symbol_writer *s, const sum_rule *rule, uint32_t hash,
                      int64_t sum)
{
    const int64_t above = sum - (rule->predicted - dither_of(hash, rule->step));
    const int64_t step = rule->step;
    const int64_t j = above >= 0 ? above / step : -((step - 1 - above) / step);
    const int is_possible = j < MAX_NUMBER && j >= -MAX_NUMBER;
    grid->failed |= !is_possible;
    number_put(s, rule->context, is_possible ? zigzag(j) : 0);
}

/* The scale nearest to what a block holds, where that is not chance. */
static int8_t choose_scale(const block_sums *b)
{
    const double expected = (double)b->expected / SUM_UNITS;
    const double distance = (double)b->sum - expected;
    if (b->has_general || distance * distance <= SCALE_SIGMA * SCALE_SIGMA * (expected + 1.0))
        return 0;
    int best = 0;
    for (int z = -MAX_SCALE; z <= MAX_SCALE; z++) {
        const double at =
            fabs((double)b->sum - expected * SUM_SCALE_FACTOR[z + MAX_SCALE] / 65536.0);
        const double so_far =
            fabs((double)b->sum - expected * SUM_SCALE_FACTOR[best + MAX_SCALE] / 65536.0);
        best = at < so_far ? z : best;
    }
    return (int8_t)best;
}

h5bragg_status sum_grid_prepare_writing(sum_grid *grid)
{
    const frame_model *m = grid->model;
    const uint32_t ncells = m->noise.map->ncells;
    grid->plain = malloc((ncells + 1u) * sizeof *grid->plain);
    if (!grid->plain)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < ncells; c++) {
        const sum_rule *full = &grid->full[c];
        const int is_small = full->step <= 0xFFFF;
        grid->plain[c] =
            (plain_sum){full->predicted, (UINT64_C(0xFFFFFFFF) + full->step) / full->step,
                        m->expected[c],  is_small ? full->step : 0,
                        full->context,   !m->range[c].is_pattern};
    }
    return H5BRAGG_OK;
}

/* Whether four tiles side by side are open with all of their pixels. */
BRAGG_INLINE int is_full_quad(const uint16_t *open)
{
    uint64_t quad;
    memcpy(&quad, open, sizeof quad);
    return quad == UINT64_MAX;
}

/* sum_block for the choice of a scale alone. */
static block_sums sum_plain_block(const sum_grid *grid, uint32_t block, const int64_t *sum)
{
    const size_t ntx = grid->model->noise.map->ntx;
    const uint16_t *cell = grid->model->noise.map->cell + MACRO_EDGE * grid->row * ntx;
    const uint32_t ncolumns = block_stop(grid, block) - MACRO_EDGE * block;
    block_sums b = {0};
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const size_t first = row * ntx + MACRO_EDGE * block;
        const int is_full = ncolumns == QUAD_NTILES && is_full_quad(grid->open + first);
        for (size_t at = first; at < first + ncolumns; at++) {
            const uint32_t f = is_full ? TILE_NPIXELS : count_bits(grid->open[at]);
            if (f == 0)
                continue;
            const plain_sum *p = &grid->plain[cell[at]];
            b.expected += f == TILE_NPIXELS ? p->expected : p->expected * f / TILE_NPIXELS;
            b.has_general |= p->is_general;
            b.sum += sum[at];
            b.nopen++;
        }
    }
    return b;
}

static void write_blocks(sum_grid *grid, const int64_t *sum, symbol_writer *scales,
                         symbol_writer *sums)
{
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        const block_sums b = grid->is_coarse[block] ? sum_grid_block(grid, block, sum)
                                                    : sum_plain_block(grid, block, sum);
        if (b.nopen == 0)
            continue;
        const uint32_t context = scale_context(grid, block);
        grid->scale[block] = choose_scale(&b);
        number_put(scales, context, zigzag(grid->scale[block]));
        if (grid->is_coarse[block]) {
            const sum_rule rule = sum_grid_coarse_rule(grid, block, &b);
            write_sum(grid, sums, &rule, grid->hash[MACRO_EDGE * block], b.sum);
        }
    }
}

/*
 * write_sum for n whole tiles where the scale is 1, without divisions; `out` has room for their
 * symbols.  Returns 0 where it does not serve.
 */
BRAGG_INLINE int write_plain(const plain_sum *plain, const uint16_t *cell, const uint32_t *hash,
                             const int64_t *sum, const uint32_t n, uint16_t *out)
{
    uint64_t all = 0;
    for (uint32_t t = 0; t < n; t++) {
        const plain_sum *p = &plain[cell[t]];
        const int64_t above = sum[t] - (p->predicted - dither_of(hash[t], p->step));
        const uint64_t most = (uint64_t)(above >= 0 ? above : (int64_t)p->step - 1 - above);
        const uint64_t number = 2 * ((most & 0xFFFF) * p->reciprocal >> 32) - (above < 0);
        out[t] = (uint16_t)((uint32_t)p->context << 8 | (uint32_t)(number & 0xF));
        all |= number | most >> 16 << 4 | (uint64_t)(p->step == 0) << 4;
    }
    return all < NUMBER_DIRECT;
}

/* `s` has room. */
static void write_tile(sum_grid *grid, symbol_writer *s, uint16_t cell, size_t at, int8_t scale,
                       int64_t sum)
{
    const uint16_t open = grid->open[at];
    if (open == 0)
        return;
    if (open == 0xFFFF && scale == 0 &&
        write_plain(grid->plain, &cell, grid->hash + at, &sum, 1, s->pair + s->npairs)) {
        s->npairs++;
        return;
    }
    const sum_rule rule = sum_grid_open_rule(grid, cell, open, scale);
    write_sum(grid, s, &rule, grid->hash[at], sum);
}

static void write_row(sum_grid *grid, symbol_writer *sums, uint32_t row, const int64_t *sum)
{
    const size_t ntx = grid->model->noise.map->ntx;
    const uint16_t *cell = grid->model->noise.map->cell + MACRO_EDGE * grid->row * ntx;
    uint16_t *out = symbol_writer_room(sums, ntx);
    for (uint32_t block = 0; out && block < grid->nblocks; block++) {
        const size_t first = row * ntx + MACRO_EDGE * block;
        const size_t last = row * ntx + block_stop(grid, block);
        const int8_t scale = grid->scale[block];
        if (grid->is_coarse[block])
            continue;
        if (scale == 0 && last - first == QUAD_NTILES && is_full_quad(grid->open + first) &&
            write_plain(grid->plain, cell + first, grid->hash + first, sum + first, QUAD_NTILES,
                        sums->pair + sums->npairs)) {
            sums->npairs += QUAD_NTILES;
            continue;
        }
        for (size_t at = first; at < last; at++)
            write_tile(grid, sums, cell[at], at, scale, sum[at]);
    }
}

void sums_write_row(sum_grid *grid, const int64_t *sum, symbol_writer *scales, symbol_writer *sums)
{
    write_blocks(grid, sum, scales, sums);
    for (uint32_t row = 0; row < grid->nrows; row++)
        write_row(grid, sums, row, sum);
}
