/* SPDX-License-Identifier: MIT */
/*
 * The inner loops that fill a frame with pattern noise (docs/format.md, "Pattern noise", Drawing;
 * "Hash"), once in plain C and once for each set of vector instructions.  All give the same bytes;
 * draw_scalar.c is the reference.
 */
#ifndef BRAGG_DRAW_KERNELS_H
#define BRAGG_DRAW_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "cpu_level.h"

/* Strips are drawn in multiples of this; no kernel draws more at a time than so many. */
enum { DRAW_NTILES = 4, DRAW_MOST_NTILES = 16 };

/*
 * Draws one row of tiles, a strip of four rows of pixels of a byte each.  The 16 bytes of the
 * pattern of tile t begin at patterns[2 * variant[t]]; permutation[t] is the number of its
 * permutation in the table; rows[k] + 4 t gets the pixels 4 k to 4 k + 3 of tile t.  ntiles is a
 * multiple of DRAW_NTILES, rows have 4 * ntiles bytes and overlap nothing; nothing need be aligned.
 */
typedef void draw_strip_function(const uint8_t *patterns, const uint32_t *variant,
                                 const uint8_t *permutation, const uint8_t (*table)[16],
                                 size_t ntiles, uint8_t *const rows[4]);

/* Patterns, and the table of permutations. */
typedef struct draw_patterns {
    const uint8_t *full;
    /* The same with two pixels a byte, the first one in the low half: that of tile t begins at
     * half[variant[t]].  NULL: there are none. */
    const uint8_t *half;
    const uint8_t (*table)[16];
} draw_patterns;

/*
 * Pixels of a row of tiles that have values instead of patterns: bits by tile, and a byte of each
 * in their order; from value[start[t / 16]] on those of tile t, a multiple of 16, and of the tiles
 * behind.  Of values there is room for 64 more.
 */
typedef struct draw_picks {
    const uint16_t *pixels; /* NULL: there are none */
    const uint32_t *start;
    const uint8_t *value;
} draw_picks;

/*
 * As the former, but rows[k] get the first n pixels of the row, 2 or 4 bytes each in the order of
 * the machine.  Variants, permutations and picks are read of whole DRAW_MOST_NTILES.
 */
typedef void draw_pixels_function(const draw_patterns *patterns, const uint32_t *variant,
                                  const uint8_t *permutation, const draw_picks *picks, size_t n,
                                  size_t pixel_nbytes, void *const rows[4]);

/* Widens n bytes to pixels of 1, 2 or 4 bytes in the order of the machine; `out` need not be
 * aligned, but is faster if aligned to a pixel. */
typedef void widen_function(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out);

/* out[i] = hash(seed, first + i), i = 0 to n - 1. */
typedef void tile_hashes_function(uint64_t seed, uint32_t first, size_t n, uint32_t *out);

/*
 * Coarse blocks whose counts are thrown side by side.  Block b has n[b] counts, at most 255, which
 * go to its f open pixels in their order, each to pixel floor(next bits * f / 2^32), from a state
 * on that is not 0.  Its open pixels are bits of open[BLOCK_NROWS * b] and the following: a row of
 * four tiles each, 16 bits a tile.
 */
enum { BLOCK_NROWS = 4, BLOCK_NPIXELS = 256, THROW_NBLOCKS = 16 };
typedef struct throw_blocks {
    uint32_t state[THROW_NBLOCKS];
    uint32_t n[THROW_NBLOCKS];
    uint64_t open[THROW_NBLOCKS * BLOCK_NROWS];
} throw_blocks;

/*
 * From count[BLOCK_NPIXELS * b] on: how many each open pixel of block b has got, and 0 behind them.
 * Behind the counts of all blocks is room for what is no block's.
 */
enum { THROW_ROOM = THROW_NBLOCKS * (BLOCK_NPIXELS + 1) };
typedef void throw_counts_function(const throw_blocks *blocks, uint8_t count[THROW_ROOM]);

/*
 * Puts counts of the open pixels of a block where these are; the other pixels of the block become
 * anything.  Returns 0 where a count is larger than `most`.
 */
typedef int put_counts_function(const uint8_t count[BLOCK_NPIXELS],
                                const uint64_t open[BLOCK_NROWS], uint32_t most, uint8_t *pixels,
                                size_t stride);

/* A tile of which only some pixels, the bits of `open`, are drawn; 16 bytes may be read of its
 * pattern.  At least one is open. */
typedef struct cut_tile {
    const uint8_t *pattern;
    uint32_t column;
    uint32_t hash;
    uint32_t open;
} cut_tile;

/*
 * Spreads the patterns of n tiles over their open pixels: pixels[k][p] is pixel p of tile k, or
 * anything if that is not open.  Of f open pixels, the first gets number f * (hash >> 24) / 256 of
 * the pattern, the others those behind, and behind number f - 1 comes number 0.
 */
typedef void spread_cut_function(const cut_tile *tile, size_t n, uint8_t (*pixels)[16]);

typedef struct draw_kernels {
    draw_strip_function *draw;
    draw_pixels_function *draw_pixels; /* NULL: draw a strip, and widen it */
    int draws_picks;                   /* whether draw_pixels takes any picks */
    widen_function *widen;
    tile_hashes_function *hash;
    throw_counts_function *throw_counts;
    put_counts_function *put_counts;
    spread_cut_function *spread_cut;
} draw_kernels;

/* The kernels of a level; those of plain C for a level that is not compiled in. */
const draw_kernels *draw_kernels_get(cpu_level level);

extern const draw_kernels DRAW_KERNELS_SCALAR;
throw_counts_function throw_counts_plain;
put_counts_function put_counts_plain;
spread_cut_function spread_cut_plain;
#if defined(BRAGG_X86_64)
put_counts_function put_counts_sse4;
spread_cut_function spread_cut_sse4;
throw_counts_function throw_counts_avx2;
throw_counts_function throw_counts_avx512;
extern const draw_kernels DRAW_KERNELS_SSE4;
extern const draw_kernels DRAW_KERNELS_AVX2;
extern const draw_kernels DRAW_KERNELS_AVX512;
#elif defined(BRAGG_AARCH64)
extern const draw_kernels DRAW_KERNELS_NEON;
#endif

#endif
