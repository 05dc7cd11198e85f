/* SPDX-License-Identifier: MIT */
/*
 * All that a row of tiles puts into the streams of picked pixels (docs/format.md, "Picked pixels").
 *
 * Sixteen tiles go together.  Few have picked pixels, so these are listed first, with what is above
 * the threshold, as long as that is in registers: which lines of tiles are there is known without
 * bringing the rows of a tile together.  Then that is done for sixteen tiles of the list, so that a
 * quarter of a vector is a tile.  What is known per tile or line of it is found for all sixteen at
 * once, a byte for each line.  More is put down than there is, and the next overwrites what is
 * none.
 */
#include "picked_writer.h"

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"
#include "tile_transpose.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,bmi2,"        \
                          "popcnt")))

enum { QUARTERS = 4, HALF_NLINES = 32 };

/* Sixteen tiles: lanes of what is known of each. */
typedef struct sixteen_tiles {
    __m512i rule;
    __m512i threshold; /* in every byte: 255 of special ones */
    __m512i context;   /* of the symbol of its lines */
    __mmask16 special;
} sixteen_tiles;

/* Byte k of every lane, four times. */
KERNEL BRAGG_INLINE __m512i spread_byte(__m512i lanes, int k)
{
    const __m512i from =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    return _mm512_shuffle_epi8(lanes, _mm512_add_epi8(from, _mm512_set1_epi8((char)k)));
}

/* Where a row ends, blank tiles follow. */
KERNEL BRAGG_INLINE __m512i look_up_rules(int by_loads, const pick_row *row, uint32_t t,
                                          __mmask16 inside)
{
    uint16_t cell[GROUP_NTILES];
    if (inside == 0xFFFF)
        return look_up_16_at(by_loads, row->rule, row->cell + t);
    _mm256_storeu_si256(
        (void *)cell,
        _mm256_mask_loadu_epi16(_mm256_set1_epi16((short)BRAGG_NO_CELL), inside, row->cell + t));
    return look_up_16_at(by_loads, row->rule, cell);
}

KERNEL BRAGG_INLINE sixteen_tiles look_up_tiles(int by_loads, const pick_row *row, uint32_t t,
                                                __mmask16 inside, const uint8_t *symbol_above)
{
    enum { FEW = PICK_LINES(1), MANY = PICK_LINES(2) };
    const __m128i shifts =
        _mm_setr_epi8(PICK_LINES(0), FEW, FEW, FEW, FEW, FEW, FEW, MANY, FEW, FEW, FEW, MANY, FEW,
                      MANY, MANY, MANY); /* by the symbol of the tile above */
    const __m512i contexts = _mm512_set1_epi32(PICK_CONTEXT);
    const __m256i valid = _mm256_maskz_loadu_epi16(inside, row->valid + t);
    const __m128i kept = _mm_maskz_loadu_epi8(inside, row->kept + t);
    const __m128i large = _mm_maskz_loadu_epi8(inside, row->has_large + t);
    const __m128i above = _mm_maskz_loadu_epi8(inside, symbol_above + t);
    const __m512i rule = look_up_rules(by_loads, row, t, inside);
    const __mmask16 is_open =
        _mm256_test_epi16_mask(valid, valid) & _mm_testn_epi8_mask(kept, kept);
    const __m512i shift = _mm512_cvtepu8_epi32(_mm_shuffle_epi8(shifts, above));
    sixteen_tiles s;
    s.special = (__mmask16)(_mm512_movepi32_mask(rule) |
                            _mm_test_epi8_mask(_mm_or_si128(kept, large), _mm_set1_epi8(-1)));
    s.threshold = spread_byte(_mm512_mask_mov_epi32(rule, s.special, _mm512_set1_epi32(-1)), 0);
    s.rule = rule;
    s.context = /* of a tile that is not open, that of blank ones */
        _mm512_mask_and_epi32(contexts, is_open, _mm512_srlv_epi32(rule, shift), contexts);
    return s;
}

