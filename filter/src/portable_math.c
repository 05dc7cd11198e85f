/* SPDX-License-Identifier: MIT */
/* Reproducible exp, log and normal tail: docs/format.md, "Arithmetic". */
#include "portable_math.h"

#include <stdint.h>
#include <string.h>

/* ln 2 in two parts: the first has trailing zeros, so that k * LN2_HIGH is exact. */
static const double LN2_HIGH = 6.93147180369123816490e-01;
static const double LN2_LOW = 1.90821492927058770002e-10;
static const double INV_LN2 = 1.44269504088896338700e+00;

static double power_of_two(int k)
{
    const uint64_t bits = (uint64_t)(k + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = k ln 2 + r with |r| <= ln(2)/2, then the Taylor series of e^r to r^14. */
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

/*
 * Series phi(x) (x + x^3/3 + x^5/(3 5) + ...) of P(0 < X < x) near zero; farther out, where
 * Chauvenet's criterion looks, the continued fraction x + 1/(x + 2/(x + ...)) of phi(x) over
 * the tail (Abramowitz and Stegun 26.2.11 and 26.2.14).
 */
double portable_normal_tail(double x)
{
    const double density = 0.39894228040143267794 * portable_exp(-0.5 * x * x);
    if (x < 2.5) {
        double term = x;
        double sum = x;
        for (int n = 1; n < 60; n++) {
            term *= x * x / (2 * n + 1);
            sum += term;
        }
        return 0.5 - density * sum;
    }
    double fraction = x;
    for (int n = 60; n >= 1; n--)
        fraction = x + n / fraction;
    return density / fraction;
}
