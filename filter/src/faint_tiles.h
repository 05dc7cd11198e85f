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

/*
 * Of what boxes touch, whole tiles that hold hardly more than background are worth less than they
 * cost. Afterwards kept[tile] is 0 or 1.
 */
h5bragg_status faint_tiles_drop(frame_source *source, const frame_model *model);

#endif
