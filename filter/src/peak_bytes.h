/* SPDX-License-Identifier: MIT */
/*
 * Bytes compared eight at a time, and those of a block of 8 x 8, a word a row, with one limit for
 * each of its four tiles.
 */
#ifndef BRAGG_PEAK_BYTES_H
#define BRAGG_PEAK_BYTES_H

#include "bytes.h"
#include "cpu_level.h" /* BRAGG_X86_64 */

#if defined(BRAGG_X86_64)
#include <emmintrin.h>
#endif

/* Numbers of 16 bits in a word; their top bits. */
#define PEAK_WORDS 0x0001000100010001u
#define PEAK_TOPS 0x8000800080008000u

enum { BLOCK_EDGE = 8 };

/* Eight times a byte. */
static inline uint64_t peak_bytes_of(uint32_t byte) { return byte * 0x0101010101010101u; }

/* Limits of a row of a block: four times that of the tile on the left, and on the right. */
static inline uint64_t peak_row_limits(int64_t left, int64_t right)
{
    return (uint32_t)left * 0x01010101u | (uint64_t)((uint32_t)right * 0x01010101u) << 32;
}

/* Bit k: byte k of a word is above byte k of another. */
static inline uint32_t peak_bytes_above(uint64_t word, uint64_t limits)
{
    /* Bytes as 16-bit numbers: adding 0x7FFF - limit carries into the top bit if above. */
    const uint64_t low = 0xFF * PEAK_WORDS;
    const uint64_t most = 0x7FFF * PEAK_WORDS;
    const uint64_t even = (word & low) + (most - (limits & low));
    const uint64_t odd = (word >> 8 & low) + (most - (limits >> 8 & low));
    const uint64_t flags = (even & PEAK_TOPS) >> 15 | (odd & PEAK_TOPS) >> 7;
    return (uint32_t)(flags * 0x0102040810204080u >> 56);
}

/* Bit k: byte k of a word is not zero. */
static inline uint32_t peak_bytes_there(uint64_t word)
{
    const uint64_t low = 0x7F7F7F7F7F7F7F7Fu;
    const uint64_t flags = ((word & low) + low) | word;
    return (uint32_t)((flags >> 7 & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}

/* Bytes 0xFF where a bit is set. */
static inline uint64_t peak_bytes_of_bits(uint32_t bits)
{
    const uint64_t one_each = bits * 0x0101010101010101u & 0x8040201008040201u;
    return ((one_each + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u) * 0xFF;
}

/*
 * The bytes of a block are BLOCK_EDGE words, aligned to 16 bytes.  They are stored and loaded two
 * rows at a time where there are vectors: a load waits if it takes from two stores.
 */

/* What of the bytes of a block is larger than a byte, and what is equal: bits 8 * row + column. */
typedef struct peak_order {
    uint64_t larger;
    uint64_t equal;
} peak_order;

/* Of the bytes of a block, in plain C. */
static inline peak_order peak_rows_order_plain(const uint64_t *rows, uint32_t byte)
{
    peak_order order = {0, 0};
    for (uint32_t i = 0; i < BLOCK_EDGE; i++) {
        const uint64_t row = rows[i];
        const uint32_t differs = peak_bytes_there(row ^ peak_bytes_of(byte));
        order.larger |= (uint64_t)peak_bytes_above(row, peak_bytes_of(byte)) << BLOCK_EDGE * i;
        order.equal |= (uint64_t)(differs ^ 0xFF) << BLOCK_EDGE * i;
    }
    return order;
}

/* Bits of the bytes that are above those of the limits of the upper, or lower, four rows; in plain
 * C. */
static inline uint64_t peak_rows_above_plain(const uint64_t *rows, const uint64_t limits[2])
{
    uint64_t above = 0;
    for (uint32_t i = 0; i < BLOCK_EDGE; i++)
        above |= (uint64_t)peak_bytes_above(rows[i], limits[i / 4]) << BLOCK_EDGE * i;
    return above;
}

/* Both as they are used. */
#if defined(BRAGG_X86_64)
static inline __m128i peak_rows_pair(const uint64_t *rows, uint32_t i)
{
    return _mm_load_si128((const void *)(rows + i));
}

static inline uint64_t peak_bits_of(__m128i bytes, uint32_t i)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << BLOCK_EDGE * i;
}

static inline peak_order peak_rows_order(const uint64_t *rows, uint32_t byte)
{
    const __m128i own = _mm_set1_epi8((char)byte);
    uint64_t within = 0;
    uint64_t equal = 0;
    for (uint32_t i = 0; i < BLOCK_EDGE; i += 2) {
        const __m128i bytes = peak_rows_pair(rows, i);
        within |= peak_bits_of(_mm_cmpeq_epi8(_mm_max_epu8(bytes, own), own), i);
        equal |= peak_bits_of(_mm_cmpeq_epi8(bytes, own), i);
    }
    return (peak_order){~within, equal};
}

static inline uint64_t peak_rows_above(const uint64_t *rows, const uint64_t limits[2])
{
    uint64_t within = 0;
    for (uint32_t i = 0; i < BLOCK_EDGE; i += 2) {
        const __m128i limit = _mm_set1_epi64x((long long)limits[i / 4]);
        const __m128i most = _mm_max_epu8(peak_rows_pair(rows, i), limit);
        within |= peak_bits_of(_mm_cmpeq_epi8(most, limit), i);
    }
    return ~within;
}
#else
static inline peak_order peak_rows_order(const uint64_t *rows, uint32_t byte)
{
    return peak_rows_order_plain(rows, byte);
}

static inline uint64_t peak_rows_above(const uint64_t *rows, const uint64_t limits[2])
{
    return peak_rows_above_plain(rows, limits);
}
#endif

/* Two rows from an even one on. */
static inline void peak_rows_set(uint64_t *rows, uint32_t i, uint64_t first, uint64_t second)
{
#if defined(BRAGG_X86_64)
    _mm_store_si128((void *)(rows + i), _mm_set_epi64x((long long)second, (long long)first));
#else
    rows[i] = first;
    rows[i + 1] = second;
#endif
}

#endif
