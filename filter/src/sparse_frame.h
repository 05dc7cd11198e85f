/* SPDX-License-Identifier: MIT */
/*
 * Reads a sparse frame from a chunk, one row of macro blocks after the other, without making it
 * dense: docs/format.md, "Frame".
 */
#ifndef BRAGG_SPARSE_FRAME_H
#define BRAGG_SPARSE_FRAME_H

#include "chunk_header.h"
#include "draw_kernels.h"
#include "exact_neighbours.h"
#include "exact_stream.h"
#include "mask.h"
#include "picked_reader.h"
#include "tile_sort.h"
#include "tile_sums.h"

/* What is wanted of a frame. */
typedef enum sparse_parts {
    SPARSE_EXACT, /* pixels stored exactly: no sums are read, and nothing can be drawn */
    SPARSE_ALL
} sparse_parts;

typedef struct sparse_frame {
    sparse_parts parts;
    const sparse_header *header;
    frame_model model;
    frame_mask mask;
    kept_flags flags;
    exact_lines lines;    /* version 1 */
    exact_rule *exact;    /* per cell, and last that of blank tiles */
    picked_reader picked; /* without local counts */
    sum_grid grid;
    wide_reader flag_symbols;
    symbol_reader exact_symbols; /* version 1 */
    exact_reader exact_reader;   /* version 2 */
    symbol_reader scale_symbols;
    wide_reader sum_symbols;
    uint32_t nexact; /* read so far */
    /* The row of macro blocks at work: four rows of tiles. */
    uint32_t macro_row;
    uint32_t nrows;
    uint16_t *valid; /* pixels that are in the frame and not masked */
    uint16_t *open;  /* those that are drawn */
    uint32_t *hash;
    uint16_t *exact_bits; /* see tile_sort.h */
    exact_tile *tile;     /* exact ones, row by row */
    uint32_t tile_start[MACRO_EDGE + 1];
    const exact_rule **tile_rule; /* likewise */
    int64_t *sum;                 /* with local counts: of open tiles outside of coarse blocks */
} sparse_frame;

/* Reads all but the rows; free with sparse_frame_close, also after an error. */
h5bragg_status sparse_frame_open(const chunk_header *chunk, const ring_map *map, sparse_parts parts,
                                 frame_header *header, sparse_frame *frame);

/* Rows of macro blocks of a map. */
static inline uint32_t sparse_frame_nrows(const ring_map *map)
{
    return (map->nty + MACRO_EDGE - 1) / MACRO_EDGE;
}

/*
 * Moves on to a row of macro blocks; rows must be read in order.  Sums are read only if wanted, and
 * then in every row.  The row's picked pixels are in `picked` afterwards.
 */
h5bragg_status sparse_frame_read_row(sparse_frame *frame, uint32_t macro_row, int want_sums);

/* The exact tiles of row `row` (0 to 3) of the macro blocks; returns how many there are. */
uint32_t sparse_frame_exact_tiles(const sparse_frame *frame, uint32_t row, const exact_tile **tile);

/* Whether everything was read, and nothing was wrong. */
h5bragg_status sparse_frame_finish(sparse_frame *frame, frame_header *header, int have_sums);

void sparse_frame_close(sparse_frame *frame);

#endif
