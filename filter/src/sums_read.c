/* SPDX-License-Identifier: MIT */
/* Reads the sums of tiles: docs/format.md, "Scales and sums". */
#include "scratch.h"
#include "sum_rules.h"
#include "sums_read_kernels.h"

h5bragg_status sum_grid_prepare_reading(sum_grid *grid)
{
    const ring_map *map = grid->model->noise.map;
    const size_t block_room = sum_grid_room(grid->nblocks);
    const size_t room = MACRO_EDGE * sum_grid_room(map->ntx) + block_room;
    const h5bragg_status status = sum_grid_make_full(grid);
    grid->small = scratch_take((map->ncells + 1u) * sizeof *grid->small);
    grid->coarse = scratch_take(grid->nblocks * sizeof *grid->coarse);
    grid->coarse_open = scratch_take(MACRO_EDGE * grid->nblocks * sizeof *grid->coarse_open);
    grid->coarse_hash = scratch_take_zeros(block_room, sizeof *grid->coarse_hash);
    grid->coarse_sum = scratch_take(block_room * sizeof *grid->coarse_sum);
    grid->kind = scratch_take_zeros(grid->nblocks + MACRO_EDGE, 1);
    grid->any_open = scratch_take_zeros(map->ntx + (size_t)MACRO_EDGE, sizeof *grid->any_open);
    grid->range = scratch_take(room * sizeof *grid->range);
    grid->step = scratch_take(room * sizeof *grid->step);
    grid->listed = scratch_take(room / SUM_SLACK * sizeof *grid->listed);
    grid->odd = scratch_take(room / SUM_SLACK * sizeof *grid->odd);
    grid->context = scratch_take(room + SUM_SLACK);
    grid->symbol = scratch_take_zeros(room + SUM_SLACK, 1);
    if (status || !grid->small || !grid->coarse || !grid->coarse_open || !grid->coarse_hash ||
        !grid->coarse_sum || !grid->kind || !grid->any_open || !grid->range || !grid->step ||
        !grid->listed || !grid->odd || !grid->context || !grid->symbol)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        grid->small[c] = small_rule_of(&grid->full[c]);
    if (!grid->may_be_coarse)
        sum_grid_set_low_cells(grid);
    return H5BRAGG_OK;
}

/* Bits of a row of macro blocks: pixels that are open in the rows of a column of tiles. */
static void find_open(sum_grid *grid)
{
    const uint32_t ntx = grid->model->noise.map->ntx;
    uint16_t *restrict any = grid->any_open;
    memcpy(any, grid->open, ntx * sizeof *any);
    for (uint32_t row = 1; row < grid->nrows; row++) {
        const uint16_t *restrict open = grid->open + (size_t)row * ntx;
        for (size_t t = 0; t < ntx; t++)
            any[t] |= open[t];
    }
}

static int has_open(const sum_grid *grid, uint32_t block)
{
    uint64_t any;
    memcpy(&any, grid->any_open + MACRO_EDGE * block, sizeof any);
    return any != 0;
}

/* The middle of step j, or of what of it sums can reach; -1 if that is nothing. */
BRAGG_INLINE int64_t restored(const sum_rule *rule, uint32_t hash, int64_t j)
{
    const int64_t first = rule->predicted - dither_of(hash, rule->step) + j * rule->step;
    const int64_t last = first + rule->step - 1;
    const int64_t low = first > 0 ? first : 0;
    const int64_t high = last < rule->most ? last : rule->most;
    return low <= high ? low + (high - low + (hash >> 16 & 1)) / 2 : -1;
}

/*
 * The context of a scale waits for the symbol before; but hardly ever is one not 0, and that is
 * foreseen.  `scale` is 0 everywhere at first.
 */
