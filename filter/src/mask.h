/* SPDX-License-Identifier: MIT */
/* Mask codes: which pixels carry one, and their runs in a chunk (docs/format.md, "Mask"). */
#ifndef BRAGG_MASK_H
#define BRAGG_MASK_H

#include "bytes.h"
#include "pixel.h"
#include "settings.h"

/* 0 for a valid pixel, else 1 + the number of its mask code. */
BRAGG_INLINE uint8_t mask_number(const bragg_mask_codes *codes, int64_t value)
{
    for (uint32_t k = 0; k < codes->n; k++) {
        if (value == codes->value[k])
            return (uint8_t)(k + 1);
    }
    return 0;
}

/* Writes the runs of mask codes of a frame; *nmasked receives the number of masked pixels. */
h5bragg_status mask_write(const bragg_frame *frame, const bragg_mask_codes *codes, byte_writer *w,
                          uint32_t *nmasked);

/* Reads them back into ny * nx mask numbers. */
h5bragg_status mask_read(byte_reader *r, uint32_t ny, uint32_t nx, uint32_t ncodes, uint8_t *mask);

/* Puts the codes of masked pixels into a decoded frame. */
void mask_apply(const uint8_t *mask, const bragg_mask_codes *codes, h5bragg_pixel_type type,
                size_t npixels, void *pixels);

#endif
