/* SPDX-License-Identifier: MIT */
/*
 * The loops over tiles that write the sums of those where all is simple: docs/format.md, "Scales
 * and sums".  Sixteen tiles side by side are a group, four macro blocks.  Coarse blocks are put as
 * if they were tiles.
 */
#ifndef BRAGG_SUMS_WRITE_KERNELS_H
#define BRAGG_SUMS_WRITE_KERNELS_H

#include "sum_rules.h"

enum { GROUP_NBLOCKS = 4, SUM_NTILES = GROUP_NBLOCKS * MACRO_EDGE };

/* What writing knows of a cell. */
typedef struct plain_cell {
    uint32_t rule;     /* of a whole tile where the scale is 1 */
    uint32_t expected; /* sum of a whole tile, or PLAIN_IS_GENERAL */
} plain_cell;

/* What is known of rows of tiles; arrays per tile, from the first of a row of macro blocks. */
typedef struct sum_rows {
    const uint16_t *cell;
    const uint16_t *open;
    const uint16_t *sum; /* or SUM_ELSEWHERE */
    const uint32_t *hash;
    const plain_cell *plain; /* per cell */
    uint32_t *rule;          /* of open tiles: found by `look`, for `put` */
    block_arrays blocks;     /* `look` adds up the sums of open tiles, found and expected */
    const uint16_t *wanted;  /* per group, and behind the last, for `put` alone; bit t for tile t in
                                each of the rows: its sum is written if it is open */
    uint32_t quarters;       /* see sum_quarters_of */
    uint32_t ntx;
    uint32_t nrows;
} sum_rows;

/* Of sixteen tiles side by side, in four macro blocks: bit 4 b is for block b. */
typedef struct sum_group {
    uint16_t is_open; /* has an open tile */
    uint16_t is_far;  /* its scale may be other than 1 */
} sum_group;

/* Some groups of a row: pairs are put of those before `stop`, and of that one, if there is one. */
typedef struct put_run {
    uint32_t npairs; /* of those before */
    uint32_t stop;   /* a group with odd tiles, which are not simple */
    uint16_t open;   /* its tiles of which pairs are wanted; pairs are where their tiles are */
    uint16_t odd;    /* of them those whose pairs mean nothing yet */
} put_run;

typedef struct sums_write_kernels {
    /* Looks at the macro blocks of n groups, and at rules. */
    void (*look)(const sum_rows *rows, uint32_t n, sum_group *group);
    /* Finds the rules of blocks of a group whose scale is not 1, once that is known. */
    void (*rescale)(const sum_rows *rows, uint32_t group, const int8_t *scale);
    /*
     * Makes the pairs of open and wanted tiles of a row, one behind the other, from a group `start`
     * on, up to one that has odd tiles, or to `stop`.  `pair` has room for all tiles of all groups,
     * and of one more.
     */
    put_run (*put)(const sum_rows *rows, uint32_t row, uint32_t start, uint32_t stop,
                   uint16_t *pair);
} sums_write_kernels;

const sums_write_kernels *sums_write_kernels_get(cpu_level level);

extern const sums_write_kernels SUMS_WRITE_KERNELS_SCALAR; /* the reference */
#if defined(BRAGG_X86_64)
extern const sums_write_kernels SUMS_WRITE_KERNELS_AVX2;
extern const sums_write_kernels SUMS_WRITE_KERNELS_AVX512;
#endif

/* The same in plain C, of single groups, the first of which is given by its first tile; the pairs
 * are those of its row of tiles. */
void sums_look_plain(const sum_rows *rows, uint32_t first, sum_group *group);
void sums_rescale_plain(const sum_rows *rows, uint32_t group, const int8_t *scale);
put_run sums_put_plain(const sum_rows *rows, uint32_t row, uint32_t group, uint16_t *pair);

/*
 * A scale other than 1 needs a distance D between sum and expectation with
 * D * D > 16 * (expectation + 1).  In units of 1/256, and some less for the rounding of floats.
 */
#define FAR_FACTOR 4095.0f
#define FAR_OFFSET 256

#endif