static h5bragg_status read_scales(sum_grid *grid, symbol_reader *scales)
{
    symbol_reader s = *scales; /* in registers */
    uint32_t left = 0;
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        const uint32_t context = left + (grid->scale_above[block] != 0);
        left = 0;
        if (!has_open(grid, block))
            continue;
        const uint32_t symbol = symbol_get(&s, context);
        if (symbol == 0)
            continue;
        const int64_t z = unzigzag(number_of(&s, symbol));
        if (z < -MAX_SCALE || z > MAX_SCALE)
            return H5BRAGG_CORRUPT;
        grid->scale[block] = (int8_t)z;
        left = z != 0;
    }
    *scales = s;
    return H5BRAGG_OK;
}

/* A row of the tiles at work. */
static sum_row row_at(const sum_grid *grid, uint32_t row)
{
    const ring_map *map = grid->model->noise.map;
    const size_t at = (size_t)row * map->ntx;
    const size_t room = (size_t)row * sum_grid_room(map->ntx);
    sum_row r = {.ntiles = map->ntx,
                 .small = grid->small,
                 .cell = map->cell + MACRO_EDGE * (size_t)grid->row * map->ntx + at,
                 .open = grid->open + at,
                 .kind = grid->kind,
                 .hash = grid->hash + at,
                 .range = grid->range + room,
                 .step = grid->step + room,
                 .listed = grid->listed + room / SUM_NLANES,
                 .odd = grid->odd + room / SUM_NLANES,
                 .ahead = grid->ahead};
    return r;
}

/* The coarse blocks at work as a row of tiles, which have no cells. */
static sum_row coarse_row(const sum_grid *grid)
{
    const size_t room = MACRO_EDGE * sum_grid_room(grid->model->noise.map->ntx);
    sum_row r = {.ntiles = grid->nlisted,
                 .hash = grid->coarse_hash,
                 .range = grid->range + room,
                 .step = grid->step + room,
                 .listed = grid->listed + room / SUM_NLANES,
                 .odd = grid->odd + room / SUM_NLANES};
    return r;
}

static sum_rule rule_at(const sum_grid *grid, const sum_row *row, uint32_t tile)
{
    if (row->cell)
        return sum_grid_open_rule(grid, row->cell[tile], row->open[tile],
                                  grid->scale[tile / MACRO_EDGE]);
    const block_sums b = sum_grid_block(grid, grid->coarse[tile], NULL);
    return sum_grid_coarse_rule(grid, grid->coarse[tile], &b);
}

/* Tiles whose rules are found together; in pattern rings, so much is expected of them. */
enum { RULES_AT_ONCE = 64 };
typedef struct rule_batch {
    uint32_t n;
    uint32_t tile[RULES_AT_ONCE];
    uint8_t *context[RULES_AT_ONCE];
    uint32_t expected[RULES_AT_ONCE];
    uint32_t most[RULES_AT_ONCE];
} rule_batch;

/* The rule of a tile, whatever it is. */
static void set_rule(const sum_grid *grid, const sum_row *row, uint32_t tile, uint8_t *context)
{
    const sum_rule rule = rule_at(grid, row, tile);
    const small_rule small = small_rule_of(&rule);
    row->range[tile] = (uint16_t)small.predicted | (uint32_t)(uint16_t)small.most << 16;
    row->step[tile] = small.step | (uint32_t)small.context << 16;
    *context = rule.context;
}

/* The rules of a batch, which is left empty. */
static void set_rules(const sum_grid *grid, const sum_row *row, uint32_t quarters,
                      rule_batch *batch)
{
    uint32_t rules[RULES_AT_ONCE];
    sum_pattern_rules(bragg_cpu_level(), batch->expected, batch->n, quarters, rules);
    for (uint32_t k = 0; k < batch->n; k++) {
        const uint32_t rule = rules[k];
        const uint32_t context = rule >> PLAIN_CONTEXT_SHIFT;
        if (rule & PLAIN_NOT) {
            set_rule(grid, row, batch->tile[k], batch->context[k]);
            continue;
        }
        row->range[batch->tile[k]] = (rule & PLAIN_PREDICTED) | batch->most[k] << 16;
        row->step[batch->tile[k]] = (rule >> PLAIN_STEP_SHIFT & PLAIN_STEP) | context << 16;
        *batch->context[k] = (uint8_t)context;
    }
    batch->n = 0;
}

