/* SPDX-License-Identifier: MIT */
/*
 * Contexts and lists of picked pixels (docs/format.md, "Picked pixels") by AVX2.
 *
 * It has no instruction that compresses.  So a table says which of eight are listed: of the lines
 * of two tiles, or of the pixels of two lines.  What is put down behind those, the next overwrite.
 */
#include "cpu_level.h"

#if defined(BRAGG_X86_64)
#include "lane_tables.h"
#include "look_up_simd.h"
#include "picked_lists.h"

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { LANES = 8, NPAIRS = LANES / 2 };

KERNEL BRAGG_INLINE __m128i load_64(const void *p) { return _mm_loadl_epi64(p); }

KERNEL BRAGG_INLINE __m128i load_128(const void *p) { return _mm_loadu_si128(p); }

KERNEL BRAGG_INLINE void store_64(void *p, __m128i v) { _mm_storel_epi64(p, v); }

KERNEL BRAGG_INLINE void store_128(void *p, __m128i v) { _mm_storeu_si128(p, v); }

KERNEL BRAGG_INLINE void store_256(void *p, __m256i v) { _mm256_storeu_si256(p, v); }

/* The lowest bytes of eight lanes. */
KERNEL BRAGG_INLINE __m128i lowest_bytes(__m256i lanes)
{
    const __m256i bytes = _mm256_shuffle_epi8(lanes, _mm256_set1_epi32(0x0C080400));
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

/* How many of four bits are set, less 1, for eight bytes below 16. */
KERNEL BRAGG_INLINE __m128i nbits_less_1(__m128i four)
{
    return _mm_shuffle_epi8(_mm_setr_epi8(-1, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3), four);
}

/* Of eight bytes below 16, any two side by side as the low and the high bits of the first one. */
KERNEL BRAGG_INLINE uint64_t join_fours(__m128i four)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_or_si128(four, _mm_srli_epi64(four, 4)));
}

/* Pair number p of the joined ones. */
KERNEL BRAGG_INLINE uint8_t pair_of(uint64_t joined, uint32_t p)
{
    return (uint8_t)(joined >> 16 * p);
}

/* For each of eight that are listed, whether it is of the first (2 p) or the second (2 p + 1) of
 * pair p. */
KERNEL BRAGG_INLINE __m128i whose(__m128i listed, uint32_t p)
{
    const __m128i second = _mm_and_si128(_mm_srli_epi16(listed, 2), _mm_set1_epi8(1));
    return _mm_add_epi8(second, _mm_set1_epi8((char)(2 * p)));
}

/* Of eight 16-bit numbers those with the given indices, a byte each. */
KERNEL BRAGG_INLINE __m128i look_up_shorts(__m128i numbers, __m128i index)
{
    const __m128i twice = _mm_add_epi8(index, index);
    const __m128i bytes = _mm_unpacklo_epi8(twice, _mm_add_epi8(twice, _mm_set1_epi8(1)));
    return _mm_shuffle_epi8(numbers, bytes);
}

/* The last tiles of a row, fewer than eight, and some bytes of theirs; zeros behind them. */
typedef struct last_tiles {
    uint16_t cell[LANES];
    uint16_t open[LANES];
    uint8_t byte[LANES];
} last_tiles;

BRAGG_INLINE last_tiles last_tiles_of(const picked_tiles *tiles, const uint8_t *byte, uint32_t t,
                                      uint32_t ntiles)
{
    const size_t n = ntiles - t;
    last_tiles last = {{0}, {0}, {0}};
    memcpy(last.cell, tiles->cell + t, n * sizeof *last.cell);
    memcpy(last.open, tiles->open + t, n * sizeof *last.open);
    memcpy(last.byte, byte + t, n);
    return last;
}

/* Contexts of eight tiles. */
KERNEL BRAGG_INLINE __m128i contexts_of(const picked_contexts *contexts, __m128i cell, __m128i open,
                                        __m128i above)
{
    const __m256i ncells = _mm256_set1_epi32((int)contexts->map->ncells);
    const __m128i is_shut = _mm_cmpeq_epi16(open, _mm_setzero_si128());
    const __m256i at =
        _mm256_blendv_epi8(_mm256_cvtepu16_epi32(cell), ncells, _mm256_cvtepi16_epi32(is_shut));
    const __m128i shift =
        _mm_shuffle_epi8(load_128(PICKED_CLASS_SHIFT), _mm_and_si128(above, _mm_set1_epi8(0xF)));
    const __m256i four = look_up_8(contexts->lines, at);
    return lowest_bytes(_mm256_srlv_epi32(four, _mm256_cvtepu8_epi32(shift)));
}

