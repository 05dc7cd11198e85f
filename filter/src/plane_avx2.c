/* SPDX-License-Identifier: MIT */
/* The loops over the pixels for AVX2. */
#include "bytes.h"
#include "lane_tables.h"
#include "plane_kernels.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>

#define LEVEL_TARGET __attribute__((target("avx2,popcnt")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))
#define VEC(operation) _mm256_##operation

typedef __m256i vec;

LEVEL_INLINE vec load(const void *p) { return _mm256_loadu_si256(p); }

LEVEL_INLINE void store(void *p, vec v) { _mm256_storeu_si256(p, v); }

LEVEL_INLINE vec zero(void) { return _mm256_setzero_si256(); }

LEVEL_INLINE vec and_bits(vec a, vec b) { return _mm256_and_si256(a, b); }

LEVEL_INLINE vec or_bits(vec a, vec b) { return _mm256_or_si256(a, b); }

LEVEL_INLINE vec clear_bits(vec mask, vec v) { return _mm256_andnot_si256(mask, v); }

LEVEL_INLINE int is_zero(vec v) { return _mm256_testz_si256(v, v); }

LEVEL_INLINE vec equal_bytes(vec a, vec b) { return _mm256_cmpeq_epi8(a, b); }

LEVEL_INLINE uint64_t high_bits(vec v) { return (uint32_t)_mm256_movemask_epi8(v); }

LEVEL_INLINE vec lanes(const uint8_t bytes[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)bytes));
}

LEVEL_INLINE vec join_lanes(const __m128i *lane) { return _mm256_set_m128i(lane[1], lane[0]); }

LEVEL_INLINE vec odd_words(vec even, vec odd) { return _mm256_blend_epi16(even, odd, 0xAA); }

/* Packing works within lanes of 128 bits: 32-bit number 4 i + s has pixels of vector s. */
LEVEL_INLINE vec order_four(vec v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* The same for two vectors. */
LEVEL_INLINE vec order_two(vec v) { return _mm256_permute4x64_epi64(v, 0xD8); }

LEVEL_INLINE vec narrow_32(const uint8_t *p)
{
    const vec most = _mm256_set1_epi32(BYTE_LOOKUP);
    const vec a = _mm256_min_epu32(load(p), most);
    const vec b = _mm256_min_epu32(load(p + 32), most);
    const vec c = _mm256_min_epu32(load(p + 64), most);
    const vec d = _mm256_min_epu32(load(p + 96), most);
    return order_four(_mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d)));
}

LEVEL_INLINE vec narrow_16(const uint8_t *p)
{
    const vec most = _mm256_set1_epi16(BYTE_LOOKUP);
    const vec a = _mm256_min_epu16(load(p), most);
    const vec b = _mm256_min_epu16(load(p + 32), most);
    return order_two(_mm256_packus_epi16(a, b));
}

LEVEL_INLINE vec equal_8(const uint8_t *p, uint32_t code)
{
    return equal_bytes(load(p), _mm256_set1_epi8((char)code));
}

LEVEL_INLINE vec equal_16(const uint8_t *p, uint32_t code)
{
    const vec wanted = _mm256_set1_epi16((short)code);
    return order_two(_mm256_packs_epi16(_mm256_cmpeq_epi16(load(p), wanted),
                                        _mm256_cmpeq_epi16(load(p + 32), wanted)));
}

LEVEL_INLINE vec equal_32(const uint8_t *p, uint32_t code)
{
    const vec wanted = _mm256_set1_epi32((int)code);
    const vec a = _mm256_cmpeq_epi32(load(p), wanted);
    const vec b = _mm256_cmpeq_epi32(load(p + 32), wanted);
    const vec c = _mm256_cmpeq_epi32(load(p + 64), wanted);
    const vec d = _mm256_cmpeq_epi32(load(p + 96), wanted);
    return order_four(_mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d)));
}

LEVEL_INLINE __m128i low16(vec v)
{
    const vec low = and_bits(v, _mm256_set1_epi32(0xFFFF));
    return _mm256_castsi256_si128(order_two(_mm256_packus_epi32(low, low)));
}

LEVEL_INLINE void store_low16(uint16_t *p, vec v) { _mm_storeu_si128((void *)p, low16(v)); }

LEVEL_INLINE void store_low8(uint8_t *p, vec v)
{
    const __m128i words = low16(and_bits(v, _mm256_set1_epi32(0xFF)));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}

LEVEL_INLINE void store_pairs(uint8_t *p, vec a, vec b)
{
    const vec low = _mm256_unpacklo_epi32(a, b);
    const vec high = _mm256_unpackhi_epi32(a, b);
    store(p, _mm256_permute2x128_si256(low, high, 0x20));
    store(p + 32, _mm256_permute2x128_si256(low, high, 0x31));
}

LEVEL_INLINE uint64_t bits_beyond(vec a, vec b)
{
    return high_bits(equal_bytes(_mm256_max_epu8(a, b), b)) ^ UINT32_MAX;
}

LEVEL_INLINE vec byte_after(vec a, vec b)
{
    return _mm256_alignr_epi8(_mm256_permute2x128_si256(a, b, 0x21), a, 1);
}

LEVEL_INLINE vec byte_before(vec a, vec b)
{
    return _mm256_alignr_epi8(b, _mm256_permute2x128_si256(a, b, 0x21), 15);
}

#define LEVEL_HAS_DESCRIBE 1
#include "plane_simd.h"

/* The low halves of 32-bit numbers, those of b behind those of a. */
LEVEL_INLINE vec low_halves(vec a, vec b) { return order_two(_mm256_packus_epi32(a, b)); }

