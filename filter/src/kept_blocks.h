/* SPDX-License-Identifier: MIT */
/* Blocks whose pixels are all stored exactly (docs/format.md, "Kept blocks"). */
#ifndef BRAGG_KEPT_BLOCKS_H
#define BRAGG_KEPT_BLOCKS_H

#include "local_grid.h"
#include "picking.h"

enum { KEPT_NCLASSES = 4 };

/*
 * Writes which blocks are kept, and their pixels in scan order by class of what their cell expects:
 * expected[map->ncells], see noise_expected_all.
 */
void kept_write(const bragg_frame *frame, const noise_frame *noise, const double *expected,
                const local_grid *grid, const uint8_t *kept, byte_writer *blocks,
                byte_writer values[KEPT_NCLASSES], uint32_t *npixels);

/* Reads which blocks are kept. */
h5bragg_status kept_read_blocks(byte_reader *blocks, const local_grid *grid, uint8_t *kept);

/* Reads their pixels and merges them into the picked pixels of the frame. */
h5bragg_status kept_merge(byte_reader values[KEPT_NCLASSES], const noise_frame *noise,
                          const double *expected, const cell_range *range, const local_grid *grid,
                          const uint8_t *kept, const uint8_t *mask, picked_pixels *picked);

#endif
