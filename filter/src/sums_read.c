/* SPDX-License-Identifier: MIT */
/* Reads the sums of tiles: docs/format.md, "Scales and sums". */
#include "sum_rules.h"

static int has_open(const sum_grid *grid, uint32_t block)
{
    for (uint32_t row = 0; row < grid->nrows; row++) {
        for (uint32_t t = MACRO_EDGE * block; t < block_stop(grid, block); t++) {
            if (grid->open[(size_t)row * grid->model->noise.map->ntx + t])
                return 1;
        }
    }
    return 0;
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

static h5bragg_status read_scales(sum_grid *grid, symbol_reader *scales)
{
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        if (!has_open(grid, block))
            continue;
        const int64_t z = unzigzag(number_get(scales, scale_context(grid, block)));
        if (z < -MAX_SCALE || z > MAX_SCALE)
            return H5BRAGG_CORRUPT;
        grid->scale[block] = (int8_t)z;
    }
    return H5BRAGG_OK;
}

static h5bragg_status read_coarse(sum_grid *grid, wide_reader *sums)
{
    for (uint32_t block = 0; grid->may_be_coarse && block < grid->nblocks; block++) {
        if (!grid->is_coarse[block] || !has_open(grid, block))
            continue;
        const block_sums b = sum_grid_block(grid, block, NULL);
        const sum_rule rule = sum_grid_coarse_rule(grid, block, &b);
        const uint8_t context = (uint8_t)rule.context;
        uint8_t symbol;
        wide_symbols_get(sums, &context, 1, &symbol);
        const int64_t j = unzigzag(number_of(&sums->stream, symbol));
        grid->coarse_sum[block] = restored(&rule, grid->hash[MACRO_EDGE * block], j);
        if (grid->coarse_sum[block] < 0)
            return H5BRAGG_CORRUPT;
    }
    return H5BRAGG_OK;
}

/* Whether a tile uses the small rule of its cell. */
BRAGG_INLINE int is_small(const sum_grid *grid, uint16_t cell, uint16_t open, uint32_t block)
{
    return open == 0xFFFF && grid->scale[block] == 0 && grid->small[cell].context != NOT_SMALL;
}

/* Lists the contexts of a quad of whole tiles; returns whether all of them have small rules. */
BRAGG_INLINE int list_plain(const small_rule *small, const uint16_t *cell, const uint16_t *open,
                            uint8_t *context)
{
    uint64_t quad;
    memcpy(&quad, open, sizeof quad);
    if (quad != UINT64_MAX)
        return 0;
    for (uint32_t t = 0; t < QUAD_NTILES; t++)
        context[t] = small[cell[t]].context;
    return ((context[0] | context[1] | context[2] | context[3]) & NOT_SMALL) == 0;
}

/* Lists the contexts of the open tiles of a row outside of coarse blocks; returns their number. */
static uint32_t list_contexts(const sum_grid *grid, const uint16_t *cell, const uint16_t *open,
                              uint8_t *is_plain, uint8_t *context)
{
    const uint32_t ntx = grid->model->noise.map->ntx;
    uint32_t n = 0;
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        const uint32_t first = MACRO_EDGE * block;
        is_plain[block] = ntx - first >= QUAD_NTILES && !grid->is_coarse[block] &&
                          !grid->scale[block] &&
                          list_plain(grid->small, cell + first, open + first, context + n);
        if (is_plain[block]) {
            n += QUAD_NTILES;
            continue;
        }
        for (uint32_t t = first; t < block_stop(grid, block); t++) {
            if (open[t] == 0 || grid->is_coarse[block])
                continue;
            context[n++] =
                is_small(grid, cell[t], open[t], block)
                    ? grid->small[cell[t]].context
                    : sum_grid_open_rule(grid, cell[t], open[t], grid->scale[block]).context;
        }
    }
    return n;
}

