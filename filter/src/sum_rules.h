/* SPDX-License-Identifier: MIT */
/* What reading and writing the sums of tiles share (docs/format.md, "Scales and sums"). */
#ifndef BRAGG_SUM_RULES_H
#define BRAGG_SUM_RULES_H

#include "cpu_level.h"
#include "quad_bits.h"
#include "sum_step.h"
#include "tile_sums.h"

enum { MAX_SCALE = 16, NSCALES = 2 * MAX_SCALE + 1 };
/* Stands for the context of small rules that cannot be: a bit that no context has. */
enum { NOT_SMALL = 0x80 };

/* 65536 * 2^(z / 4), rounded, for z = -16 to 16. */
extern const uint32_t SUM_SCALE_FACTOR[NSCALES];

/*
 * Bounds of the contexts of sums whose step is 1, in variance, and one that is beyond all; and of
 * those whose step is 2.
 */
enum { NEXACT_BOUNDS = 15, SUM_MOST_EXACT = 2048, SUM_STEP_2_BOUND = 1448 };
extern const uint16_t SUM_EXACT_BOUND[NEXACT_BOUNDS + 1];

/* Sums of what is known of the open tiles of a macro block. */
typedef struct block_sums {
    uint64_t expected;
    uint64_t variance;
    int64_t most;
    int64_t sum;
    uint32_t nopen;
    int has_general;
} block_sums;

static inline int64_t sum_of(const tile_sums *sum, size_t at)
{
    return sum->small[at] == SUM_ELSEWHERE ? sum->any[at] : sum->small[at];
}

/* The step of sums in quarters of their noise. */
uint32_t sum_quarters_of(const frame_model *model);

/* From expectation and variance, in units of 1/256, before they are scaled. */
sum_rule sum_rule_of(uint64_t expected, uint64_t variance, uint32_t quarters, int8_t scale,
                     int64_t most, int is_pattern);

/*
 * The rule of a tile, if its numbers are small: the predicted sum in bits 0-15, the step in bits
 * 16-23, the context in bits 24-28.  Vectors work in 16 bits: sums, found or predicted, have 15 of
 * them, and steps are such that reciprocals of 15 bits give quotients below 9 exactly.
 */
enum {
    PLAIN_MOST_SUM = 0x7FFF,
    PLAIN_MOST_STEP = 63,
    PLAIN_PREDICTED = 0xFFFF,
    PLAIN_STEP = 0xFF,
    PLAIN_STEP_SHIFT = 16,
    PLAIN_CONTEXT_SHIFT = 24,
    PLAIN_NOT = 1 << 29, /* it cannot be expressed so */
    PLAIN_NONE = PLAIN_NOT | 1 << PLAIN_STEP_SHIFT
};

uint32_t plain_rule_of(const sum_rule *rule);

/*
 * Likewise that of so much as is expected in a pattern ring, in units of 1/256, before it is
 * scaled; PLAIN_NONE from PLAIN_MOST_EXPECTED on.
 */
uint32_t sum_pattern_rule(uint32_t expected, uint32_t quarters, int8_t scale);

/* Those of n tiles, or coarse blocks, of which so much is expected after it is scaled. */
void sum_pattern_rules(cpu_level level, const uint32_t *expected, uint32_t n, uint32_t quarters,
                       uint32_t *rule);

/*
 * Stands for the expected sum of a tile of a general ring: even with one pixel of it, a block has
 * more than the 16 times 102400 that pattern rings can have, in units of 1/256.
 */
enum { PLAIN_IS_GENERAL = 1 << 26, PLAIN_MOST_EXPECTED = 1 << 21 };

/*
 * What a cell adds to a coarse block for a full tile, in one number: the expected sum and, from bit
 * LOW_MOST_SHIFT, the largest value of a pixel.  As many pixels as a block has fit in either half.
 */
enum { LOW_MOST_SHIFT = 32 };
static const uint64_t SUM_NOT_LOW = UINT64_MAX; /* of a general ring */

/* Makes `low_cell`, which sum_grid_make does where there may be coarse blocks. */
void sum_grid_set_low_cells(sum_grid *grid);

/* Of a block of the row at work; sum is that of its tiles, or NULL. */
block_sums sum_grid_block(const sum_grid *grid, uint32_t block, const tile_sums *sum);

/* What is expected of the open pixels of a coarse block, rows of its tiles, and the largest sum
 * that they can have. */
typedef struct low_block {
    uint32_t expected;
    uint32_t most;
} low_block;

low_block sum_grid_low_block(const sum_grid *grid, uint32_t block, const uint64_t open[MACRO_EDGE]);

/* The rule of a coarse block. */
sum_rule sum_grid_coarse_rule(const sum_grid *grid, uint32_t block, const block_sums *b);

/* The step of those in quarters of their noise. */
uint32_t sum_grid_coarse_quarters(const sum_grid *grid);

/* That of a whole tile where the scale is 1. */
sum_rule sum_grid_whole_rule(const sum_grid *grid, uint16_t cell);

/* Makes `full`: those of all cells. */
h5bragg_status sum_grid_make_full(sum_grid *grid);

/* That of any open tile. */
sum_rule sum_grid_open_rule(const sum_grid *grid, uint16_t cell, uint16_t open, int8_t scale);

/* A rule in 16 bits, NOT_SMALL if that is impossible. */
small_rule small_rule_of(const sum_rule *rule);

/* Room for a row of tiles in a sum_grid. */
static inline size_t sum_grid_room(uint32_t ntx)
{
    return ((size_t)ntx + SUM_SLACK - 1) / SUM_SLACK * SUM_SLACK;
}

/* The open pixels of the tiles of a macro block in a row of tiles, 16 bits each, the first one's
 * lowest. */
static inline uint64_t open_quad(const sum_grid *grid, uint32_t row, uint32_t block)
{
    const ring_map *map = grid->model->noise.map;
    const uint32_t first = MACRO_EDGE * block;
    const uint32_t ntiles = ring_map_block_stop(map, block) - first;
    const uint16_t *open = grid->open + (size_t)row * map->ntx + first;
    uint64_t quad = 0;
    if (ntiles == MACRO_EDGE)
        return quad_get(open);
    for (uint32_t k = 0; k < ntiles; k++)
        quad |= (uint64_t)open[k] << 16 * k;
    return quad;
}

/* Context of the scale of a block. */
static inline uint32_t scale_context(const sum_grid *grid, uint32_t block)
{
    const uint32_t left = block > 0 && grid->scale[block - 1] != 0;
    return left + (grid->scale_above[block] != 0);
}

BRAGG_INLINE int64_t dither_of(uint32_t hash, uint32_t step)
{
    return (int64_t)((uint64_t)(hash & 0xFFFF) * step >> 16);
}

#endif