/* Both vectors of a group of tiles; returns their sums, added up. */
LEVEL_INLINE vec describe_group(const uint8_t *value, size_t stride, const tile_outputs *out,
                                size_t t)
{
    const tile_numbers a = look_at_tiles(value + TILE_EDGE * t, stride);
    const tile_numbers b = look_at_tiles(value + TILE_EDGE * t + VEC_NBYTES, stride);
    const vec largest = low_halves(largest_of(a.largest), largest_of(b.largest));
    /* 255 + 1 alone has bit 8. */
    const vec is_large = _mm256_srli_epi16(_mm256_add_epi16(largest, _mm256_set1_epi16(1)), 8);
    const vec bytes = order_two(_mm256_packus_epi16(largest, is_large));
    store(out->sum + t, low_halves(a.sum, b.sum));
    store(out->squares + t, low_halves(a.squares, b.squares));
    _mm_storeu_si128((void *)(out->largest + t), _mm256_castsi256_si128(bytes));
    _mm_storeu_si128((void *)(out->has_large + t), _mm256_extracti128_si256(bytes, 1));
    return _mm256_add_epi32(a.sum, b.sum);
}

/* 1024 groups make a row at most: sums of a row fit in 32 bits. */
LEVEL_TARGET static uint64_t describe(const uint8_t *value, size_t stride, size_t ngroups,
                                      const tile_outputs *out)
{
    uint32_t part[VEC_NTILES];
    vec sums = zero();
    for (size_t t = 0; t < ngroups * GROUP_NTILES; t += GROUP_NTILES)
        sums = _mm256_add_epi32(sums, describe_group(value, stride, out, t));
    store(part, sums);
    uint64_t total = 0;
    for (int i = 0; i < VEC_NTILES; i++)
        total += part[i];
    return total;
}

/* Adds the columns of those of eight tiles, from `first` on, whose bits are set. */
LEVEL_INLINE uint32_t list_columns(uint32_t tiles, uint32_t first, uint16_t *column)
{
    const __m128i columns =
        _mm_add_epi16(_mm_set1_epi16((short)first), _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));
    collect_8_words(column, columns, tiles);
    return (uint32_t)__builtin_popcount(tiles);
}

/* Bits of those of 16 bytes that are not counted as dark. */
LEVEL_INLINE uint32_t bright_bits(__m128i bytes)
{
    const __m128i dark =
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(HISTOGRAM_NDARK - 1)), bytes);
    return (uint32_t)_mm_movemask_epi8(dark) ^ 0xFFFF;
}

/* Lists the columns of tiles that have something bright. */
LEVEL_INLINE uint32_t list_bright(const counted_row *row, uint16_t *column)
{
    uint32_t n = 0;
    for (uint32_t start = 0; start < row->ntiles; start += GROUP_NTILES) {
        uint8_t last[GROUP_NTILES] = {0};
        const uint8_t *largest = row->largest + start;
        if (row->ntiles - start < GROUP_NTILES) {
            memcpy(last, largest, row->ntiles - start);
            largest = last;
        }
        ask_for(row->largest + row->ntiles + start); /* of the next row */
        const uint32_t tiles = bright_bits(_mm_loadu_si128((const void *)largest));
        n += list_columns(tiles & 0xFF, start, column + n);
        n += list_columns(tiles >> 8, start + GROUP_NTILES / 2, column + n);
    }
    return n;
}

/* Lists those of eight pixels, bytes of a tile from number `first` on, whose bits are set; entries
 * are of all eight. */
LEVEL_INLINE uint32_t list_pixels(__m128i bytes, uint32_t bits, uint32_t column, uint32_t first,
                                  uint32_t *pixel)
{
    const vec number = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first)),
        8);
    const vec place = or_bits(number, _mm256_set1_epi32((int)(column << 16)));
    const vec from = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)&LANES_CHOSEN[bits]));
    const vec all = or_bits(place, _mm256_cvtepu8_epi32(bytes));
    store(pixel, _mm256_permutevar8x32_epi32(all, from));
    return (uint32_t)__builtin_popcount(bits);
}

/* Lists pixels of a tile; returns their number. */
LEVEL_INLINE uint32_t list_tile(const counted_row *row, uint32_t column, uint32_t *pixel)
{
    const uint8_t *value = row->value + TILE_EDGE * (size_t)column;
    const __m128i bytes = _mm_setr_epi32((int)load_u32(value), (int)load_u32(value + row->stride),
                                         (int)load_u32(value + 2 * row->stride),
                                         (int)load_u32(value + 3 * row->stride));
    const uint32_t bits = bright_bits(bytes);
    const uint32_t n = list_pixels(bytes, bits & 0xFF, column, 0, pixel);
    return n + list_pixels(_mm_unpackhi_epi64(bytes, bytes), bits >> 8, column, TILE_NPIXELS / 2,
                           pixel + n);
}

/* Where bright tiles are is a matter of chance: their columns first, then their pixels. */
LEVEL_TARGET static size_t list(const counted_row *row, uint32_t *pixel)
{
    uint16_t *column = (uint16_t *)(void *)(pixel + list_columns_at(row->ntiles));
    const uint32_t ncolumns = list_bright(row, column);
    size_t n = 0;
    for (uint32_t k = 0; k < ncolumns; k++)
        n += list_tile(row, column[k], pixel + n);
    return n;
}

const plane_kernels plane_avx2 = {
    .narrow8 = narrow8,
    .narrow16 = narrow16,
    .narrow32 = narrow32,
    .describe = describe,
    .count = count,
    .list = list,
    .box = box,
};
#else
typedef int plane_avx2_is_not_built; /* a source file must not be empty */
#endif
