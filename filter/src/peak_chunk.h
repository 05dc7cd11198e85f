/* SPDX-License-Identifier: MIT */
/* The peaks of a sparse frame of a chunk (docs/peaks.md). */
#ifndef BRAGG_PEAK_CHUNK_H
#define BRAGG_PEAK_CHUNK_H

#include "chunk_header.h"
#include "h5bragg_peaks.h"
#include "ring_map.h"

/* Fills the list; mask: ny * nx bytes or NULL. */
h5bragg_status peak_chunk_search(const chunk_header *chunk, const ring_map *map,
                                 frame_header *header, const uint8_t *mask,
                                 const h5bragg_peak_params *peaks, h5bragg_peak_list *list);

#endif
