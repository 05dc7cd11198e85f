/* SPDX-License-Identifier: MIT */
/* The loops over the pixels for AVX-512 (F, BW, VL, DQ, VBMI, VBMI2, BITALG, VNNI, and GFNI). */
#include "bytes.h"
#include "plane_kernels.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>

#define LEVEL_TARGET                                                                               \
    __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,"        \
                          "avx512bitalg,avx512vnni,gfni,popcnt")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))
#define VEC(operation) _mm512_##operation

typedef __m512i vec;

LEVEL_INLINE vec load(const void *p) { return _mm512_loadu_si512(p); }

LEVEL_INLINE void store(void *p, vec v) { _mm512_storeu_si512(p, v); }

LEVEL_INLINE vec zero(void) { return _mm512_setzero_si512(); }

LEVEL_INLINE vec and_bits(vec a, vec b) { return _mm512_and_si512(a, b); }

LEVEL_INLINE vec or_bits(vec a, vec b) { return _mm512_or_si512(a, b); }

LEVEL_INLINE int is_zero(vec v) { return _mm512_test_epi32_mask(v, v) == 0; }

LEVEL_INLINE uint64_t high_bits(vec v) { return _mm512_movepi8_mask(v); }

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

/* Marks of bytes: there are registers for them. */
#define LEVEL_HAS_MARKS 1
typedef __mmask64 marks;

LEVEL_INLINE marks no_marks(void) { return 0; }

LEVEL_INLINE marks or_marks(marks a, marks b) { return a | b; }

LEVEL_INLINE int has_marks(marks m) { return m != 0; }

LEVEL_INLINE uint64_t mark_bits(marks m) { return m; }

LEVEL_INLINE vec clear_marked(marks m, vec v) { return _mm512_maskz_mov_epi8(~m, v); }

LEVEL_INLINE marks equal_bytes(vec a, vec b) { return _mm512_cmpeq_epi8_mask(a, b); }

LEVEL_INLINE marks equal_8(const uint8_t *p, uint32_t code)
{
    return equal_bytes(load(p), _mm512_set1_epi8((char)code));
}

LEVEL_INLINE marks equal_16(const uint8_t *p, uint32_t code)
{
    const vec c = _mm512_set1_epi16((short)code);
    return _mm512_kunpackd(_mm512_cmpeq_epi16_mask(load(p + 64), c),
                           _mm512_cmpeq_epi16_mask(load(p), c));
}

LEVEL_INLINE marks equal_32(const uint8_t *p, uint32_t code)
{
    const vec c = _mm512_set1_epi32((int)code);
    const __mmask32 first = _mm512_kunpackw(_mm512_cmpeq_epi32_mask(load(p + 64), c),
                                            _mm512_cmpeq_epi32_mask(load(p), c));
    const __mmask32 second = _mm512_kunpackw(_mm512_cmpeq_epi32_mask(load(p + 192), c),
                                             _mm512_cmpeq_epi32_mask(load(p + 128), c));
    return _mm512_kunpackd(second, first);
}

LEVEL_INLINE void store_low8(uint8_t *p, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}

LEVEL_INLINE void store_low16(uint16_t *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v));
}

LEVEL_INLINE vec lanes(const uint8_t bytes[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)bytes));
}

LEVEL_INLINE vec join_lanes(const __m128i *lane)
{
    const vec low = _mm512_castsi256_si512(_mm256_set_m128i(lane[1], lane[0]));
    return _mm512_inserti64x4(low, _mm256_set_m128i(lane[3], lane[2]), 1);
}

LEVEL_INLINE uint64_t bits_beyond(vec a, vec b) { return _mm512_cmpgt_epu8_mask(a, b); }

