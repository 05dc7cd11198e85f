/* SPDX-License-Identifier: MIT */
/* The peaks of a frame at work in the encoder (docs/peaks.md). */
#ifndef BRAGG_PEAK_SEARCH_H
#define BRAGG_PEAK_SEARCH_H

#include "frame_fit.h"
#include "h5bragg_peaks.h"

/* What is wanted: checked parameters, the frame's geometry, and the list that takes the peaks. */
typedef struct peak_request {
    h5bragg_peak_params params;
    const h5bragg_geometry *geometry;
    h5bragg_peak_list *list;
    const uint32_t *tile; /* those that may have peaks, in any order; NULL: all may */
    uint64_t ntiles;
} peak_request;

/* Fills the list, given the final choice of tiles of a model whose ranges are known. */
h5bragg_status peak_search(const frame_source *source, const frame_model *model,
                           const peak_request *request);

#endif