/* What rows of pixels of sixteen tiles are above their thresholds. */
KERNEL BRAGG_INLINE void load_excess(const uint8_t *value, size_t stride, __m512i threshold,
                                     __m512i excess[TILE_EDGE])
{
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        excess[i] = _mm512_subs_epu8(_mm512_loadu_si512(value + i * stride), threshold);
}

/* Odd tiles, whose thresholds nothing exceeds: their pixels are known, and become 1. */
KERNEL BRAGG_INLINE void add_odd(const uint16_t *odd, __m512i excess[TILE_EDGE])
{
    const uint64_t tiles = 0x0001000100010001u;
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        uint64_t pixels = 0;
        for (uint32_t k = 0; k < QUARTERS; k++) {
            uint64_t four;
            memcpy(&four, odd + QUARTERS * k, sizeof four);
            pixels |= _pext_u64(four, 0xF * tiles << TILE_EDGE * i) << 16 * k;
        }
        excess[i] = _mm512_mask_mov_epi8(excess[i], pixels, _mm512_set1_epi8(1));
    }
}

/* The symbols of sixteen tiles: which of their lines are there. */
KERNEL BRAGG_INLINE __m128i symbols_of(const __m512i excess[TILE_EDGE])
{
    __m128i symbol = _mm_setzero_si128();
    for (int i = 0; i < TILE_EDGE; i++)
        symbol = _mm_mask_add_epi8(symbol, _mm512_test_epi32_mask(excess[i], excess[i]), symbol,
                                   _mm_set1_epi8((char)(1 << i)));
    return symbol;
}

/* Adds those of sixteen tiles that have lines to a list; returns their number. */
KERNEL BRAGG_INLINE uint32_t list_tiles(__m128i symbol, const __m512i excess[TILE_EDGE],
                                        __m512i rule, uint32_t *list, size_t room)
{
    const __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 tiles = _mm_test_epi8_mask(symbol, symbol);
    const __m512i from = _mm512_maskz_compress_epi32(tiles, number);
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        _mm512_storeu_si512(list + i * room, _mm512_permutexvar_epi32(from, excess[i]));
    _mm512_storeu_si512(list + TILE_EDGE * room, _mm512_permutexvar_epi32(from, rule));
    return (uint32_t)__builtin_popcount(tiles);
}

/* Lists all tiles with picked pixels, and puts down what does not need more; returns their number.
 */
KERNEL BRAGG_INLINE uint32_t list_row(int by_loads, const pick_row *row, const found_row *found,
                                      const put_row *put)
{
    const pick_row in = *row; /* in registers, whatever is written */
    const put_row to = *put;
    uint32_t n = 0;
    for (uint32_t t = 0; t < in.ntx; t += GROUP_NTILES) {
        const uint32_t left = in.ntx - t;
        const __mmask16 inside = (__mmask16)(left < GROUP_NTILES ? (1u << left) - 1 : 0xFFFF);
        const uint8_t *value = in.value + (size_t)t * TILE_EDGE;
        const __m256i odd = _mm256_loadu_si256((const void *)(in.odd + t));
        __m512i excess[TILE_EDGE];
        ask_for_next_group(value, in.stride);
        const sixteen_tiles s = look_up_tiles(by_loads, &in, t, inside, to.symbol_above);
        load_excess(value, in.stride, s.threshold, excess);
        if (!_mm256_testz_si256(odd, odd))
            add_odd(in.odd + t, excess);
        const __m128i symbol = symbols_of(excess);
        const __m128i context = _mm512_cvtepi32_epi8(s.context);
        _mm_storeu_si128((void *)(to.symbol + t), symbol);
        _mm_storeu_si128((void *)(to.tile_pair + t), _mm_unpacklo_epi8(symbol, context));
        _mm_storeu_si128((void *)(to.tile_pair + t + GROUP_NTILES / 2),
                         _mm_unpackhi_epi8(symbol, context));
        found->special[t / GROUP_NTILES] = (uint16_t)(s.special & inside);
        to.tiles_before[t / GROUP_NTILES] = n;
        n += list_tiles(symbol, excess, s.rule, to.list + n, to.list_room);
    }
    return n;
}

