/* SPDX-License-Identifier: MIT */
/* Sums over ranges of a histogram's counters. */
#ifndef BRAGG_COUNTER_SUMS_H
#define BRAGG_COUNTER_SUMS_H

#include <stdint.h>

#include "cpu_level.h"

/* Number of pixels of a cell in a range of values, their sum and sum of squares. */
typedef struct value_sums {
    double n;
    double sum;
    double sum_squares;
} value_sums;

/* Sums over the counters of values first <= v < stop <= 64: whole numbers, exact. */
value_sums counter_sums(const uint32_t *count, uint32_t first, uint32_t stop);

/* The same in plain C, which is the reference. */
value_sums counter_sums_plain(const uint32_t *count, uint32_t first, uint32_t stop);

#endif
