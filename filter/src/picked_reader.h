/* SPDX-License-Identifier: MIT */
/* Reads picked pixels, one row of macro blocks after the other (docs/format.md, "Picked pixels").
 */
#ifndef BRAGG_PICKED_READER_H
#define BRAGG_PICKED_READER_H

#include "draw_kernels.h"
#include "picked_drawn.h"
#include "symbols.h"

/* Version 1: one symbol after the other; where the next pixel is is known before it is wanted. */
typedef struct picked_serial {
    symbol_reader stream;
    picked_cell *cell;
    uint64_t place;  /* of the next pixel if it is known, else the least that it may have */
    uint64_t height; /* of the last pixel */
    int is_known;
} picked_serial;

/* Version 2: arrays for a row of macro blocks. */
typedef struct picked_wide {
    wide_reader lines;
    wide_reader pixels;
    wide_reader heights;
    picked_contexts contexts;
    uint8_t *lines_symbol; /* five rows of ntx; the first is that above the row of macro blocks */
    picked_lines line;     /* by row of tiles, with the pixels that are open */
    uint8_t *line_symbol;
    uint32_t start[5]; /* of the lines of a row of tiles */
    uint8_t *context;  /* of picked pixels */
    uint8_t *symbol;
} picked_wide;

typedef struct picked_reader {
    const frame_model *model;
    uint64_t nwanted; /* pixels of the frame */
    uint64_t nread;
    picked_serial serial;
    picked_wide wide;
    /* Picked pixels of the row of macro blocks: pixel numbers from its first pixel on, and
     * values modulo 2^32. */
    uint32_t n;
    uint32_t *at;
    uint32_t *value;
    uint16_t *cell;     /* of version 2, if picked_reader_want_cells was called */
    lines_ahead *ahead; /* likewise; NULL: nothing is asked for */
    picked_drawn drawn; /* after picked_reader_draw */
    int is_drawn;       /* whether all but n pixels of the row of macro blocks are there */
} picked_reader;

/* Takes the streams of a frame of npicked pixels.  Free with picked_reader_free, also after an
 * error. */
h5bragg_status picked_reader_open(byte_reader *body, const frame_model *model, uint32_t npicked,
                                  picked_reader *r);
void picked_reader_free(picked_reader *r);

/* From now on the cells of pixels are listed, too, where the version is 2. */
h5bragg_status picked_reader_want_cells(picked_reader *r);

/*
 * From now on pixels of rows of macro blocks that are whole are listed as they are drawn, but for
 * those whose values are no bytes: if many are picked, the version is 2, pixels have at least two
 * bytes, and no ring is general.
 */
h5bragg_status picked_reader_draw(picked_reader *r);

/* What is drawn of a row of tiles of the row of macro blocks at hand: nothing, unless is_drawn. */
static inline draw_picks picked_reader_picks(const picked_reader *r, uint32_t row)
{
    const size_t group = (size_t)row * r->drawn.ngroups;
    if (!r->is_drawn)
        return (draw_picks){0};
    return (draw_picks){r->drawn.pixels + group * DRAWN_NTILES, r->drawn.start + group,
                        r->drawn.value};
}

/* From now on `ahead` is asked for meanwhile, where the version is 2. */
void picked_reader_ask_for(picked_reader *r, lines_ahead *ahead);

/*
 * The pixels of a row of macro blocks, of which nrows rows of tiles are in the frame; rows must be
 * read in order.  open[nrows * ntx] are the pixels that are drawn; others cannot be picked.
 */
h5bragg_status picked_reader_row(picked_reader *r, uint32_t macro_row, uint32_t nrows,
                                 const uint16_t *open);

/* Value number k of those at hand. */
static inline int64_t picked_reader_value(const picked_reader *r, uint32_t k)
{
    return pixel_minimum(r->model->noise.type) < 0 ? (int32_t)r->value[k] : (int64_t)r->value[k];
}

/* Whether everything was read, and nothing was wrong. */
h5bragg_status picked_reader_close(const picked_reader *r);

/* A row of macro blocks in version 1. */
h5bragg_status picked_serial_row(picked_reader *r, uint32_t macro_row, uint32_t nrows,
                                 const uint16_t *open);

enum { PICKED_SERIAL_NCONTEXTS = 20 };

#endif
