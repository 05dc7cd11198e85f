/* SPDX-License-Identifier: MIT */
/* Sigma-clipped background of every ring, from the histograms alone. */
#ifndef BRAGG_BACKGROUND_H
#define BRAGG_BACKGROUND_H

#include "histogram.h"

typedef struct ring_background {
    double mean;      /* counts per unit of normalisation */
    double std;       /* of a pixel of unit normalisation */
    double sem;       /* standard error of the mean */
    uint32_t count;   /* pixels kept */
    uint32_t npixels; /* valid pixels */
} ring_background;

/* Fills rings[map->nbins]; an empty ring is all zero. */
h5bragg_status background_make(const histogram *h, const ring_map *map,
                               const h5bragg_params *params, ring_background *rings);

#endif