/* Adds a tile or block to a batch with room for it. */
static void add_to_batch(rule_batch *batch, uint32_t tile, uint8_t *context, uint64_t expected,
                         int8_t scale, uint32_t most)
{
    const uint64_t scaled = expected * SUM_SCALE_FACTOR[scale + MAX_SCALE] >> 16;
    const uint32_t k = batch->n++;
    batch->tile[k] = tile;
    batch->context[k] = context;
    batch->expected[k] = scaled < UINT32_MAX ? (uint32_t)scaled : UINT32_MAX;
    batch->most[k] = most;
}

/* The rules of the coarse blocks and their contexts. */
static void list_coarse(sum_grid *grid, uint8_t *context)
{
    const sum_row row = coarse_row(grid);
    const uint32_t quarters = sum_grid_coarse_quarters(grid);
    const uint32_t limit = PATTERN_MAX_SUM * TILE_NPIXELS;
    rule_batch batch;
    batch.n = 0;
    for (uint32_t k = 0; k < grid->nlisted; k++) {
        const uint32_t block = grid->coarse[k];
        uint64_t *open = grid->coarse_open + (size_t)MACRO_EDGE * k;
        for (uint32_t r = 0; r < MACRO_EDGE; r++)
            open[r] = r < grid->nrows ? open_quad(grid, r, block) : 0;
        const low_block low = sum_grid_low_block(grid, block, open);
        grid->coarse_hash[k] = grid->hash[MACRO_EDGE * block];
        add_to_batch(&batch, k, context + k, low.expected, grid->scale[block],
                     low.most < limit ? low.most : limit);
        if (batch.n == RULES_AT_ONCE)
            set_rules(grid, &row, quarters, &batch);
    }
    set_rules(grid, &row, quarters, &batch);
    memset(row.listed, 0xFF, sum_grid_room(grid->nlisted) / SUM_NLANES * sizeof *row.listed);
    if (grid->nlisted % SUM_NLANES)
        row.listed[grid->nlisted / SUM_NLANES] = (uint16_t)((1u << grid->nlisted % SUM_NLANES) - 1);
}

/* The coarse blocks in which there is something open. */
static void find_coarse(sum_grid *grid)
{
    uint32_t n = 0;
    for (uint32_t block = 0; grid->ncoarse > 0 && block < grid->nblocks; block++) {
        if (grid->is_coarse[block] && has_open(grid, block))
            grid->coarse[n++] = block;
    }
    grid->nlisted = n;
}

/* Whether a row has odd tiles, as few have. */
static int has_odd(const sum_row *row)
{
    uint32_t any = 0;
    for (uint32_t group = 0; group * SUM_NLANES < row->ntiles; group++)
        any |= row->odd[group];
    return any != 0;
}

/* The rules and contexts of odd tiles. */
static void set_odd_rules(const sum_grid *grid, const sum_row *row, uint8_t *context)
{
    const uint32_t quarters = sum_quarters_of(grid->model);
    rule_batch batch;
    batch.n = 0;
    if (!has_odd(row))
        return;
    for (uint32_t group = 0; group * SUM_NLANES < row->ntiles; group++) {
        const uint32_t listed = row->listed[group];
        for (uint32_t odd = row->odd[group]; odd; odd &= odd - 1) {
            const uint32_t k = lowest_bit(odd);
            const uint32_t t = group * SUM_NLANES + k;
            const uint64_t low = grid->low_cell[row->cell[t]];
            const uint32_t f = count_pixels(row->open[t]);
            const uint32_t most = f * (uint32_t)(low >> LOW_MOST_SHIFT);
            /* so much of what is not low that there is no such rule */
            const uint64_t expected = (uint64_t)(uint32_t)low * f / TILE_NPIXELS;
            add_to_batch(&batch, t, context + count_bits(listed & ((1u << k) - 1)), expected,
                         grid->scale[t / MACRO_EDGE],
                         most < PATTERN_MAX_SUM ? most : PATTERN_MAX_SUM);
            if (batch.n == RULES_AT_ONCE)
                set_rules(grid, row, quarters, &batch);
        }
        context += count_bits(listed);
    }
    set_rules(grid, row, quarters, &batch);
}

