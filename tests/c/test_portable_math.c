/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "check.h"
#include "portable_math.h"

static void check_close(double found, double wanted, double relative)
{
    CHECK(fabs(found - wanted) <= relative * fabs(wanted));
}

/* Many numbers at a time have the same results, bit for bit. */
static void check_batches(void)
{
    double x[53] = {0};
    double y[53];
    for (size_t n = 0; n <= 53; n++) {
        for (size_t i = 0; i < n; i++)
            x[i] = i % 9 == 5 ? (double)NAN : (double)i * 53.7 - 900.0 + (double)n / 7;
        portable_exp_all(x, n, y);
        for (size_t i = 0; i < n; i++)
            CHECK(y[i] == portable_exp(x[i]));
        portable_exp_quickly(x, n, y);
        for (size_t i = 0; i < n; i++)
            check_close(y[i], portable_exp(x[i]), 1e-14);
        for (size_t i = 0; i < n; i++)
            x[i] = (double)(i * n % 97) * 0.1;
        portable_normal_tail_all(x, n, y);
        for (size_t i = 0; i < n; i++)
            CHECK(y[i] == portable_normal_tail(x[i]));
    }
}

/* Every level of instructions gives the same bits. */
static void check_levels(void)
{
    enum { N = 4001 };
    static double x[N];
    static double plain[N];
    static double y[N];
    const cpu_level best = bragg_cpu_level();
    for (size_t i = 0; i < N; i++)
        x[i] = i == 77 ? (double)NAN : ((double)i - 2000) * 0.4321;
    portable_exp_kernel(CPU_SCALAR)(x, N, plain);
    for (int level = CPU_SCALAR; level <= (int)best; level++) {
        for (size_t start = 0; start < 40; start++) {
            portable_exp_kernel((cpu_level)level)(x + start, N - start, y);
            CHECK(memcmp(y, plain + start, (N - start) * sizeof *y) == 0);
        }
    }
}

int main(void)
{
    check_batches();
    check_levels();
    for (double x = -690; x < 690; x += 0.37)
        check_close(portable_exp(x), exp(x), 1e-13);
    CHECK(portable_exp(0) == 1.0);
    CHECK(portable_exp(-1e9) == 0.0);
    CHECK(portable_exp((double)NAN) == 0.0);
    CHECK(portable_exp(1e9) == portable_exp(700));
    for (double x = 1e-300; x < 1e300; x *= 1.7)
        CHECK(fabs(portable_log(x) - log(x)) < 1e-13 * (1 + fabs(log(x))));
    CHECK(portable_log(1.0) == 0.0);
    for (double x = 0; x < 37; x += 0.01)
        check_close(portable_normal_tail(x), 0.5 * erfc(x / sqrt(2.0)), 2e-7);
    return 0;
}
