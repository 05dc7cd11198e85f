/* SPDX-License-Identifier: MIT */
/* Clip ranges against sums of probabilities from lgamma. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "poisson.h"
#include "portable_math.h"

enum { N_MANY = 300 };

static double probability(double mean, int64_t low, int64_t high)
{
    double sum = 0;
    for (int64_t n = low; n <= high; n++)
        sum += exp((double)n * log(mean) - mean - lgamma((double)n + 1));
    return sum;
}

static void check_range(double mean, double cut)
{
    const poisson_range r = poisson_clip_range(mean, cut);
    const double tail = portable_normal_tail(cut);
    const int64_t far = (int64_t)(mean + 40 * sqrt(mean) + 60);
    CHECK(r.low >= 0 && r.low <= r.high);
    CHECK(probability(mean, r.high + 1, far) <= tail * (1 + 1e-6) + 1e-13);
    CHECK(r.high == 0 || probability(mean, r.high, far) >= tail * (1 - 1e-6) - 1e-13);
    CHECK(probability(mean, 0, r.low - 1) <= tail * (1 + 1e-6) + 1e-13);
    CHECK(probability(mean, 0, r.low) >= tail * (1 - 1e-6) - 1e-13);
}

static void check_truncated(double mean, double low, double high)
{
    const poisson_cells cell = {&mean, &low, &high, 1};
    double truncated;
    double variance;
    double sum = 0;
    double squares = 0;
    const double all = probability(mean, (int64_t)low, (int64_t)high);
    for (int64_t n = (int64_t)low; n <= (int64_t)high; n++)
        sum += (double)n * probability(mean, n, n) / all;
    for (int64_t n = (int64_t)low; n <= (int64_t)high; n++)
        squares += ((double)n - sum) * ((double)n - sum) * probability(mean, n, n) / all;
    poisson_truncated(&cell, &truncated, &variance);
    CHECK(fabs(truncated - sum) < 1e-9 * (1 + sum));
    CHECK(fabs(variance - squares) < 1e-9 * (1 + mean));
}

/* With such a mean, or so wide a range, nothing is cut off. */
static void check_whole(double mean, double low, double high)
{
    const poisson_cells cell = {&mean, &low, &high, 1};
    double truncated;
    double variance;
    poisson_truncated(&cell, &truncated, &variance);
    CHECK(truncated == mean && variance == mean);
}

/* Means, cuts and ranges of all kinds. */
typedef struct many_cells {
    double mean[N_MANY];
    double cut[N_MANY];
    double tail[N_MANY];
    double low[N_MANY];
    double high[N_MANY];
} many_cells;

static void make_many(many_cells *m)
{
    unsigned state = 5;
    for (size_t i = 0; i < N_MANY; i++) {
        const double size = (double)(random_bits(&state) % 1000) / 1000;
        m->mean[i] = 300 * size * size * size * size;
        m->cut[i] = 0.7 + (double)(random_bits(&state) % 100) * 0.05;
        const double half = m->cut[i] * sqrt(m->mean[i]);
        m->low[i] = floor(fmax(m->mean[i] - half, 0));
        m->high[i] = ceil(m->mean[i] + half);
    }
    m->mean[3] = 0;
    m->mean[50] = -1;
    m->mean[51] = (double)NAN;
    m->high[7] = 1e18;
    m->mean[8] = 0.01; /* far below a wide range */
    m->high[8] = 800;
    poisson_tails(m->cut, N_MANY, m->tail);
}

/* However many there are at a time, and with any instructions, the bits are the same. */
static void check_batches(cpu_level level)
{
    static many_cells m;
    static poisson_range range[N_MANY];
    static double truncated[N_MANY];
    static double variance[N_MANY];
    const poisson_kernels *plain = poisson_kernels_of(CPU_SCALAR);
    const poisson_kernels *kernels = poisson_kernels_of(level);
    make_many(&m);
    for (size_t n = 1; n <= N_MANY; n += 1 + n / 3) {
        const poisson_cuts cuts = {m.mean, m.cut, m.tail, n};
        const poisson_cells cells = {m.mean, m.low, m.high, n};
        kernels->clip_ranges(&cuts, range);
        kernels->truncated(&cells, truncated, variance);
        for (size_t i = 0; i < n; i++) {
            const poisson_cuts cut = {&m.mean[i], &m.cut[i], &m.tail[i], 1};
            const poisson_cells cell = {&m.mean[i], &m.low[i], &m.high[i], 1};
            poisson_range r;
            double moments[2];
            plain->clip_ranges(&cut, &r);
            plain->truncated(&cell, &moments[0], &moments[1]);
            CHECK(range[i].low == r.low && range[i].high == r.high);
            CHECK(memcmp(&truncated[i], &moments[0], sizeof *truncated) == 0);
            CHECK(memcmp(&variance[i], &moments[1], sizeof *variance) == 0);
        }
    }
}

int main(void)
{
    const double means[] = {0.01, 0.05, 0.3, 1, 2.5, 7, 20, 80, 199};
    const double cuts[] = {1, 2, 3, 3.9, 5, 7};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++)
            check_range(means[i], cuts[k]);
        check_truncated(means[i], 0, 3);
        check_truncated(means[i], 2, 30);
        check_truncated(means[i], 20, 35);
        check_truncated(means[i], 0, 1000);
        check_truncated(means[i], 5, 400);
        check_truncated(means[i], 6, 6);
    }
    /* The approximation continues the exact quantiles. */
    const poisson_range exact = poisson_clip_range(POISSON_EXACT_LIMIT, 4);
    const poisson_range normal = poisson_clip_range(POISSON_EXACT_LIMIT * 1.000001, 4);
    CHECK(llabs(exact.low - normal.low) <= 1 && llabs(exact.high - normal.high) <= 1);
    CHECK(poisson_clip_range(0, 4).high == 0);
    check_whole(POISSON_EXACT_LIMIT * 1.000001, 190, 210);
    check_whole(3, 0, POISSON_MAX_COUNT + 1);
    check_whole(0, 0, 4);
    for (int level = CPU_SCALAR; level <= (int)bragg_cpu_level(); level++)
        check_batches((cpu_level)level);
    return 0;
}
