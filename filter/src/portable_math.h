/* SPDX-License-Identifier: MIT */
/*
 * exp, log and the normal tail from additions, multiplications and divisions alone, in a fixed
 * order (docs/format.md, "Arithmetic").  The C library's own differ in the last bit from machine to
 * machine; these do not, so encoders agree on every byte and decoders on every pixel.
 */
#ifndef BRAGG_PORTABLE_MATH_H
#define BRAGG_PORTABLE_MATH_H

#include <stddef.h>

#include "cpu_level.h"

/* e^x; 0 below -700, e^700 above 700. */
double portable_exp(double x);

/* The same of n numbers. */
void portable_exp_all(const double *x, size_t n, double *y);

/* The same but for the last bits, and as reproducible: multiplies where the others divide.  Not for
 * what the format defines.  y is not x. */
void portable_exp_quickly(const double *x, size_t n, double *y);

/* That for a level of instructions, which makes it faster and changes no bit. */
typedef void exp_function(const double *x, size_t n, double *y);
exp_function *portable_exp_kernel(cpu_level level);

/* Natural logarithm of a positive normal number. */
double portable_log(double x);

/* Probability that a standard normal variate exceeds x >= 0; relative error below 2e-7. */
double portable_normal_tail(double x);

/* The same of n numbers. */
void portable_normal_tail_all(const double *x, size_t n, double *tail);

#endif
