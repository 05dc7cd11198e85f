/* SPDX-License-Identifier: MIT */
/* The rectangles of a mask, from what differs from row to row: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_RECTANGLES_H
#define BRAGG_MASK_RECTANGLES_H

#include "bytes.h"
#include "pixel.h"

/* Pixels [start, stop) in scan order, of one row, that become `number`, which they were not above.
 */
typedef struct mask_change {
    size_t start;
    size_t stop;
    uint8_t number;
} mask_change;

/* Writes the mask that n changes, in scan order, make of rows without mask codes. */
h5bragg_status mask_rectangles_write(const mask_change *change, size_t n, uint32_t ny, uint32_t nx,
                                     byte_writer *w);

#endif
