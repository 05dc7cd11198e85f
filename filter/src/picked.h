/* SPDX-License-Identifier: MIT */
/* Picked pixels of drawn tiles, without local counts (docs/format.md, "Picked pixels"). */
#ifndef BRAGG_PICKED_H
#define BRAGG_PICKED_H

#include "frame_model.h"
#include "symbols.h"

/* PEAK_EXCESS: a pixel this far above the least picked value is one of a peak. */
enum { PICKED_NCONTEXTS = 20, PICKED_PEAK_EXCESS = 4 };
enum { PICKED_NO_CELL_CONTEXT = 10, PICKED_PEAK_CONTEXT = 11, PICKED_EXCESS_CONTEXT = 12 };

/* What a cell means for its picked pixels. */
typedef struct picked_cell {
    int64_t least; /* value of a picked pixel */
    uint8_t gap_context;
    uint8_t excess_context;
} picked_cell;

/* The least number of symbols that stand for none: beyond all others, and out of every frame. */
static const uint64_t PICKED_NO_NUMBER = (uint64_t)1 << 62;

/* The numbers of a symbol. */
typedef struct picked_numbers {
    uint64_t least;
    uint32_t mask; /* of the raw bits */
    uint32_t nbits;
} picked_numbers;

/* Contexts of a frame's cells, and the pixel that was read or written last. */
typedef struct picked_state {
    const frame_model *model;
    picked_cell *cell; /* ncells */
    uint64_t next;     /* place behind the last pixel */
    uint64_t last_excess;
    picked_numbers numbers[256]; /* for reading, by symbol */
    uint16_t *contexts;          /* for reading, by cell, gap context << 8 | excess context */
} picked_state;

/* One picked pixel. */
typedef struct picked_pixel {
    uint64_t place;
    int64_t value;
} picked_pixel;

/* Free with picked_state_free, also after an error. */
h5bragg_status picked_state_make(const frame_model *model, picked_state *state);
void picked_state_free(picked_state *state);

/* Context of the gap behind the last pixel. */
uint32_t picked_gap_context(const picked_state *state);

/*
 * The next n pixels.  Returns how many of them come before one that lies outside of the frame or in
 * a tile that has no cell.
 */
uint32_t picked_read(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n);

#endif
