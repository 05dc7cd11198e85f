/* SPDX-License-Identifier: MIT */
/* Reproducible exp, log and normal tail: docs/format.md, "Arithmetic". */
#include "portable_math.h"

#include <stdint.h>
#include <string.h>

#include "pixel.h" /* BRAGG_INLINE */

/* ln 2 in two parts: the first has trailing zeros, so that k * LN2_HIGH is exact. */
static const double LN2_HIGH = 6.93147180369123816490e-01;
static const double LN2_LOW = 1.90821492927058770002e-10;
static const double INV_LN2 = 1.44269504088896338700e+00;

/* So many numbers at a time hide the time that a division takes. */
enum { NLANES = 16, NFRACTIONS = 30 /* from 2.5 on these are good to 1e-10 */ };

static double power_of_two(int k)
{
    const uint64_t bits = (uint64_t)(k + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = k ln 2 + r with |r| <= ln(2)/2, then the Taylor series of e^r to r^14, for several x. */
static void exp_lanes(const double x[NLANES], double y[NLANES])
{
    double r[NLANES];
    double sum[NLANES];
    int k[NLANES];
    for (int i = 0; i < NLANES; i++) {
        const double high = x[i] > 700.0 ? 700.0 : x[i];
        const double limited = high > -700.0 ? high : -700.0; /* and if it is no number */
        const double scaled = limited * INV_LN2;
        k[i] = (int)(scaled + (scaled < 0.0 ? -0.5 : 0.5));
        r[i] = (limited - k[i] * LN2_HIGH) - k[i] * LN2_LOW;
        sum[i] = 1.0;
    }
    for (int n = 14; n >= 1; n--) {
        for (int i = 0; i < NLANES; i++)
            sum[i] = 1.0 + sum[i] * r[i] / n;
    }
    for (int i = 0; i < NLANES; i++)
        y[i] = x[i] > -700.0 ? sum[i] * power_of_two(k[i]) : 0.0;
}

void portable_exp_all(const double *x, size_t n, double *y)
{
    for (size_t i = 0; i < n; i += NLANES) {
        const size_t nlanes = n - i < NLANES ? n - i : NLANES;
        double in[NLANES] = {0};
        double out[NLANES];
        memcpy(in, x + i, nlanes * sizeof *in);
        exp_lanes(in, out);
        memcpy(y + i, out, nlanes * sizeof *out);
    }
}

/* 1 / n!, even and odd ones */
static const double EVEN[8] = {
    1.0,           1.0 / 2,         1.0 / 24,          1.0 / 720,
    1.0 / 40320.0, 1.0 / 3628800.0, 1.0 / 479001600.0, 1.0 / 87178291200.0};
static const double ODD[7] = {1.0,          1.0 / 6,          1.0 / 120,         1.0 / 5040,
                              1.0 / 362880, 1.0 / 39916800.0, 1.0 / 6227020800.0};

/* Added to a number, it leaves no digits behind the point, and the integer in the last bits. */
static const double ROUNDING = 6755399441055744.0; /* 1.5 2^52 */

/* Two sums side by side, and nothing but what becomes vectors. */
BRAGG_INLINE void exp_quickly(const double *restrict x, size_t n, double *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        const double high = x[i] > 700.0 ? 700.0 : x[i];
        const double limited = high > -700.0 ? high : -700.0;
        const double rounded = limited * INV_LN2 + ROUNDING;
        const double k = rounded - ROUNDING;
        const double r = (limited - k * LN2_HIGH) - k * LN2_LOW;
        const double square = r * r;
        double even = EVEN[7];
        double odd = ODD[6];
        for (int term = 6; term >= 0; term--)
            even = EVEN[term] + even * square;
        for (int term = 5; term >= 0; term--)
            odd = ODD[term] + odd * square;
        uint64_t bits;
        double power; /* 2^k */
        memcpy(&bits, &rounded, sizeof bits);
        bits = (bits + 1023) << 52;
        memcpy(&power, &bits, sizeof power);
        const double is_above = x[i] > -700.0 ? 1.0 : 0.0;
        y[i] = (even + odd * r) * power * is_above;
    }
}

#if defined(BRAGG_X86_64)
/* In longer vectors: what is not contracted has the same result. */
__attribute__((target("avx2"))) static void exp_avx2(const double *x, size_t n, double *y)
{
    exp_quickly(x, n, y);
}

__attribute__((target("avx512f,avx512vl,avx512dq"))) static void exp_avx512(const double *x,
                                                                            size_t n, double *y)
{
    exp_quickly(x, n, y);
}
#endif

static void exp_plain(const double *x, size_t n, double *y) { exp_quickly(x, n, y); }

exp_function *portable_exp_kernel(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return exp_avx512;
    if (level == CPU_AVX2)
        return exp_avx2;
#endif
    (void)level;
    return exp_plain;
}

void portable_exp_quickly(const double *x, size_t n, double *y)
{
    portable_exp_kernel(bragg_cpu_level())(x, n, y);
}

double portable_exp(double x)
{
    if (!(x > -700.0))
        return 0.0;
    if (x > 700.0)
        x = 700.0;
    const double scaled = x * INV_LN2;
    const int k = (int)(scaled + (scaled < 0.0 ? -0.5 : 0.5));
    const double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    double sum = 1.0;
    for (int n = 14; n >= 1; n--)
        sum = 1.0 + sum * r / n;
    return sum * power_of_two(k);
}

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), then log m = 2 artanh((m - 1) / (m + 1)). */
double portable_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int k = (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        k++;
    }
    const double t = (m - 1.0) / (m + 1.0);
    const double t2 = t * t;
    double sum = 0.0;
    for (int n = 21; n >= 1; n -= 2)
        sum = sum * t2 + 1.0 / n;
    return k * LN2_HIGH + (k * LN2_LOW + 2.0 * t * sum);
}

