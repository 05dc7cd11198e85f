/* SPDX-License-Identifier: MIT */
/* Mask codes: which pixels carry one, and their rectangles in a chunk (docs/format.md, "Mask"). */
#ifndef BRAGG_MASK_H
#define BRAGG_MASK_H

#include "bytes.h"
#include "pixel.h"
#include "ring_map.h"
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

/* Pixels [start, stop) of one row that carry one code. */
typedef struct mask_run {
    uint32_t start;
    uint32_t stop;
    uint8_t number; /* 1 + number of the code */
} mask_run;

/* The runs of a row. */
typedef struct mask_row {
    uint32_t first;
    uint32_t n;
} mask_row;

/* The masked pixels of a frame. */
typedef struct frame_mask {
    mask_row *row; /* ny, of which neighbours that are alike share their runs */
    mask_run *run; /* by column */
    uint32_t nmasked;
} frame_mask;

/* What is known of the masked pixels of a frame. */
typedef struct mask_source {
    const bragg_frame *frame;
    const bragg_mask_codes *codes;
    const uint16_t *valid; /* per tile: which of its pixels carry none */
    const uint8_t *found;  /* per group of a row of tiles, as `codes` of a counts_plane; NULL if
                              not known */
} mask_source;

/*
 * Writes the rectangles of mask codes of a frame.  Pixels are not looked at where what is known of
 * them says all.
 */
h5bragg_status mask_write(const mask_source *source, const ring_map *map, byte_writer *w,
                          uint32_t *nmasked);

/* Reads a mask of a version of the format.  Free with frame_mask_free, also after an error. */
h5bragg_status mask_read(byte_reader *r, uint32_t version, const ring_map *map, uint32_t ncodes,
                         frame_mask *mask);

void frame_mask_free(frame_mask *mask);

/* Sets valid[ntx] of a row of tiles: bit p if pixel p is in the frame and not masked. */
void mask_valid(const frame_mask *mask, const ring_map *map, uint32_t tile_row, uint16_t *valid);

/* Puts the codes of masked pixels into rows [first, last) of a decoded frame. */
void mask_apply(const frame_mask *mask, const ring_map *map, const bragg_mask_codes *codes,
                h5bragg_pixel_type type, uint32_t first, uint32_t last, void *pixels);

#endif
