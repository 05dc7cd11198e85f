/* SPDX-License-Identifier: MIT */
/* Sums over the tiles of a row of counters, for the variance within tiles. */
#ifndef BRAGG_WITHIN_ROWS_H
#define BRAGG_WITHIN_ROWS_H

#include <stdint.h>

typedef struct within_row {
    double ntiles;
    double even;     /* 16 times what their squares would be without any variance */
    double expected; /* squares, given the sums of the tiles */
} within_row;

/*
 * counter[n]: tiles by their sum, below 2^28 all together; n is 512 or a multiple of 16, and 1.
 * squares[n]: what a tile is expected to have.  The same to the last bit on every processor.
 */
within_row within_row_sums(const uint32_t *counter, const double *squares, uint32_t n);

/* The reference for tests. */
within_row within_row_sums_plain(const uint32_t *counter, const double *squares, uint32_t n);

#endif
