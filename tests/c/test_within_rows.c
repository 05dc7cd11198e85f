/* SPDX-License-Identifier: MIT */
/* Sums over rows of counters against counters one by one. */
#include "check.h"
#include "patterns.h"
#include "within_rows.h"

#include <string.h>

enum { MOST = PATTERN_MAX_SUM + 1, MOST_TILES = 1 << 28 };

static double squares[MOST];

/* Integers are exact, and what is expected is that of plain C to the last bit. */
static void check_row(const uint32_t *counter, uint32_t n)
{
    /* Nothing behind the last counter: sanitizers see who reads it. */
    uint32_t *alone = malloc(n * sizeof *alone);
    uint64_t ntiles = 0;
    uint64_t even = 0;
    double expected = 0;
    CHECK(alone);
    memcpy(alone, counter, n * sizeof *alone);
    for (uint32_t sum = 0; sum < n; sum++) {
        ntiles += counter[sum];
        even += (uint64_t)counter[sum] * sum * sum;
        expected += (double)counter[sum] * squares[sum];
    }
    const within_row row = within_row_sums(alone, squares, n);
    const within_row plain = within_row_sums_plain(alone, squares, n);
    CHECK(row.ntiles == (double)ntiles && row.even == (double)even);
    CHECK(row.expected >= expected * (1 - 1e-12) && row.expected <= expected * (1 + 1e-12));
    CHECK(memcmp(&row, &plain, sizeof row) == 0);
    free(alone);
}

static uint32_t row_length(uint32_t threshold)
{
    const uint32_t n = 16 * threshold + 1;
    return n < MOST ? n : MOST;
}

/* Rows with tiles of sums from `first` to `last`. */
static void check_range(uint32_t n, uint32_t first, uint32_t last, unsigned *state)
{
    uint32_t counter[MOST] = {0};
    for (uint32_t sum = first; sum <= last; sum++)
        counter[sum] = random_bits(state) % 4 ? random_bits(state) % 5000 : 0;
    check_row(counter, n);
}

static void sums_are_those_of_counters(void)
{
    unsigned state = 5;
    for (uint32_t threshold = 0; threshold <= PATTERN_MAX_THRESHOLD; threshold++) {
        const uint32_t n = row_length(threshold);
        check_range(n, 0, n - 1, &state);
        check_range(n, n - 1, n - 1, &state);
        for (int k = 0; k < 200; k++) {
            const uint32_t first = random_bits(&state) % n;
            check_range(n, first, first + random_bits(&state) % (n - first), &state);
        }
    }
}

/* All tiles of the largest frame have one sum, whichever it is. */
static void large_counts_are_exact(void)
{
    for (uint32_t sum = 0; sum < MOST; sum++) {
        uint32_t counter[MOST] = {0};
        check_row(counter, MOST);
        counter[sum] = MOST_TILES - 1;
        check_row(counter, MOST);
    }
}

int main(void)
{
    unsigned state = 9;
    for (uint32_t sum = 0; sum < MOST; sum++)
        squares[sum] = sum * (1.0 + sum / 16.0) * (1.0 + random_bits(&state) / 1e9);
    sums_are_those_of_counters();
    large_counts_are_exact();
    return 0;
}
