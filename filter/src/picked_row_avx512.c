/* SPDX-License-Identifier: MIT */
/*
 * All that a row of tiles puts into the streams of picked pixels, found while its bytes are in
 * registers (docs/format.md, "Picked pixels").
 *
 * Sixteen tiles go together: their rows are brought together, so that a quarter of a vector is a
 * tile.  What is known per tile or line of it is found for all sixteen at once, a byte for each
 * line.  More is put down than there is, and the next overwrites what is none.
 */
#include "picked_writer.h"

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"
#include "tile_transpose.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,popcnt")))

enum { QUARTERS = 4, HALF_NLINES = 32 };

/* Sixteen tiles: lanes of what is known of each; four equal bytes, but for `context`. */
typedef struct sixteen_tiles {
    __m512i threshold; /* 255 of special ones */
    __m512i height;    /* least context of a height */
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

/* Rules of sixteen cells. */
KERNEL BRAGG_INLINE __m512i rules_of(int by_loads, const uint32_t *rule, const uint16_t *cell)
{
    __m128i four[QUARTERS];
    if (!by_loads)
        return _mm512_i32gather_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)cell)),
                                      (const void *)rule, 4);
    for (int k = 0; k < QUARTERS; k++, cell += QUARTERS) {
        four[k] = _mm_cvtsi32_si128((int)rule[cell[0]]);
        four[k] = _mm_insert_epi32(four[k], (int)rule[cell[1]], 1);
        four[k] = _mm_insert_epi32(four[k], (int)rule[cell[2]], 2);
        four[k] = _mm_insert_epi32(four[k], (int)rule[cell[3]], 3);
    }
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(four[0]), four[1], 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(four[2]), four[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Where a row ends, blank tiles follow. */
KERNEL BRAGG_INLINE __m512i look_up_rules(int by_loads, const pick_row *row, uint32_t t,
                                          __mmask16 inside)
{
    uint16_t cell[GROUP_NTILES];
    if (inside == 0xFFFF)
        return rules_of(by_loads, row->rule, row->cell + t);
    _mm256_storeu_si256(
        (void *)cell,
        _mm256_mask_loadu_epi16(_mm256_set1_epi16((short)BRAGG_NO_CELL), inside, row->cell + t));
    return rules_of(by_loads, row->rule, cell);
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
    s.height = spread_byte(rule, 1);
    s.context = /* of a tile that is not open, that of blank ones */
        _mm512_mask_and_epi32(contexts, is_open, _mm512_srlv_epi32(rule, shift), contexts);
    return s;
}

/* The bytes of sixteen tiles side by side, a tile in each quarter of a vector. */
KERNEL BRAGG_INLINE void load_tiles(const uint8_t *value, size_t stride, __m512i tiles[QUARTERS])
{
    const __m512i quarters =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i r[TILE_EDGE];
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        r[i] = _mm512_permutexvar_epi32(quarters, _mm512_loadu_si512(value + i * stride));
    transpose_512(r, tiles);
}

/* Thresholds of tiles 4 k to 4 k + 3 of sixteen, each over the quarter of its tile. */
KERNEL BRAGG_INLINE __m512i thresholds_of_four(__m512i threshold, int k)
{
    const __m512i tile = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_epi32(_mm512_add_epi32(tile, _mm512_set1_epi32(QUARTERS * k)),
                                    threshold);
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

/* The symbols of sixteen tiles: which of their lines are there. */
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
KERNEL BRAGG_INLINE uint32_t put_heights(const __m512i tiles[QUARTERS], __m512i threshold,
                                         const uint16_t *odd, uint64_t pixels[QUARTERS],
                                         uint8_t *height)
{
    const __m256i some = _mm256_loadu_si256((const void *)odd);
    const int has_odd = !_mm256_testz_si256(some, some);
    uint32_t n = 0;
    for (int k = 0; k < QUARTERS; k++) {
        const __m512i excess = _mm512_subs_epu8(tiles[k], thresholds_of_four(threshold, k));
        pixels[k] = _mm512_test_epi8_mask(excess, excess);
        if (has_odd) {
            uint64_t known;
            memcpy(&known, odd + QUARTERS * k, sizeof known);
            pixels[k] |= known;
        }
        _mm512_storeu_si512(
            height + n,
            _mm512_maskz_compress_epi8(pixels[k], _mm512_add_epi8(excess, _mm512_set1_epi8(-1))));
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

KERNEL BRAGG_INLINE put_counts put_row_by(int by_loads, const pick_row *row, const found_row *found,
                                          const put_row *put)
{
    const pick_row in = *row; /* in registers, whatever is written */
    const found_row out = *found;
    const put_row to = *put;
    put_counts n = {0, 0};
    for (uint32_t t = 0; t < in.ntx; t += GROUP_NTILES) {
        const uint32_t left = in.ntx - t;
        const __mmask16 inside = (__mmask16)(left < GROUP_NTILES ? (1u << left) - 1 : 0xFFFF);
        const uint8_t *value = in.value + (size_t)t * TILE_EDGE;
        __m512i tiles[QUARTERS];
        uint64_t pixels[QUARTERS];
        ask_for_next_group(value, in.stride);
        const sixteen_tiles s = look_up_tiles(by_loads, &in, t, inside, to.symbol_above);
        load_tiles(value, in.stride, tiles);
        const uint32_t npixels =
            put_heights(tiles, s.threshold, in.odd + t, pixels, out.height + n.npixels);
        const __m512i line = lines_of(pixels);
        const __mmask64 lines = _mm512_test_epi8_mask(line, line);
        const __m512i symbol = line_symbols(lines);
        const __m512i line_context = spread_byte(nbits_less_1(symbol), 0);
        put_contexts(pixels,
                     _mm512_add_epi8(_mm512_add_epi8(s.height, line_context), nbits_less_1(line)),
                     to.context + n.npixels);
        out.special[t / GROUP_NTILES] = (uint16_t)(s.special & inside);
        out.before[t / GROUP_NTILES] = n.npixels;
        for (int k = 0; k < QUARTERS; k++)
            memcpy(out.above + t + QUARTERS * k, &pixels[k], sizeof pixels[k]);
        _mm_storeu_si128((void *)(to.symbol + t), _mm512_cvtepi32_epi8(symbol));
        _mm256_storeu_si256(
            (void *)(to.tile_pair + t),
            _mm512_cvtepi32_epi16(_mm512_or_si512(_mm512_slli_epi32(s.context, 8), symbol)));
        n.npixels += npixels;
        n.nlines += put_lines(to.line_pair + n.nlines, lines, line, line_context);
    }
    return n;
}

KERNEL static put_counts put_row_loads(const pick_row *row, const found_row *found,
                                       const put_row *put)
{
    return put_row_by(1, row, found, put);
}

KERNEL static put_counts put_row_gathers(const pick_row *row, const found_row *found,
                                         const put_row *put)
{
    return put_row_by(0, row, found, put);
}
#endif

put_row_function *put_row_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return bragg_gathers_are_slow() ? put_row_loads : put_row_gathers;
#endif
    return NULL;
}
