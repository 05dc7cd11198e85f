/* SPDX-License-Identifier: MIT */
/*
 * The model of a frame that is to be encoded: from its pixels to all that the decoder will know of
 * its background (docs/statistics.md).
 */
#ifndef BRAGG_FRAME_FIT_H
#define BRAGG_FRAME_FIT_H

#include "frame_model.h"
#include "mask.h"

/*
 * What was taken out of a frame whose bytes are elsewhere, on a GPU: see h5bragg_chosen.  All in
 * the order of the tiles.
 */
typedef struct listed_pixels {
    const uint8_t *exact;  /* TILE_NPIXELS bytes of every exact tile whose bytes say all; NULL: they
                              are to be taken from the frame */
    const uint16_t *above; /* without local counts, per tile: picked pixels that are bytes */
    const uint8_t *excess; /* of these: what they are above the threshold, less 1 */
    const uint32_t *within;  /* see within_counts */
    const uint32_t *squares; /* low words, and high ones */
    const uint32_t *squares_high;
} listed_pixels;

/* A frame at work in the encoder. */
typedef struct frame_source {
    bragg_frame frame;
    const uint8_t *static_mask; /* ny * nx or NULL */
    const ring_map *map;
    counts_plane plane;
    histogram counts;
    uint8_t *kept; /* per tile */
    uint8_t *calm; /* per tile: 1 if it is drawn and its bytes are all in the range of its cell */
    const listed_pixels *listed; /* NULL if the plane has bytes; else it has none */
} frame_source;

enum { CALM_NTILES = 8 };

/* Of up to eight tiles side by side those that are not calm: bit 8 t stands for tile t. */
static inline uint64_t restless_tiles(const uint8_t *calm, uint32_t nleft)
{
    uint8_t bytes[CALM_NTILES];
    memset(bytes, 1, sizeof bytes);
    memcpy(bytes, calm, nleft < CALM_NTILES ? nleft : CALM_NTILES);
    return load_u64(bytes) ^ 0x0101010101010101u;
}

/* The valid pixels of a tile, as they are in the frame; value[p] of others is 0. */
void frame_source_tile(const frame_source *source, size_t tile, int64_t value[TILE_NPIXELS]);

/* Asks for what frame_source_tile will look at in the frame: pages that nobody has used for long.
 */
void frame_source_ask(const frame_source *source, size_t tile);

/*
 * Dispersion, given the profile's means and the kept tiles.  Rings that it does not suit become
 * general, and ranges follow; without that no range changes.
 */
h5bragg_status frame_fit_dispersion(const frame_source *source, frame_model *model,
                                    int *has_new_ranges);

/* Then levels, spreads and tilts. */
h5bragg_status frame_fit(const frame_source *source, frame_model *model);

/* First kinds: pattern wherever that is possible; sets the ranges. */
void frame_fit_kinds(frame_model *model);

#endif
