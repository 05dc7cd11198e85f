/* SPDX-License-Identifier: MIT */
/* Writes the sums of tiles, and chooses scales: docs/format.md, "Scales and sums". */
#include "scratch.h"
#include "sums_write_kernels.h"

#include <math.h>

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

static uint32_t plain_rule(const sum_rule *full)
{
    if (full->predicted > PLAIN_PREDICTED || full->step > PLAIN_STEP)
        return PLAIN_NOT | 1u << PLAIN_STEP_SHIFT;
    return (uint32_t)full->predicted | full->step << PLAIN_STEP_SHIFT |
           (uint32_t)full->context << PLAIN_CONTEXT_SHIFT;
}

h5bragg_status sum_grid_prepare_writing(sum_grid *grid)
{
    const frame_model *m = grid->model;
    const ring_map *map = m->noise.map;
    grid->plain = scratch_take((map->ncells + 1u) * sizeof *grid->plain);
    grid->rule = scratch_take((size_t)MACRO_EDGE * map->ntx * sizeof *grid->rule);
    if (!grid->plain || !grid->rule)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        grid->plain[c] =
            (plain_cell){plain_rule(&grid->full[c]),
                         m->range[c].is_pattern ? (uint32_t)m->expected[c] : PLAIN_IS_GENERAL};
    return H5BRAGG_OK;
}

static void write_coarse(sum_grid *grid, uint32_t block, const block_sums *b, symbol_writer *sums)
{
    const sum_rule rule = sum_grid_coarse_rule(grid, block, b);
    write_sum(grid, sums, &rule, grid->hash[MACRO_EDGE * block], b->sum);
}

/* Whether four blocks are all coarse: what kernels say of them is of no use. */
static int are_coarse(const sum_grid *grid, uint32_t block)
{
    static const uint8_t ALL[GROUP_NBLOCKS] = {1, 1, 1, 1};
    return block + GROUP_NBLOCKS <= grid->nblocks &&
           memcmp(grid->is_coarse + block, ALL, sizeof ALL) == 0;
}

/* One of four blocks, of which bits are known. */
static void write_block(sum_grid *grid, uint32_t block, block_bits bits, const tile_sums *sum,
                        symbol_writer *scales, symbol_writer *sums)
{
    const uint32_t bit = 1u << MACRO_EDGE * (block % GROUP_NBLOCKS);
    if (!(bits.is_open & bit))
        return;
    const uint32_t context = scale_context(grid, block);
    if (bits.is_far & bit || grid->is_coarse[block]) {
        const block_sums b = sum_grid_block(grid, block, sum);
        if (b.nopen == 0)
            return;
        grid->scale[block] = choose_scale(&b);
        if (grid->is_coarse[block])
            write_coarse(grid, block, &b, sums);
    }
    number_put(scales, context, zigzag(grid->scale[block]));
}

/* Whether four blocks are fine, and none of them or beside them has a scale other than 1. */
static int are_plain(const sum_grid *grid, uint32_t block, block_bits bits)
{
    uint32_t above;
    uint32_t coarse;
    if (bits.is_open != 0x1111 || bits.is_far != 0 || block + GROUP_NBLOCKS > grid->nblocks)
        return 0;
    memcpy(&above, grid->scale_above + block, sizeof above);
    memcpy(&coarse, grid->is_coarse + block, sizeof coarse);
    return above == 0 && coarse == 0 && (block == 0 || grid->scale[block - 1] == 0);
}

static void write_blocks(sum_grid *grid, const sum_rows *rows, const tile_sums *sum,
                         symbol_writer *scales, symbol_writer *sums)
{
    const sums_write_kernels *kernels = sums_write_kernels_get(bragg_cpu_level());
    for (uint32_t block = 0; block < grid->nblocks; block += GROUP_NBLOCKS) {
        const block_bits bits = are_coarse(grid, block) ? (block_bits){0x1111, 0x1111}
                                                        : kernels->look(rows, MACRO_EDGE * block);
        uint16_t *pair = symbol_writer_room(scales, GROUP_NBLOCKS);
        if (pair && are_plain(grid, block, bits)) {
            memset(pair, 0, GROUP_NBLOCKS * sizeof *pair);
            scales->npairs += GROUP_NBLOCKS;
            continue;
        }
        for (uint32_t k = block; k < block + GROUP_NBLOCKS && k < grid->nblocks; k++)
            write_block(grid, k, bits, sum, scales, sums);
    }
}

