/* SPDX-License-Identifier: MIT */
/* One sparse frame read back from a chunk, before it is densified. */
#ifndef BRAGG_SPARSE_FRAME_H
#define BRAGG_SPARSE_FRAME_H

#include "chunk_header.h"
#include "kept_blocks.h"
#include "local_counts.h"

typedef struct sparse_frame {
    noise_frame noise;
    ring_profile *profile; /* nbins */
    cell_range *range;     /* ncells */
    uint8_t *mask;         /* ny * nx mask numbers */
    picked_pixels picked;  /* those of kept blocks too */
    int has_local;
    local_grid grid;
    uint8_t *kept; /* blocks */
    byte_reader sums[LOCAL_NCLASSES];
    uint8_t *owned_sums[LOCAL_NCLASSES];
} sparse_frame;

/* Reads a frame of mode FRAME_SPARSE; free with sparse_frame_free, also after an error. */
h5bragg_status sparse_frame_read(const chunk_header *chunk, const ring_map *map,
                                 frame_header *header, sparse_frame *frame);

void sparse_frame_free(sparse_frame *frame);

#endif
