/* SPDX-License-Identifier: MIT */
/* Tiles that must be kept because they cannot be drawn, and those that are calm. */
#ifndef BRAGG_CALM_TILES_H
#define BRAGG_CALM_TILES_H

#include "cpu_level.h"
#include "frame_fit.h"

/* Tiles of a cell whose bytes are all below this, and few, need not be looked at more closely. */
uint8_t calm_limit(const frame_model *model, uint32_t cell);

/* Room behind a table of limits by cell, which vectors read. */
enum { LIMITS_SLACK = 256 };

/*
 * Limits of n tiles side by side, given their cells: below[cell], a table up to BRAGG_NO_CELL, with
 * LIMITS_SLACK bytes behind it.
 */
typedef void (*limits_kernel)(const uint8_t *below, const uint16_t *cell, size_t n, uint8_t *limit);

limits_kernel limits_kernel_of(cpu_level level);

/*
 * Sets source->kept and source->calm of a row of tiles.  kept: not 0 if a tile is kept anyway;
 * limit: calm_limit of the tiles' cells, 0 for blank tiles.
 */
void calm_tiles_row(frame_source *source, const frame_model *model, uint32_t row,
                    const uint8_t *kept, const uint8_t *limit);

enum { RUN_NTILES = 64 };

/* At most so many tiles side by side. */
typedef struct tile_run {
    const uint8_t *largest;
    const uint16_t *sum;
    const uint8_t *kept; /* as for calm_tiles_row */
    const uint8_t *limit;
    uint32_t n;
    uint8_t *is_kept; /* becomes 1 if a tile is kept as far as is known */
    uint8_t *calm;
} tile_run;

/*
 * keeps: tiles beyond their limit are kept.  Returns which tiles must be looked at more closely:
 * bit t is tile t.
 */
typedef uint64_t (*calm_kernel)(const tile_run *run, uint8_t keeps);

calm_kernel calm_kernel_of(cpu_level level);

/* In portable C. */
uint64_t calm_tiles_plain(const tile_run *run, uint8_t keeps);

#endif
