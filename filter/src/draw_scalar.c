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

int throw_counts_plain(uint32_t state, uint32_t n, uint32_t npixels, uint32_t most,
                       uint8_t count[THROW_NPIXELS])
{
    uint8_t largest = 0;
    memset(count, 0, THROW_NPIXELS);
    for (uint32_t i = 0; i < n; i++)
        count[(uint64_t)next_bits(&state) * npixels >> 32]++;
    for (uint32_t k = 0; k < THROW_NPIXELS; k++)
        largest = count[k] > largest ? count[k] : largest;
    return largest <= most;
}

const draw_kernels DRAW_KERNELS_SCALAR = {draw_strip, NULL, widen, tile_hashes, throw_counts_plain};

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