/* As `restored`, for a j of one of the direct symbols; *room is negative where that is nothing. */
BRAGG_INLINE int32_t restored_small(const small_rule *rule, uint32_t hash, uint32_t symbol,
                                    int32_t *room)
{
    const int32_t step = rule->step;
    const int32_t j = (int32_t)(symbol >> 1) ^ -(int32_t)(symbol & 1);
    const int32_t dither = (int32_t)((hash & 0xFFFF) * rule->step >> 16);
    const int32_t first = rule->predicted - dither + j * step;
    const int32_t last = first + step - 1;
    const int32_t low = first > 0 ? first : 0;
    const int32_t high = last < rule->most ? last : rule->most;
    *room |= high - low;
    return low + ((high - low + (int32_t)(hash >> 16 & 1)) >> 1);
}

/* The sum of an open tile. */
static int64_t restored_tile(const sum_grid *grid, size_t at, uint32_t block, uint16_t cell,
                             wide_reader *sums, uint32_t symbol)
{
    if (symbol < NUMBER_DIRECT && is_small(grid, cell, grid->open[at], block)) {
        int32_t room = 0;
        const int32_t sum = restored_small(&grid->small[cell], grid->hash[at], symbol, &room);
        return room < 0 ? -1 : sum;
    }
    const int64_t j = unzigzag(number_of(&sums->stream, symbol));
    const sum_rule rule = sum_grid_open_rule(grid, cell, grid->open[at], grid->scale[block]);
    return restored(&rule, grid->hash[at], j);
}

/* Whether four symbols have no raw bits. */
static int are_direct(const uint8_t *symbol)
{
    uint32_t quad;
    memcpy(&quad, symbol, sizeof quad);
    return (quad & 0xF0F0F0F0u) == 0;
}

/* Sums of a row; returns how many symbols they took. */
static uint32_t restore_row(const sum_grid *grid, uint32_t row, const uint16_t *cell,
                            const uint8_t *symbol, wide_reader *sums, int64_t *sum, int64_t *all)
{
    const size_t start = (size_t)row * grid->model->noise.map->ntx;
    const uint8_t *is_plain = grid->is_plain + (size_t)row * grid->nblocks;
    const small_rule *small = grid->small;
    const uint32_t *hash = grid->hash + start;
    const uint16_t *open = grid->open + start;
    int32_t room = 0;
    uint32_t n = 0;
    for (uint32_t block = 0; block < grid->nblocks; block++) {
        uint32_t t = MACRO_EDGE * block;
        if (is_plain[block] && are_direct(symbol + n)) {
            for (uint32_t k = 0; k < QUAD_NTILES; k++, t++)
                sum[start + t] = restored_small(&small[cell[t]], hash[t], symbol[n + k], &room);
            n += QUAD_NTILES;
            continue;
        }
        for (; t < block_stop(grid, block); t++) {
            if (open[t] == 0 || grid->is_coarse[block])
                continue;
            sum[start + t] = restored_tile(grid, start + t, block, cell[t], sums, symbol[n++]);
            *all |= sum[start + t];
        }
    }
    *all |= room;
    return n;
}

/* Symbols first, all at once; what they mean afterwards. */
static h5bragg_status read_tiles(const sum_grid *grid, wide_reader *sums, int64_t *sum)
{
    const uint32_t ntx = grid->model->noise.map->ntx;
    const uint16_t *cell = grid->model->noise.map->cell + MACRO_EDGE * (size_t)grid->row * ntx;
    uint32_t n = 0;
    int64_t all = 0;
    for (uint32_t row = 0; row < grid->nrows; row++)
        n += list_contexts(grid, cell + (size_t)row * ntx, grid->open + (size_t)row * ntx,
                           grid->is_plain + (size_t)row * grid->nblocks, grid->context + n);
    wide_symbols_get(sums, grid->context, n, grid->symbol);
    n = 0;
    for (uint32_t row = 0; row < grid->nrows; row++)
        n += restore_row(grid, row, cell + (size_t)row * ntx, grid->symbol + n, sums, sum, &all);
    return all < 0 ? H5BRAGG_CORRUPT : H5BRAGG_OK;
}

h5bragg_status sums_read_row(sum_grid *grid, symbol_reader *scales, wide_reader *sums, int64_t *sum)
{
    h5bragg_status status = read_scales(grid, scales);
    if (!status)
        status = read_coarse(grid, sums);
    return status ? status : read_tiles(grid, sums, sum);
}