KERNEL void picked_lines_contexts_avx2(const picked_contexts *contexts, const picked_tiles *tiles,
                                       uint8_t *context)
{
    const uint32_t ntiles = contexts->map->ntx;
    uint32_t t = 0;
    for (; t + LANES <= ntiles; t += LANES) {
        if (t % 16 == 0)
            lines_ahead_ask(tiles->ahead);
        store_64(context + t, contexts_of(contexts, load_128(tiles->cell + t),
                                          load_128(tiles->open + t), load_64(tiles->above + t)));
    }
    if (t < ntiles) {
        const last_tiles last = last_tiles_of(tiles, tiles->above, t, ntiles);
        uint8_t eight[LANES];
        store_64(eight, contexts_of(contexts, load_128(last.cell), load_128(last.open),
                                    load_64(last.byte)));
        memcpy(context + t, eight, ntiles - t);
    }
}

/* Lists the lines of eight tiles from number t on, whose symbols have low bits alone; returns how
 * many. */
KERNEL BRAGG_INLINE uint32_t list_eight(__m128i symbols, __m128i cell, __m128i open, uint32_t t,
                                        const picked_lines *to, uint32_t n)
{
    const __m128i low_bits = _mm_set1_epi8(0xF);
    const __m128i even = _mm_and_si128(open, low_bits);
    const __m128i odd = _mm_and_si128(_mm_srli_epi16(open, LINE_NPIXELS), low_bits);
    const __m128i pixels[2] = {_mm_unpacklo_epi8(even, odd), _mm_unpackhi_epi8(even, odd)};
    const __m128i context = nbits_less_1(symbols);
    const uint64_t joined = join_fours(symbols);
    const uint32_t first = n;
    for (uint32_t p = 0; p < NPAIRS; p++) {
        const uint8_t lines = pair_of(joined, p);
        const __m128i listed = load_64(&LANES_CHOSEN[lines]);
        const __m128i tile = whose(listed, p);
        const __m128i line = _mm_set1_epi16((short)(TILE_EDGE * (t + 2 * p)));
        const __m128i half = pixels[p / 2];
        store_128(to->line + n, _mm_add_epi16(line, _mm_cvtepu8_epi16(listed)));
        store_128(to->cell + n, look_up_shorts(cell, tile));
        store_64(to->pixels + n,
                 _mm_shuffle_epi8(p % 2 ? _mm_unpackhi_epi64(half, half) : half, listed));
        store_64(to->context + n, _mm_shuffle_epi8(context, tile));
        n += (uint32_t)__builtin_popcount(lines);
    }
    return n - first;
}

KERNEL uint32_t picked_lines_list_avx2(const uint8_t *symbol, const picked_tiles *tiles,
                                       uint32_t ntiles, const picked_lines *to)
{
    const __m128i low_bits = _mm_set1_epi8(0xF);
    uint32_t n = 0;
    uint32_t t = 0;
    for (; t + LANES <= ntiles; t += LANES) {
        const __m128i symbols = _mm_and_si128(load_64(symbol + t), low_bits);
        if (t % 16 == 0)
            lines_ahead_ask(tiles->ahead);
        if (_mm_cvtsi128_si64(symbols))
            n +=
                list_eight(symbols, load_128(tiles->cell + t), load_128(tiles->open + t), t, to, n);
    }
    if (t < ntiles) {
        const last_tiles last = last_tiles_of(tiles, symbol, t, ntiles);
        n += list_eight(_mm_and_si128(load_64(last.byte), low_bits), load_128(last.cell),
                        load_128(last.open), t, to, n);
    }
    return n;
}

/* What eight lines have in common with their pixels. */
typedef struct eight_lines {
    __m256i at; /* of their first pixels */
    __m256i least;
    __m128i cell;
    __m128i context;
    uint64_t picked; /* bits of pairs */
} eight_lines;

/* Two of the table's pairs by two indices in memory. */
KERNEL BRAGG_INLINE __m128i load_bases(const picked_base *base, const uint16_t *cell)
{
    return _mm_unpacklo_epi64(load_64(base + cell[0]), load_64(base + cell[1]));
}

