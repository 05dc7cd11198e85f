/* SPDX-License-Identifier: MIT */
/* How sums of tiles are predicted and quantised: docs/format.md, "Scales and sums". */
#include "sum_rules.h"
#include "scratch.h"

#include <math.h>

/* 65536 * 2^(z / 4), rounded, for z = -16 to 16. */
const uint32_t SUM_SCALE_FACTOR[NSCALES] = {
    4096,   4871,   5793,   6889,   8192,   9742,   11585,  13777,  16384,  19484,  23170,
    27554,  32768,  38968,  46341,  55109,  65536,  77936,  92682,  110218, 131072, 155872,
    185364, 220436, 262144, 311744, 370728, 440872, 524288, 623487, 741455, 881744, 1048576};
const uint16_t SUM_EXACT_BOUND[NEXACT_BOUNDS + 1] = {
    16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, SUM_MOST_EXACT, UINT16_MAX};
/* Few counts in large steps would be biased where they are cut off at 0. */
enum { COARSE_QUARTERS = 4 };

/* The number of bounds up to a variance: every other one is a power of two. */
static uint32_t exact_context_of(uint64_t variance)
{
    if (variance < SUM_EXACT_BOUND[0])
        return 0;
    if (variance >= SUM_MOST_EXACT)
        return NEXACT_BOUNDS;
    const uint32_t k = 2 * (floor_log2(variance) - floor_log2(SUM_EXACT_BOUND[0])) + 1;
    return k + (SUM_EXACT_BOUND[k] <= variance);
}

static uint8_t context_of(uint64_t variance, uint32_t step)
{
    if (step == 1)
        return (uint8_t)exact_context_of(variance);
    if (step == 2)
        return variance >= SUM_STEP_2_BOUND ? 17 : 16;
    return step == 3 ? 18 : step < 8 ? 19 : 20;
}

uint32_t sum_quarters_of(const frame_model *model)
{
    return (uint32_t)(model->noise.params->local_step * 4.0);
}

sum_rule sum_rule_of(uint64_t expected, uint64_t variance, uint32_t quarters, int8_t scale,
                     int64_t most, int is_pattern)
{
    const uint32_t factor = SUM_SCALE_FACTOR[scale + MAX_SCALE];
    const uint64_t e = expected * factor >> 16;
    const uint64_t v = variance * factor >> 16;
    const uint32_t step = sum_step(e, v, quarters, is_pattern);
    const sum_rule rule = {(int64_t)((e + SUM_UNITS / 2) / SUM_UNITS), most, step,
                           context_of(v, step)};
    return rule;
}

static sum_rule tile_rule(const frame_model *model, uint16_t cell, uint32_t npixels, int8_t scale)
{
    const cell_range *r = &model->range[cell];
    int64_t most = npixels * (r->high - r->low);
    if (r->is_pattern && most > PATTERN_MAX_SUM)
        most = PATTERN_MAX_SUM;
    return sum_rule_of(model->expected[cell] * npixels / TILE_NPIXELS,
                       model->variance[cell] * npixels / TILE_NPIXELS, sum_quarters_of(model),
                       scale, most, r->is_pattern);
}

small_rule small_rule_of(const sum_rule *rule)
{
    const small_rule none = {0, 0, 1, NOT_SMALL};
    if (rule->predicted > INT16_MAX || rule->most > INT16_MAX || rule->step > UINT16_MAX)
        return none;
    return (small_rule){(int16_t)rule->predicted, (int16_t)rule->most, (uint16_t)rule->step,
                        rule->context};
}

uint32_t plain_rule_of(const sum_rule *rule)
{
    if (rule->predicted > PLAIN_MOST_SUM || rule->step > PLAIN_MOST_STEP)
        return PLAIN_NONE;
    return (uint32_t)rule->predicted | rule->step << PLAIN_STEP_SHIFT |
           (uint32_t)rule->context << PLAIN_CONTEXT_SHIFT;
}

static uint64_t low_cell_of(const frame_model *model, uint32_t cell)
{
    const cell_range *r = &model->range[cell];
    return r->is_pattern ? model->expected[cell] | (uint64_t)r->high << LOW_MOST_SHIFT
                         : SUM_NOT_LOW;
}

void sum_grid_set_low_cells(sum_grid *grid)
{
    for (uint32_t c = 0; c < grid->model->noise.map->ncells; c++)
        grid->low_cell[c] = low_cell_of(grid->model, c);
}

