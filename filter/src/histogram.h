/* SPDX-License-Identifier: MIT */
/*
 * One histogram per cell of the ring map, filled in a single pass over a frame's bytes.
 *
 * Diffraction frames are small integers, so nearly all pixels land in a short array of counters;
 * the others, and negative values, go to a list sorted by cell.  Every later step that needs
 * statistics of the frame works on this instead of the pixels.
 */
#ifndef BRAGG_HISTOGRAM_H
#define BRAGG_HISTOGRAM_H

#include "counter_sums.h"
#include "counts_plane.h"

/* A pixel whose value has no counter. */
typedef struct overflow_pixel {
    uint32_t value;
    uint32_t cell;
} overflow_pixel;

/* Zero at first; memory is kept for the next frame. */
typedef struct histogram {
    uint32_t ncells;
    int64_t value_offset;     /* an overflow entry v stands for the value value_offset + v */
    uint32_t *count;          /* ncells rows of HISTOGRAM_NCOUNTS */
    uint32_t *overflow_start; /* ncells + 1: where a cell's overflow entries begin */
    uint32_t *overflow;
    int has_negative; /* as of the plane */
    counter_sums_function *counter_sums;

    overflow_pixel *pixel; /* scratch: overflow entries in the order of the tiles */
    size_t npixels;
    size_t capacity; /* of pixel and overflow */
    uint16_t *dark;  /* scratch: the first HISTOGRAM_NDARK counters, closer together for the cache;
                        row BRAGG_NO_CELL, of blank tiles, is to be ignored */
    size_t ndark;    /* at most so many tiles are in them */
} histogram;

/*
 * Counts the valid pixels of a frame: those of tiles with a cell, without a mask code, and not
 * under static_mask (ny * nx bytes or NULL; that of the plane).  Free with histogram_free, also
 * after an error.
 */
h5bragg_status histogram_make(const bragg_frame *frame, const uint8_t *static_mask,
                              const ring_map *map, const counts_plane *plane, histogram *h);

/*
 * The same from what was counted elsewhere; ntiles[map->ncells] are the tiles of cells.  Fails with
 * H5BRAGG_BAD_ARGUMENT where counts contradict the map.
 */
h5bragg_status histogram_from_counts(const h5bragg_counts *counts, h5bragg_pixel_type type,
                                     const ring_map *map, const uint32_t *ntiles, histogram *h);

void histogram_free(histogram *h);

/* Sums over the pixels of a cell with low <= value <= high. */
void histogram_sums(const histogram *h, uint32_t cell, int64_t low, int64_t high, value_sums *sums);

/* The same of cells from `first` to `last` - 1: range and sums have one for each of these. */
void histogram_sums_all(const histogram *h, uint32_t first, uint32_t last, const value_range *range,
                        value_sums *sums);

#endif
