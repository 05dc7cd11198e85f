/* SPDX-License-Identifier: MIT */
/*
 * How many counts a tile of 16 pixels gets at a level of background: docs/format.md, "Pattern
 * noise" (Levels).
 */
#ifndef BRAGG_LEVELS_H
#define BRAGG_LEVELS_H

#include "patterns.h"

enum {
    LEVEL_MAX = 160,
    LEVEL_NLEVELS = LEVEL_MAX + 1,
    LEVEL_GUIDE_SHIFT = 8,
    LEVEL_SLACK = 15, /* vectors of 16 thresholds begin at any of them */
    LEVEL_GUIDE_SIZE = 1 << (16 - LEVEL_GUIDE_SHIFT)
};

/*
 * An entry of the guide says what R >> 8 leaves open of the sum.  Bits 0-14 are T * 512 + the
 * number of thresholds up to there; bits 16-23 are what to add to the low byte of R so that it
 * passes 256 where it reaches the next threshold; GUIDE_UNSURE is set where there are several.
 */
enum { LEVEL_GUIDE_AT = 0x7FFF, LEVEL_GUIDE_STEP_BIT = 16 };
static const uint32_t LEVEL_GUIDE_UNSURE = 0x80000000u;

typedef struct level_table {
    uint32_t first; /* the sums that the guide is sure of lie between these */
    uint32_t last;
    /* Of sum S; UINT32_MAX for the largest and beyond.  What is behind is read, but means nothing.
     */
    uint32_t threshold[PATTERN_MAX_SUM + 1 + LEVEL_SLACK];
} level_table;

/*
 * The table of level 0 to 160 for a threshold of at most 63: shared by the process, made when first
 * asked for.  NULL if there is no memory.
 */
const level_table *level_get(uint32_t threshold, uint32_t level);

/*
 * What a fit of levels looks at: mean and variance of a sixteenth of the sum, under the exact
 * weights, at a level and the next ones.  Those beyond LEVEL_MAX are as that one.
 */
typedef struct level_moments {
    double mean[3];
    double variance[2];
    atomic_int is_made;
} level_moments;

/* All tables, of which those that level_get gave are made, by number: T * LEVEL_NLEVELS + level. */
typedef struct level_tables {
    const level_table *table;
    const uint32_t (*guide)[LEVEL_GUIDE_SIZE]; /* close together, as they are used all the time */
    const level_moments *moments;              /* ask level_moments_get */
} level_tables;

level_tables level_tables_get(void);

/* The slow part of level_moments_get. */
const level_moments *level_moments_make(uint32_t threshold, uint32_t level);

/* Arguments, result and threads as for level_get. */
BRAGG_INLINE const level_moments *level_moments_get(const level_tables *tables, uint32_t threshold,
                                                    uint32_t level)
{
    const level_moments *moments = &tables->moments[threshold * LEVEL_NLEVELS + level];
    if (atomic_load_explicit(&moments->is_made, memory_order_acquire))
        return moments;
    return level_moments_make(threshold, level);
}

/*
 * What a book must have before sums of the guide of a level, which level_get has made, are used
 * unseen: their rows of full tiles.  Returns 0 if there is no memory.
 */
int level_rows_make(pattern_book *book, uint32_t threshold, const level_table *table);

/* Whether the guide leaves it to the thresholds: the row of such a sum need not be made. */
BRAGG_INLINE int level_is_unsure(const level_tables *tables, uint32_t number, uint32_t r16)
{
    return (tables->guide[number][r16 >> LEVEL_GUIDE_SHIFT] & LEVEL_GUIDE_UNSURE) != 0;
}

/* T * 512 + the sum for 16 random bits, which is the number of thresholds <= r16. */
BRAGG_INLINE uint32_t level_draw(const level_tables *tables, uint32_t number, uint32_t r16)
{
    const uint32_t guide = tables->guide[number][r16 >> LEVEL_GUIDE_SHIFT];
    const uint32_t step = guide >> LEVEL_GUIDE_STEP_BIT & 0xFF;
    uint32_t at = guide & LEVEL_GUIDE_AT;
    if (!(guide & LEVEL_GUIDE_UNSURE))
        return at + ((r16 % (1u << LEVEL_GUIDE_SHIFT) + step) >> LEVEL_GUIDE_SHIFT);
    while (tables->table[number].threshold[at % (PATTERN_MAX_SUM + 1)] <= r16)
        at++;
    return at;
}

#endif
