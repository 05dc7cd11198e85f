/* SPDX-License-Identifier: MIT */
/* Picked pixels: selecting them, storing them, putting them back (docs/format.md, "Picked pixels").
 */
#ifndef BRAGG_PICKING_H
#define BRAGG_PICKING_H

#include "bytes.h"
#include "noise_model.h"

/*
 * Picked pixels in scan order.  The excess is value - threshold - 1, and the value itself where the
 * pixel is on no panel; negative for pixels below their range or under a static mask.
 */
typedef struct picked_pixels {
    uint32_t n;
    uint32_t *index;
    int64_t *excess;
    int has_negative;
} picked_pixels;

/*
 * Picks the pixels outside of their cell's range, on no panel, or under static_mask (may be NULL),
 * unless they carry a mask code.  Free with picked_free, also after an error.
 */
h5bragg_status picked_select(const bragg_frame *frame, const noise_frame *noise,
                             const cell_range *range, const uint8_t *static_mask,
                             picked_pixels *picked);

void picked_free(picked_pixels *picked);

/* Distances between positions, and excesses, as two byte streams. */
void picked_write(const picked_pixels *picked, byte_writer *gaps, byte_writer *excesses);

/* Reads n pixels back; allocates.  Positions are checked against npixels. */
h5bragg_status picked_read(byte_reader *gaps, byte_reader *excesses, uint32_t n, int has_negative,
                           size_t npixels, picked_pixels *picked);

/* Value of picked pixel k. */
static inline int64_t picked_value(const picked_pixels *picked, const ring_map *map,
                                   const cell_range *range, uint32_t k)
{
    const uint16_t cell = map->cell[picked->index[k]];
    const int64_t base = cell == BRAGG_NO_CELL ? 0 : range[cell].high + 1;
    return base + picked->excess[k];
}

/* Whether every value fits the pixel type. */
int picked_values_fit(const picked_pixels *picked, const noise_frame *noise,
                      const cell_range *range);

/* Writes the picked pixels into a frame. */
void picked_apply(const picked_pixels *picked, const noise_frame *noise, const cell_range *range,
                  void *pixels);

#endif
