/* SPDX-License-Identifier: MIT */
/* Groups of tiles in which a mask may change, for writing it: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_GROUPS_H
#define BRAGG_MASK_GROUPS_H

#include "counts_plane.h" /* GROUP_IS_NEW */
#include "mask.h"

/* A row of tiles. */
typedef struct mask_tiles {
    const bragg_frame *frame;
    const ring_map *map;
    uint32_t row;
    const uint16_t *valid; /* ntx */
    const uint16_t *above; /* of the row of tiles above; NULL for the first */
    const uint8_t *found;  /* codes of the groups, as of a mask_source */
    const uint8_t *found_above;
} mask_tiles;

/* A group that must be looked at. */
typedef struct mask_group {
    uint32_t number;
    uint32_t codes;             /* bits of those that it or the group above has */
    uint64_t masked[TILE_EDGE]; /* pixels of its rows */
} mask_group;

/*
 * Lists the groups whose masked pixels may differ, by place or code, from those of the row of
 * pixels above, be it in their own row of tiles; returns how many.  Numbers and codes are set, and
 * tiles asked for.
 */
uint32_t mask_groups_list(const mask_tiles *tiles, mask_group *list);

/* Sets what is masked of n groups that are listed, and asks for pixels that will be looked at. */
void mask_groups_fill(const mask_tiles *tiles, mask_group *list, uint32_t n);

/* What finds the codes of a frame's pixels. */
typedef struct code_finder {
    narrow_kernel narrow;
    raw_codes codes;
    size_t pixel_nbytes;
} code_finder;

code_finder mask_groups_finder(h5bragg_pixel_type type, const bragg_mask_codes *codes);

/* Sets `found` of a row of tiles from its pixels, for frames of which it is not known. */
void mask_groups_find(const mask_tiles *tiles, const code_finder *finder, uint8_t *found);

#endif
