/* SPDX-License-Identifier: MIT */
/* Writes the sums of tiles, and chooses scales: docs/format.md, "Scales and sums". */
#include "scratch.h"
#include "sums_write_kernels.h"

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

/* The number of factors that make less than `wanted` of `expected`, which is not 0. */
static uint32_t count_factors_below(uint64_t wanted, uint64_t expected)
{
    const uint64_t quotient = (wanted + expected - 1) / expected;
    const uint32_t least = quotient < UINT32_MAX ? (uint32_t)quotient : UINT32_MAX;
    uint32_t n = 0;
    for (uint32_t k = 0; k < NSCALES; k++)
        n += SUM_SCALE_FACTOR[k] < least;
    return n;
}

/* The scale nearest to a sum in pattern rings, which is small; of two, 0, else the lower. */
static int8_t nearest_scale(uint64_t sum, uint64_t expected)
{
    if (expected == 0)
        return 0;
    const uint64_t wanted = sum * SUM_UNITS * 65536;
    const uint32_t above = count_factors_below(wanted, expected);
    if (above == 0 || above == NSCALES)
        return above == 0 ? -MAX_SCALE : MAX_SCALE;
    const uint64_t too_little = wanted - expected * SUM_SCALE_FACTOR[above - 1];
    const uint64_t too_much = expected * SUM_SCALE_FACTOR[above] - wanted;
    const int is_above = too_much < too_little || (too_much == too_little && above == MAX_SCALE);
    return (int8_t)((int32_t)above - !is_above - MAX_SCALE);
}

/* The scale nearest to what a block holds, where that is not chance. */
static int8_t choose_scale(const block_sums *b)
{
    const double expected = (double)b->expected / SUM_UNITS;
    const double distance = (double)b->sum - expected;
    if (b->has_general || distance * distance <= SCALE_SIGMA * SCALE_SIGMA * (expected + 1.0))
        return 0;
    return nearest_scale((uint64_t)b->sum, b->expected);
}

static h5bragg_status make_blocks(uint32_t ngroups, block_arrays *blocks)
{
    const size_t n = (size_t)GROUP_NBLOCKS * ngroups;
    blocks->open = scratch_take(n * sizeof *blocks->open);
    blocks->sum = scratch_take(n * sizeof *blocks->sum);
    blocks->expected = scratch_take(n * sizeof *blocks->expected);
    blocks->hash = scratch_take(n * sizeof *blocks->hash);
    blocks->rule = scratch_take(n * sizeof *blocks->rule);
    if (!blocks->open || !blocks->sum || !blocks->expected || !blocks->hash || !blocks->rule)
        return H5BRAGG_NO_MEMORY;
    memset(blocks->open, 0xFF, n * sizeof *blocks->open);
    return H5BRAGG_OK;
}

/* Rules of cells of pattern rings are made by vectors.  Where others are not plain, all their tiles
 * are odd, and need rules at hand. */
