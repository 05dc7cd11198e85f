/* SPDX-License-Identifier: MIT */
/* Books and rows of patterns, for the tests of them. */
#ifndef TESTS_PATTERN_ROWS_H
#define TESTS_PATTERN_ROWS_H

#include "check.h"
#include "patterns.h"

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline pattern_book *ordered_book_of(int dispersion, pattern_order order)
{
    pattern_book *book = NULL;
    CHECK(pattern_book_acquire((pattern_kind){order, dispersion, 0}, &book) == H5BRAGG_OK);
    return book;
}

static inline pattern_book *book_of(int dispersion)
{
    return ordered_book_of(dispersion, PATTERNS_SHUFFLED);
}

/* Checks that every variant has the sum, the range and zeros behind; returns the sum of squares. */
static inline uint32_t check_row(const uint8_t *row, uint32_t f, uint32_t threshold, uint32_t sum)
{
    uint32_t squares = 0;
    CHECK(row && (uintptr_t)row % 64 == 0);
    for (uint32_t v = 0; v < PATTERN_NVARIANTS; v++) {
        uint32_t total = 0;
        for (uint32_t i = 0; i < PATTERN_NBYTES; i++) {
            const uint32_t pixel = row[PATTERN_NBYTES * v + i];
            CHECK(pixel <= (i < f ? threshold : 0));
            total += pixel;
            squares += pixel * pixel;
        }
        CHECK(total == sum);
    }
    return squares;
}

#endif