h5bragg_status sum_grid_make(const frame_model *model, sum_grid *grid)
{
    const ring_map *map = model->noise.map;
    memset(grid, 0, sizeof *grid);
    grid->model = model;
    grid->nblocks = ring_map_nblocks(map);
    grid->nlow = scratch_take_zeros(map->ncells + 1u, sizeof *grid->nlow);
    grid->is_coarse = scratch_take_zeros(grid->nblocks + MACRO_EDGE, 1);
    grid->scale = scratch_take_zeros(grid->nblocks + MACRO_EDGE, 1);
    grid->scale_above = scratch_take_zeros(grid->nblocks + MACRO_EDGE, 1);
    grid->low_cell = scratch_take((map->ncells + 1u) * sizeof *grid->low_cell);
    grid->whole = scratch_take(grid->nblocks * sizeof *grid->whole);
    grid->least_high = scratch_take(grid->nblocks);
    if (!grid->nlow || !grid->is_coarse || !grid->scale || !grid->scale_above || !grid->low_cell ||
        !grid->whole || !grid->least_high)
        return H5BRAGG_NO_MEMORY;
    const uint64_t limit = model->noise.params->coarse_limit;
    for (uint32_t c = 0; c < map->ncells; c++) {
        grid->nlow[c + 1] = grid->nlow[c] + (model->range[c].is_pattern &&
                                             TILE_NPIXELS * model->expected[c] < SUM_UNITS * limit);
    }
    grid->may_be_coarse = grid->nlow[map->ncells] > 0;
    while (grid->may_be_coarse && grid->nlow[grid->first_low + 1] == 0)
        grid->first_low++;
    grid->last_low = map->ncells;
    while (grid->may_be_coarse && grid->nlow[grid->last_low] == grid->nlow[map->ncells])
        grid->last_low--;
    if (grid->may_be_coarse)
        sum_grid_set_low_cells(grid);
    return H5BRAGG_OK;
}

void sum_grid_free(sum_grid *grid)
{
    scratch_give(grid->full);
    scratch_give(grid->plain);
    scratch_give(grid->rule);
    scratch_give(grid->group);
    scratch_give(grid->wanted);
    scratch_give(grid->blocks.open);
    scratch_give(grid->blocks.sum);
    scratch_give(grid->blocks.expected);
    scratch_give(grid->blocks.hash);
    scratch_give(grid->blocks.rule);
    scratch_give(grid->small);
    scratch_give(grid->nlow);
    scratch_give(grid->is_coarse);
    scratch_give(grid->scale);
    scratch_give(grid->scale_above);
    scratch_give(grid->coarse_sum);
    scratch_give(grid->coarse);
    scratch_give(grid->coarse_open);
    scratch_give(grid->coarse_hash);
    scratch_give(grid->low_cell);
    scratch_give(grid->whole);
    scratch_give(grid->least_high);
    scratch_give(grid->kind);
    scratch_give(grid->any_open);
    scratch_give(grid->range);
    scratch_give(grid->step);
    scratch_give(grid->listed);
    scratch_give(grid->odd);
    scratch_give(grid->context);
    scratch_give(grid->symbol);
    memset(grid, 0, sizeof *grid);
}

static int block_is_coarse(const sum_grid *grid, uint32_t block)
{
    const frame_model *m = grid->model;
    const ring_map *map = m->noise.map;
    uint64_t all = 0;
    uint64_t least = UINT64_MAX;
    uint32_t ntiles = 0;
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const uint16_t *cell = map->cell + (size_t)(MACRO_EDGE * grid->row + row) * map->ntx;
        for (uint32_t t = MACRO_EDGE * block; t < ring_map_block_stop(map, block); t++) {
            if (cell[t] == BRAGG_NO_CELL)
                continue;
            if (grid->low_cell[cell[t]] == SUM_NOT_LOW)
                return 0;
            all += grid->low_cell[cell[t]];
            least = grid->low_cell[cell[t]] < least ? grid->low_cell[cell[t]] : least;
            ntiles++;
        }
    }
    grid->whole[block] = ntiles == MACRO_EDGE * MACRO_EDGE ? all : 0;
    grid->least_high[block] = (uint8_t)(least >> LOW_MOST_SHIFT);
    return TILE_NPIXELS * (uint64_t)(uint32_t)all <
           (uint64_t)SUM_UNITS * m->noise.params->coarse_limit * ntiles;
}