static const double ROOT_DENSITY = 0.39894228040143267794; /* 1 / sqrt(2 pi) */

/*
 * Series phi(x) (x + x^3/3 + x^5/(3 5) + ...) of P(0 < X < x) near zero; farther out, where
 * Chauvenet's criterion looks, the continued fraction x + 1/(x + 2/(x + ...)) of phi(x) over
 * the tail (Abramowitz and Stegun 26.2.11 and 26.2.14).
 */
static double normal_tail_near(double x)
{
    const double density = ROOT_DENSITY * portable_exp(-0.5 * x * x);
    double term = x;
    double sum = x;
    for (int n = 1; n < 60; n++) {
        term *= x * x / (2 * n + 1);
        sum += term;
    }
    return 0.5 - density * sum;
}

static void normal_tail_lanes(const double x[NLANES], double tail[NLANES])
{
    double exponent[NLANES];
    double density[NLANES];
    double fraction[NLANES];
    for (int i = 0; i < NLANES; i++)
        exponent[i] = -0.5 * x[i] * x[i];
    exp_plain(exponent, NLANES, density);
    memcpy(fraction, x, sizeof fraction);
    for (int n = NFRACTIONS; n >= 1; n--) {
        for (int i = 0; i < NLANES; i++)
            fraction[i] = x[i] + n / fraction[i];
    }
    for (int i = 0; i < NLANES; i++)
        tail[i] = ROOT_DENSITY * density[i] / fraction[i];
}

void portable_normal_tail_all(const double *x, size_t n, double *tail)
{
    for (size_t i = 0; i < n; i += NLANES) {
        const size_t nlanes = n - i < NLANES ? n - i : NLANES;
        double in[NLANES];
        double out[NLANES];
        for (size_t k = 0; k < NLANES; k++)
            in[k] = k < nlanes ? x[i + k] : 1.0;
        normal_tail_lanes(in, out);
        for (size_t k = 0; k < nlanes; k++)
            tail[i + k] = in[k] < 2.5 ? normal_tail_near(in[k]) : out[k];
    }
}

double portable_normal_tail(double x)
{
    double tail;
    portable_normal_tail_all(&x, 1, &tail);
    return tail;
}
