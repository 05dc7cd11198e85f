/* SPDX-License-Identifier: MIT */
/* Drawing of pattern noise with SSSE 3 and SSE 4.1: docs/format.md, "Pattern noise", "Hash". */
#include "draw_kernels.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "lane_tables.h"
#include "noise_hash.h"
#include "patterns.h"
#include "tile_transpose.h"

#define KERNEL __attribute__((target("ssse3,sse4.1")))

/* Patterns lie anywhere in a book that is larger than the caches: so far ahead they are asked for.
 */
enum { TILES_AHEAD = 64 };

KERNEL BRAGG_INLINE void ask_for(const uint8_t *patterns, const uint32_t variant[DRAW_NTILES])
{
    for (size_t i = 0; i < DRAW_NTILES; i++)
        _mm_prefetch((const char *)patterns + 2 * (size_t)variant[i], _MM_HINT_T0);
}

/* A tile is a shuffle of its pattern; four tiles are a 4 x 4 matrix of dwords, rows of pixels its
 * transpose. */
KERNEL static void draw_strip(const uint8_t *patterns, const uint32_t *variant,
                              const uint8_t *permutation, const uint8_t (*table)[16], size_t ntiles,
                              uint8_t *const rows[4])
{
    for (size_t t = 0; t < TILES_AHEAD && t < ntiles; t += DRAW_NTILES)
        ask_for(patterns, variant + t);
    for (size_t t = 0; t < ntiles; t += DRAW_NTILES) {
        __m128i tile[4];
        __m128i row[4];
        if (ntiles - t > TILES_AHEAD)
            ask_for(patterns, variant + t + TILES_AHEAD);
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *from = table[permutation[t + i]];
            tile[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(patterns + 2 * (size_t)variant[t + i])),
                _mm_load_si128((const __m128i *)from));
        }
        transpose_128(tile, row);
        for (size_t k = 0; k < 4; k++)
            _mm_storeu_si128((__m128i *)(rows[k] + 4 * t), row[k]);
    }
}

KERNEL static void widen(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out)
{
    uint8_t *to = out;
    size_t i = 0;
    if (pixel_nbytes == 2) {
        for (; n - i >= 8; i += 8) {
            const __m128i bytes = _mm_loadl_epi64((const __m128i *)(in + i));
            _mm_storeu_si128((__m128i *)(to + 2 * i), _mm_cvtepu8_epi16(bytes));
        }
    } else if (pixel_nbytes == 4) {
        for (; n - i >= 16; i += 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(in + i));
            for (size_t k = 0; k < 4; k++) {
                _mm_storeu_si128((__m128i *)(to + 4 * i + 16 * k), _mm_cvtepu8_epi32(bytes));
                bytes = _mm_srli_si128(bytes, 4);
            }
        }
    }
    DRAW_KERNELS_SCALAR.widen(in + i, n - i, pixel_nbytes, to + pixel_nbytes * i);
}

KERNEL static void tile_hashes(uint64_t seed, uint32_t first, size_t n, uint32_t *out)
{
    const __m128i low = _mm_set1_epi32((int)(uint32_t)seed);
    const __m128i high = _mm_set1_epi32((int)(uint32_t)(seed >> 32));
    const __m128i factor1 = _mm_set1_epi32(0x7FEB352D);
    const __m128i factor2 = _mm_set1_epi32((int)0x846CA68Bu);
    const __m128i factor3 = _mm_set1_epi32((int)0x9E3779B1u);
    __m128i counter = _mm_add_epi32(_mm_set1_epi32((int)first), _mm_setr_epi32(0, 1, 2, 3));
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        __m128i x = _mm_xor_si128(counter, low);
        x = _mm_mullo_epi32(_mm_xor_si128(x, _mm_srli_epi32(x, 16)), factor1);
        x = _mm_add_epi32(_mm_xor_si128(x, _mm_srli_epi32(x, 15)), high);
        x = _mm_mullo_epi32(x, factor2);
        x = _mm_mullo_epi32(_mm_xor_si128(x, _mm_srli_epi32(x, 16)), factor3);
        x = _mm_xor_si128(x, _mm_srli_epi32(x, 15));
        _mm_storeu_si128((__m128i *)(out + i), x);
        counter = _mm_add_epi32(counter, _mm_set1_epi32(4));
    }
    DRAW_KERNELS_SCALAR.hash(seed, first + (uint32_t)i, n - i, out + i);
}

