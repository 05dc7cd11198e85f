/* SPDX-License-Identifier: MIT */
/* The pixels of four tiles side by side as 64 bits, by tiles or by rows. */
#ifndef BRAGG_QUAD_BITS_H
#define BRAGG_QUAD_BITS_H

#include "pixel.h" /* BRAGG_INLINE */
#include "ring_map.h"

/* A 4 x 4 matrix of rows of tiles, four bits each, transposed: rows of a quad of its tiles, or
 * back.
 */
BRAGG_INLINE uint64_t transpose_quad(uint64_t x)
{
    uint64_t swapped = (x ^ x >> 12) & 0x0000F0F00000F0F0u;
    x ^= swapped | swapped << 12;
    swapped = (x ^ x >> 24) & 0x00000000FF00FF00u;
    return x ^ (swapped | swapped << 24);
}

/* Bits of four tiles, the first one's lowest. */
BRAGG_INLINE uint64_t quad_get(const uint16_t *tile)
{
    return tile[0] | (uint64_t)tile[1] << 16 | (uint64_t)tile[2] << 32 | (uint64_t)tile[3] << 48;
}

BRAGG_INLINE void quad_put(uint16_t *tile, uint64_t bits)
{
    tile[0] = (uint16_t)bits;
    tile[1] = (uint16_t)(bits >> 16);
    tile[2] = (uint16_t)(bits >> 32);
    tile[3] = (uint16_t)(bits >> 48);
}

#endif