LEVEL_INLINE vec following(uint8_t first)
{
    _Alignas(64) static const uint8_t number[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    return _mm512_add_epi8(load(number), _mm512_set1_epi8((char)first));
}

LEVEL_INLINE vec byte_after(vec a, vec b) { return _mm512_permutex2var_epi8(a, following(1), b); }

LEVEL_INLINE vec byte_before(vec a, vec b) { return _mm512_permutex2var_epi8(a, following(63), b); }

/* See plane_simd.h.  What is masked off is not read: it may be beyond the frame. */
#define LEVEL_HAS_COPY_REST 1
LEVEL_INLINE void copy_rest(const int width, const uint8_t *p, size_t n, uint8_t *group)
{
    for (size_t at = 0; at < GROUP_NPIXELS * (size_t)width; at += sizeof(vec)) {
        const size_t nleft = n > at ? n - at : 0;
        const __mmask64 inside = nleft < sizeof(vec) ? ((uint64_t)1 << nleft) - 1 : UINT64_MAX;
        store(group + at, _mm512_maskz_loadu_epi8(inside, p + at));
    }
}

#define LEVEL_HAS_COUNT 1
#define LEVEL_HAS_DESCRIBE 1
#include "plane_simd.h"

/* What a vector's tiles hold: 32-bit numbers, but bytes of columns whose largest is yet to come. */
typedef struct described {
    vec sum;
    vec squares;
    vec largest;
} described;

LEVEL_INLINE described describe_vector(const uint8_t *value, size_t stride)
{
    described d = {zero(), zero(), zero()};
    vec odd_squares = zero();
    for (size_t row = 0; row < TILE_EDGE; row++) {
        const vec v = load(value + row * stride);
        const vec even = even_bytes(v);
        const vec odd = odd_bytes(v);
        d.sum = _mm512_dpbusd_epi32(d.sum, v, _mm512_set1_epi8(1));
        d.squares = _mm512_dpwssd_epi32(d.squares, even, even);
        odd_squares = _mm512_dpwssd_epi32(odd_squares, odd, odd);
        d.largest = _mm512_max_epu8(d.largest, v);
    }
    d.squares = _mm512_add_epi32(d.squares, odd_squares);
    return d;
}

/* 0, 2, 4, ..., 126: where the even bytes of two vectors are. */
LEVEL_INLINE vec even_numbers(void) { return _mm512_add_epi8(following(0), following(0)); }

/* The larger of any two bytes side by side, of a and then of b. */
LEVEL_INLINE vec larger_of_pairs(vec a, vec b)
{
    return _mm512_permutex2var_epi8(_mm512_max_epu8(a, odd_bytes(a)), even_numbers(),
                                    _mm512_max_epu8(b, odd_bytes(b)));
}

/* The low halves of 32-bit numbers. */
LEVEL_INLINE void store_low_halves(uint16_t *p, vec a, vec b)
{
    const vec even = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(even_numbers()));
    store(p, _mm512_permutex2var_epi16(a, even, b));
}

/* 32-bit numbers, which are 0xFFFF at most then: MOST_SQUARES. */
LEVEL_INLINE void store_saturated(uint16_t *p, vec a, vec b)
{
    const vec order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    store(p, _mm512_permutexvar_epi64(order, _mm512_packus_epi32(a, b)));
}

/* Two vectors of tiles; returns the larger bytes of pairs of columns. */
LEVEL_INLINE vec describe_two(const uint8_t *value, size_t stride, const tile_outputs *out,
                              size_t t, vec *sums)
{
    const described a = describe_vector(value, stride);
    const described b = describe_vector(value + VEC_NBYTES, stride);
    store_low_halves(out->sum + t, a.sum, b.sum);
    store_saturated(out->squares + t, a.squares, b.squares);
    *sums = _mm512_add_epi32(*sums, _mm512_add_epi32(a.sum, b.sum));
    return larger_of_pairs(a.largest, b.largest);
}

enum { NDESCRIBED = 4 * VEC_NTILES }; /* tiles at a time: all that is stored are whole vectors */

/* 1024 groups make a row at most: sums of a row fit in 32 bits. */
LEVEL_TARGET static uint64_t describe(const uint8_t *value, size_t stride, size_t ngroups,
                                      const tile_outputs *out)
{
    const size_t n = ngroups * GROUP_NTILES;
    vec sums = zero();
    size_t t = 0;
    for (; t + NDESCRIBED <= n; t += NDESCRIBED) {
        const uint8_t *at = value + TILE_EDGE * t;
        const vec first = describe_two(at, stride, out, t, &sums);
        const vec second =
            describe_two(at + 2 * VEC_NBYTES, stride, out, t + 2 * VEC_NTILES, &sums);
        const vec largest = larger_of_pairs(first, second);
        const marks large = equal_bytes(largest, _mm512_set1_epi8((char)BYTE_LOOKUP));
        store(out->largest + t, largest);
        store(out->has_large + t, _mm512_maskz_set1_epi8(large, 1));
    }
    for (; t < n; t += VEC_NTILES)
        sums = _mm512_add_epi32(sums, describe_tiles(value, stride, out, t));
    return (uint64_t)(uint32_t)_mm512_reduce_add_epi32(sums);
}

