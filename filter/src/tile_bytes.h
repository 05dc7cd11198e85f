/* SPDX-License-Identifier: MIT */
/* Sixteen bytes, which every pixel type has, become the pixels of a tile. */
#ifndef BRAGG_TILE_BYTES_H
#define BRAGG_TILE_BYTES_H

#include <string.h>

#include "pixel.h"

/* Of a tile that lies in the frame as a whole, whose first pixel is `first`: widened in vectors,
 * and put row by row. */
BRAGG_INLINE void tile_bytes_put(const h5bragg_pixel_type type, const uint8_t byte[TILE_NPIXELS],
                                 size_t first, size_t nx, void *pixels)
{
    uint32_t words[TILE_NPIXELS];
    uint16_t halves[TILE_NPIXELS];
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        words[p] = byte[p];
        halves[p] = byte[p];
    }
    for (size_t row = 0; row < TILE_EDGE; row++, first += nx) {
        if (type == H5BRAGG_U32 || type == H5BRAGG_I32)
            memcpy((uint32_t *)pixels + first, words + TILE_EDGE * row, TILE_EDGE * sizeof *words);
        else if (type == H5BRAGG_U16 || type == H5BRAGG_I16)
            memcpy((uint16_t *)pixels + first, halves + TILE_EDGE * row,
                   TILE_EDGE * sizeof *halves);
        else
            memcpy((uint8_t *)pixels + first, byte + TILE_EDGE * row, TILE_EDGE);
    }
}

#endif
