/* SPDX-License-Identifier: MIT */
/*
 * A pixel that may be a peak, and the 2 x 2 tiles that hold its patch (docs/peaks.md).
 *
 * Whoever has the pixels, of a frame or of a chunk, puts into a block what is stored exactly of its
 * four tiles.  Nearly always that are bytes, which are compared eight at a time.  All sums are of
 * integers: they are the same in whatever order, so lists of peaks are.
 */
#ifndef BRAGG_PEAK_BLOCK_H
#define BRAGG_PEAK_BLOCK_H

#include "peak_bytes.h"
#include "peak_rules.h"

enum { BLOCK_NTILES = 4 };

typedef struct peak_block {
    const h5bragg_panel *panel; /* of the tile with the pixel */
    uint32_t tile_row;          /* of the first of the four tiles; that before 0 is UINT32_MAX */
    uint32_t tile_column;
    uint32_t at;                           /* the pixel: 8 * row + column, both 2 to 5 */
    uint32_t on_panel;                     /* bit k: tile k is */
    const peak_cell *cell[BLOCK_NTILES];   /* of tiles that cannot be used: that of no cell */
    uint64_t known;                        /* bit 8 * row + column: stored exactly */
    uint64_t drawn;                        /* with local counts: valid, and not stored exactly */
    int is_narrow;                         /* all known pixels, and what they are compared with, are
                                              bytes: of `row`, in place of `value` */
    _Alignas(16) uint64_t row[BLOCK_EDGE]; /* byte 0 is that of the first column; 0 if not known */
    int64_t value[BLOCK_EDGE * BLOCK_EDGE]; /* of known pixels */
} peak_block;

/*
 * Of the pixels of a tile of a cell, given by bits: those that may be the largest of a peak.  No
 * other pixel of the patch that is in the tile is larger.
 */
uint32_t peak_candidates(const peak_rules *rules, const peak_cell *cell, uint32_t pixels,
                         const int64_t value[TILE_NPIXELS]);

/* The same for bytes, if cell->is_small; that of no other pixel is above cell->limit. */
uint32_t peak_candidates_bytes(const peak_rules *rules, const peak_cell *cell,
                               const uint8_t byte[TILE_NPIXELS]);

/* Moves an empty block to pixel p of a tile that has a cell. */
void peak_block_start(const peak_rules *rules, uint32_t tile_row, uint32_t tile_column, uint32_t p,
                      peak_block *block);

/*
 * Number of tile k of the block in the map, or SIZE_MAX if it cannot be used: it does not lie on
 * the panel, which is in the frame, or has no cell.  Sets block->cell.
 */
static inline size_t peak_block_tile(const peak_rules *rules, peak_block *block, uint32_t k)
{
    const ring_map *map = rules->map;
    const uint32_t row = block->tile_row + k / 2;
    const uint32_t column = block->tile_column + k % 2;
    const size_t tile = (size_t)row * map->ntx + column;
    const uint16_t cell = block->on_panel >> k & 1 ? map->cell[tile] : BRAGG_NO_CELL;
    block->cell[k] = &rules->cell[cell == BRAGG_NO_CELL ? map->ncells : cell];
    block->is_narrow &= block->cell[k]->is_small;
    return cell == BRAGG_NO_CELL ? SIZE_MAX : tile;
}

/* Of the given pixels of a tile those that are not under the mask of the rules. */
uint32_t peak_under_no_mask(const peak_rules *rules, size_t tile, uint32_t pixels);

/* The same where there may be no mask. */
static inline uint32_t peak_uncovered(const peak_rules *rules, size_t tile, uint32_t pixels)
{
    return rules->mask ? peak_under_no_mask(rules, tile, pixels) : pixels;
}

/* Where the first pixel of tile k is in the block. */
static inline uint32_t peak_block_first(uint32_t k)
{
    return TILE_EDGE * (BLOCK_EDGE * (k / 2) + k % 2);
}

/* Where pixel p of tile k is in the block. */
static inline uint32_t peak_block_place(uint32_t k, uint32_t p)
{
    return peak_block_first(k) + BLOCK_EDGE * (p / TILE_EDGE) + p % TILE_EDGE;
}

/* Bits of given pixels of the four tiles. */
static inline uint64_t peak_block_pixels(const uint32_t pixels[BLOCK_NTILES])
{
    uint64_t left = pixels[0] | (uint64_t)pixels[2] << 32;
    uint64_t right = pixels[1] | (uint64_t)pixels[3] << 32;
    left = (left | left << 8) & 0x00FF00FF00FF00FFu;
    right = (right | right << 8) & 0x00FF00FF00FF00FFu;
    left = (left | left << 4) & 0x0F0F0F0F0F0F0F0Fu;
    right = (right | right << 4) & 0x0F0F0F0F0F0F0F0Fu;
    return left | right << 4;
}

/* Bits of all pixels of tile k. */
static inline uint64_t peak_block_whole(uint32_t k)
{
    return (uint64_t)0x0F0F0F0F << peak_block_first(k);
}

/* What is looked for where a pixel of a block is. */
static inline const peak_cell *peak_cell_at(const peak_block *block, uint32_t at)
{
    return block->cell[at / (BLOCK_EDGE * TILE_EDGE) * 2 + at % BLOCK_EDGE / TILE_EDGE];
}

/* If the pixel of a block is a peak, how many pixels of its patch are high; otherwise 0.  What is
 * drawn is not looked at. */
uint32_t peak_block_count(const peak_rules *rules, const peak_block *block);

/* Adds the pixel, of whose patch so many are high, to a list, measured. */
h5bragg_status peak_block_add(const peak_rules *rules, const peak_block *block, uint32_t nhigh,
                              h5bragg_peak_list *list);

#endif