/*
 * How many of the eight bytes in each 64-bit number are v is byte v of the result, for eight values
 * v.  The table has bit v for the value v: an 8 x 8 matrix of bits, transposed, has those of one
 * value in one byte.
 */
LEVEL_INLINE vec count_values(vec table, vec bytes)
{
    const vec identity = _mm512_set1_epi64((long long)0x8040201008040201u);
    const vec bits = _mm512_shuffle_epi8(table, bytes);
    return _mm512_popcnt_epi8(_mm512_gf2p8affine_epi64_epi8(identity, bits, 0));
}

/* Adds the counts of a tile, 16 bytes. */
LEVEL_INLINE void add_tile(uint16_t *counter, const uint8_t *counts)
{
    const __m128i bytes = _mm_load_si128((const __m128i *)(const void *)counts);
    __m256i *at = (__m256i *)(void *)counter;
    _mm256_store_si256(at, _mm256_add_epi16(_mm256_load_si256(at), _mm256_cvtepu8_epi16(bytes)));
}

/* Counts of 16 tiles; those of tile 4 i + k start at 64 k + 16 i. */
LEVEL_INLINE void count_group(const uint8_t *value, size_t stride, const uint16_t *valid,
                              uint8_t *counts)
{
    const vec dark =
        _mm512_broadcast_i32x4(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    const vec bright =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128));
    const vec top = _mm512_set1_epi8(0x70); /* sets bit 7 of bytes of 16 or more: not in tables */
    const vec row0 = _mm512_adds_epu8(load(value), top);
    const vec row1 = _mm512_adds_epu8(load(value + stride), top);
    const vec row2 = _mm512_adds_epu8(load(value + 2 * stride), top);
    const vec row3 = _mm512_adds_epu8(load(value + 3 * stride), top);
    /* Halves of the tiles 4 i and 4 i + 1, and of 4 i + 2 and 4 i + 3. */
    const vec upper01 = _mm512_unpacklo_epi32(row0, row1);
    const vec upper23 = _mm512_unpackhi_epi32(row0, row1);
    const vec lower01 = _mm512_unpacklo_epi32(row2, row3);
    const vec lower23 = _mm512_unpackhi_epi32(row2, row3);
    const vec dark01 = _mm512_add_epi8(count_values(dark, upper01), count_values(dark, lower01));
    const vec dark23 = _mm512_add_epi8(count_values(dark, upper23), count_values(dark, lower23));
    const vec bright01 =
        _mm512_add_epi8(count_values(bright, upper01), count_values(bright, lower01));
    const vec bright23 =
        _mm512_add_epi8(count_values(bright, upper23), count_values(bright, lower23));
    /* Masked pixels are zeros among the bytes: 16-bit number k of a lane is for tile 4 i + k. */
    const __m256i masked = _mm256_popcnt_epi16(_mm256_xor_si256(
        _mm256_loadu_si256((const __m256i *)(const void *)valid), _mm256_set1_epi16(-1)));
    const vec zeros = _mm512_maskz_permutexvar_epi64(
        0x55, _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), _mm512_castsi256_si512(masked));
    const vec byte = _mm512_set1_epi64(0xFF);
    store(counts, _mm512_sub_epi8(_mm512_unpacklo_epi64(dark01, bright01), and_bits(zeros, byte)));
    store(counts + 64, _mm512_sub_epi8(_mm512_unpackhi_epi64(dark01, bright01),
                                       and_bits(_mm512_srli_epi64(zeros, 16), byte)));
    store(counts + 128, _mm512_sub_epi8(_mm512_unpacklo_epi64(dark23, bright23),
                                        and_bits(_mm512_srli_epi64(zeros, 32), byte)));
    store(counts + 192,
          _mm512_sub_epi8(_mm512_unpackhi_epi64(dark23, bright23), _mm512_srli_epi64(zeros, 48)));
}

/* Whether 16 tiles have no valid pixel: those of wide gaps. */
LEVEL_INLINE int is_gap(const uint16_t *valid)
{
    const __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)valid);
    return _mm256_testz_si256(all, all);
}

