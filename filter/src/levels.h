/* SPDX-License-Identifier: MIT */
/*
 * How many counts a tile of 16 pixels gets at a level of background: docs/format.md, "Pattern
 * noise" (Levels).
 */
#ifndef BRAGG_LEVELS_H
#define BRAGG_LEVELS_H

#include "patterns.h"

enum { LEVEL_MAX = 160, LEVEL_GUIDE_SHIFT = 6, LEVEL_GUIDE_SIZE = 1 << (16 - LEVEL_GUIDE_SHIFT) };

typedef struct level_table {
    uint16_t guide[LEVEL_GUIDE_SIZE];        /* where the search for R >> 6 starts */
    uint32_t threshold[PATTERN_MAX_SUM + 1]; /* of sum S; UINT32_MAX for the largest and beyond */
    double mean;                             /* of the sum, under the exact weights */
    double variance;
} level_table;

/*
 * The table of level 0 to 160 for a threshold of at most 63: shared by the process, made when first
 * asked for.  NULL if there is no memory (all of them take 45 MB).
 */
const level_table *level_get(uint32_t threshold, uint32_t level);

/* The sum for 16 random bits: the number of thresholds <= r16. */
BRAGG_INLINE uint32_t level_draw(const level_table *table, uint32_t r16)
{
    uint32_t sum = table->guide[r16 >> LEVEL_GUIDE_SHIFT];
    while (table->threshold[sum] <= r16)
        sum++;
    return sum;
}

#endif
