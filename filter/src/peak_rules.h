/* SPDX-License-Identifier: MIT */
/* What makes a pixel a peak, cell by cell (docs/peaks.md). */
#ifndef BRAGG_PEAK_RULES_H
#define BRAGG_PEAK_RULES_H

#include "frame_model.h"
#include "h5bragg_peaks.h"

/* What a cell means for peaks. */
typedef struct peak_cell {
    int64_t limit;          /* the largest pixel of a peak is above */
    int64_t beside;         /* and so many others are above this */
    int64_t stored;         /* and above this are stored exactly, whatever their tile */
    int64_t whole_expected; /* floor of the next: what is above it is above that */
    double expected;
    double variance; /* of the background of a pixel */
    int is_small;    /* bytes can be compared with all of these limits: they are 0 to 254 */
} peak_cell;

typedef struct peak_rules {
    const ring_map *map;
    const h5bragg_geometry *geometry; /* panels, distance and wavelength */
    const uint8_t *mask;              /* ny * nx or NULL: not to be looked at */
    uint32_t reach;                   /* of the patch to either side */
    uint32_t connected;
    int has_local;
    peak_cell *cell;      /* ncells + 1, the last that of tiles without a cell */
    uint8_t *byte_limit;  /* ncells: a tile whose largest byte is less has no peak */
    uint8_t *byte_beside; /* ncells: likewise, of the others */
} peak_rules;

h5bragg_status peak_params_check(const h5bragg_peak_params *peaks);

/*
 * Rules for a model whose profile is known.  Peaks that the frame does not store exactly are an
 * error.  Free with peak_rules_free, also after an error.
 */
h5bragg_status peak_rules_make(const frame_model *model, const h5bragg_geometry *geometry,
                               const uint8_t *mask, const h5bragg_peak_params *peaks,
                               peak_rules *rules);

void peak_rules_free(peak_rules *rules);

#endif
