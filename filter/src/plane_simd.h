/* SPDX-License-Identifier: MIT */
/*
 * The loops over the pixels for vectors of any width.  Included by plane_sse4.c, plane_avx2.c and
 * plane_avx512.c, which define before:
 *
 *   vec, LEVEL_INLINE, LEVEL_TARGET   the vector type; attributes of functions
 *   VEC(op)                           the intrinsic of an operation that is the same for all widths
 *   load, store, zero, and_bits       unaligned; whole vectors
 *   narrow_16, narrow_32              a vector of bytes, saturated, of as many pixels
 *   equal_bytes                       marks of bytes that are equal
 *   equal_8, equal_16, equal_32       marks of pixels that equal a code, at their bytes
 *   high_bits                         the top bits of the bytes
 *   store_low8, store_low16           the low 8 or 16 bits of each 32-bit number, in order
 *   store_pairs                       a[0], b[0], a[1], b[1], ... for vectors of 32-bit numbers
 *   odd_words                         even 16-bit numbers of the first, odd ones of the second
 *   lanes                             16 bytes in every 128-bit lane
 *   join_lanes                        a vector of its 128-bit lanes
 *   byte_after                        the bytes of a but the first, then the first of b
 *   byte_before                       the last byte of a, then those of b but the last
 *   bits_beyond                       bit j: byte j of the first is above that of the second
 *   LEVEL_HAS_COUNT                   if the kernel `count` is defined elsewhere; then store_pairs
 *                                     and odd_words are not needed
 *   LEVEL_HAS_DESCRIBE                if the kernel `describe` is defined elsewhere; it may use
 *                                     describe_tiles, or look_at_tiles and largest_of
 *   LEVEL_HAS_MARKS                   if marks of bytes are not vectors with bytes 0 and 0xFF; then
 *                                     what is done with them is defined elsewhere
 *   LEVEL_HAS_COPY_REST               if copy_rest, which narrowing uses, is defined elsewhere
 *
 * A vector holds rows of NVEC_TILES tiles side by side: a row of a tile is a 32-bit number.
 */
#include <string.h>

#include "pixel.h"

enum { VEC_NBYTES = sizeof(vec), VEC_NTILES = sizeof(vec) / TILE_EDGE };

/* Narrowing. */

#ifndef LEVEL_HAS_MARKS
typedef vec marks;

LEVEL_INLINE marks no_marks(void) { return zero(); }

LEVEL_INLINE marks or_marks(marks a, marks b) { return or_bits(a, b); }

LEVEL_INLINE int has_marks(marks m) { return !is_zero(m); }

LEVEL_INLINE uint64_t mark_bits(marks m) { return high_bits(m); }

LEVEL_INLINE vec clear_marked(marks m, vec v) { return clear_bits(m, v); }
#endif

LEVEL_INLINE vec narrow_vector(const int width, const uint8_t *pixels)
{
    return width == 4 ? narrow_32(pixels) : width == 2 ? narrow_16(pixels) : load(pixels);
}

LEVEL_INLINE marks equal_code(const int width, const uint8_t *pixels, uint32_t code)
{
    return width == 4   ? equal_32(pixels, code)
           : width == 2 ? equal_16(pixels, code)
                        : equal_8(pixels, code);
}

/* Pixels with a mask code get the byte 0; adds bits of codes to *found. */
LEVEL_INLINE group_bits mask_group(const int width, const uint8_t *pixels, const raw_codes *codes,
                                   uint8_t *value, uint8_t *found)
{
    const vec lookup = VEC(set1_epi8)((char)BYTE_LOOKUP);
    group_bits bits = {0, 0};
    for (int i = 0; i < GROUP_NPIXELS; i += VEC_NBYTES) {
        marks masked = no_marks();
        for (uint32_t k = 0; k < codes->n; k++) {
            const marks equal = equal_code(width, pixels + i * width, codes->code[k]);
            masked = or_marks(masked, equal);
            *found |= (uint8_t)(has_marks(equal) << k);
        }
        const vec v = clear_marked(masked, load(value + i));
        store(value + i, v);
        bits.masked |= mark_bits(masked) << i;
        bits.lookup |= mark_bits(equal_bytes(v, lookup)) << i;
    }
    return bits;
}

