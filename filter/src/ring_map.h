/* SPDX-License-Identifier: MIT */
/*
 * The ring map: which radial bin and which normalisation a pixel has (docs/format.md, "Ring map").
 *
 * Pixels of one ring whose normalisation (polarization times solid angle) rounds to the same class
 * form a cell.  Background, thresholds and noise tables are made per cell, so that no stage needs
 * more than one 16-bit number per pixel.  Cells of a ring are consecutive.
 */
#ifndef BRAGG_RING_MAP_H
#define BRAGG_RING_MAP_H

#include "h5bragg.h"

enum { BRAGG_NO_CELL = 0xFFFF, BRAGG_MAX_CELLS = 0xFFFE };

typedef struct ring_map {
    uint32_t ny;
    uint32_t nx;
    uint32_t nbins;
    uint32_t ncells;
    double scatter_min;    /* 2 sin(theta) of the innermost pixel centre */
    double scatter_width;  /* of one ring */
    uint16_t *cell;        /* ny * nx; BRAGG_NO_CELL where the pixel is on no panel */
    uint32_t *first_cell;  /* nbins + 1 */
    uint16_t *ring;        /* ncells: the ring that a cell belongs to */
    double *normalisation; /* ncells */
} ring_map;

/* Makes the map; *map must be freed with ring_map_free. */
h5bragg_status ring_map_make(const h5bragg_geometry *geometry, const h5bragg_params *params,
                             ring_map **map);

void ring_map_free(ring_map *map);

#endif
