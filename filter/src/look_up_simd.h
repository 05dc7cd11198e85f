/* SPDX-License-Identifier: MIT */
/*
 * Elements of a table by indices: by a load each, or by a gather.
 *
 * Gathers are microcode on AMD's processors, which leaves nothing else to be done meanwhile; on
 * Intel's, they are faster than loads.  Lanes that are not wanted need an index that may be read.
 */
#ifndef BRAGG_LOOK_UP_SIMD_H
#define BRAGG_LOOK_UP_SIMD_H

#include "bytes.h"
#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define LOOK_UP2 __attribute__((target("avx2"))) BRAGG_INLINE
#define LOOK_UP512 __attribute__((target("avx512f"))) BRAGG_INLINE

/* A word of a table. */
LOOK_UP2 int load_1(const void *table, uint64_t index)
{
    return (int)load_u32((const uint8_t *)table + sizeof(uint32_t) * index);
}

LOOK_UP2 __m128i load_4(const void *table, __m128i index)
{
    const uint64_t low = (uint64_t)_mm_cvtsi128_si64(index);
    const uint64_t high = (uint64_t)_mm_extract_epi64(index, 1);
    __m128i found = _mm_cvtsi32_si128(load_1(table, (uint32_t)low));
    found = _mm_insert_epi32(found, load_1(table, low >> 32), 1);
    found = _mm_insert_epi32(found, load_1(table, (uint32_t)high), 2);
    return _mm_insert_epi32(found, load_1(table, high >> 32), 3);
}

LOOK_UP2 __m256i load_8(const void *table, __m256i index)
{
    const __m128i low = load_4(table, _mm256_castsi256_si128(index));
    const __m128i high = load_4(table, _mm256_extracti128_si256(index, 1));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* As look_up_8, for loops that are compiled for either way. */
LOOK_UP2 __m256i look_up_8_by(int by_loads, const void *table, __m256i index)
{
    return by_loads ? load_8(table, index) : _mm256_i32gather_epi32(table, index, 4);
}

LOOK_UP2 __m256i look_up_8(const void *table, __m256i index)
{
    return look_up_8_by(bragg_gathers_are_slow(), table, index);
}

/* Likewise as look_up_16. */
LOOK_UP512 __m512i look_up_16_by(int by_loads, const void *table, __m512i index)
{
    if (!by_loads)
        return _mm512_i32gather_epi32(index, table, 4);
    const __m256i low = load_8(table, _mm512_castsi512_si256(index));
    const __m256i high = load_8(table, _mm512_extracti64x4_epi64(index, 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

LOOK_UP512 __m512i look_up_16(const void *table, __m512i index)
{
    return look_up_16_by(bragg_gathers_are_slow(), table, index);
}

LOOK_UP512 __m512i join_4(__m128i first, __m128i second, __m128i third, __m128i fourth)
{
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(third), fourth, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Four words by indices that lie in memory. */
LOOK_UP2 __m128i load_4_of(const void *table, const uint32_t index[4])
{
    __m128i found = _mm_cvtsi32_si128(load_1(table, index[0]));
    found = _mm_insert_epi32(found, load_1(table, index[1]), 1);
    found = _mm_insert_epi32(found, load_1(table, index[2]), 2);
    return _mm_insert_epi32(found, load_1(table, index[3]), 3);
}

/* As look_up_8, by indices that lie in memory. */
LOOK_UP2 __m256i look_up_8_of(int by_loads, const void *table, const uint32_t *index)
{
    if (!by_loads)
        return _mm256_i32gather_epi32(table, _mm256_loadu_si256((const void *)index), 4);
    return _mm256_setr_m128i(load_4_of(table, index), load_4_of(table, index + 4));
}

/* As look_up_16, by indices that have lain in memory for a while: to take them out of a vector
 * would cost half as much again as these loads. */
LOOK_UP512 __m512i look_up_16_of(int by_loads, const void *table, const uint32_t *index)
{
    if (!by_loads)
        return _mm512_i32gather_epi32(_mm512_loadu_si512(index), table, 4);
    return join_4(load_4_of(table, index), load_4_of(table, index + 4), load_4_of(table, index + 8),
                  load_4_of(table, index + 12));
}

/* Likewise by short indices. */
LOOK_UP2 __m128i load_4_at(const void *table, const uint16_t index[4])
{
    __m128i found = _mm_cvtsi32_si128(load_1(table, index[0]));
    found = _mm_insert_epi32(found, load_1(table, index[1]), 1);
    found = _mm_insert_epi32(found, load_1(table, index[2]), 2);
    return _mm_insert_epi32(found, load_1(table, index[3]), 3);
}

LOOK_UP2 __m256i look_up_8_at(int by_loads, const void *table, const uint16_t *index)
{
    if (!by_loads)
        return _mm256_i32gather_epi32(
            table, _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)index)), 4);
    return _mm256_setr_m128i(load_4_at(table, index), load_4_at(table, index + 4));
}

LOOK_UP512 __m512i look_up_16_at(int by_loads, const void *table, const uint16_t *index)
{
    if (!by_loads)
        return _mm512_i32gather_epi32(
            _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)index)), table, 4);
    return join_4(load_4_at(table, index), load_4_at(table, index + 4), load_4_at(table, index + 8),
                  load_4_at(table, index + 12));
}

