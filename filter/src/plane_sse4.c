/* SPDX-License-Identifier: MIT */
/* The loops over the pixels for SSE 4.1. */
#include "plane_kernels.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>
#include <string.h>

#define LEVEL_TARGET __attribute__((target("ssse3,sse4.1")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))
#define VEC(operation) _mm_##operation

typedef __m128i vec;

LEVEL_INLINE vec load(const void *p) { return _mm_loadu_si128(p); }

LEVEL_INLINE void store(void *p, vec v) { _mm_storeu_si128(p, v); }

LEVEL_INLINE vec zero(void) { return _mm_setzero_si128(); }

LEVEL_INLINE vec and_bits(vec a, vec b) { return _mm_and_si128(a, b); }

LEVEL_INLINE vec or_bits(vec a, vec b) { return _mm_or_si128(a, b); }

LEVEL_INLINE vec clear_bits(vec mask, vec v) { return _mm_andnot_si128(mask, v); }

LEVEL_INLINE int is_zero(vec v) { return _mm_testz_si128(v, v); }

LEVEL_INLINE vec equal_bytes(vec a, vec b) { return _mm_cmpeq_epi8(a, b); }

LEVEL_INLINE uint64_t high_bits(vec v) { return (uint32_t)_mm_movemask_epi8(v); }

LEVEL_INLINE vec lanes(const uint8_t bytes[16]) { return load(bytes); }

LEVEL_INLINE vec join_lanes(const __m128i *lane) { return lane[0]; }

LEVEL_INLINE vec odd_words(vec even, vec odd) { return _mm_blend_epi16(even, odd, 0xAA); }

LEVEL_INLINE vec narrow_32(const uint8_t *p)
{
    const vec most = _mm_set1_epi32(BYTE_LOOKUP);
    const vec a = _mm_min_epu32(load(p), most);
    const vec b = _mm_min_epu32(load(p + 16), most);
    const vec c = _mm_min_epu32(load(p + 32), most);
    const vec d = _mm_min_epu32(load(p + 48), most);
    return _mm_packus_epi16(_mm_packus_epi32(a, b), _mm_packus_epi32(c, d));
}

LEVEL_INLINE vec narrow_16(const uint8_t *p)
{
    const vec most = _mm_set1_epi16(BYTE_LOOKUP);
    return _mm_packus_epi16(_mm_min_epu16(load(p), most), _mm_min_epu16(load(p + 16), most));
}

LEVEL_INLINE vec equal_8(const uint8_t *p, uint32_t code)
{
    return equal_bytes(load(p), _mm_set1_epi8((char)code));
}

LEVEL_INLINE vec equal_16(const uint8_t *p, uint32_t code)
{
    const vec wanted = _mm_set1_epi16((short)code);
    return _mm_packs_epi16(_mm_cmpeq_epi16(load(p), wanted), _mm_cmpeq_epi16(load(p + 16), wanted));
}

LEVEL_INLINE vec equal_32(const uint8_t *p, uint32_t code)
{
    const vec wanted = _mm_set1_epi32((int)code);
    const vec a = _mm_cmpeq_epi32(load(p), wanted);
    const vec b = _mm_cmpeq_epi32(load(p + 16), wanted);
    const vec c = _mm_cmpeq_epi32(load(p + 32), wanted);
    const vec d = _mm_cmpeq_epi32(load(p + 48), wanted);
    return _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
}

LEVEL_INLINE void store_low16(uint16_t *p, vec v)
{
    const vec low = and_bits(v, _mm_set1_epi32(0xFFFF));
    _mm_storel_epi64((void *)p, _mm_packus_epi32(low, low));
}

LEVEL_INLINE void store_low8(uint8_t *p, vec v)
{
    const vec order = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const int bytes = _mm_cvtsi128_si32(_mm_shuffle_epi8(v, order));
    memcpy(p, &bytes, sizeof bytes);
}

LEVEL_INLINE void store_pairs(uint8_t *p, vec a, vec b)
{
    store(p, _mm_unpacklo_epi32(a, b));
    store(p + 16, _mm_unpackhi_epi32(a, b));
}

LEVEL_INLINE uint64_t bits_beyond(vec a, vec b)
{
    return high_bits(equal_bytes(_mm_max_epu8(a, b), b)) ^ UINT16_MAX;
}

LEVEL_INLINE vec byte_after(vec a, vec b) { return _mm_alignr_epi8(b, a, 1); }

LEVEL_INLINE vec byte_before(vec a, vec b) { return _mm_alignr_epi8(b, a, 15); }

#include "plane_simd.h"

const plane_kernels plane_sse4 = {
    .narrow8 = narrow8,
    .narrow16 = narrow16,
    .narrow32 = narrow32,
    .describe = describe,
    .count = count,
    .list = plane_scalar_list,
    .box = box,
};
#else
typedef int plane_sse4_is_not_built; /* a source file must not be empty */
#endif
