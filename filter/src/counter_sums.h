/* SPDX-License-Identifier: MIT */
/* Sums over ranges of a histogram's counters. */
#ifndef BRAGG_COUNTER_SUMS_H
#define BRAGG_COUNTER_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "cpu_level.h"

/* Number of pixels of a cell in a range of values, their sum and sum of squares. */
typedef struct value_sums {
    double n;
    double sum;
    double sum_squares;
} value_sums;

/* From low to high. */
typedef struct value_range {
    int64_t low;
    int64_t high;
} value_range;

/*
 * Sums over the counters of cells, 64 of each one behind the other, of the values in their ranges:
 * whole numbers, exact.
 */
typedef void counter_sums_function(const uint32_t *count, const value_range *range, size_t ncells,
                                   value_sums *sums);

/* The same for every level; that of CPU_SCALAR is the reference. */
counter_sums_function *counter_sums_kernel(cpu_level level);

#endif