/* Four of them, numbers 0, 1, 4 and 5. */
KERNEL BRAGG_INLINE __m256 load_four_bases(const picked_base *base, const uint16_t *cell)
{
    const __m256i low = _mm256_castsi128_si256(load_bases(base, cell));
    return _mm256_castsi256_ps(_mm256_inserti128_si256(low, load_bases(base, cell + 4), 1));
}

/* Places of the first pixels of eight lines. */
KERNEL BRAGG_INLINE __m256i places_of(const picked_places *places, __m256i line)
{
    const __m256i in_tile = _mm256_and_si256(line, _mm256_set1_epi32(TILE_EDGE - 1));
    const __m256i column = _mm256_srli_epi32(line, 2);
    const __m256i down = _mm256_mullo_epi32(in_tile, _mm256_set1_epi32((int)places->line));
    const __m256i along = _mm256_mullo_epi32(column, _mm256_set1_epi32((int)places->column));
    return _mm256_add_epi32(_mm256_set1_epi32((int)places->first), _mm256_add_epi32(down, along));
}

/* Lists the pixels of eight lines; returns how many. */
KERNEL BRAGG_INLINE uint32_t list_pixels(const eight_lines *e, const picked_pixels *to, uint32_t n)
{
    const uint32_t first = n;
    for (uint32_t p = 0; p < NPAIRS; p++) {
        const uint8_t pixels = pair_of(e->picked, p);
        const __m128i listed = load_64(&LANES_CHOSEN[pixels]);
        const __m128i line = whose(listed, p);
        const __m256i from = _mm256_cvtepu8_epi32(line);
        const __m256i in_line = _mm256_cvtepu8_epi32(_mm_and_si128(listed, _mm_set1_epi8(3)));
        store_256(to->at + n, _mm256_add_epi32(_mm256_permutevar8x32_epi32(e->at, from), in_line));
        if (to->least)
            store_256(to->least + n, _mm256_permutevar8x32_epi32(e->least, from));
        if (to->cell)
            store_128(to->cell + n, look_up_shorts(e->cell, line));
        store_64(to->context + n, _mm_shuffle_epi8(e->context, line));
        n += (uint32_t)__builtin_popcount(pixels);
    }
    return n - first;
}

KERNEL uint32_t picked_pixels_list_avx2(const picked_base *base, const picked_places *places,
                                        const picked_lines *lines, const uint8_t *symbol,
                                        uint32_t n, const picked_pixels *to, uint32_t *seen)
{
    const __m128i low_bits = _mm_set1_epi16(0xF);
    __m128i impossible = _mm_setzero_si128();
    __m256i tight = _mm256_setzero_si256();
    uint32_t npixels = 0;
    uint32_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        const __m128i bits =
            _mm_add_epi16(_mm_cvtepu8_epi16(load_64(symbol + j)), _mm_set1_epi16(1));
        const __m128i possible = _mm_cvtepu8_epi16(load_64(lines->pixels + j));
        const __m128i low = _mm_and_si128(bits, low_bits);
        const __m128i four = _mm_packus_epi16(low, low);
        const __m256 some = load_four_bases(base, lines->cell + j);
        const __m256 others = load_four_bases(base, lines->cell + j + 2);
        const __m256i more = _mm256_castps_si256(_mm256_shuffle_ps(some, others, 0xDD));
        const __m128i context = _mm_add_epi8(lowest_bytes(more), load_64(lines->context + j));
        const eight_lines eight = {
            .at = places_of(places, _mm256_cvtepu16_epi32(load_128(lines->line + j))),
            .least = _mm256_castps_si256(_mm256_shuffle_ps(some, others, 0x88)),
            .cell = load_128(lines->cell + j),
            .context = _mm_add_epi8(context, nbits_less_1(four)),
            .picked = join_fours(four)};
        impossible = _mm_or_si128(impossible, _mm_andnot_si128(possible, bits));
        tight = _mm256_or_si256(tight, more);
        npixels += list_pixels(&eight, to, npixels);
    }
    uint16_t wrong[LANES];
    uint32_t rare[LANES];
    store_128(wrong, impossible);
    store_256(rare, tight);
    for (uint32_t k = 0; k < LANES; k++)
        *seen |= wrong[k] | rare[k] >> 16 << SEEN_TIGHT_SHIFT;
    const picked_lines left = picked_lines_from(lines, j);
    const picked_pixels rest = picked_pixels_from(to, npixels);
    return npixels + picked_pixels_list_plain(base, places, &left, symbol + j, n - j, &rest, seen);
}
#endif
