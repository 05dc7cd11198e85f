/* SPDX-License-Identifier: MIT */
/*
 * Which bits of a byte are set: as indices, they move wanted elements of a vector together, where
 * there is no instruction that does so.
 */
#ifndef BRAGG_SET_BITS_H
#define BRAGG_SET_BITS_H

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

enum { SET_BITS_N = 256 };

/* Numbers of set bits, a byte each, the first lowest; the bytes above are 0. */
extern const uint64_t SET_BITS[SET_BITS_N];

/* The same, but the last one highest; the bytes below are 0. */
extern const uint64_t SET_BITS_LAST[SET_BITS_N];

#if defined(BRAGG_X86_64)
#include <immintrin.h>

/* The indices of the bytes of eight words, from an entry of either. */
__attribute__((target("sse2"))) BRAGG_INLINE __m128i word_indices(const uint64_t *set_bits)
{
    const __m128i places = _mm_loadl_epi64((const void *)set_bits);
    const __m128i twice = _mm_unpacklo_epi8(places, places);
    return _mm_add_epi8(_mm_add_epi8(twice, twice), _mm_set1_epi16(0x100));
}
#endif

#endif
