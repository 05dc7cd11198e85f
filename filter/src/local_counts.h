/* SPDX-License-Identifier: MIT */
/* Sums of the discarded pixels of small blocks (docs/format.md, "Local counts"). */
#ifndef BRAGG_LOCAL_COUNTS_H
#define BRAGG_LOCAL_COUNTS_H

#include "local_grid.h"
#include "noise.h"
#include "picking.h"

enum { LOCAL_NCLASSES = 3 };

/* A frame's blocks and what is known of its pixels. */
typedef struct local_frame {
    const noise_frame *noise;
    const noise_tables *tables;
    const cell_range *range;
    const local_grid *grid;
    const uint8_t *exact; /* ny * nx: non-zero for pixels that are not discarded */
    uint64_t seed;
} local_frame;

/* Marks the pixels that are not discarded: exact[ny * nx]. */
void local_mark_exact(const ring_map *map, const uint8_t *mask, const picked_pixels *picked,
                      uint8_t *exact);

/* Writes the sums of all blocks, quantised, against what the ring model predicts. */
h5bragg_status local_write(const local_frame *frame, const void *pixels,
                           byte_writer sums[LOCAL_NCLASSES]);

/* Changes the drawn pixels of every block until they have the block's sum. */
h5bragg_status local_apply(const local_frame *frame, byte_reader sums[LOCAL_NCLASSES],
                           void *pixels);

#endif