/* The tiles of four blocks in a row, of which pairs lie behind those put so far, but not of the odd
 * ones. */
static void write_mixed(sum_grid *grid, const sum_rows *rows, uint32_t block, uint32_t row,
                        put_bits put, const tile_sums *sum, symbol_writer *sums)
{
    const size_t first = (size_t)row * rows->ntx + MACRO_EDGE * block;
    uint16_t pair[SUM_NTILES];
    memcpy(pair, sums->pair + sums->npairs, sizeof pair);
    for (uint32_t left = put.open; left; left &= left - 1) {
        const uint32_t t = lowest_bit(left);
        const size_t at = first + t;
        if (!(put.odd >> t & 1)) {
            sums->pair[sums->npairs++] = pair[t];
            continue;
        }
        const int8_t scale = grid->scale[block + t / MACRO_EDGE];
        const sum_rule rule = sum_grid_open_rule(grid, rows->cell[at], grid->open[at], scale);
        write_sum(grid, sums, &rule, grid->hash[at], sum_of(sum, at));
    }
}

/* Tiles of four blocks, of which bits of `fine` are not coarse, those of `unscaled` have scale 1.
 */
typedef struct group_bits16 {
    uint16_t fine;
    uint16_t unscaled;
} group_bits16;

static group_bits16 bits_of_group(const sum_grid *grid, uint32_t block)
{
    uint32_t fine = 0;
    uint32_t unscaled = 0;
    if (block + GROUP_NBLOCKS < grid->nblocks) {
        memcpy(&fine, grid->is_coarse + block, sizeof fine);
        memcpy(&unscaled, grid->scale + block, sizeof unscaled);
        if (fine == 0 && unscaled == 0)
            return (group_bits16){0xFFFF, 0xFFFF};
        fine = unscaled = 0;
    }
    for (uint32_t k = 0; k < GROUP_NBLOCKS && block + k < grid->nblocks; k++) {
        const uint32_t ntiles =
            ring_map_block_stop(grid->model->noise.map, block + k) - MACRO_EDGE * (block + k);
        const uint32_t tiles = ((1u << ntiles) - 1) << MACRO_EDGE * k;
        fine |= grid->is_coarse[block + k] ? 0 : tiles;
        unscaled |= grid->scale[block + k] == 0 ? tiles : 0;
    }
    return (group_bits16){(uint16_t)fine, (uint16_t)unscaled};
}

static void write_row(sum_grid *grid, const sum_rows *rows, const tile_sums *sum, uint32_t row,
                      symbol_writer *sums)
{
    const sums_write_kernels *kernels = sums_write_kernels_get(bragg_cpu_level());
    for (uint32_t block = 0; block < grid->nblocks; block += GROUP_NBLOCKS) {
        if (are_coarse(grid, block))
            continue;
        const size_t first = (size_t)row * rows->ntx + MACRO_EDGE * block;
        const group_bits16 bits = bits_of_group(grid, block);
        uint16_t *pair = symbol_writer_room(sums, SUM_NTILES);
        if (!pair || !bits.fine)
            continue;
        const put_bits put = kernels->put(rows, first, bits.fine, bits.unscaled, pair);
        if (put.odd)
            write_mixed(grid, rows, block, row, put, sum, sums);
        else
            sums->npairs += count_bits(put.open);
    }
}

void sums_write_row(sum_grid *grid, const tile_sums *sum, symbol_writer *scales,
                    symbol_writer *sums)
{
    const ring_map *map = grid->model->noise.map;
    const sum_rows rows = {map->cell + (size_t)MACRO_EDGE * grid->row * map->ntx,
                           grid->open,
                           sum->small,
                           grid->hash,
                           grid->plain,
                           grid->rule,
                           map->ntx,
                           grid->nrows};
    write_blocks(grid, &rows, sum, scales, sums);
    for (uint32_t row = 0; row < grid->nrows; row++)
        write_row(grid, &rows, sum, row, sums);
}