/* The same of a block that has sixteen tiles, none of them blank: most have. */
static int full_block_is_coarse(const sum_grid *grid, uint32_t block)
{
    const ring_map *map = grid->model->noise.map;
    const uint64_t *low_cell = grid->low_cell;
    const uint16_t *cell =
        map->cell + (size_t)MACRO_EDGE * grid->row * map->ntx + (size_t)MACRO_EDGE * block;
    uint64_t all = 0;
    uint64_t any = 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t row = 0; row < MACRO_EDGE; row++, cell += map->ntx) {
        for (uint32_t k = 0; k < MACRO_EDGE; k++) {
            const uint64_t low = low_cell[cell[k]];
            all += low;
            any |= low;
            least = low < least ? low : least;
        }
    }
    if (any == SUM_NOT_LOW)
        return 0;
    grid->whole[block] = all;
    grid->least_high[block] = (uint8_t)(least >> LOW_MOST_SHIFT);
    return TILE_NPIXELS * (uint64_t)(uint32_t)all <
           (uint64_t)SUM_UNITS * grid->model->noise.params->coarse_limit * MACRO_EDGE * MACRO_EDGE;
}

/*
 * Where all cells that a block may have are such as coarse blocks may be made of, it is one.  Who
 * writes needs no more of it than that.
 */
static int find_coarse(const sum_grid *grid, uint32_t block, cell_span span)
{
    const uint32_t ncolumns =
        ring_map_block_stop(grid->model->noise.map, block) - MACRO_EDGE * block;
    if (span.most == BRAGG_NO_CELL || grid->nrows < MACRO_EDGE || ncolumns < MACRO_EDGE)
        return block_is_coarse(grid, block);
    const uint32_t nlow = grid->nlow[span.most + 1] - grid->nlow[span.least];
    if (nlow == 0)
        return 0;
    if (!grid->plain || nlow < span.most - span.least + 1u)
        return full_block_is_coarse(grid, block);
    grid->whole[block] = 0;
    return 1;
}

/* Most blocks of bright frames have no cell near those of which coarse blocks may be made. */
static uint32_t find_coarse_blocks(const sum_grid *grid, const cell_span *span)
{
    const uint32_t nblocks = grid->nblocks;
    const uint32_t first_low = grid->first_low;
    const uint32_t last_low = grid->last_low;
    uint8_t *is_coarse = grid->is_coarse;
    uint32_t ncoarse = 0;
    for (uint32_t block = 0; block < nblocks; block++) {
        is_coarse[block] = 0;
        if ((span[block].most < first_low) | (span[block].least > last_low))
            continue;
        is_coarse[block] = (uint8_t)find_coarse(grid, block, span[block]);
        ncoarse += is_coarse[block];
    }
    return ncoarse;
}

void sum_grid_start_row(sum_grid *grid, uint32_t row, const uint16_t *open, const uint32_t *hash)
{
    int8_t *scale = grid->scale_above;
    const uint32_t left = grid->model->noise.map->nty - MACRO_EDGE * row;
    grid->scale_above = grid->scale;
    grid->scale = scale;
    grid->row = row;
    grid->nrows = left < MACRO_EDGE ? left : MACRO_EDGE;
    grid->open = open;
    grid->hash = hash;
    memset(grid->scale, 0, grid->nblocks);
    const cell_span *span = grid->model->noise.map->span + (size_t)row * grid->nblocks;
    grid->ncoarse = grid->may_be_coarse ? find_coarse_blocks(grid, span) : 0;
}

/* Whether all pixels of a coarse block are open, and `whole` says what it is. */
static int is_whole(const sum_grid *grid, uint32_t block)
{
    uint64_t all = UINT64_MAX;
    if (!grid->is_coarse[block] || grid->whole[block] == 0)
        return 0;
    for (uint32_t row = 0; row < MACRO_EDGE; row++)
        all &= open_quad(grid, row, block);
    return all == UINT64_MAX;
}

