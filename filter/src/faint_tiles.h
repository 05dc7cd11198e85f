/* SPDX-License-Identifier: MIT */
/*
 * Tiles that boxes touch and that hold hardly more than background (docs/format.md, "Kept flags":
 * the encoder's choice).
 */
#ifndef BRAGG_FAINT_TILES_H
#define BRAGG_FAINT_TILES_H

#include "box_search.h"
#include "frame_fit.h"

/* What a tile has at least if it is worth keeping. */
typedef struct faint_limits {
    uint16_t least[BOX_TOUCHES + BOX_IS_NEAR + 1]; /* counts, by what it is; 0 if it is anyway */
    uint16_t pixel;                                /* of a box: or its largest pixel */
} faint_limits;

faint_limits faint_limits_of(const frame_model *model, uint32_t cell);

/* The mean of a pixel of a cell. */
double cell_expected(const frame_model *model, uint32_t cell);

/*
 * Whether pixels of this mean are in blocks that may be coarse: background is so rare there that
 * chance would dominate what is kept.
 */
int mean_is_sparse(const frame_model *model, double mean);

/* Columns of tiles side by side. */
typedef struct faint_stretch {
    uint32_t first;
    uint32_t n;
} faint_stretch;

/* What is needed to look at one row of tiles after the other. */
typedef struct faint_tiles {
    faint_limits *limits;   /* of cells, all 0 for blank tiles; NULL if no cell has any */
    uint32_t *nlimited;     /* how many cells before each have some */
    faint_stretch *stretch; /* of a row of macro blocks: what may have limits */
    uint32_t nstretches;
    uint16_t first; /* cell that has limits, */
    uint16_t last;  /* and the last one */
} faint_tiles;

/* Free with faint_tiles_free, also after an error. */
h5bragg_status faint_tiles_make(const frame_model *model, faint_tiles *faint);

void faint_tiles_free(faint_tiles *faint);

/*
 * Of what boxes touch in a row, whole tiles that hold hardly more than background are worth less
 * than they cost: kept becomes 0 for these.  Rows follow each other from 0.  kept can be read
 * BOX_SLACK bytes beyond the row.
 */
void faint_tiles_drop(faint_tiles *faint, const frame_source *source, uint32_t row, uint8_t *kept);

#endif
