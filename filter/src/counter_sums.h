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

/*
 * Sums over the counters of values first <= v < stop <= 64: whole numbers, exact.  They go to where
 * they are wanted: copies of what was stored just now, in other pieces, would wait for memory.
 */
typedef void counter_sums_function(const uint32_t *count, uint32_t first, uint32_t stop,
                                   value_sums *sums);

/* The same for every level; that of CPU_SCALAR is the reference. */
counter_sums_function *counter_sums_kernel(cpu_level level);

#endif
