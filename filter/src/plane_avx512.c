/* SPDX-License-Identifier: MIT */
/* The loops over the pixels for AVX-512 (F, BW, VL, DQ). */
#include "plane_kernels.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>

#define LEVEL_TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))
#define VEC(operation) _mm512_##operation

typedef __m512i vec;

LEVEL_INLINE vec load(const void *p) { return _mm512_loadu_si512(p); }

LEVEL_INLINE void store(void *p, vec v) { _mm512_storeu_si512(p, v); }

LEVEL_INLINE vec zero(void) { return _mm512_setzero_si512(); }

LEVEL_INLINE vec and_bits(vec a, vec b) { return _mm512_and_si512(a, b); }

LEVEL_INLINE vec or_bits(vec a, vec b) { return _mm512_or_si512(a, b); }

LEVEL_INLINE vec clear_bits(vec mask, vec v) { return _mm512_andnot_si512(mask, v); }

LEVEL_INLINE int is_zero(vec v) { return _mm512_test_epi32_mask(v, v) == 0; }

LEVEL_INLINE vec equal_bytes(vec a, vec b)
{
    return _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a, b));
}

LEVEL_INLINE uint64_t high_bits(vec v) { return _mm512_movepi8_mask(v); }

LEVEL_INLINE vec lanes(const uint8_t bytes[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

LEVEL_INLINE vec odd_words(vec even, vec odd)
{
    return _mm512_mask_blend_epi16(0xAAAAAAAA, even, odd);
}

LEVEL_INLINE vec narrow_32(const uint8_t *p)
{
    /* Packing works within lanes of 128 bits: 32-bit number 4 i + s has pixels of vector s. */
    const vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const vec most = _mm512_set1_epi32(BYTE_LOOKUP);
    const vec a = _mm512_min_epu32(load(p), most);
    const vec b = _mm512_min_epu32(load(p + 64), most);
    const vec c = _mm512_min_epu32(load(p + 128), most);
    const vec d = _mm512_min_epu32(load(p + 192), most);
    const vec packed = _mm512_packus_epi16(_mm512_packus_epi32(a, b), _mm512_packus_epi32(c, d));
    return _mm512_permutexvar_epi32(order, packed);
}

LEVEL_INLINE vec narrow_16(const uint8_t *p)
{
    const vec order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const vec most = _mm512_set1_epi16(BYTE_LOOKUP);
    const vec a = _mm512_min_epu16(load(p), most);
    const vec b = _mm512_min_epu16(load(p + 64), most);
    return _mm512_permutexvar_epi64(order, _mm512_packus_epi16(a, b));
}

LEVEL_INLINE vec equal_8(const uint8_t *p, uint32_t code)
{
    return equal_bytes(load(p), _mm512_set1_epi8((char)code));
}

LEVEL_INLINE vec equal_16(const uint8_t *p, uint32_t code)
{
    const vec c = _mm512_set1_epi16((short)code);
    const uint64_t low = _mm512_cmpeq_epi16_mask(load(p), c);
    const uint64_t high = _mm512_cmpeq_epi16_mask(load(p + 64), c);
    return _mm512_movm_epi8(low | high << 32);
}

LEVEL_INLINE vec equal_32(const uint8_t *p, uint32_t code)
{
    const vec c = _mm512_set1_epi32((int)code);
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++)
        bits |= (uint64_t)_mm512_cmpeq_epi32_mask(load(p + 64 * i), c) << 16 * i;
    return _mm512_movm_epi8(bits);
}

LEVEL_INLINE void store_low8(uint8_t *p, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}

LEVEL_INLINE void store_low16(uint16_t *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v));
}

LEVEL_INLINE void store_pairs(uint8_t *p, vec a, vec b)
{
    const vec low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const vec high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    store(p, _mm512_permutex2var_epi32(a, low, b));
    store(p + 64, _mm512_permutex2var_epi32(a, high, b));
}

LEVEL_INLINE void add_counts(uint32_t *counter, const uint8_t *counts)
{
    __m256i *c = (__m256i *)(void *)counter;
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)counts);
    _mm256_storeu_si256(c, _mm256_add_epi32(_mm256_loadu_si256(c), _mm256_cvtepu8_epi32(bytes)));
}

#include "plane_simd.h"

const plane_kernels plane_avx512 = {
    .narrow8 = narrow8,
    .narrow16 = narrow16,
    .narrow32 = narrow32,
    .describe = describe,
    .count = count,
    .box = box,
};
#else
typedef int plane_avx512_is_not_built; /* a source file must not be empty */
#endif
