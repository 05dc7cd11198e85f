/* SPDX-License-Identifier: MIT */
/*
 * Numbers below 256, sixteen at a time: the symbols of docs/format.md, "Streams", that stand for
 * them, with their raw bits, which are dealt out eight numbers at a time.
 */
#ifndef BRAGG_BYTE_LANES_H
#define BRAGG_BYTE_LANES_H

#include "cpu_level.h" /* BRAGG_X86_64 */
#include "pixel.h"     /* BRAGG_INLINE */
#include "symbols.h"

/* Symbols below this stand for bytes, and have at most 5 raw bits. */
enum { BYTE_NSYMBOLS = 32 };

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define BYTE_LANES                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi2,popcnt"))) BRAGG_INLINE

/* The raw bits of eight numbers, to where there are bits in `places`. */
BYTE_LANES uint64_t deposit(symbol_reader *s, uint64_t places)
{
    const uint64_t byte = s->bit_at >> 3;
    const uint8_t *p = s->raw + (byte < s->raw_nbytes ? byte : s->raw_nbytes);
    const uint64_t bits = load_u64(p) >> (s->bit_at & 7);
    s->bit_at += (uint64_t)__builtin_popcountll(places);
    return _pdep_u64(bits, places);
}

/* By symbol: the least number, and where its raw bits are. */
static const uint8_t LEAST[BYTE_NSYMBOLS] = {0,  1,  2,  3,  4,  5,   6,   7,   8,   9,  10,
                                             11, 12, 13, 14, 15, 16,  20,  24,  28,  32, 40,
                                             48, 56, 64, 80, 96, 112, 128, 160, 192, 224};
static const uint8_t RAW[BYTE_NSYMBOLS] = {0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,  0,
                                           3, 3, 3, 3, 7, 7, 7, 7, 15, 15, 15, 15, 31, 31, 31, 31};

/* The numbers of symbols that stand for bytes. */
BYTE_LANES __m128i bytes_of(symbol_reader *s, __m128i symbols)
{
    const __m256i of = _mm256_castsi128_si256(symbols);
    const __m128i least = _mm256_castsi256_si128(
        _mm256_permutexvar_epi8(of, _mm256_loadu_si256((const void *)LEAST)));
    const __m128i raw =
        _mm256_castsi256_si128(_mm256_permutexvar_epi8(of, _mm256_loadu_si256((const void *)RAW)));
    const uint64_t first = deposit(s, (uint64_t)_mm_cvtsi128_si64(raw));
    const uint64_t last = deposit(s, (uint64_t)_mm_extract_epi64(raw, 1));
    return _mm_add_epi8(least, _mm_set_epi64x((long long)last, (long long)first));
}

/* Whether some of sixteen symbols stand for larger numbers. */
BYTE_LANES int has_larger(__m128i symbols)
{
    const __m128i above_bytes = _mm_set1_epi8((char)(256 - BYTE_NSYMBOLS));
    return _mm_test_epi8_mask(symbols, above_bytes) != 0;
}
#endif

#endif