/* Of four pairs of words, by indices that lie in memory: a word of the first, the other one of the
 * second, and so on. */
LOOK_UP2 __m128i load_4_by_turns(const uint32_t *word, const uint32_t *other,
                                 const uint16_t index[4])
{
    __m128i found = _mm_cvtsi32_si128(load_1(word, 2 * (uint64_t)index[0]));
    found = _mm_insert_epi32(found, load_1(other, 2 * (uint64_t)index[1]), 1);
    found = _mm_insert_epi32(found, load_1(word, 2 * (uint64_t)index[2]), 2);
    return _mm_insert_epi32(found, load_1(other, 2 * (uint64_t)index[3]), 3);
}

/* Of eight pairs, likewise, beginning with word `first` of the first. */
LOOK_UP2 __m256i look_up_8_by_turns(int by_loads, const uint32_t (*table)[2], uint32_t first,
                                    const uint16_t *index)
{
    if (!by_loads) {
        const __m256i pair = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)index));
        const __m256i word =
            _mm256_xor_si256(_mm256_set1_epi64x((int64_t)1 << 32), _mm256_set1_epi32((int)first));
        return _mm256_i32gather_epi32((const int *)table,
                                      _mm256_add_epi32(_mm256_add_epi32(pair, pair), word), 4);
    }
    const uint32_t *word = &table[0][first];
    const uint32_t *other = &table[0][first ^ 1];
    return _mm256_setr_m128i(load_4_by_turns(word, other, index),
                             load_4_by_turns(word, other, index + 4));
}

/* Of sixteen pairs. */
LOOK_UP512 __m512i look_up_16_by_turns(int by_loads, const uint32_t (*table)[2], uint32_t first,
                                       const uint16_t *index)
{
    if (!by_loads) {
        const __m512i pair = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)index));
        const __m512i word =
            _mm512_xor_si512(_mm512_set1_epi64((int64_t)1 << 32), _mm512_set1_epi32((int)first));
        return _mm512_i32gather_epi32(_mm512_add_epi32(_mm512_add_epi32(pair, pair), word), table,
                                      4);
    }
    const uint32_t *word = &table[0][first];
    const uint32_t *other = &table[0][first ^ 1];
    return join_4(load_4_by_turns(word, other, index), load_4_by_turns(word, other, index + 4),
                  load_4_by_turns(word, other, index + 8),
                  load_4_by_turns(word, other, index + 12));
}

/* Two elements of two words. */
LOOK_UP2 __m128i load_2_pairs(const void *table, uint64_t indices)
{
    const uint8_t *bytes = table;
    const uint64_t nbytes = 2 * sizeof(uint32_t);
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)(bytes + nbytes * (uint32_t)indices)),
                              _mm_loadl_epi64((const void *)(bytes + nbytes * (indices >> 32))));
}

/* Eight elements of two words. */
LOOK_UP512 __m512i look_up_8_pairs(const void *table, __m256i index)
{
    if (!bragg_gathers_are_slow())
        return _mm512_i32gather_epi64(index, table, 8);
    const __m128i low = _mm256_castsi256_si128(index);
    const __m128i high = _mm256_extracti128_si256(index, 1);
    const __m128i part0 = load_2_pairs(table, (uint64_t)_mm_cvtsi128_si64(low));
    const __m128i part1 = load_2_pairs(table, (uint64_t)_mm_extract_epi64(low, 1));
    const __m128i part2 = load_2_pairs(table, (uint64_t)_mm_cvtsi128_si64(high));
    const __m128i part3 = load_2_pairs(table, (uint64_t)_mm_extract_epi64(high, 1));
    const __m256i first = _mm256_inserti128_si256(_mm256_castsi128_si256(part0), part1, 1);
    const __m256i last = _mm256_inserti128_si256(_mm256_castsi128_si256(part2), part3, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), last, 1);
}

/* The same by indices that lie in memory. */
LOOK_UP2 __m128i load_2_pairs_at(const void *table, const uint16_t index[2])
{
    const uint8_t *bytes = table;
    const size_t nbytes = 2 * sizeof(uint32_t);
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)(bytes + nbytes * index[0])),
                              _mm_loadl_epi64((const void *)(bytes + nbytes * index[1])));
}

/* Four elements likewise. */
LOOK_UP512 __m256i load_4_pairs(const void *table, const uint16_t index[4])
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_2_pairs_at(table, index)),
                                   load_2_pairs_at(table, index + 2), 1);
}

/*
 * Sixteen elements of two words, likewise, the first eight in `low`: to take indices out of a
 * vector would cost more than these loads.
 */
LOOK_UP512 void look_up_16_pairs(const void *table, const uint16_t *index, __m512i *low,
                                 __m512i *high)
{
    if (!bragg_gathers_are_slow()) {
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)index));
        *low = _mm512_i32gather_epi64(_mm512_castsi512_si256(wide), table, 8);
        *high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(wide, 1), table, 8);
        return;
    }
    *low = _mm512_inserti64x4(_mm512_castsi256_si512(load_4_pairs(table, index)),
                              load_4_pairs(table, index + 4), 1);
    *high = _mm512_inserti64x4(_mm512_castsi256_si512(load_4_pairs(table, index + 8)),
                               load_4_pairs(table, index + 12), 1);
}
#endif

#endif
