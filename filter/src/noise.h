/* SPDX-License-Identifier: MIT */
/* Fills a frame with restored background: docs/format.md, "Noise". */
#ifndef BRAGG_NOISE_H
#define BRAGG_NOISE_H

#include "noise_model.h"

typedef struct noise_tables noise_tables;

/* Mean, above the low end of the range, and variance of the discarded pixels of a cell. */
typedef struct cell_moments {
    double mean;
    double variance;
} cell_moments;

/* Cumulative distributions of all cells; *tables must be freed with noise_tables_free. */
h5bragg_status noise_tables_make(const noise_frame *frame, const ring_profile *profile,
                                 const cell_range *range, noise_tables **tables);

cell_moments noise_moments(const noise_tables *tables, uint32_t cell);

void noise_tables_free(noise_tables *tables);

/* Writes every pixel of a frame; those on no panel become zero. */
void noise_fill(const noise_tables *tables, uint64_t seed, h5bragg_fill fill, void *pixels);

#endif