static block_sums whole_block(const sum_grid *grid, uint32_t block, const tile_sums *sum)
{
    const uint32_t expected = (uint32_t)grid->whole[block];
    const int64_t most = (int64_t)(grid->whole[block] >> LOW_MOST_SHIFT);
    block_sums b = {.expected = expected,
                    .variance = expected,
                    .most = TILE_NPIXELS * most,
                    .nopen = MACRO_EDGE * MACRO_EDGE};
    for (uint32_t row = 0; sum && row < MACRO_EDGE; row++) {
        const size_t first = (size_t)row * grid->model->noise.map->ntx + MACRO_EDGE * block;
        for (uint32_t k = 0; k < MACRO_EDGE; k++)
            b.sum += sum_of(sum, first + k);
    }
    return b;
}

block_sums sum_grid_block(const sum_grid *grid, uint32_t block, const tile_sums *sum)
{
    const frame_model *m = grid->model;
    const ring_map *map = m->noise.map;
    block_sums b = {0};
    if (is_whole(grid, block))
        return whole_block(grid, block, sum);
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const uint16_t *cell = map->cell + (size_t)(MACRO_EDGE * grid->row + row) * map->ntx;
        for (uint32_t t = MACRO_EDGE * block; t < ring_map_block_stop(map, block); t++) {
            const size_t at = (size_t)row * map->ntx + t;
            const uint32_t f = count_pixels(grid->open[at]);
            if (f == 0)
                continue;
            b.expected += m->expected[cell[t]] * f / TILE_NPIXELS;
            b.variance += m->variance[cell[t]] * f / TILE_NPIXELS;
            b.most += f * (m->range[cell[t]].high - m->range[cell[t]].low);
            b.sum += sum ? sum_of(sum, at) : 0;
            b.has_general |= !m->range[cell[t]].is_pattern;
            b.nopen++;
        }
    }
    return b;
}

low_block sum_grid_low_block(const sum_grid *grid, uint32_t block, const uint64_t open[MACRO_EDGE])
{
    const ring_map *map = grid->model->noise.map;
    const uint64_t whole = grid->whole[block];
    low_block b = {(uint32_t)whole, TILE_NPIXELS * (uint32_t)(whole >> LOW_MOST_SHIFT)};
    if (whole && (open[0] & open[1] & open[2] & open[3]) == UINT64_MAX)
        return b;
    b = (low_block){0, 0};
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const uint16_t *cell =
            map->cell + (size_t)(MACRO_EDGE * grid->row + row) * map->ntx + MACRO_EDGE * block;
        for (uint64_t left = open[row]; left; left >>= TILE_NPIXELS, cell++) {
            const uint32_t f = count_pixels(left & 0xFFFF);
            if (f == 0) /* there may be no cell */
                continue;
            b.expected += (uint32_t)grid->low_cell[*cell] * f / TILE_NPIXELS;
            b.most += (uint32_t)(grid->low_cell[*cell] >> LOW_MOST_SHIFT) * f;
        }
    }
    return b;
}

uint32_t sum_grid_coarse_quarters(const sum_grid *grid)
{
    const uint32_t quarters = sum_quarters_of(grid->model);
    const int is_limited = grid->model->format_version > 1 && quarters > COARSE_QUARTERS;
    return is_limited ? COARSE_QUARTERS : quarters;
}

sum_rule sum_grid_coarse_rule(const sum_grid *grid, uint32_t block, const block_sums *b)
{
    const int64_t limit = PATTERN_MAX_SUM * TILE_NPIXELS;
    return sum_rule_of(b->expected, b->variance, sum_grid_coarse_quarters(grid), grid->scale[block],
                       b->most < limit ? b->most : limit, 1);
}

sum_rule sum_grid_whole_rule(const sum_grid *grid, uint16_t cell)
{
    return tile_rule(grid->model, cell, TILE_NPIXELS, 0);
}

h5bragg_status sum_grid_make_full(sum_grid *grid)
{
    const uint32_t ncells = grid->model->noise.map->ncells;
    grid->full = scratch_take((ncells + (size_t)1) * sizeof *grid->full);
    for (uint32_t c = 0; c < ncells && grid->full; c++)
        grid->full[c] = sum_grid_whole_rule(grid, (uint16_t)c);
    return grid->full ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

/* The rule of an open tile. */
sum_rule sum_grid_open_rule(const sum_grid *grid, uint16_t cell, uint16_t open, int8_t scale)
{
    if (open == 0xFFFF && scale == 0 && grid->full)
        return grid->full[cell];
    return tile_rule(grid->model, cell, count_pixels(open), scale);
}
