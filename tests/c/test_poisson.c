/* SPDX-License-Identifier: MIT */
/* Clip ranges against sums of probabilities from lgamma. */
#include <math.h>

#include "check.h"
#include "poisson.h"
#include "portable_math.h"

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

static void check_truncated_mean(double mean, int64_t low, int64_t high)
{
    double sum = 0;
    for (int64_t n = low; n <= high; n++)
        sum += (double)n * probability(mean, n, n);
    const double wanted = sum / probability(mean, low, high);
    CHECK(fabs(poisson_truncated_mean(mean, low, high) - wanted) < 1e-9 * (1 + wanted));
}

int main(void)
{
    const double means[] = {0.01, 0.05, 0.3, 1, 2.5, 7, 20, 80, 199};
    const double cuts[] = {1, 2, 3, 3.9, 5, 7};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++)
            check_range(means[i], cuts[k]);
        check_truncated_mean(means[i], 0, 3);
        check_truncated_mean(means[i], 2, 30);
    }
    /* The approximation continues the exact quantiles. */
    const poisson_range exact = poisson_clip_range(POISSON_EXACT_LIMIT, 4);
    const poisson_range normal = poisson_clip_range(POISSON_EXACT_LIMIT * 1.000001, 4);
    CHECK(llabs(exact.low - normal.low) <= 1 && llabs(exact.high - normal.high) <= 1);
    CHECK(poisson_clip_range(0, 4).high == 0);
    return 0;
}
