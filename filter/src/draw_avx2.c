/* SPDX-License-Identifier: MIT */
/* Drawing of pattern noise with AVX2: docs/format.md, "Pattern noise", "Hash". */
#include "draw_kernels.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "noise_hash_simd.h"
#include "patterns.h"

#define KERNEL __attribute__((target("avx2")))

/* Two rows of 16 bytes, one in each lane. */
KERNEL BRAGG_INLINE __m256i load_pair(const uint8_t *first, const uint8_t *second)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)first)),
                                   _mm_loadu_si128((const __m128i *)second), 1);
}

/* As with SSE: one lane draws the tiles t to t + 3, the other t + 4 to t + 7. */
KERNEL static void draw_strip(const uint8_t *patterns, const uint32_t *variant,
                              const uint8_t *permutation, const uint8_t (*table)[16], size_t ntiles,
                              uint8_t *const rows[4])
{
    size_t t = 0;
    for (; ntiles - t >= 8; t += 8) {
        __m256i tile[4];
        for (size_t i = 0; i < 4; i++)
            tile[i] = _mm256_shuffle_epi8(
                load_pair(patterns + 2 * (size_t)variant[t + i],
                          patterns + 2 * (size_t)variant[t + i + 4]),
                load_pair(table[permutation[t + i]], table[permutation[t + i + 4]]));
        const __m256i low01 = _mm256_unpacklo_epi32(tile[0], tile[1]);
        const __m256i low23 = _mm256_unpacklo_epi32(tile[2], tile[3]);
        const __m256i high01 = _mm256_unpackhi_epi32(tile[0], tile[1]);
        const __m256i high23 = _mm256_unpackhi_epi32(tile[2], tile[3]);
        _mm256_storeu_si256((__m256i *)(rows[0] + 4 * t), _mm256_unpacklo_epi64(low01, low23));
        _mm256_storeu_si256((__m256i *)(rows[1] + 4 * t), _mm256_unpackhi_epi64(low01, low23));
        _mm256_storeu_si256((__m256i *)(rows[2] + 4 * t), _mm256_unpacklo_epi64(high01, high23));
        _mm256_storeu_si256((__m256i *)(rows[3] + 4 * t), _mm256_unpackhi_epi64(high01, high23));
    }
    uint8_t *const rest[4] = {rows[0] + 4 * t, rows[1] + 4 * t, rows[2] + 4 * t, rows[3] + 4 * t};
    DRAW_KERNELS_SSE4.draw(patterns, variant + t, permutation + t, table, ntiles - t, rest);
}

KERNEL static void widen(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out)
{
    uint8_t *to = out;
    size_t i = 0;
    if (pixel_nbytes == 2) {
        for (; n - i >= 16; i += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(in + i));
            _mm256_storeu_si256((__m256i *)(to + 2 * i), _mm256_cvtepu8_epi16(bytes));
        }
    } else if (pixel_nbytes == 4) {
        for (; n - i >= 8; i += 8) {
            const __m128i bytes = _mm_loadl_epi64((const __m128i *)(in + i));
            _mm256_storeu_si256((__m256i *)(to + 4 * i), _mm256_cvtepu8_epi32(bytes));
        }
    }
    DRAW_KERNELS_SCALAR.widen(in + i, n - i, pixel_nbytes, to + pixel_nbytes * i);
}

KERNEL static void tile_hashes(uint64_t seed, uint32_t first, size_t n, uint32_t *out)
{
    __m256i counter =
        _mm256_add_epi32(_mm256_set1_epi32((int)first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        _mm256_storeu_si256((__m256i *)(out + i), noise_hash_8(seed, counter));
        counter = _mm256_add_epi32(counter, _mm256_set1_epi32(8));
    }
    DRAW_KERNELS_SCALAR.hash(seed, first + (uint32_t)i, n - i, out + i);
}

const draw_kernels DRAW_KERNELS_AVX2 = {
    draw_strip, NULL, widen, tile_hashes, throw_counts_avx2, put_counts_plain, spread_cut_plain};
#endif
