/* SPDX-License-Identifier: MIT */
/* Detector geometry: checks, panel tables of chunks, and the registry of the writing process. */
#ifndef BRAGG_GEOMETRY_H
#define BRAGG_GEOMETRY_H

#include "bytes.h"
#include "h5bragg.h"

enum { BRAGG_PANEL_NBYTES = 44, BRAGG_GEOMETRY_NBYTES = 12 };

/* A geometry that owns its panels and mask. */
typedef struct bragg_owned_geometry {
    h5bragg_geometry view; /* points into the members below */
    h5bragg_panel *panels;
    uint8_t *mask;
} bragg_owned_geometry;

/* Whether the geometry describes a detector: shape, finite lengths, panels apart and inside. */
h5bragg_status bragg_geometry_check(const h5bragg_geometry *geometry);

/* Writes the geometry block of a chunk (docs/format.md, "Geometry"). */
void bragg_geometry_write(const h5bragg_geometry *geometry, byte_writer *w);

/* Reads it back; the shape is known from the parameter words.  Free with bragg_geometry_free. */
h5bragg_status bragg_geometry_read(byte_reader *r, uint32_t ny, uint32_t nx,
                                   bragg_owned_geometry *owned);

/* Copies a geometry with its panels and mask.  Free with bragg_geometry_free, if that succeeds. */
h5bragg_status bragg_geometry_copy(const h5bragg_geometry *geometry, bragg_owned_geometry *copy);

void bragg_geometry_free(bragg_owned_geometry *owned);

/* The registered geometry of that hash, owned by the registry for ever; NULL if there is none. */
const h5bragg_geometry *bragg_geometry_find(uint64_t hash);

#endif