/* The rule of a tile, from what lies there where it is small. */
static sum_rule listed_rule(const sum_grid *grid, const sum_row *row, uint32_t tile)
{
    const uint32_t range = row->range[tile];
    const uint32_t step = row->step[tile];
    if (step >> 16 == NOT_SMALL)
        return rule_at(grid, row, tile);
    return (sum_rule){(int16_t)(uint16_t)range, (int16_t)(range >> 16), (uint16_t)step,
                      (uint8_t)(step >> 16)};
}

/* The sums of odd tiles; returns a negative number if there is no such sum. */
static int64_t restore_odd(const sum_grid *grid, const sum_row *row, const uint8_t *symbol,
                           symbol_reader *s, int64_t *sum)
{
    int64_t all = 0;
    if (!has_odd(row))
        return 0;
    for (uint32_t group = 0; group * SUM_NLANES < row->ntiles; group++) {
        const uint32_t listed = row->listed[group];
        for (uint32_t odd = row->odd[group]; odd; odd &= odd - 1) {
            const uint32_t k = lowest_bit(odd);
            const uint32_t t = group * SUM_NLANES + k;
            const sum_rule rule = listed_rule(grid, row, t);
            const int64_t j = unzigzag(number_of(s, symbol[count_bits(listed & ((1u << k) - 1))]));
            sum[t] = restored(&rule, row->hash[t], j);
            all |= sum[t];
        }
        symbol += count_bits(listed);
    }
    return all;
}

/* Likewise those of a row. */
static int64_t restore_all(const sum_grid *grid, const sums_read_kernels *kernels,
                           const sum_row *row, const uint8_t *symbol, symbol_reader *s,
                           int64_t *sum)
{
    const int64_t all = kernels->restore(row, symbol, sum);
    return all | restore_odd(grid, row, symbol, s, sum);
}

static void set_kinds(const uint8_t *is_coarse, const int8_t *scale, size_t nblocks,
                      uint8_t *restrict kind)
{
    for (size_t block = 0; block < nblocks; block++)
        kind[block] =
            (uint8_t)((is_coarse[block] != 0) * SUM_COARSE | (scale[block] != 0) * SUM_SCALED);
}

/* Symbols first, all at once; what they mean afterwards. */
static h5bragg_status read_sums(sum_grid *grid, wide_reader *sums, int64_t *sum)
{
    const sums_read_kernels *kernels = sums_read_kernels_get(bragg_cpu_level());
    uint32_t start[MACRO_EDGE]; /* of a row's symbols */
    find_coarse(grid);
    list_coarse(grid, grid->context);
    uint32_t n = grid->nlisted;
    set_kinds(grid->is_coarse, grid->scale, grid->nblocks, grid->kind);
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const sum_row r = row_at(grid, row);
        start[row] = n;
        n += kernels->list(&r, grid->context + n);
        set_odd_rules(grid, &r, grid->context + start[row]);
    }
    wide_symbols_get(sums, grid->context, n, grid->symbol);
    const sum_row coarse = coarse_row(grid);
    int64_t all =
        restore_all(grid, kernels, &coarse, grid->symbol, &sums->stream, grid->coarse_sum);
    for (uint32_t row = 0; row < grid->nrows; row++) {
        const sum_row r = row_at(grid, row);
        all |= restore_all(grid, kernels, &r, grid->symbol + start[row], &sums->stream,
                           sum + (size_t)row * r.ntiles);
    }
    return all < 0 ? H5BRAGG_CORRUPT : H5BRAGG_OK;
}

h5bragg_status sums_read_row(sum_grid *grid, symbol_reader *scales, wide_reader *sums, int64_t *sum)
{
    find_open(grid);
    const h5bragg_status status = read_scales(grid, scales);
    return status ? status : read_sums(grid, sums, sum);
}
