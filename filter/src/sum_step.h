/* SPDX-License-Identifier: MIT */
/* The step of a sum: docs/format.md, "Scales and sums". */
#ifndef BRAGG_SUM_STEP_H
#define BRAGG_SUM_STEP_H

#include <math.h>
#include <stdint.h>

enum { SUM_UNITS = 256, SUM_MAX_STEP = 1 << 30 };

/* From expectation and variance in units of 1/256, and q in quarters. */
static inline uint32_t sum_step(uint64_t expected, uint64_t variance, uint32_t quarters,
                                int is_pattern)
{
    const double root = sqrt((double)(variance * quarters * quarters / 16) / SUM_UNITS);
    uint64_t step = root < SUM_MAX_STEP ? (uint64_t)root : SUM_MAX_STEP;
    if (is_pattern && step > expected / (2 * SUM_UNITS))
        step = expected / (2 * SUM_UNITS);
    return step > 1 ? (uint32_t)step : 1;
}

#endif
