/* SPDX-License-Identifier: MIT */
/* Drawing of pattern noise in plain C, and the choice of kernels: docs/format.md, "Pattern noise".
 */
#include <string.h>

#include "draw_kernels.h"
#include "noise_hash.h"
#include "patterns.h"

static void draw_strip(const uint8_t *patterns, const uint32_t *variant, const uint8_t *permutation,
                       const uint8_t (*table)[16], size_t ntiles, uint8_t *const rows[4])
{
    for (size_t t = 0; t < ntiles; t++) {
        const uint8_t *from = table[permutation[t]];
        for (size_t p = 0; p < PATTERN_NBYTES; p++)
            rows[p / 4][4 * t + p % 4] = patterns[2 * (size_t)variant[t] + from[p]];
    }
}

/* memcpy because `out` need not be aligned; compilers make a plain store of it. */
static void widen(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out)
{
    uint8_t *to = out;
    if (pixel_nbytes == 1) {
        if (n > 0)
            memcpy(to, in, n);
    } else if (pixel_nbytes == 2) {
        for (size_t i = 0; i < n; i++) {
            const uint16_t pixel = in[i];
            memcpy(to + 2 * i, &pixel, sizeof pixel);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            const uint32_t pixel = in[i];
            memcpy(to + 4 * i, &pixel, sizeof pixel);
        }
    }
}

static void tile_hashes(uint64_t seed, uint32_t first, size_t n, uint32_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = noise_hash(seed, first + (uint32_t)i);
}

/* Puts counts of a tile where its open pixels are; returns those behind. */
BRAGG_INLINE const uint8_t *put_tile(uint8_t *pixels, size_t stride, uint32_t open,
                                     const uint8_t *count)
{
    for (uint32_t row = 0; row < 4; row++, pixels += stride) {
        if (open == 0xFFFF) {
            memcpy(pixels, count, 4);
            count += 4;
            continue;
        }
        for (uint32_t k = 0; k < 4; k++) {
            if (open >> (4 * row + k) & 1)
                pixels[k] = *count++;
        }
    }
    return count;
}

int put_counts_plain(const uint8_t count[BLOCK_NPIXELS], const uint64_t open[BLOCK_NROWS],
                     uint32_t most, uint8_t *pixels, size_t stride)
{
    uint8_t largest = 0;
    for (uint32_t k = 0; k < BLOCK_NPIXELS; k++)
        largest = count[k] > largest ? count[k] : largest;
    for (uint32_t row = 0; row < BLOCK_NROWS; row++, pixels += 4 * stride) {
        for (uint32_t k = 0; k < 4; k++)
            count = put_tile(pixels + 4 * k, stride, open[row] >> 16 * k & 0xFFFF, count);
    }
    return largest <= most;
}

void spread_cut_plain(const cut_tile *tile, size_t n, uint8_t (*pixels)[16])
{
    for (size_t k = 0; k < n; k++) {
        const uint32_t open = tile[k].open;
        uint32_t f = 0;
        for (uint32_t p = 0; p < PATTERN_NBYTES; p++)
            f += open >> p & 1;
        uint32_t from = (tile[k].hash >> 24) * f >> 8;
        for (uint32_t p = 0; p < PATTERN_NBYTES; p++) {
            const uint32_t is_open = open >> p & 1;
            pixels[k][p] = is_open ? tile[k].pattern[from] : 0;
            from = from + is_open < f ? from + is_open : 0;
        }
    }
}

const draw_kernels DRAW_KERNELS_SCALAR = {.draw = draw_strip,
                                          .widen = widen,
                                          .hash = tile_hashes,
                                          .throw_counts = throw_counts_plain,
                                          .put_counts = put_counts_plain,
                                          .spread_cut = spread_cut_plain};

const draw_kernels *draw_kernels_get(cpu_level level)
{
    switch (level) {
#if defined(BRAGG_X86_64)
    case CPU_SSE4:
        return &DRAW_KERNELS_SSE4;
    case CPU_AVX2:
        return &DRAW_KERNELS_AVX2;
    case CPU_AVX512:
        return &DRAW_KERNELS_AVX512;
#elif defined(BRAGG_AARCH64)
    case CPU_NEON:
        return &DRAW_KERNELS_NEON;
#endif
    default:
        return &DRAW_KERNELS_SCALAR;
    }
}
