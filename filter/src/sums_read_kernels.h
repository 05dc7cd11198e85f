/* SPDX-License-Identifier: MIT */
/*
 * The inner loops that read the sums of a row of tiles (docs/format.md, "Scales and sums"), once in
 * plain C, which is the reference, and once for AVX2 and for AVX-512.
 *
 * Contexts follow from rules alone, so that a row is gone through twice: its contexts are listed,
 * its symbols read, and then its sums restored.  In between, rules lie tile by tile.
 */
#ifndef BRAGG_SUMS_READ_KERNELS_H
#define BRAGG_SUMS_READ_KERNELS_H

#include "cpu_level.h"
#include "lines_ahead.h"
#include "tile_sums.h"

/* Tiles at a time; what a macro block may be. */
enum { SUM_NLANES = 16, SUM_COARSE = 1, SUM_SCALED = 2 };

/*
 * A row of tiles.  From `hash` on, arrays have room for a multiple of SUM_NLANES tiles, and more
 * than ntiles of them may be written.
 */
typedef struct sum_row {
    uint32_t ntiles;
    const small_rule *small; /* per cell */
    const uint16_t *cell;
    const uint16_t *open;
    const uint8_t *kind; /* per quad: SUM_COARSE, SUM_SCALED or 0 */
    const uint32_t *hash;
    uint32_t *range;    /* of the rule of a tile: predicted, and from bit 16 most */
    uint32_t *step;     /* likewise: step, and from bit 16 context */
    uint16_t *listed;   /* per SUM_NLANES tiles, bits of those that have a sum */
    uint16_t *odd;      /* likewise: of those among them that a kernel leaves to its caller */
    lines_ahead *ahead; /* asked for meanwhile; NULL: nothing is */
} sum_row;

/*
 * Lists the open tiles outside of coarse blocks, their rules and contexts; returns their number.
 * Odd are tiles that do not use the small rule of their cell.  At most SUM_NLANES contexts more
 * are written.
 */
typedef uint32_t sum_list_function(const sum_row *row, uint8_t *context);

/*
 * sum[] of the listed tiles but for odd ones: those whose symbol has raw bits or whose rule is not
 * small.  Negative if some step lies outside of what sums can reach.  SUM_NLANES symbols more are
 * looked at; sums of tiles that are not listed become anything.
 */
typedef int32_t sum_restore_function(const sum_row *row, const uint8_t *symbol, int64_t *sum);

typedef struct sums_read_kernels {
    sum_list_function *list;
    sum_restore_function *restore;
} sums_read_kernels;

const sums_read_kernels *sums_read_kernels_get(cpu_level level);

extern const sums_read_kernels SUMS_READ_KERNELS_PLAIN;
#if defined(BRAGG_X86_64)
extern const sums_read_kernels SUMS_READ_KERNELS_AVX2;
extern const sums_read_kernels SUMS_READ_KERNELS_AVX512;
#endif

/* As sum_list_function in plain C, of the tiles from `first` on, n being listed already. */
uint32_t sums_list_rest(const sum_row *row, uint32_t first, uint32_t n, uint8_t *context);

#endif
