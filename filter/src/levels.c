/* SPDX-License-Identifier: MIT */
/* Tables of levels: docs/format.md, "Pattern noise" (Levels). */
#include "levels.h"

#include <stdlib.h>

/* Weights r^S W_16(S) of the sums 0 to `largest`; returns their sum C. */
static double fill_weights(const pattern_weights *weights, uint32_t level, uint32_t largest,
                           double *weight)
{
    const double y = (double)level / 32.0;
    const double r = y * y / 8.0;
    double power = 1.0;
    double total = 0.0;
    for (uint32_t sum = 0; sum <= largest; sum++) {
        weight[sum] = power * weights->sum[PATTERN_NBYTES][sum];
        total += weight[sum];
        power *= r;
    }
    return total;
}

static void fill_moments(const double *weight, uint32_t largest, double total, level_table *table)
{
    double mean = 0.0;
    double variance = 0.0;
    for (uint32_t sum = 0; sum <= largest; sum++)
        mean += weight[sum] * sum;
    mean /= total;
    for (uint32_t sum = 0; sum <= largest; sum++)
        variance += weight[sum] * ((sum - mean) * (sum - mean));
    table->mean = mean;
    table->variance = variance / total;
}

static void fill_guide(level_table *table)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < LEVEL_GUIDE_SIZE; i++) {
        while (table->threshold[sum] <= i << LEVEL_GUIDE_SHIFT)
            sum++;
        table->guide[i] = (uint16_t)sum;
    }
}

static level_table *make_table(uint32_t threshold, uint32_t level)
{
    const pattern_weights *weights = pattern_weights_get(threshold);
    level_table *table = weights ? malloc(sizeof *table) : NULL;
    if (!table)
        return NULL;
    const uint32_t full = PATTERN_NBYTES * threshold;
    const uint32_t largest = full < PATTERN_MAX_SUM ? full : PATTERN_MAX_SUM;
    double weight[PATTERN_MAX_SUM + 1];
    const double total = fill_weights(weights, level, largest, weight);
    fill_moments(weight, largest, total, table);
    double cumulated = 0.0;
    for (uint32_t sum = 0; sum <= PATTERN_MAX_SUM; sum++) {
        if (sum < largest)
            cumulated += weight[sum];
        table->threshold[sum] =
            sum < largest ? (uint32_t)(cumulated / total * 65536.0 + 0.5) : UINT32_MAX;
    }
    fill_guide(table);
    return table;
}

/* Threads that race make the same table; the first one stays. */
const level_table *level_get(uint32_t threshold, uint32_t level)
{
    static _Atomic(level_table *) tables[PATTERN_MAX_THRESHOLD + 1][LEVEL_MAX + 1];
    _Atomic(level_table *) *slot = &tables[threshold][level];
    level_table *known = atomic_load_explicit(slot, memory_order_acquire);
    if (known)
        return known;
    level_table *made = make_table(threshold, level);
    if (made && !atomic_compare_exchange_strong(slot, &known, made)) {
        free(made);
        return known;
    }
    return made;
}
