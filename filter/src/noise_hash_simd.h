/* SPDX-License-Identifier: MIT */
/* noise_hash of several counters: docs/format.md, "Hash". */
#ifndef BRAGG_NOISE_HASH_SIMD_H
#define BRAGG_NOISE_HASH_SIMD_H

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

#if defined(BRAGG_X86_64)
#include <immintrin.h>

__attribute__((target("avx2"))) BRAGG_INLINE __m256i noise_hash_8(uint64_t seed, __m256i counter)
{
    __m256i x = _mm256_xor_si256(counter, _mm256_set1_epi32((int)(uint32_t)seed));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32(0x7FEB352D));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 15));
    x = _mm256_add_epi32(x, _mm256_set1_epi32((int)(uint32_t)(seed >> 32)));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32((int)0x846CA68Bu));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32((int)0x9E3779B1u));
    return _mm256_xor_si256(x, _mm256_srli_epi32(x, 15));
}

__attribute__((target("avx512f"))) BRAGG_INLINE __m512i noise_hash_16(uint64_t seed,
                                                                      __m512i counter)
{
    __m512i x = _mm512_xor_si512(counter, _mm512_set1_epi32((int)(uint32_t)seed));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32(0x7FEB352D));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
    x = _mm512_add_epi32(x, _mm512_set1_epi32((int)(uint32_t)(seed >> 32)));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x846CA68Bu));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x9E3779B1u));
    return _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
}
#endif

#endif