/* All counts of a block. */
KERNEL BRAGG_INLINE int are_at_most(const uint8_t count[BLOCK_NPIXELS], uint32_t most)
{
    const __m128i allowed = _mm_set1_epi8((char)most);
    __m128i more = _mm_setzero_si128();
    for (uint32_t k = 0; k < BLOCK_NPIXELS; k += 16) {
        const __m128i counts = _mm_loadu_si128((const __m128i *)(count + k));
        more = _mm_or_si128(more, _mm_subs_epu8(counts, allowed));
    }
    return _mm_testz_si128(more, more);
}

/* How many bits are set in each byte. */
BRAGG_INLINE uint64_t count_in_bytes(uint64_t x)
{
    x = x - (x >> 1 & UINT64_C(0x5555555555555555));
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    return (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
}

KERNEL int put_counts_sse4(const uint8_t count[BLOCK_NPIXELS], const uint64_t open[BLOCK_NROWS],
                           uint32_t most, uint8_t *pixels, size_t stride)
{
    const int is_right = are_at_most(count, most);
    for (uint32_t row = 0; row < BLOCK_NROWS; row++, pixels += 4 * stride) {
        const uint64_t nopen = count_in_bytes(open[row]);
        const uint64_t before = nopen * UINT64_C(0x0101010101010100); /* each half of a tile */
        __m128i tile[4];
        __m128i drawn[4];
        for (uint32_t t = 0; t < 4; t++) {
            const uint32_t low = 16 * t;
            const uint32_t high = low + 8;
            /* Of each half eight counts may be read: there are as many for it. */
            tile[t] = _mm_unpacklo_epi64(
                spread_8(count + (before >> low & 0xFF), open[row] >> low & 0xFF),
                spread_8(count + (before >> high & 0xFF), open[row] >> high & 0xFF));
        }
        transpose_128(tile, drawn);
        for (uint32_t k = 0; k < 4; k++)
            _mm_storeu_si128((__m128i *)(pixels + k * stride), drawn[k]);
        count += (before >> 56) + (nopen >> 56);
    }
    return is_right;
}

KERNEL void spread_cut_sse4(const cut_tile *tile, size_t n, uint8_t (*pixels)[16])
{
    for (size_t k = 0; k < n; k++) {
        const uint32_t low = tile[k].open & 0xFF;
        const uint32_t high = tile[k].open >> 8;
        const uint32_t nlow = nchosen_8(low);
        const uint32_t f = nlow + nchosen_8(high);
        const uint64_t before_high = LANES_BEFORE[high] + nlow * UINT64_C(0x0101010101010101);
        const __m128i number = _mm_set_epi64x((long long)before_high, (long long)LANES_BEFORE[low]);
        const __m128i pattern = _mm_loadu_si128((const __m128i *)tile[k].pattern);
        const __m128i end = _mm_set1_epi8((char)f);
        const __m128i first = _mm_set1_epi8((char)((tile[k].hash >> 24) * f >> 8));
        const __m128i on = _mm_add_epi8(number, first);
        const __m128i from = _mm_min_epu8(on, _mm_sub_epi8(on, end)); /* which wraps below 0 */
        _mm_storeu_si128((__m128i *)pixels[k], _mm_shuffle_epi8(pattern, from));
    }
}

const draw_kernels DRAW_KERNELS_SSE4 = {.draw = draw_strip,
                                        .widen = widen,
                                        .hash = tile_hashes,
                                        .throw_counts = throw_counts_plain,
                                        .put_counts = put_counts_sse4,
                                        .spread_cut = spread_cut_sse4};
#endif