/*
 * Adds the counts of 16 tiles.  Neighbours are often of the same cell, whose counters would have to
 * come back from where they were put just now: so every fourth tile is next.
 */
LEVEL_INLINE void add_group(uint16_t *counter, const uint16_t *cell, const uint8_t *counts)
{
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < 4; i++)
            add_tile(counter + (size_t)cell[4 * i + k] * HISTOGRAM_NDARK, counts + 64 * k + 16 * i);
    }
}

/* What a group counts is added when the next one has been counted: nothing waits for it then. */
LEVEL_TARGET static void count(const counted_row *row, uint16_t *counter)
{
    _Alignas(64) uint8_t counts[2][GROUP_NTILES * HISTOGRAM_NDARK];
    const grouped_cells cells = group_cells(row->cell, row->ntiles);
    const uint16_t *cell = NULL; /* of the group that is to be added */
    size_t which = 0;            /* its counts */
    for (size_t first = 0; first < row->ntiles; first += GROUP_NTILES) {
        const uint8_t *value = row->value + TILE_EDGE * first;
        ask_for_next_group(value, row->stride);
        ask_for(row->cell + row->ntiles + first); /* of the next row, likewise */
        ask_for(row->valid + row->ntiles + first);
        if (is_gap(row->valid + first))
            continue;
        count_group(value, row->stride, row->valid + first, counts[which ^ 1]);
        if (cell)
            add_group(counter, cell, counts[which]);
        cell = cells_of(&cells, first / GROUP_NTILES);
        which ^= 1;
    }
    if (cell)
        add_group(counter, cell, counts[which]);
}

/* Lists pixels of a tile: those wanted of all 16 entries; returns their number. */
LEVEL_INLINE uint32_t list_tile(const counted_row *row, uint32_t column, uint32_t *pixel)
{
    const vec number = _mm512_slli_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 8);
    const uint8_t *value = row->value + TILE_EDGE * (size_t)column;
    const __m128i bytes = _mm_setr_epi32((int)load_u32(value), (int)load_u32(value + row->stride),
                                         (int)load_u32(value + 2 * row->stride),
                                         (int)load_u32(value + 3 * row->stride));
    const __mmask16 bright = _mm_test_epi8_mask(bytes, _mm_set1_epi8(-HISTOGRAM_NDARK));
    const vec place = _mm512_or_si512(number, _mm512_set1_epi32((int)(column << 16)));
    store(pixel,
          _mm512_maskz_compress_epi32(bright, _mm512_or_si512(place, _mm512_cvtepu8_epi32(bytes))));
    return (uint32_t)__builtin_popcount(bright);
}

/* Adds those of 32 columns from `first` on whose bits are set. */
LEVEL_INLINE uint32_t list_columns(uint32_t bits, uint32_t first, uint16_t *column)
{
    const vec up = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                                    15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const vec columns = _mm512_add_epi16(_mm512_set1_epi16((short)first), up);
    store(column, _mm512_maskz_compress_epi16(bits, columns));
    return (uint32_t)__builtin_popcount(bits);
}

/* Lists the columns of tiles that have something bright. */
LEVEL_INLINE uint32_t list_bright(const counted_row *row, uint16_t *column)
{
    uint32_t n = 0;
    for (uint32_t start = 0; start < row->ntiles; start += 64) {
        const uint32_t nleft = row->ntiles - start;
        const __mmask64 inside = nleft < 64 ? ((uint64_t)1 << nleft) - 1 : UINT64_MAX;
        const vec largest = _mm512_maskz_loadu_epi8(inside, row->largest + start);
        ask_for(row->largest + row->ntiles + start); /* of the next row */
        const uint64_t bits = _mm512_test_epi8_mask(largest, _mm512_set1_epi8(-HISTOGRAM_NDARK));
        n += list_columns((uint32_t)bits, start, column + n);
        n += list_columns((uint32_t)(bits >> 32), start + 32, column + n);
    }
    return n;
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

const plane_kernels plane_avx512 = {
    .narrow8 = narrow8,
    .narrow16 = narrow16,
    .narrow32 = narrow32,
    .describe = describe,
    .count = count,
    .list = list,
    .box = box,
};
#else
typedef int plane_avx512_is_not_built; /* a source file must not be empty */
#endif
