/* SPDX-License-Identifier: MIT */
/* Tables of levels: docs/format.md, "Pattern noise" (Levels). */
#include "levels.h"

#include "lock.h"

static uint32_t largest_sum(uint32_t threshold)
{
    const uint32_t full = PATTERN_NBYTES * threshold;
    return full < PATTERN_MAX_SUM ? full : PATTERN_MAX_SUM;
}

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

static void fill_guide(uint32_t threshold, level_table *table, uint32_t *guide)
{
    uint32_t sum = 0;
    table->first = PATTERN_MAX_SUM;
    table->last = 0;
    for (uint32_t i = 0; i < LEVEL_GUIDE_SIZE; i++) {
        const uint32_t first = i << LEVEL_GUIDE_SHIFT;
        const uint32_t behind = (i + 1) << LEVEL_GUIDE_SHIFT;
        while (table->threshold[sum] <= first)
            sum++;
        const int has_step = table->threshold[sum] < behind;
        guide[i] = threshold << PATTERN_SUM_NBITS | sum;
        if (has_step)
            guide[i] |= (behind - table->threshold[sum]) << LEVEL_GUIDE_STEP_BIT;
        if (has_step && table->threshold[sum + 1] < behind) { /* the largest sum has one, too */
            guide[i] |= LEVEL_GUIDE_UNSURE;
            continue;
        }
        table->first = sum < table->first ? sum : table->first;
        table->last = sum + (uint32_t)has_step;
    }
}

static int fill_table(uint32_t threshold, uint32_t level, level_table *table, uint32_t *guide)
{
    const pattern_weights *weights = pattern_weights_get(threshold);
    if (!weights)
        return 0;
    const uint32_t largest = largest_sum(threshold);
    double weight[PATTERN_MAX_SUM + 1];
    const double total = fill_weights(weights, level, largest, weight);
    double cumulated = 0.0;
    for (uint32_t sum = 0; sum <= PATTERN_MAX_SUM; sum++) {
        if (sum < largest)
            cumulated += weight[sum];
        table->threshold[sum] =
            sum < largest ? (uint32_t)(cumulated / total * 65536.0 + 0.5) : UINT32_MAX;
    }
    fill_guide(threshold, table, guide);
    return 1;
}

/* Side by side, so that a number says where one is; the system gives 32 MB page by page. */
static level_table tables[PATTERN_MAX_THRESHOLD + 1][LEVEL_NLEVELS];
static _Alignas(64) uint32_t guides[PATTERN_MAX_THRESHOLD + 1][LEVEL_NLEVELS][LEVEL_GUIDE_SIZE];
static atomic_uchar is_made[PATTERN_MAX_THRESHOLD + 1][LEVEL_NLEVELS];
static level_moments all_moments[PATTERN_MAX_THRESHOLD + 1][LEVEL_NLEVELS];

level_tables level_tables_get(void)
{
    return (level_tables){tables[0], (const uint32_t(*)[LEVEL_GUIDE_SIZE])guides[0],
                          all_moments[0]};
}

const level_table *level_get(uint32_t threshold, uint32_t level)
{
    level_table *table = &tables[threshold][level];
    atomic_uchar *made = &is_made[threshold][level];
    if (atomic_load_explicit(made, memory_order_acquire))
        return table;
    int is_there = 1;
    lock_acquire(LOCK_LEVELS);
    if (!atomic_load_explicit(made, memory_order_relaxed)) {
        is_there = fill_table(threshold, level, table, guides[threshold][level]);
        atomic_store_explicit(made, (unsigned char)is_there, memory_order_release);
    }
    lock_release(LOCK_LEVELS);
    return is_there ? table : NULL;
}

/* Mean and variance of a sum. */
static void sum_moments(const pattern_weights *weights, uint32_t threshold, uint32_t level,
                        double *mean, double *variance)
{
    const uint32_t largest = largest_sum(threshold);
    double weight[PATTERN_MAX_SUM + 1];
    const double total = fill_weights(weights, level, largest, weight);
    *mean = *variance = 0.0;
    for (uint32_t sum = 0; sum <= largest; sum++)
        *mean += weight[sum] * sum;
    *mean /= total;
    for (uint32_t sum = 0; sum <= largest; sum++)
        *variance += weight[sum] * ((sum - *mean) * (sum - *mean));
    *variance /= total;
}

static void fill_moments(const pattern_weights *weights, uint32_t threshold, uint32_t level,
                         level_moments *moments)
{
    double mean[3];
    double variance[3];
    for (uint32_t k = 0; k < 3; k++)
        sum_moments(weights, threshold, level + k < LEVEL_MAX ? level + k : LEVEL_MAX, &mean[k],
                    &variance[k]);
    for (uint32_t k = 0; k < 3; k++)
        moments->mean[k] = mean[k] / PATTERN_NBYTES;
    for (uint32_t k = 0; k < 2; k++)
        moments->variance[k] = variance[k] / PATTERN_NBYTES;
}

const level_moments *level_moments_make(uint32_t threshold, uint32_t level)
{
    level_moments *moments = &all_moments[threshold][level];
    const pattern_weights *weights = pattern_weights_get(threshold);
    if (!weights)
        return NULL;
    lock_acquire(LOCK_LEVELS);
    if (!atomic_load_explicit(&moments->is_made, memory_order_relaxed)) {
        fill_moments(weights, threshold, level, moments);
        atomic_store_explicit(&moments->is_made, 1, memory_order_release);
    }
    lock_release(LOCK_LEVELS);
    return moments;
}

int level_rows_make(pattern_book *book, uint32_t threshold, const level_table *table)
{
    const uint32_t run = pattern_run(book, threshold);
    int has_all = 1;
    if (pattern_run_first(run) <= table->first && table->last <= pattern_run_last(run))
        return 1;
    for (uint32_t sum = table->first; sum <= table->last; sum++)
        has_all &= pattern_row(book, PATTERN_NBYTES, threshold, sum) != NULL;
    return has_all;
}
