/* SPDX-License-Identifier: MIT */
/* Sums over the patch of a peak (docs/peaks.md, "What is measured"). */
#ifndef BRAGG_PEAK_SUMS_H
#define BRAGG_PEAK_SUMS_H

#include "peak_block.h"

typedef struct patch_sums {
    double signal; /* above the background */
    double variance;
    double mass; /* of what is above the background alone, as the moments about the pixel */
    double slow;
    double fast;
    uint32_t n;
} patch_sums;

/* Of the known pixels of a patch, given by bits. */
patch_sums peak_sum_patch(const peak_rules *rules, const peak_block *block, uint64_t patch);

/* The same in plain C. */
patch_sums peak_sum_patch_plain(const peak_block *block, uint64_t patch);

#endif
