/* SPDX-License-Identifier: MIT */
/*
 * Where vectors without instructions for it spread elements to chosen lanes, or put those of chosen
 * lanes side by side: indices for byte shuffles, by bits of eight lanes.
 */
#ifndef BRAGG_LANE_TABLES_H
#define BRAGG_LANE_TABLES_H

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

/* How many lanes before each are chosen, a byte each. */
extern const uint64_t LANES_BEFORE[256];

/* The numbers of the chosen lanes, the first in the lowest byte; zeros behind the last. */
extern const uint64_t LANES_CHOSEN[256];

/* The same, but the last in the highest byte; zeros before the first. */
extern const uint64_t LANES_CHOSEN_LAST[256];

/* The indices of the bytes of eight words, from an entry of either. */
__attribute__((target("sse2"))) BRAGG_INLINE __m128i word_indices(const uint64_t *chosen)
{
    const __m128i places = _mm_loadl_epi64((const void *)chosen);
    const __m128i twice = _mm_unpacklo_epi8(places, places);
    return _mm_add_epi8(_mm_add_epi8(twice, twice), _mm_set1_epi16(0x100));
}

/* How many of eight lanes are chosen. */
BRAGG_INLINE uint32_t nchosen_8(uint32_t bits)
{
    return (uint32_t)(LANES_BEFORE[bits] >> 56) + (bits >> 7);
}

/* Of eight bytes, the first one goes to the first chosen lane, and so on. */
__attribute__((target("ssse3"))) BRAGG_INLINE __m128i spread_8(const uint8_t *from, uint32_t bits)
{
    const __m128i before = _mm_loadl_epi64((const __m128i *)(const void *)&LANES_BEFORE[bits]);
    return _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)(const void *)from), before);
}

/* Puts the bytes of the chosen of the first eight lanes side by side; stores eight. */
__attribute__((target("ssse3"))) BRAGG_INLINE void collect_8(uint8_t *to, __m128i lanes,
                                                             uint32_t bits)
{
    const __m128i chosen = _mm_loadl_epi64((const __m128i *)(const void *)&LANES_CHOSEN[bits]);
    _mm_storel_epi64((__m128i *)(void *)to, _mm_shuffle_epi8(lanes, chosen));
}

/* The same of eight words. */
__attribute__((target("ssse3"))) BRAGG_INLINE void collect_8_words(uint16_t *to, __m128i words,
                                                                   uint32_t bits)
{
    const __m128i chosen = word_indices(&LANES_CHOSEN[bits]);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_shuffle_epi8(words, chosen));
}
#endif

#endif