LEVEL_INLINE void narrow_group(const int width, const uint8_t *pixels, const raw_codes *codes,
                               uint8_t *value, group_bits *bits, uint8_t *found)
{
    const vec below_least = VEC(set1_epi8)((char)(codes->least - 1));
    vec suspect = VEC(set1_epi8)((char)(codes->least == 0));
    for (int i = 0; i < GROUP_NPIXELS; i += VEC_NBYTES) {
        const vec v = narrow_vector(width, pixels + i * width);
        store(value + i, v);
        suspect = or_bits(suspect, VEC(subs_epu8)(v, below_least));
    }
    *bits = (group_bits){0, 0};
    if (!is_zero(suspect))
        *bits = mask_group(width, pixels, codes, value, found);
}

/* Groups g to g + n - 1 of each row. */
LEVEL_INLINE void narrow_piece(const int width, const narrowed_rows *rows, size_t g, const size_t n,
                               const raw_codes *codes)
{
    const uint8_t *pixels = rows->pixels + g * GROUP_NPIXELS * (size_t)width;
    uint8_t *value = rows->value + g * GROUP_NPIXELS;
    group_bits *bits = rows->bits + g;
    uint8_t *found = rows->found + g;
    for (uint32_t row = 0; row < rows->n; row++) {
        for (size_t k = 0; k < n; k++)
            narrow_group(width, pixels + k * GROUP_NPIXELS * (size_t)width, codes,
                         value + k * GROUP_NPIXELS, bits + k, found + k);
        pixels += rows->pixels_step * (size_t)width;
        value += rows->value_step;
        bits += rows->bits_step;
        found += rows->found_step;
    }
}

#ifndef LEVEL_HAS_COPY_REST
/* A group whose first bytes are the n at p, and zeros behind them. */
LEVEL_INLINE void copy_rest(const int width, const uint8_t *p, size_t n, uint8_t *group)
{
    memset(group, 0, GROUP_NPIXELS * (size_t)width);
    memcpy(group, p, n);
}
#endif

/* What is behind the last group of each row. */
LEVEL_INLINE void narrow_rest(const int width, const narrowed_rows *rows, const raw_codes *codes)
{
    _Alignas(64) uint8_t group[GROUP_NPIXELS * sizeof(uint32_t)];
    const size_t g = rows->ngroups;
    const size_t pixel_nbytes = (size_t)width;
    for (uint32_t row = 0; row < rows->n; row++) {
        const size_t first = row * rows->pixels_step + g * GROUP_NPIXELS;
        copy_rest(width, rows->pixels + first * pixel_nbytes, rows->nrest * pixel_nbytes, group);
        narrow_group(width, group, codes, rows->value + row * rows->value_step + g * GROUP_NPIXELS,
                     rows->bits + row * rows->bits_step + g,
                     rows->found + row * rows->found_step + g);
    }
}

/*
 * Compilers do not know that bytes which are written are not those of rows and codes: they would
 * read these again and again, but for copies.  And a piece is best if its size is known to them.
 */
LEVEL_INLINE void narrow(const int width, const narrowed_rows *all_rows, const raw_codes *all_codes)
{
    const narrowed_rows rows = *all_rows;
    const raw_codes codes = *all_codes;
    size_t g = 0;
    for (; g + NARROW_AT_ONCE <= rows.ngroups; g += NARROW_AT_ONCE)
        narrow_piece(width, &rows, g, NARROW_AT_ONCE, &codes);
    for (; g < rows.ngroups; g++)
        narrow_piece(width, &rows, g, 1, &codes);
    if (rows.nrest)
        narrow_rest(width, &rows, &codes);
}

LEVEL_TARGET static void narrow8(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(1, rows, codes);
}

