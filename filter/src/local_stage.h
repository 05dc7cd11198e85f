/* SPDX-License-Identifier: MIT */
/* The encoder's part of local counts: which blocks to keep, and all that is stored of them. */
#ifndef BRAGG_LOCAL_STAGE_H
#define BRAGG_LOCAL_STAGE_H

#include "kept_blocks.h"
#include "local_counts.h"

/* Streams of local counts: kept blocks, kept values by class, sums by class. */
enum { LOCAL_NSTREAMS = 1 + KEPT_NCLASSES + LOCAL_NCLASSES };

typedef struct local_stage {
    local_grid grid;
    uint8_t *kept;     /* blocks */
    uint8_t *excluded; /* ny * nx: pixels that tell nothing of what is discarded */
    uint8_t *exact;    /* ny * nx: pixels that are not discarded */
    double *expected;  /* ncells: set by local_find_kept */
    double *variance;  /* nbins */
} local_stage;

/* Prepares for frames of a map; free with local_stage_free, also after an error. */
h5bragg_status local_stage_make(const ring_map *map, uint32_t edge, local_stage *stage);

void local_stage_free(local_stage *stage);

/* Finds the blocks to keep; stage->excluded becomes their pixels and those of static_mask. */
h5bragg_status local_find_kept(local_stage *stage, const bragg_frame *frame,
                               const noise_frame *noise, const ring_profile *profile,
                               const uint8_t *static_mask);

/*
 * Sets stage->variance to the variance of discarded pixels about the mean of their block, for every
 * ring; negative where there are too few.  What varies from block to block comes back with the
 * sums, so the noise must not have it again.
 */
h5bragg_status local_variance(local_stage *stage, const bragg_frame *frame,
                              const noise_frame *noise, const cell_range *range);

/* Takes the pixels of kept blocks out of the picked pixels. */
void local_drop_kept(const local_stage *stage, const ring_map *map, picked_pixels *picked);

/* Writes all streams; *nkept receives the number of pixels in kept blocks. */
h5bragg_status local_pack(local_stage *stage, const bragg_frame *frame, const noise_frame *noise,
                          const ring_profile *profile, const cell_range *range,
                          const picked_pixels *picked, uint64_t seed,
                          byte_writer streams[LOCAL_NSTREAMS], uint32_t *nkept);

#endif
