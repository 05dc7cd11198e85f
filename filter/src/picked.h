/* SPDX-License-Identifier: MIT */
/* Picked pixels of drawn tiles, without local counts (docs/format.md, "Picked pixels"). */
#ifndef BRAGG_PICKED_H
#define BRAGG_PICKED_H

#include "frame_model.h"
#include "symbols.h"

enum { PICKED_NCONTEXTS = 20 };
enum { NO_CELL_CONTEXT = 10, PEAK_CONTEXT = 11, EXCESS_CONTEXT = 12, PEAK_EXCESS = 4 };

/* What a cell means for its picked pixels. */
typedef struct picked_cell {
    int64_t least; /* value of a picked pixel */
    uint8_t gap_context;
    uint8_t excess_context;
} picked_cell;

/* Contexts of a frame's cells, and the pixel that was read or written last. */
typedef struct picked_state {
    const frame_model *model;
    picked_cell *cell; /* ncells */
    uint64_t next;     /* place behind the last pixel */
    uint64_t last_excess;
    uint64_t gap_least[256]; /* for reading: of the numbers of a symbol */
    uint8_t gap_nbits[256];  /* likewise: their raw bits */
} picked_state;

/* One picked pixel. */
typedef struct picked_pixel {
    uint64_t place;
    int64_t value;
} picked_pixel;

/* Free with picked_state_free, also after an error. */
h5bragg_status picked_state_make(const frame_model *model, picked_state *state);
void picked_state_free(picked_state *state);

/*
 * The next n pixels.  Returns how many of them come before one that lies outside of the frame or in
 * a tile that has no cell.
 */
uint32_t picked_read(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n);

/* Context of the gap to the next pixel. */
uint32_t next_gap_context(const picked_state *state);

#endif