LEVEL_TARGET static void narrow16(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(2, rows, codes);
}

LEVEL_TARGET static void narrow32(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(4, rows, codes);
}

/* Sums of tiles. */

LEVEL_INLINE vec even_bytes(vec v) { return and_bits(v, VEC(set1_epi16)(0xFF)); }

LEVEL_INLINE vec odd_bytes(vec v) { return VEC(srli_epi16)(v, 8); }

/* What tiles hold: 32-bit numbers, but the largest bytes of their columns. */
typedef struct tile_numbers {
    vec sum;
    vec squares;
    vec largest;
} tile_numbers;

LEVEL_INLINE tile_numbers look_at_tiles(const uint8_t *value, size_t stride)
{
    tile_numbers n = {zero(), zero(), zero()};
    vec words = zero();
    for (size_t row = 0; row < TILE_EDGE; row++) {
        const vec v = load(value + row * stride);
        const vec even = even_bytes(v);
        const vec odd = odd_bytes(v);
        words = VEC(add_epi16)(words, VEC(add_epi16)(even, odd));
        n.squares = VEC(add_epi32)(n.squares, VEC(madd_epi16)(even, even));
        n.squares = VEC(add_epi32)(n.squares, VEC(madd_epi16)(odd, odd));
        n.largest = VEC(max_epu8)(n.largest, v);
    }
    n.sum = VEC(madd_epi16)(words, VEC(set1_epi16)(1));
    n.squares = VEC(min_epu32)(n.squares, VEC(set1_epi32)(MOST_SQUARES));
    return n;
}

/* The largest byte of each tile, of those of its columns, as a 32-bit number. */
LEVEL_INLINE vec largest_of(vec columns)
{
    const vec two = VEC(max_epu8)(columns, VEC(srli_epi32)(columns, 16));
    return and_bits(VEC(max_epu8)(two, VEC(srli_epi32)(two, 8)), VEC(set1_epi32)(0xFF));
}

/* Returns the sums. */
LEVEL_INLINE vec describe_tiles(const uint8_t *value, size_t stride, const tile_outputs *out,
                                size_t t)
{
    const tile_numbers n = look_at_tiles(value + TILE_EDGE * t, stride);
    const vec largest = largest_of(n.largest);
    /* 255 + 1 alone has bit 8. */
    const vec is_large = VEC(srli_epi32)(VEC(add_epi32)(largest, VEC(set1_epi32)(1)), 8);
    store_low16(out->sum + t, n.sum);
    store_low16(out->squares + t, n.squares);
    store_low8(out->largest + t, largest);
    store_low8(out->has_large + t, is_large);
    return n.sum;
}

#ifndef LEVEL_HAS_DESCRIBE
/* 1024 groups make a row at most: sums of a row fit in 32 bits. */
LEVEL_TARGET static uint64_t describe(const uint8_t *value, size_t stride, size_t ngroups,
                                      const tile_outputs *out)
{
    uint32_t part[VEC_NTILES];
    vec sums = zero();
    for (size_t t = 0; t < ngroups * GROUP_NTILES; t += VEC_NTILES)
        sums = VEC(add_epi32)(sums, describe_tiles(value, stride, out, t));
    store(part, sums);
    uint64_t total = 0;
    for (int i = 0; i < VEC_NTILES; i++)
        total += part[i];
    return total;
}
#endif

/* Counting, but where the level has something better. */

#ifndef LEVEL_HAS_COUNT
enum { COUNTS_AT_ONCE = 8 };

/*
 * Counts of two values in the two bytes of each 16-bit number, summed over four rows: the low four
 * bits of its low byte are one value's, the high four the other's.  The table has 1 and 16 for
 * them.  The high byte is left over.
 */
LEVEL_INLINE vec count_two(const vec rows[TILE_EDGE], vec table)
{
    vec n = zero();
    for (int row = 0; row < TILE_EDGE; row++)
        n = VEC(add_epi8)(n, VEC(shuffle_epi8)(table, rows[row]));
    return VEC(add_epi8)(n, VEC(srli_epi16)(n, 8));
}

