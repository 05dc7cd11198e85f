/* SPDX-License-Identifier: MIT */
/*
 * Elements of a table by indices, one load each.
 *
 * It does what a gather does.  But gathers are microcode on AMD's processors, which leaves nothing
 * else to be done meanwhile.  Lanes that are not wanted need an index that may be read.
 */
#ifndef BRAGG_LOOK_UP_SIMD_H
#define BRAGG_LOOK_UP_SIMD_H

#include "bytes.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define LOOK_UP2 __attribute__((target("avx2"))) BRAGG_INLINE
#define LOOK_UP512 __attribute__((target("avx512f"))) BRAGG_INLINE

/* A word of a table. */
LOOK_UP2 int look_up_1(const void *table, uint64_t index)
{
    return (int)load_u32((const uint8_t *)table + sizeof(uint32_t) * index);
}

LOOK_UP2 __m128i look_up_4(const void *table, __m128i index)
{
    const uint64_t low = (uint64_t)_mm_cvtsi128_si64(index);
    const uint64_t high = (uint64_t)_mm_extract_epi64(index, 1);
    __m128i found = _mm_cvtsi32_si128(look_up_1(table, (uint32_t)low));
    found = _mm_insert_epi32(found, look_up_1(table, low >> 32), 1);
    found = _mm_insert_epi32(found, look_up_1(table, (uint32_t)high), 2);
    return _mm_insert_epi32(found, look_up_1(table, high >> 32), 3);
}

LOOK_UP2 __m256i look_up_8(const void *table, __m256i index)
{
    const __m128i low = look_up_4(table, _mm256_castsi256_si128(index));
    const __m128i high = look_up_4(table, _mm256_extracti128_si256(index, 1));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

LOOK_UP512 __m512i look_up_16(const void *table, __m512i index)
{
    const __m256i low = look_up_8(table, _mm512_castsi512_si256(index));
    const __m256i high = look_up_8(table, _mm512_extracti64x4_epi64(index, 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Two elements of two words. */
LOOK_UP2 __m128i look_up_2_pairs(const void *table, uint64_t indices)
{
    const uint8_t *bytes = table;
    const uint64_t nbytes = 2 * sizeof(uint32_t);
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)(bytes + nbytes * (uint32_t)indices)),
                              _mm_loadl_epi64((const void *)(bytes + nbytes * (indices >> 32))));
}

/* Eight elements of two words. */
LOOK_UP512 __m512i look_up_8_pairs(const void *table, __m256i index)
{
    const __m128i low = _mm256_castsi256_si128(index);
    const __m128i high = _mm256_extracti128_si256(index, 1);
    const __m128i part0 = look_up_2_pairs(table, (uint64_t)_mm_cvtsi128_si64(low));
    const __m128i part1 = look_up_2_pairs(table, (uint64_t)_mm_extract_epi64(low, 1));
    const __m128i part2 = look_up_2_pairs(table, (uint64_t)_mm_cvtsi128_si64(high));
    const __m128i part3 = look_up_2_pairs(table, (uint64_t)_mm_extract_epi64(high, 1));
    const __m256i first = _mm256_inserti128_si256(_mm256_castsi128_si256(part0), part1, 1);
    const __m256i last = _mm256_inserti128_si256(_mm256_castsi128_si256(part2), part3, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), last, 1);
}
#endif

#endif
