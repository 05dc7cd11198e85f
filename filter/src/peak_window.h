/* SPDX-License-Identifier: MIT */
/*
 * A tile and what is two pixels around it: the patches of all its pixels (docs/peaks.md).
 *
 * Whoever has the pixels, of a frame or of a chunk, puts those in that are stored exactly; then the
 * peaks whose largest pixel is in the tile are found and measured.
 */
#ifndef BRAGG_PEAK_WINDOW_H
#define BRAGG_PEAK_WINDOW_H

#include "peak_rules.h"

enum { WINDOW_EDGE = 8, WINDOW_MARGIN = 2, WINDOW_NTILES = 3, WINDOW_OWN = 4 };

typedef struct peak_window {
    uint32_t tile_row; /* of the tile in the middle */
    uint32_t tile_column;
    const h5bragg_panel *panel;
    uint64_t known;  /* bit 8 * row + column: stored exactly, and of the same panel */
    uint64_t high;   /* of them: may be the largest of a peak */
    uint64_t beside; /* and may be beside it */
    uint64_t drawn;  /* with local counts: bits of pixels that are valid, and not stored exactly */
    int64_t value[WINDOW_EDGE * WINDOW_EDGE]; /* of known pixels */
    const peak_cell *cell[WINDOW_NTILES * WINDOW_NTILES];
} peak_window;

/* Which rows, or columns, of a tile lie in the window, and where. */
typedef struct window_part {
    uint32_t first;
    uint32_t n;
    uint32_t at;
} window_part;

static const window_part WINDOW_PART[WINDOW_NTILES] = {{2, 2, 0}, {0, 4, 2}, {0, 2, 6}};

/* Empties the window and moves it to a tile that has a cell. */
void peak_window_start(const peak_rules *rules, uint32_t tile_row, uint32_t tile_column,
                       peak_window *window);

/*
 * Of the given pixels of tile (down, right), 0 to 2, from the one above and to the left on, those
 * that may be known: 0 if that tile is not in the frame, has no cell or lies on another panel.
 */
uint32_t peak_window_usable(const peak_rules *rules, peak_window *window, uint32_t down,
                            uint32_t right, uint32_t pixels);

/* Where the given pixels of tile k are in the window. */
uint64_t peak_window_place(uint32_t k, uint32_t pixels);

/* The cell of a pixel of the window whose tile is usable. */
const peak_cell *peak_window_cell(const peak_window *window, uint32_t at);

/* Puts one pixel of a usable tile in. */
BRAGG_INLINE void peak_window_put(peak_window *window, const peak_cell *cell, uint32_t at,
                                  int64_t value)
{
    const uint64_t is_known = value > cell->stored;
    const uint64_t is_high = value > cell->limit;
    const uint64_t is_beside = value > cell->beside;
    window->value[at] = value;
    window->known |= is_known << at;
    window->high |= (is_known & is_high) << at;
    window->beside |= (is_known & is_beside) << at;
}

/* With local counts, n pixels side by side: n is to be a constant. */
BRAGG_INLINE void peak_window_put_row(peak_window *window, const peak_cell *cell, uint32_t at,
                                      uint32_t n, const int64_t *value)
{
    const int64_t limit = cell->limit;
    const int64_t least = cell->beside;
    uint32_t high = 0;
    uint32_t beside = 0;
    for (uint32_t k = 0; k < n; k++) {
        window->value[at + k] = value[k];
        high |= (uint32_t)(value[k] > limit) << k;
        beside |= (uint32_t)(value[k] > least) << k;
    }
    window->known |= (uint64_t)((1u << n) - 1) << at;
    window->high |= (uint64_t)high << at;
    window->beside |= (uint64_t)beside << at;
}

/* With local counts: tile k of the window is drawn; of its pixels those are valid. */
void peak_window_put_drawn(const peak_rules *rules, peak_window *window, uint32_t k,
                           uint32_t valid);

/* When the tile itself has been put in: those of its pixels that may be peaks. */
uint64_t peak_window_candidates(const peak_rules *rules, const peak_window *window);

/* The other tiles that patches of these pixels reach: bit 3 * down + right. */
uint32_t peak_window_needs(const peak_rules *rules, uint64_t candidates);

/* Adds the candidates that are peaks to a list. */
h5bragg_status peak_window_find(const peak_rules *rules, const peak_window *window,
                                uint64_t candidates, h5bragg_peak_list *list);

#endif
