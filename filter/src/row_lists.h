/* SPDX-License-Identifier: MIT */
/*
 * Lists of the tiles of a row that the streams of a frame are not written of by vectors alone: most
 * tiles are drawn, and calm.
 */
#ifndef BRAGG_ROW_LISTS_H
#define BRAGG_ROW_LISTS_H

#include <stddef.h>
#include <stdint.h>

/* A row of tiles: of each what frame_source and its plane say.  Groups of tiles are lines of
 * memory. */
typedef struct listed_row {
    const uint8_t *calm;
    const uint8_t *kept;
    const uint8_t *has_large;
    const uint16_t *cell;
    const uint16_t *valid;
    const uint8_t *value; /* first byte, or NULL if they do not lie in a plane */
    uint16_t *open;       /* list_row_function puts there `valid` of those that are not exact */
    size_t stride;
    uint32_t ntx;
    int has_bytes; /* pixels that are bytes are at hand; else all exact tiles are odd */
} listed_row;

/* Columns, in their order.  Exact tiles without valid pixels are not among them. */
typedef struct row_lists {
    uint16_t *exact;
    uint16_t *odd;      /* places in `exact` of those whose pixels are not sixteen bytes */
    uint16_t *restless; /* drawn, but not calm */
    uint32_t nexact;
    uint32_t nodd;
    uint32_t nrestless;
} row_lists;

/* Each list, and `open`, has room for as many tiles as there are in a row, and so many more. */
enum { ROW_LISTS_SLACK = 32 };

/*
 * Lists all exact tiles, and those that are not calm.  The lists are empty at first.  Bytes of
 * exact tiles, which have not been looked at for a while, are asked for: that takes as long as
 * listing.
 */
typedef void list_row_function(const listed_row *row, row_lists *lists);

/* That of this machine. */
list_row_function *list_row_kernel(void);

list_row_function list_row_plain; /* the reference */

/* Adds those of up to 64 tiles, from column `start` on, whose bits are set. */
void row_lists_add(const listed_row *row, uint32_t start, uint64_t tiles, row_lists *lists);

#endif
