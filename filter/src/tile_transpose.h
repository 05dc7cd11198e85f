/* SPDX-License-Identifier: MIT */
/*
 * Four tiles side by side are a 4 x 4 matrix of dwords, of rows of pixels or of tiles: one is the
 * transpose of the other.  Longer vectors have such a matrix in each 128 bits.
 */
#ifndef BRAGG_TILE_TRANSPOSE_H
#define BRAGG_TILE_TRANSPOSE_H

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

__attribute__((target("sse2"))) BRAGG_INLINE void transpose_128(const __m128i in[4], __m128i out[4])
{
    const __m128i low01 = _mm_unpacklo_epi32(in[0], in[1]);
    const __m128i low23 = _mm_unpacklo_epi32(in[2], in[3]);
    const __m128i high01 = _mm_unpackhi_epi32(in[0], in[1]);
    const __m128i high23 = _mm_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm_unpacklo_epi64(low01, low23);
    out[1] = _mm_unpackhi_epi64(low01, low23);
    out[2] = _mm_unpacklo_epi64(high01, high23);
    out[3] = _mm_unpackhi_epi64(high01, high23);
}

__attribute__((target("avx512f"))) BRAGG_INLINE void transpose_512(const __m512i in[4],
                                                                   __m512i out[4])
{
    const __m512i low01 = _mm512_unpacklo_epi32(in[0], in[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(in[2], in[3]);
    const __m512i high01 = _mm512_unpackhi_epi32(in[0], in[1]);
    const __m512i high23 = _mm512_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
}
#endif

#endif
