/* SPDX-License-Identifier: MIT */
/* What the profile of a frame says of its cells; the same for encoder and decoder. */
#ifndef BRAGG_FRAME_MODEL_H
#define BRAGG_FRAME_MODEL_H

#include "noise.h"
#include "patterns.h"

typedef struct frame_model {
    uint32_t format_version;
    noise_frame noise;
    profile_layout layout;
    int dispersion;
    ring_profile *profile; /* nbins */
    cell_range *range;     /* ncells */
    uint64_t *expected;    /* ncells: sum of a full tile in units of 1/256, above its low end */
    uint64_t *variance;    /* ncells: of that sum, likewise */
    noise_tables *tables;  /* of general rings; NULL if there is none */
    pattern_book *book;
} frame_model;

/*
 * Allocates for a map, canonical parameters and a version of the format; free with
 * frame_model_free, also after an error.
 */
h5bragg_status frame_model_make(const ring_map *map, const h5bragg_params *params,
                                h5bragg_pixel_type type, uint32_t format_version,
                                frame_model *model);

/* Ranges of all cells, from profile and noise.is_counting. */
h5bragg_status frame_model_set_ranges(frame_model *model);

/* The tables of general rings, from these and their tilts. */
h5bragg_status frame_model_make_tables(frame_model *model);

/* All else, from these and dispersion. */
h5bragg_status frame_model_complete(frame_model *model);

void frame_model_free(frame_model *model);

/* Once ranges are set: before[c] become the cells of general rings before cell c; ncells + 1. */
void frame_model_count_general(const frame_model *model, uint32_t *before);

#endif