static h5bragg_status list_cells(const frame_model *m, sum_grid *grid)
{
    const uint32_t ncells = m->noise.map->ncells;
    uint32_t *expected = scratch_take((ncells + (size_t)1) * sizeof *expected);
    uint32_t *rule = scratch_take((ncells + (size_t)1) * sizeof *rule);
    const int has_all = expected && rule;
    uint32_t rules = 0;
    for (uint32_t c = 0; c < ncells && has_all; c++)
        expected[c] = m->range[c].is_pattern ? (uint32_t)m->expected[c] : PLAIN_IS_GENERAL;
    if (has_all)
        sum_pattern_rules(bragg_cpu_level(), expected, ncells, sum_quarters_of(m), rule);
    for (uint32_t c = 0; c < ncells && has_all; c++) {
        grid->plain[c] = (plain_cell){rule[c], expected[c]};
        if (m->range[c].is_pattern)
            continue;
        const sum_rule general = sum_grid_whole_rule(grid, (uint16_t)c);
        grid->plain[c].rule = plain_rule_of(&general);
        rules |= grid->plain[c].rule;
    }
    scratch_give(expected);
    scratch_give(rule);
    if (has_all && rules & PLAIN_NOT)
        return sum_grid_make_full(grid);
    return has_all ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

h5bragg_status sum_grid_prepare_writing(sum_grid *grid)
{
    const ring_map *map = grid->model->noise.map;
    const uint32_t ngroups = (uint32_t)ring_map_ngroups(map);
    grid->plain = scratch_take((map->ncells + 1u) * sizeof *grid->plain);
    grid->rule = scratch_take((size_t)MACRO_EDGE * map->ntx * sizeof *grid->rule);
    grid->group = scratch_take(ngroups * sizeof *grid->group);
    grid->wanted = scratch_take_zeros(ngroups + (size_t)1, sizeof *grid->wanted);
    if (!grid->plain || !grid->rule || !grid->group || !grid->wanted)
        return H5BRAGG_NO_MEMORY;
    const h5bragg_status status = list_cells(grid->model, grid);
    return status ? status : make_blocks(ngroups, &grid->blocks);
}

/* Of a block of pattern rings. */
static block_sums block_sums_of(const sum_grid *grid, uint32_t block, const tile_sums *sum)
{
    const uint32_t expected = grid->blocks.expected[block];
    if (grid->blocks.sum[block] == SUM_ELSEWHERE)
        return sum_grid_block(grid, block, sum);
    return (block_sums){.expected = expected, .variance = expected, .sum = grid->blocks.sum[block]};
}

static int is_open(const sum_grid *grid, uint32_t block)
{
    const sum_group *group = &grid->group[block / GROUP_NBLOCKS];
    return group->is_open >> MACRO_EDGE * (block % GROUP_NBLOCKS) & 1;
}

/* One of four blocks, of which bits are known. */
static void write_block(sum_grid *grid, uint32_t block, const tile_sums *sum, symbol_writer *scales)
{
    const sum_group *group = &grid->group[block / GROUP_NBLOCKS];
    if (!is_open(grid, block))
        return;
    const uint32_t context = scale_context(grid, block);
    if (group->is_far >> MACRO_EDGE * (block % GROUP_NBLOCKS) & 1) {
        const block_sums b = block_sums_of(grid, block, sum);
        grid->scale[block] = choose_scale(&b);
    }
    number_put(scales, context, zigzag(grid->scale[block]));
}

/* Whether four blocks are open, and none of them or beside them has a scale other than 1. */
static int are_plain(const sum_grid *grid, uint32_t block)
{
    const sum_group *group = &grid->group[block / GROUP_NBLOCKS];
    uint32_t above;
    if (group->is_open != 0x1111 || group->is_far != 0 || block + GROUP_NBLOCKS > grid->nblocks)
        return 0;
    memcpy(&above, grid->scale_above + block, sizeof above);
    return above == 0 && (block == 0 || grid->scale[block - 1] == 0);
}

static void write_scales(sum_grid *grid, const tile_sums *sum, symbol_writer *scales)
{
    for (uint32_t block = 0; block < grid->nblocks; block += GROUP_NBLOCKS) {
        uint16_t *pair = symbol_writer_room(scales, GROUP_NBLOCKS);
        if (pair && are_plain(grid, block)) {
            memset(pair, 0, GROUP_NBLOCKS * sizeof *pair);
            scales->npairs += GROUP_NBLOCKS;
            continue;
        }
        for (uint32_t k = block; k < block + GROUP_NBLOCKS && k < grid->nblocks; k++)
            write_block(grid, k, sum, scales);
    }
}

/* Which tiles of a group are not in coarse blocks; and other rules where scales are not 1. */
static void set_tiles(sum_grid *grid, const sum_rows *rows, uint32_t g)
{
    const uint32_t block = GROUP_NBLOCKS * g;
    uint32_t coarse;
    uint32_t scaled;
    memcpy(&coarse, grid->is_coarse + block, sizeof coarse);
    memcpy(&scaled, grid->scale + block, sizeof scaled);
    if (scaled)
        sums_write_kernels_get(bragg_cpu_level())->rescale(rows, g, grid->scale + block);
    grid->wanted[g] = 0xFFFF;
    if (coarse == 0 && SUM_NTILES * (g + 1) <= rows->ntx)
        return;
    grid->wanted[g] = 0;
    for (uint32_t k = 0; k < GROUP_NBLOCKS && block + k < grid->nblocks; k++) {
        const uint32_t ntiles =
            ring_map_block_stop(grid->model->noise.map, block + k) - MACRO_EDGE * (block + k);
        const uint32_t tiles = ((1u << ntiles) - 1) << MACRO_EDGE * k;
        grid->wanted[g] |= (uint16_t)(grid->is_coarse[block + k] ? 0 : tiles);
    }
}

static void write_odd(sum_grid *grid, const sum_rows *rows, size_t at, const tile_sums *sum,
                      symbol_writer *sums)
{
    const int8_t scale = grid->scale[at % rows->ntx / MACRO_EDGE];
    const sum_rule rule = sum_grid_open_rule(grid, rows->cell[at], grid->open[at], scale);
    write_sum(grid, sums, &rule, grid->hash[at], sum_of(sum, at));
}

static void write_odd_block(sum_grid *grid, uint32_t block, const tile_sums *sum,
                            symbol_writer *sums)
{
    const block_sums b = block_sums_of(grid, block, sum);
    const sum_rule rule = sum_grid_coarse_rule(grid, block, &b);
    write_sum(grid, sums, &rule, grid->blocks.hash[block], b.sum);
}

/*
 * A group with odd tiles, or coarse blocks, which have no cells; pairs of its others lie behind
 * those put so far.
 */
static void write_mixed(sum_grid *grid, const sum_rows *rows, uint32_t row, const put_run *run,
                        const tile_sums *sum, symbol_writer *sums)
{
    const size_t first = (size_t)row * rows->ntx + (size_t)SUM_NTILES * run->stop;
    uint16_t pair[SUM_NTILES];
    memcpy(pair, sums->pair + sums->npairs, sizeof pair);
    for (uint32_t left = run->open; left; left &= left - 1) {
        const uint32_t t = lowest_bit(left);
        if (!(run->odd >> t & 1))
            sums->pair[sums->npairs++] = pair[t];
        else if (rows->cell)
            write_odd(grid, rows, first + t, sum, sums);
        else
            write_odd_block(grid, (uint32_t)first + t, sum, sums);
    }
}

/* A row of tiles, or of coarse blocks. */
static void write_row(sum_grid *grid, const sum_rows *rows, const tile_sums *sum, uint32_t row,
                      symbol_writer *sums)
{
    const sums_write_kernels *kernels = sums_write_kernels_get(bragg_cpu_level());
    const uint32_t ngroups = (rows->ntx + SUM_NTILES - 1) / SUM_NTILES;
    uint32_t start = 0;
    while (start < ngroups) {
        uint16_t *pair = symbol_writer_room(sums, (size_t)SUM_NTILES * (ngroups - start + 1));
        if (!pair)
            return;
        const put_run run = kernels->put(rows, row, start, ngroups, pair);
        sums->npairs += run.npairs;
        if (run.odd)
            write_mixed(grid, rows, row, &run, sum, sums);
        start = run.stop + 1;
    }
}

/* Coarse blocks are put as if they were tiles. */
static void write_coarse(sum_grid *grid, const tile_sums *sum, symbol_writer *sums)
{
    block_arrays *blocks = &grid->blocks;
    const sum_rows rows = {.open = blocks->open,
                           .sum = blocks->sum,
                           .hash = blocks->hash,
                           .rule = blocks->rule,
                           .wanted = grid->wanted,
                           .ntx = grid->nblocks,
                           .nrows = 1};
    memset(grid->wanted, 0, ((grid->nblocks + SUM_NTILES - 1) / SUM_NTILES) * sizeof *grid->wanted);
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        const uint32_t is_wanted = grid->is_coarse[block] && is_open(grid, block);
        grid->wanted[block / SUM_NTILES] |= (uint16_t)(is_wanted << block % SUM_NTILES);
        blocks->hash[block] = grid->hash[MACRO_EDGE * block];
    }
    sum_pattern_rules(bragg_cpu_level(), blocks->expected, grid->nblocks,
                      sum_grid_coarse_quarters(grid), blocks->rule);
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        if (grid->scale[block] && grid->is_coarse[block])
            blocks->rule[block] = PLAIN_NONE;
    }
    write_row(grid, &rows, sum, 0, sums);
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
                           grid->blocks,
                           grid->wanted,
                           sum_quarters_of(grid->model),
                           map->ntx,
                           grid->nrows};
    const uint32_t ngroups = (uint32_t)ring_map_ngroups(map);
    sums_write_kernels_get(bragg_cpu_level())->look(&rows, ngroups, grid->group);
    write_scales(grid, sum, scales);
    if (grid->ncoarse > 0)
        write_coarse(grid, sum, sums);
    for (uint32_t group = 0; group < ngroups; group++)
        set_tiles(grid, &rows, group);
    for (uint32_t row = 0; row < grid->nrows; row++)
        write_row(grid, &rows, sum, row, sums);
}
