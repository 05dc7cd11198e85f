/* SPDX-License-Identifier: MIT */
/* The rectangles of a mask, from what differs from row to row: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_RECTANGLES_H
#define BRAGG_MASK_RECTANGLES_H

#include "bytes.h"
#include "ring_map.h"

/* Columns [start, stop) of a row, that become `number`, which they were not above. */
typedef struct mask_change {
    uint32_t row;
    uint32_t start;
    uint32_t stop;
    uint8_t number;
} mask_change;

/*
 * Writes the mask that n changes, in scan order, make of rows without mask codes; counts masked
 * pixels.
 */
h5bragg_status mask_rectangles_write(const mask_change *change, size_t n, const ring_map *map,
                                     byte_writer *w, uint32_t *nmasked);

#endif
