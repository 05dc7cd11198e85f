/* SPDX-License-Identifier: MIT */
/* Measures peaks (docs/peaks.md, "What is measured"). */
#ifndef BRAGG_PEAK_MEASURE_H
#define BRAGG_PEAK_MEASURE_H

#include "peak_block.h"

/* All of a peak but nhigh; patch: the bits of its pixels, also of those that are not known. */
void peak_measure(const peak_rules *rules, const peak_block *block, uint64_t patch,
                  h5bragg_peak *peak);

#endif