/* Sixteen tiles of the list, fewer at its end, each in a quarter of a vector. */
KERNEL BRAGG_INLINE void load_tiles(const uint32_t *list, size_t room, __mmask16 inside,
                                    __m512i tiles[QUARTERS])
{
    const __m512i quarters =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i r[TILE_EDGE];
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        r[i] =
            _mm512_permutexvar_epi32(quarters, _mm512_maskz_loadu_epi32(inside, list + i * room));
    transpose_512(r, tiles);
}

/* Bytes 16 k to 16 k + 15, four times each: of the lines of four tiles. */
KERNEL BRAGG_INLINE __m512i spread_lines(__m512i lines, int k)
{
    const __m512i line =
        _mm512_setr_epi32(0, 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505, 0x06060606,
                          0x07070707, 0x08080808, 0x09090909, 0x0A0A0A0A, 0x0B0B0B0B, 0x0C0C0C0C,
                          0x0D0D0D0D, 0x0E0E0E0E, 0x0F0F0F0F);
    return _mm512_permutexvar_epi8(_mm512_add_epi8(line, _mm512_set1_epi8((char)(16 * k))), lines);
}

/* The four bits of each of 64 lines, a byte each. */
KERNEL BRAGG_INLINE __m512i lines_of(const uint64_t pixels[QUARTERS])
{
    const __m128i low =
        _mm_insert_epi64(_mm_cvtsi64_si128((long long)pixels[0]), (long long)pixels[1], 1);
    const __m128i high =
        _mm_insert_epi64(_mm_cvtsi64_si128((long long)pixels[2]), (long long)pixels[3], 1);
    const __m512i two =
        _mm512_cvtepu8_epi16(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
    return _mm512_and_si512(_mm512_or_si512(two, _mm512_slli_epi16(two, 4)), _mm512_set1_epi8(0xF));
}

/* The symbols of sixteen tiles by their lines. */
KERNEL BRAGG_INLINE __m512i line_symbols(__mmask64 lines)
{
    const __m512i bits = _mm512_maskz_mov_epi8(lines, _mm512_set1_epi32(0x08040201));
    return _mm512_madd_epi16(_mm512_maddubs_epi16(bits, _mm512_set1_epi8(1)), _mm512_set1_epi16(1));
}

/* Of numbers below 16, the number of their bits less 1. */
KERNEL BRAGG_INLINE __m512i nbits_less_1(__m512i numbers)
{
    const __m128i less_1 = _mm_setr_epi8(-1, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(less_1), numbers);
}

/* Pairs of 32 symbols and contexts. */
KERNEL BRAGG_INLINE void put_pairs(uint16_t *pair, __m256i symbol, __m256i context)
{
    const __m512i high = _mm512_slli_epi16(_mm512_cvtepu8_epi16(context), 8);
    _mm512_storeu_si512(pair, _mm512_or_si512(high, _mm512_cvtepu8_epi16(symbol)));
}

/* Adds pairs of those of 64 lines that are there; returns their number. */
KERNEL BRAGG_INLINE uint32_t put_lines(uint16_t *pair, __mmask64 are_there, __m512i line,
                                       __m512i context)
{
    const uint32_t n = (uint32_t)__builtin_popcountll(are_there);
    const __m512i symbols =
        _mm512_maskz_compress_epi8(are_there, _mm512_add_epi8(line, _mm512_set1_epi8(-1)));
    const __m512i contexts = _mm512_maskz_compress_epi8(are_there, context);
    put_pairs(pair, _mm512_castsi512_si256(symbols), _mm512_castsi512_si256(contexts));
    if (n > HALF_NLINES)
        put_pairs(pair + HALF_NLINES, _mm512_extracti64x4_epi64(symbols, 1),
                  _mm512_extracti64x4_epi64(contexts, 1));
    return n;
}

/* Finds the pixels of sixteen tiles, and puts down their heights; returns their number. */
KERNEL BRAGG_INLINE uint32_t put_heights(const __m512i tiles[QUARTERS], uint64_t pixels[QUARTERS],
                                         uint8_t *height)
{
    uint32_t n = 0;
    for (int k = 0; k < QUARTERS; k++) {
        pixels[k] = _mm512_test_epi8_mask(tiles[k], tiles[k]);
        _mm512_storeu_si512(
            height + n,
            _mm512_maskz_compress_epi8(pixels[k], _mm512_add_epi8(tiles[k], _mm512_set1_epi8(-1))));
        n += (uint32_t)__builtin_popcountll(pixels[k]);
    }
    return n;
}

/* Puts down the contexts of their heights, given those of lines. */
KERNEL BRAGG_INLINE void put_contexts(const uint64_t pixels[QUARTERS], __m512i line,
                                      uint8_t *context)
{
    for (int k = 0; k < QUARTERS; k++) {
        _mm512_storeu_si512(context, _mm512_maskz_compress_epi8(pixels[k], spread_lines(line, k)));
        context += __builtin_popcountll(pixels[k]);
    }
}

/* Puts down lines and pixels of the tiles of the list. */
KERNEL BRAGG_INLINE put_counts put_listed(uint32_t ntiles, const found_row *found,
                                          const put_row *put)
{
    const found_row out = *found;
    const put_row to = *put;
    put_counts n = {0, 0};
    for (uint32_t t = 0; t < ntiles; t += GROUP_NTILES) {
        const uint32_t left = ntiles - t;
        const __mmask16 inside = (__mmask16)(left < GROUP_NTILES ? (1u << left) - 1 : 0xFFFF);
        __m512i tiles[QUARTERS];
        uint64_t pixels[QUARTERS];
        load_tiles(to.list + t, to.list_room, inside, tiles);
        const uint32_t npixels = put_heights(tiles, pixels, out.height + n.npixels);
        const __m512i line = lines_of(pixels);
        const __mmask64 lines = _mm512_test_epi8_mask(line, line);
        const __m512i line_context = spread_byte(nbits_less_1(line_symbols(lines)), 0);
        const __m512i height =
            spread_byte(_mm512_loadu_si512(to.list + TILE_EDGE * to.list_room + t), 1);
        put_contexts(pixels,
                     _mm512_add_epi8(_mm512_add_epi8(height, line_context), nbits_less_1(line)),
                     to.context + n.npixels);
        out.before[t / GROUP_NTILES] = n.npixels;
        for (int k = 0; k < QUARTERS; k++)
            memcpy(out.above + t + QUARTERS * k, &pixels[k], sizeof pixels[k]);
        n.npixels += npixels;
        n.nlines += put_lines(to.line_pair + n.nlines, lines, line, line_context);
    }
    out.before[(ntiles + GROUP_NTILES - 1) / GROUP_NTILES] = n.npixels;
    return n;
}

KERNEL static put_counts put_row_loads(const pick_row *row, const found_row *found,
                                       const put_row *put)
{
    return put_listed(list_row(1, row, found, put), found, put);
}

KERNEL static put_counts put_row_gathers(const pick_row *row, const found_row *found,
                                         const put_row *put)
{
    return put_listed(list_row(0, row, found, put), found, put);
}
#endif

put_row_function *put_row_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return bragg_gathers_are_slow() ? put_row_loads : put_row_gathers;
    if (bragg_cpu_level() == CPU_AVX2)
        return put_row_avx2();
#endif
    return NULL;
}
