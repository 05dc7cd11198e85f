/* SPDX-License-Identifier: MIT */
/*
 * Local counts: the sums of drawn tiles, quantised to a fraction of their own noise and coded
 * against what the rings predict (docs/format.md, "Scales and sums").
 *
 * Both directions go through a frame in rows of macro blocks.  A tile is open if some of its
 * pixels are drawn; open[] has these pixels' bits for the four rows of tiles at work.
 */
#ifndef BRAGG_TILE_SUMS_H
#define BRAGG_TILE_SUMS_H

#include "frame_model.h"
#include "lines_ahead.h"
#include "symbols.h"

enum { SCALE_NCONTEXTS = 3, SUM_NCONTEXTS = 21 };
enum { SUM_ELSEWHERE = 0xFFFF };
enum { SUM_SLACK = 16 }; /* room behind arrays of tiles that are gone through by vectors */

/* How a sum is predicted and quantised, but for its dither. */
typedef struct sum_rule {
    int64_t predicted;
    int64_t most; /* largest sum */
    uint32_t step;
    uint8_t context;
} sum_rule;

/* The same in 16 bits, for cells whose numbers are small. */
typedef struct small_rule {
    int16_t predicted;
    int16_t most;
    uint16_t step;
    uint16_t context;
} small_rule;

/* Of the macro blocks of a row, for writing: places for all of the last group. */
typedef struct block_arrays {
    uint16_t *open;     /* all bits set */
    uint16_t *sum;      /* of open tiles, or SUM_ELSEWHERE */
    uint32_t *expected; /* of that sum, in units of 1/256; more than any pattern ring's if there are
                           general ones */
    uint32_t *hash;     /* of the first tile, if there are coarse blocks */
    uint32_t *rule;     /* likewise: of coarse blocks */
} block_arrays;

typedef struct sum_grid {
    const frame_model *model;
    uint32_t nblocks;     /* macro blocks in a row */
    uint32_t row;         /* of macro blocks, at work */
    uint32_t nrows;       /* of tiles in it */
    const uint16_t *open; /* nrows * ntx */
    const uint32_t *hash; /* likewise: tile hashes */
    int may_be_coarse;
    uint32_t first_low;  /* if so, the first of the cells of which a coarse block may be made */
    uint32_t last_low;   /* and the last */
    uint64_t *low_cell;  /* per cell: see LOW_MOST_SHIFT */
    uint64_t *whole;     /* nblocks: sum of low_cell over 16 tiles of a coarse block, or 0; who
                            writes has it of few blocks */
    uint8_t *least_high; /* nblocks: where there is that, the least of their largest values */
    uint32_t *nlow;      /* ncells + 1: cells before that a coarse block may be made of */
    uint8_t *is_coarse;  /* nblocks, and zeros for MACRO_EDGE more */
    uint32_t ncoarse;    /* of them */
    struct plain_cell *plain; /* per cell, for writing alone: see sums_write_kernels.h */
    uint32_t *rule;           /* likewise: of open tiles, nrows * ntx */
    struct sum_group *group;  /* likewise: of the row at work, as is this */
    uint16_t *wanted;
    block_arrays blocks; /* likewise */
    int8_t *scale;       /* nblocks, and zeros for MACRO_EDGE more */
    int8_t *scale_above;
    sum_rule *full; /* per cell: a whole tile where the scale is 1; writing may go without */
    /* For reading alone: */
    small_rule *small; /* likewise */
    uint32_t *coarse;  /* the coarse blocks with open tiles, of which there are nlisted */
    uint32_t nlisted;
    uint64_t *coarse_open; /* their open pixels, a row of tiles each, MACRO_EDGE a block */
    uint32_t *coarse_hash; /* theirs, and their sums, with room for whole SUM_SLACK */
    int64_t *coarse_sum;
    /* Of a row of macro blocks, and behind it of its coarse blocks: see sum_row. */
    uint16_t *any_open; /* of the columns of tiles, with zeros behind them */
    uint8_t *kind;
    uint32_t *range;
    uint32_t *step;
    uint16_t *listed;
    uint16_t *odd;
    uint8_t *context;
    uint8_t *symbol;
    lines_ahead *ahead; /* asked for meanwhile, if not NULL */
    int failed;         /* a sum is too far from its prediction to be written */
} sum_grid;

/* Prepares for the frames of a model; free with sum_grid_free, also after an error. */
h5bragg_status sum_grid_make(const frame_model *model, sum_grid *grid);
void sum_grid_free(sum_grid *grid);

/* Moves on to a row of macro blocks; open and hash stay the caller's. */
void sum_grid_start_row(sum_grid *grid, uint32_t row, const uint16_t *open, const uint32_t *hash);

/* Before the first sums_read_row. */
h5bragg_status sum_grid_prepare_reading(sum_grid *grid);

/*
 * Reads the sums of that row: sum[nrows * ntx] for open tiles outside of coarse blocks, anything
 * for others.  Of hash and sum more is used, up to nrows * ntx + SUM_SLACK.
 */
h5bragg_status sums_read_row(sum_grid *grid, symbol_reader *scales, wide_reader *sums,
                             int64_t *sum);

/* Before the first sums_write_row. */
h5bragg_status sum_grid_prepare_writing(sum_grid *grid);

/* Sums of all open tiles: `small`, or `any` where that is SUM_ELSEWHERE. */
typedef struct tile_sums {
    const uint16_t *small;
    const int64_t *any;
} tile_sums;

/* Chooses scales and writes them and the sums. */
void sums_write_row(sum_grid *grid, const tile_sums *sum, symbol_writer *scales,
                    symbol_writer *sums);

/* Number of set bits. */
static inline uint32_t count_bits(uint32_t x)
{
    x = x - (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return x * 0x01010101u >> 24;
}

static inline uint32_t count_bits64(uint64_t x)
{
    return count_bits((uint32_t)x) + count_bits((uint32_t)(x >> 32));
}

/* Of the pixels of a tile, by their bits: most have all. */
static inline uint32_t count_pixels(uint32_t bits)
{
    return bits == 0xFFFF ? TILE_NPIXELS : count_bits(bits);
}

#endif
