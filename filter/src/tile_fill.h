/* SPDX-License-Identifier: MIT */
/* Draws the open tiles of a sparse frame: docs/format.md, "Pattern noise" and "General noise". */
#ifndef BRAGG_TILE_FILL_H
#define BRAGG_TILE_FILL_H

#include "pattern_choice.h"
#include "sparse_frame.h"

/* Runs of macro blocks of a row that are coarse or not: so many are worth drawing one by one. */
enum { COARSE_MOST_RUNS = 8 };

/* What drawing a frame needs beside the frame. */
typedef struct tile_fill {
    sparse_frame *frame;
    const draw_kernels *kernels;
    const choice_kernels *choice;
    h5bragg_fill fill;
    size_t stride;        /* of the strip: whole DRAW_MOST_NTILES */
    uint8_t *strip;       /* pixels of a row of macro blocks, a byte each */
    uint32_t *variant;    /* of four rows of ntx, padded */
    uint8_t *permutation; /* likewise */
    uint8_t *threshold;   /* per cell of pattern rings; NOT_PATTERN for others */
    uint32_t *ngeneral;   /* ncells + 1: cells of general rings before */
    int64_t *mean;        /* per cell: noise-free reading */
    pattern_cells cells;
    draw_patterns patterns; /* half rows only if all tiles have some: both displace each other */
    lines_ahead ahead;      /* of the row of macro blocks */
    int has_general[MACRO_EDGE]; /* which rows of tiles have tiles of general rings to be drawn */
    /* With local counts: columns of tiles of a row of which only some pixels are drawn. */
    uint32_t *cut;
    cut_tile *cut_tile; /* these, row by row */
    uint32_t ncut[MACRO_EDGE];
    uint32_t run_stop[COARSE_MOST_RUNS]; /* number of the block behind each run */
    uint32_t nruns;                      /* 0: too many */
} tile_fill;

/* Free with tile_fill_free, also after an error. */
h5bragg_status tile_fill_make(sparse_frame *frame, h5bragg_fill fill, tile_fill *t);
void tile_fill_free(tile_fill *t);

/* Says where the pixels of a row of macro blocks will be put, before the frame reads it. */
void tile_fill_aim(tile_fill *t, uint32_t macro_row, const void *pixels);

/* What comes before the rows of tiles of a row of macro blocks that the frame has just read. */
h5bragg_status tile_fill_start(tile_fill *t);

/* Writes all pixels of row `row` (0 to 3) of tiles; those that are not drawn become something. */
h5bragg_status tile_fill_row(tile_fill *t, uint32_t row, void *pixels);

#endif
