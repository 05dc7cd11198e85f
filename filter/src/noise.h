/* SPDX-License-Identifier: MIT */
/* Restored background of general rings: docs/format.md, "General noise". */
#ifndef BRAGG_NOISE_H
#define BRAGG_NOISE_H

#include "noise_model.h"

typedef struct noise_tables noise_tables;

/* Mean, above the low end of the range, and variance of the discarded pixels of a cell. */
typedef struct cell_moments {
    double mean;
    double variance;
} cell_moments;

/* Distributions of the cells of general rings; *tables must be freed with noise_tables_free. */
h5bragg_status noise_tables_make(const noise_frame *frame, const ring_profile *profile,
                                 const cell_range *range, noise_tables **tables);

/* Those of a cell of a general ring. */
cell_moments noise_moments(const noise_tables *tables, uint32_t cell);

void noise_tables_free(noise_tables *tables);

/* One drawn tile of a general ring. */
typedef struct noise_tile {
    uint32_t number;
    uint32_t hash; /* the tile hash */
    uint32_t cell;
    uint16_t valid; /* pixels to draw */
    int has_sum;    /* the sum over them of value - low is to be `sum` */
    int64_t sum;
    int64_t value[TILE_NPIXELS]; /* out, by place; others are 0 */
} noise_tile;

void noise_draw_tile(const noise_tables *tables, uint64_t seed, noise_tile *tile);

/* The same as docs/format.md says it, pixel by pixel and count by count, for all cells. */
void noise_draw_tile_plain(const noise_tables *tables, uint64_t seed, noise_tile *tile);

/* What noise-free reading gives pixels of a cell of a general ring. */
int64_t noise_mean(const noise_tables *tables, uint32_t cell);

#endif
