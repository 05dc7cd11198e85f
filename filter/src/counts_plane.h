/* SPDX-License-Identifier: MIT */
/*
 * A frame as bytes, and what its tiles hold (docs/format.md, "Tiles and rings").
 *
 * Nearly all pixels of a diffraction frame are small numbers.  The encoder looks at the pixels
 * themselves once, to make a byte of each; all its later passes read the bytes, a quarter of the
 * memory, and go back to the frame only for the few pixels whose byte says so.
 */
#ifndef BRAGG_COUNTS_PLANE_H
#define BRAGG_COUNTS_PLANE_H

#include "pixel.h"
#include "plane_kernels.h"
#include "ring_map.h"
#include "settings.h"

/* Masked pixels of some row of a group are not those of the row above, or of none above. */
enum { GROUP_IS_NEW = 0x80 };

/* Zeros that follow the pixels of a row, at least: those of a tile beyond its last one. */
enum { PLANE_NZEROS = 2 * TILE_EDGE };

/*
 * Zero at first; buffers are kept for the next frame of the same shape.  Arrays per tile have the
 * map's numbering.  `value` has zeros for masked pixels, and a row or PLANE_NZEROS bytes of zeros
 * around the frame on every side; those before a row are those behind the row above.
 */
typedef struct counts_plane {
    const plane_kernels *kernels; /* chosen when memory is allocated, unless set before */
    uint32_t ny;
    uint32_t nx;
    size_t stride;      /* bytes from row to row, a multiple of 64 */
    uint8_t *value;     /* 4 * nty rows: 0 to 254, or BYTE_LOOKUP for larger and negative
                           pixels, the value 255, and valid pixels under the static mask */
    uint16_t *valid;    /* bit p: pixel p of the tile is in the frame and carries no mask code */
    uint16_t *sum;      /* of the tile's bytes */
    uint16_t *squares;  /* sum of the squares of the tile's bytes, at most MOST_SQUARES */
    uint8_t *largest;   /* byte of the tile */
    uint8_t *has_large; /* the tile has a byte BYTE_LOOKUP: its sum and squares mean nothing */
    uint8_t *codes;     /* of the groups of rows of tiles: bits of the mask codes that their pixels
                           carry, and GROUP_IS_NEW */
    int has_negative;   /* some valid pixel is below zero */
    uint64_t total;     /* sum of all valid pixels modulo 2^32 each, modulo 2^64 */
    uint8_t *memory;    /* holds `value` */
    group_bits *bits;   /* scratch: a strip of rows */
} counts_plane;

/*
 * Makes the plane of a frame that has the shape of the map.  static_mask: ny * nx bytes or NULL.
 * Free with counts_plane_free, also after an error.
 */
h5bragg_status counts_plane_make(const bragg_frame *frame, const bragg_mask_codes *codes,
                                 const uint8_t *static_mask, const ring_map *map,
                                 counts_plane *plane);

/* The codes that a type can hold, as kernels compare them. */
raw_codes counts_plane_codes(const bragg_mask_codes *codes, h5bragg_pixel_type type);

/* The kernel for pixels of a type. */
narrow_kernel counts_plane_narrow(const plane_kernels *kernels, h5bragg_pixel_type type);

void counts_plane_free(counts_plane *plane);

#endif
