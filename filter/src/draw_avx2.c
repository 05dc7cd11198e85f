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

/* Patterns lie anywhere in a book that is larger than the caches: so far ahead they are asked for.
 */
enum { TILES_AT_ONCE = 8, TILES_AHEAD = 64 };

KERNEL BRAGG_INLINE void ask_for(const uint8_t *patterns, const uint32_t variant[TILES_AT_ONCE])
{
    for (size_t i = 0; i < TILES_AT_ONCE; i++)
        _mm_prefetch((const char *)patterns + 2 * (size_t)variant[i], _MM_HINT_T0);
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

/* Two tiles, one in each lane. */
KERNEL BRAGG_INLINE __m256i draw_pair(const draw_patterns *p, const uint32_t *variant,
                                      const uint8_t *permutation, size_t first, size_t second)
{
    return _mm256_shuffle_epi8(
        load_pair(p->full + 2 * (size_t)variant[first], p->full + 2 * (size_t)variant[second]),
        load_pair(p->table[permutation[first]], p->table[permutation[second]]));
}

KERNEL BRAGG_INLINE void store_pixels(void *row, size_t i, __m256i pixels)
{
    _mm256_storeu_si256((__m256i *)((uint8_t *)row + i), pixels);
}

/* Rows of a tile are a quarter of a lane, whose bytes are put apart. */
KERNEL BRAGG_INLINE void draw_8_by_words(const draw_patterns *p, const uint32_t *variant,
                                         const uint8_t *permutation, size_t t, void *const rows[4])
{
    const __m256i apart =
        _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1, 0, -1, -1, -1,
                         1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1);
    const __m256i row1 = _mm256_or_si256(apart, _mm256_set1_epi32(4));
    const __m256i row2 = _mm256_or_si256(apart, _mm256_set1_epi32(8));
    const __m256i row3 = _mm256_or_si256(apart, _mm256_set1_epi32(12));
    for (size_t i = t; i < t + TILES_AT_ONCE; i += 2) {
        const __m256i tiles = draw_pair(p, variant, permutation, i, i + 1);
        store_pixels(rows[0], 16 * i, _mm256_shuffle_epi8(tiles, apart));
        store_pixels(rows[1], 16 * i, _mm256_shuffle_epi8(tiles, row1));
        store_pixels(rows[2], 16 * i, _mm256_shuffle_epi8(tiles, row2));
        store_pixels(rows[3], 16 * i, _mm256_shuffle_epi8(tiles, row3));
    }
}

/* Rows of two tiles side by side are a half of a lane. */
KERNEL BRAGG_INLINE void draw_8_by_halves(const draw_patterns *p, const uint32_t *variant,
                                          const uint8_t *permutation, size_t t, void *const rows[4])
{
    const __m256i zero = _mm256_setzero_si256();
    for (size_t i = t; i < t + TILES_AT_ONCE; i += 4) {
        const __m256i even = draw_pair(p, variant, permutation, i, i + 2);
        const __m256i odd = draw_pair(p, variant, permutation, i + 1, i + 3);
        const __m256i low = _mm256_unpacklo_epi32(even, odd);
        const __m256i high = _mm256_unpackhi_epi32(even, odd);
        store_pixels(rows[0], 8 * i, _mm256_unpacklo_epi8(low, zero));
        store_pixels(rows[1], 8 * i, _mm256_unpackhi_epi8(low, zero));
        store_pixels(rows[2], 8 * i, _mm256_unpacklo_epi8(high, zero));
        store_pixels(rows[3], 8 * i, _mm256_unpackhi_epi8(high, zero));
    }
}

KERNEL BRAGG_INLINE void draw_pixels_of(const draw_patterns *p, const uint32_t *variant,
                                        const uint8_t *permutation, size_t n,
                                        const size_t pixel_nbytes, void *const rows[4])
{
    const size_t ntiles = n / 4;
    uint8_t last[4][4 * TILES_AT_ONCE];
    uint8_t *const to_last[4] = {last[0], last[1], last[2], last[3]};
    size_t t = 0;
    for (; t < TILES_AHEAD && ntiles - t >= TILES_AT_ONCE; t += TILES_AT_ONCE)
        ask_for(p->full, variant + t);
    for (t = 0; ntiles - t >= TILES_AT_ONCE; t += TILES_AT_ONCE) {
        if (ntiles - t >= TILES_AHEAD + TILES_AT_ONCE)
            ask_for(p->full, variant + t + TILES_AHEAD);
        if (pixel_nbytes == 2)
            draw_8_by_halves(p, variant, permutation, t, rows);
        else
            draw_8_by_words(p, variant, permutation, t, rows);
    }
    if (4 * t == n)
        return;
    draw_strip(p->full, variant + t, permutation + t, p->table, TILES_AT_ONCE, to_last);
    for (size_t k = 0; k < 4; k++)
        widen(last[k], n - 4 * t, pixel_nbytes, (uint8_t *)rows[k] + 4 * pixel_nbytes * t);
}

KERNEL static void draw_pixels(const draw_patterns *patterns, const uint32_t *variant,
                               const uint8_t *permutation, const draw_picks *picks, size_t n,
                               size_t pixel_nbytes, void *const rows[4])
{
    (void)picks; /* there are none */
    if (pixel_nbytes == 2)
        draw_pixels_of(patterns, variant, permutation, n, 2, rows);
    else
        draw_pixels_of(patterns, variant, permutation, n, 4, rows);
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

const draw_kernels DRAW_KERNELS_AVX2 = {.draw = draw_strip,
                                        .draw_pixels = draw_pixels,
                                        .widen = widen,
                                        .hash = tile_hashes,
                                        .throw_counts = throw_counts_avx2,
                                        .put_counts = put_counts_sse4,
                                        .spread_cut = spread_cut_sse4};
#endif
