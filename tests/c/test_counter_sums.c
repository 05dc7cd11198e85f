/* SPDX-License-Identifier: MIT */
/* Sums over ranges of a histogram against values one by one. */
#include <string.h>

#include "check.h"
#include "histogram.h"

enum { NCELLS = 3 };

/* Cells side by side have the sums that each of them has alone. */
static void cells_go_together(const histogram *h, unsigned *state)
{
    value_range range[NCELLS];
    value_sums all[NCELLS];
    for (int k = 0; k < NCELLS; k++) {
        range[k].low = (int64_t)(random_bits(state) % 90) - 20;
        range[k].high = range[k].low - 2 + (int64_t)(random_bits(state) % 90);
    }
    histogram_sums_all(h, 0, NCELLS, range, all);
    for (uint32_t k = 0; k < NCELLS; k++) {
        value_sums one;
        histogram_sums(h, k, range[k].low, range[k].high, &one);
        CHECK(memcmp(&one, &all[k], sizeof one) == 0);
    }
}

/* Sums over ranges are those of their counters and of the pixels without one. */
static void sums_are_those_of_values(cpu_level level)
{
    uint32_t count[NCELLS * HISTOGRAM_NCOUNTS] = {0};
    uint32_t start[] = {0, 2, 4, 4};
    uint32_t overflow[] = {10, 500, 94, 2000}; /* -90, 400, -6, 1900 */
    const histogram h = {.ncells = NCELLS,
                         .value_offset = -100,
                         .count = count,
                         .has_negative = 1,
                         .counter_sums = counter_sums_kernel(level),
                         .overflow_start = start,
                         .overflow = overflow};
    unsigned state = 3;
    for (uint32_t v = 0; v < HISTOGRAM_NCOUNTS; v++) {
        count[v] = v < 21 || v == 63 ? UINT32_MAX - random_bits(&state) : 0;
        count[HISTOGRAM_NCOUNTS + v] = random_bits(&state) % 8 == 0;
        count[2 * HISTOGRAM_NCOUNTS + v] = INT16_MAX; /* the most of what goes together */
    }
    count[HISTOGRAM_NCOUNTS + 40] = INT16_MAX + 1; /* and the least of what does not */
    for (int k = 0; k < 20000; k++) {
        const uint32_t cell = random_bits(&state) % NCELLS;
        const int64_t low = k == 0 ? INT64_MIN : (int64_t)(random_bits(&state) % 90) - 20;
        const int64_t high = k < 2 ? INT64_MAX : low - 2 + (int64_t)(random_bits(&state) % 90);
        value_sums wanted = {0, 0, 0};
        for (int64_t v = -100; v < 2000; v++) {
            double n = v >= 0 && v < HISTOGRAM_NCOUNTS ? count[cell * HISTOGRAM_NCOUNTS + v] : 0;
            for (uint32_t i = start[cell]; i < start[cell + 1]; i++)
                n += v == (int64_t)overflow[i] - 100;
            if (v < low || v > high)
                continue;
            wanted.n += n;
            wanted.sum += n * (double)v;
            wanted.sum_squares += n * (double)(v * v);
        }
        value_sums s;
        histogram_sums(&h, cell, low, high, &s);
        CHECK(s.n == wanted.n && s.sum == wanted.sum && s.sum_squares == wanted.sum_squares);
        cells_go_together(&h, &state);
    }
}

int main(void)
{
    for (int level = CPU_SCALAR; level <= (int)bragg_cpu_level(); level++)
        sums_are_those_of_values((cpu_level)level);
    return 0;
}
