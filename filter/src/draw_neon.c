/* SPDX-License-Identifier: MIT */
/* Drawing of pattern noise with NEON: docs/format.md, "Pattern noise", "Hash". */
#include "draw_kernels.h"

#if defined(BRAGG_AARCH64)
#include <arm_neon.h>

#include "patterns.h"

/* Dwords (a0 b0 a1 b1) and (c0 d0 c1 d1) to (a0 b0 c0 d0) and (a1 b1 c1 d1), stored as bytes. */
BRAGG_INLINE void store_rows(uint32x4_t ab, uint32x4_t cd, uint8_t *first, uint8_t *second)
{
    const uint64x2_t x = vreinterpretq_u64_u32(ab);
    const uint64x2_t y = vreinterpretq_u64_u32(cd);
    vst1q_u8(first, vreinterpretq_u8_u64(vzip1q_u64(x, y)));
    vst1q_u8(second, vreinterpretq_u8_u64(vzip2q_u64(x, y)));
}

/* A tile is a shuffle of its pattern; four tiles are a 4 x 4 matrix of dwords, rows of pixels its
 * transpose. */
static void draw_strip(const uint8_t *patterns, const uint32_t *variant, const uint8_t *permutation,
                       const uint8_t (*table)[16], size_t ntiles, uint8_t *const rows[4])
{
    for (size_t t = 0; t < ntiles; t += DRAW_NTILES) {
        uint32x4_t tile[4];
        for (size_t i = 0; i < 4; i++) {
            const uint8x16_t from = vld1q_u8(table[permutation[t + i]]);
            tile[i] = vreinterpretq_u32_u8(
                vqtbl1q_u8(vld1q_u8(patterns + 2 * (size_t)variant[t + i]), from));
        }
        store_rows(vzip1q_u32(tile[0], tile[1]), vzip1q_u32(tile[2], tile[3]), rows[0] + 4 * t,
                   rows[1] + 4 * t);
        store_rows(vzip2q_u32(tile[0], tile[1]), vzip2q_u32(tile[2], tile[3]), rows[2] + 4 * t,
                   rows[3] + 4 * t);
    }
}

/* Stored as bytes: `out` need not be aligned. */
static void widen(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out)
{
    uint8_t *to = out;
    size_t i = 0;
    for (; pixel_nbytes > 1 && n - i >= 16; i += 16) {
        const uint8x16_t bytes = vld1q_u8(in + i);
        const uint16x8_t half[2] = {vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes)};
        uint8_t *at = to + pixel_nbytes * i;
        for (size_t k = 0; k < 2; k++) {
            if (pixel_nbytes == 2) {
                vst1q_u8(at + 16 * k, vreinterpretq_u8_u16(half[k]));
                continue;
            }
            vst1q_u8(at + 32 * k, vreinterpretq_u8_u32(vmovl_u16(vget_low_u16(half[k]))));
            vst1q_u8(at + 32 * k + 16, vreinterpretq_u8_u32(vmovl_high_u16(half[k])));
        }
    }
    DRAW_KERNELS_SCALAR.widen(in + i, n - i, pixel_nbytes, to + pixel_nbytes * i);
}

static void tile_hashes(uint64_t seed, uint32_t first, size_t n, uint32_t *out)
{
    const uint32x4_t low = vdupq_n_u32((uint32_t)seed);
    const uint32x4_t high = vdupq_n_u32((uint32_t)(seed >> 32));
    const uint32_t start[4] = {first, first + 1, first + 2, first + 3};
    uint32x4_t counter = vld1q_u32(start);
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        uint32x4_t x = veorq_u32(counter, low);
        x = vmulq_u32(veorq_u32(x, vshrq_n_u32(x, 16)), vdupq_n_u32(0x7FEB352Du));
        x = vaddq_u32(veorq_u32(x, vshrq_n_u32(x, 15)), high);
        x = vmulq_u32(x, vdupq_n_u32(0x846CA68Bu));
        x = vmulq_u32(veorq_u32(x, vshrq_n_u32(x, 16)), vdupq_n_u32(0x9E3779B1u));
        x = veorq_u32(x, vshrq_n_u32(x, 15));
        vst1q_u32(out + i, x);
        counter = vaddq_u32(counter, vdupq_n_u32(4));
    }
    DRAW_KERNELS_SCALAR.hash(seed, first + (uint32_t)i, n - i, out + i);
}

const draw_kernels DRAW_KERNELS_NEON = {.draw = draw_strip,
                                        .widen = widen,
                                        .hash = tile_hashes,
                                        .throw_counts = throw_counts_plain,
                                        .put_counts = put_counts_plain,
                                        .spread_cut = spread_cut_plain};
#endif