/* Counts of the values first to first + 3: the four bytes of a tile's 32-bit number. */
LEVEL_INLINE vec count_four(const vec rows[TILE_EDGE], int first)
{
    uint8_t table02[16] = {0};
    uint8_t table13[16] = {0};
    table02[first] = table13[first + 1] = 1;
    table02[first + 2] = table13[first + 3] = 16;
    const vec low_halves = VEC(set1_epi8)(0x0F);
    const vec n = or_bits(even_bytes(count_two(rows, lanes(table02))),
                          VEC(slli_epi16)(count_two(rows, lanes(table13)), 8));
    const vec n01 = and_bits(n, low_halves);
    const vec n23 = and_bits(VEC(srli_epi16)(n, 4), low_halves);
    return VEC(add_epi8)(odd_words(n01, VEC(slli_epi32)(n23, 16)),
                         odd_words(VEC(srli_epi32)(n01, 16), n23));
}

LEVEL_INLINE void add_eight(uint16_t *counter, const uint8_t *counts)
{
    const __m128i bytes = _mm_loadl_epi64((const void *)counts);
    __m128i *at = (__m128i *)(void *)counter;
    _mm_store_si128(at, _mm_add_epi16(_mm_load_si128(at), _mm_cvtepu8_epi16(bytes)));
}

LEVEL_INLINE void count_bytes(const counted_row *row, size_t first_tile, uint32_t base,
                              uint8_t *counts)
{
    const vec first = VEC(set1_epi8)((char)base);
    const vec other = VEC(set1_epi8)(15);
    for (size_t t = 0; t < GROUP_NTILES; t += VEC_NTILES) {
        vec rows[TILE_EDGE];
        for (size_t i = 0; i < TILE_EDGE; i++) {
            const vec v = load(row->value + i * row->stride + TILE_EDGE * (first_tile + t));
            rows[i] = VEC(min_epu8)(VEC(sub_epi8)(v, first), other);
        }
        store_pairs(counts + COUNTS_AT_ONCE * t, count_four(rows, 0), count_four(rows, 4));
    }
}

/* Whether some of 16 tiles has a byte of COUNTS_AT_ONCE or more. */
static inline int some_bright(const uint8_t largest[GROUP_NTILES])
{
    uint64_t half[2];
    memcpy(half, largest, sizeof half);
    return ((half[0] | half[1]) & 0x0101010101010101u * (256u - COUNTS_AT_ONCE)) != 0;
}

/* Masked pixels are zeros among the bytes. */
LEVEL_TARGET static void count(const counted_row *row, uint16_t *counter)
{
    uint8_t counts[GROUP_NTILES * COUNTS_AT_ONCE];
    const grouped_cells cells = group_cells(row->cell, row->ntiles);
    for (size_t first = 0; first < row->ntiles; first += GROUP_NTILES) {
        const uint16_t *cell = cells_of(&cells, first / GROUP_NTILES);
        ask_for_next_group(row->value + TILE_EDGE * first, row->stride);
        count_bytes(row, first, 0, counts);
        for (size_t t = 0; t < GROUP_NTILES; t++) {
            uint16_t *c = counter + (size_t)cell[t] * HISTOGRAM_NDARK;
            add_eight(c, counts + COUNTS_AT_ONCE * t);
            if (row->valid[first + t] != 0xFFFF)
                c[0] = (uint16_t)(c[0] - count_invalid(row->valid[first + t]));
        }
        if (!some_bright(row->largest + first))
            continue;
        count_bytes(row, first, COUNTS_AT_ONCE, counts);
        for (size_t t = 0; t < GROUP_NTILES; t++)
            add_eight(counter + (size_t)cell[t] * HISTOGRAM_NDARK + COUNTS_AT_ONCE,
                      counts + COUNTS_AT_ONCE * t);
    }
}
#endif

#include "box_simd.h"
