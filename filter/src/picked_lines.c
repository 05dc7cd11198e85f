/* SPDX-License-Identifier: MIT */
/*
 * Lines with picked pixels: docs/format.md, "Picked pixels".
 *
 * Which tiles have any, and how many, is a matter of chance.  So hardly anything here branches on
 * it: tiles without are gone past eight at a time, and of the others more is put down than there
 * is, and the next overwrites what is none.
 */
#include "cpu_level.h"
#include "picked_lists.h"
#include "scratch.h"
#include "symbols.h" /* lowest_bit */

void picked_lines_contexts_plain(const picked_contexts *contexts, const picked_tiles *tiles,
                                 uint8_t *context)
{
    const uint32_t ncells = contexts->map->ncells;
    const uint32_t ntiles = contexts->map->ntx;
    for (uint32_t t = 0; t < ntiles; t++) {
        const uint32_t cell = tiles->open[t] ? tiles->cell[t] : ncells;
        context[t] = (uint8_t)(contexts->lines[cell] >> PICKED_CLASS_SHIFT[tiles->above[t] & 0xF]);
    }
}

/* Which lines of a tile have set bits. */
BRAGG_INLINE uint32_t lines_of(uint32_t pixels)
{
    const uint32_t pairs = pixels | pixels >> 1;
    const uint32_t lines = (pairs | pairs >> 2) & 0x1111;
    return (lines | lines >> 3 | lines >> 6 | lines >> 9) & 0xF;
}

void picked_lines_symbols_plain(const picked_contexts *contexts, const picked_row *row,
                                uint8_t *symbol, uint16_t *pair)
{
    const uint32_t ncells = contexts->map->ncells;
    const uint32_t ntiles = contexts->map->ntx;
    for (uint32_t t = 0; t < ntiles; t++) {
        const int is_open = row->valid[t] && !row->kept[t] && row->cell[t] < ncells;
        const uint32_t four = contexts->lines[is_open ? row->cell[t] : ncells];
        const uint32_t context = four >> PICKED_CLASS_SHIFT[row->above[t] & 0xF] & 0xFF;
        symbol[t] = (uint8_t)lines_of(row->pixels[t]);
        pair[t] = (uint16_t)(context << 8 | symbol[t]);
    }
}

h5bragg_status picked_lines_make(size_t nlines, picked_lines *lines)
{
    const size_t n = nlines + LINES_SLACK;
    lines->line = scratch_take(n * sizeof *lines->line);
    lines->cell = scratch_take(n * sizeof *lines->cell);
    lines->pixels = scratch_take(n);
    lines->context = scratch_take(n);
    const int has_all = lines->line && lines->cell && lines->pixels && lines->context;
    return has_all ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void picked_lines_free(picked_lines *lines)
{
    scratch_give(lines->line);
    scratch_give(lines->cell);
    scratch_give(lines->pixels);
    scratch_give(lines->context);
    memset(lines, 0, sizeof *lines);
}

picked_lines picked_lines_from(const picked_lines *lines, uint32_t n)
{
    return (picked_lines){lines->line + n, lines->cell + n, lines->pixels + n, lines->context + n};
}

enum { TILES_AT_ONCE = 8 };

/* The highest bits of the bytes of eight tiles that have lines. */
BRAGG_INLINE uint64_t tiles_with_lines(const uint8_t *symbol, uint32_t nleft)
{
    uint8_t some[TILES_AT_ONCE] = {0};
    if (nleft < TILES_AT_ONCE) {
        memcpy(some, symbol, nleft);
        symbol = some;
    }
    const uint64_t eight = load_u64(symbol);
    return ((eight & 0x0F0F0F0F0F0F0F0Fu) + 0x7F7F7F7F7F7F7F7Fu) & 0x8080808080808080u;
}

uint32_t picked_lines_list_plain(const uint8_t *symbol, const picked_tiles *tiles, uint32_t ntiles,
                                 const picked_lines *to)
{
    uint32_t n = 0;
    for (uint32_t first = 0; first < ntiles; first += TILES_AT_ONCE) {
        uint64_t left = tiles_with_lines(symbol + first, ntiles - first);
        for (; left; left &= left - 1) {
            const uint32_t t = first + lowest_bit(left) / 8;
            const uint32_t lines = symbol[t] & 0xF;
            const uint32_t nlines = PICKED_NBITS[lines];
            for (uint32_t k = 0; k < TILE_EDGE; k++) {
                const uint32_t line = PICKED_BITS[lines][k];
                to->line[n + k] = (uint16_t)(TILE_EDGE * t + line);
                to->cell[n + k] = tiles->cell[t];
                to->pixels[n + k] =
                    (uint8_t)((uint32_t)tiles->open[t] >> LINE_NPIXELS * line & 0xF);
            }
            store_u32(to->context + n, (nlines - 1) * 0x01010101u);
            n += nlines;
        }
    }
    return n;
}

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,popcnt")))

enum { LANES = 16 };

/* Contexts, in low bytes, by the cells of 16 tiles, ncells where they are not open. */
KERNEL BRAGG_INLINE __m512i contexts_of(const picked_contexts *contexts, __m512i cell,
                                        __m128i above)
{
    const __m128i shift_of = _mm_loadu_si128((const __m128i *)(const void *)PICKED_CLASS_SHIFT);
    const __m512i shift = _mm512_cvtepu8_epi32(_mm_shuffle_epi8(shift_of, above));
    return _mm512_srlv_epi32(look_up_16(contexts->lines, cell), shift);
}

KERNEL static void contexts_avx512(const picked_contexts *contexts, const picked_tiles *tiles,
                                   uint8_t *context)
{
    const __m512i ncells = _mm512_set1_epi32((int)contexts->map->ncells);
    const uint32_t ntiles = contexts->map->ntx;
    for (uint32_t t = 0; t < ntiles; t += LANES) {
        const uint32_t left = ntiles - t;
        const __mmask16 inside = (__mmask16)(left < LANES ? (1u << left) - 1 : 0xFFFF);
        lines_ahead_ask(tiles->ahead);
        const __m256i cell = _mm256_maskz_loadu_epi16(inside, tiles->cell + t);
        const __m256i open = _mm256_maskz_loadu_epi16(inside, tiles->open + t);
        const __m128i above = _mm_maskz_loadu_epi8(inside, tiles->above + t);
        const __m512i at =
            _mm512_mask_cvtepu16_epi32(ncells, _mm256_test_epi16_mask(open, open), cell);
        _mm_mask_storeu_epi8(context + t, inside,
                             _mm512_cvtepi32_epi8(contexts_of(contexts, at, above)));
    }
}

/* lines_of */
KERNEL BRAGG_INLINE __m256i lines_of_16(__m256i pixels)
{
    const __m256i pairs = _mm256_or_si256(pixels, _mm256_srli_epi16(pixels, 1));
    const __m256i lines = _mm256_and_si256(_mm256_or_si256(pairs, _mm256_srli_epi16(pairs, 2)),
                                           _mm256_set1_epi16(0x1111));
    const __m256i two = _mm256_or_si256(lines, _mm256_srli_epi16(lines, 3));
    return _mm256_and_si256(_mm256_or_si256(two, _mm256_srli_epi16(two, 6)),
                            _mm256_set1_epi16(0xF));
}

KERNEL static void symbols_avx512(const picked_contexts *contexts, const picked_row *row,
                                  uint8_t *symbol, uint16_t *pair)
{
    const __m512i ncells = _mm512_set1_epi32((int)contexts->map->ncells);
    const uint32_t ntiles = contexts->map->ntx;
    for (uint32_t t = 0; t < ntiles; t += LANES) {
        const uint32_t left = ntiles - t;
        const __mmask16 inside = (__mmask16)(left < LANES ? (1u << left) - 1 : 0xFFFF);
        const __m256i cell = _mm256_maskz_loadu_epi16(inside, row->cell + t);
        const __m256i valid = _mm256_maskz_loadu_epi16(inside, row->valid + t);
        const __m128i kept = _mm_maskz_loadu_epi8(inside, row->kept + t);
        const __m128i above = _mm_maskz_loadu_epi8(inside, row->above + t);
        const __mmask16 is_open =
            _mm256_test_epi16_mask(valid, valid) & _mm_testn_epi8_mask(kept, kept);
        const __m512i at =
            _mm512_mask_min_epu32(ncells, is_open, _mm512_cvtepu16_epi32(cell), ncells);
        const __m512i context = contexts_of(contexts, at, above);
        const __m256i lines = lines_of_16(_mm256_maskz_loadu_epi16(inside, row->pixels + t));
        const __m256i high = _mm256_slli_epi16(_mm512_cvtepi32_epi16(context), 8);
        _mm_mask_storeu_epi8(symbol + t, inside, _mm256_cvtepi16_epi8(lines));
        _mm256_mask_storeu_epi16(pair + t, inside, _mm256_or_si256(high, lines));
    }
}

/* Lines and cells of 32 bytes of a list of lines of 16 tiles. */
KERNEL BRAGG_INLINE void put_lines(__m256i listed, __m512i first, __m512i cell, uint16_t *line,
                                   uint16_t *cells)
{
    const __m512i number = _mm512_cvtepu8_epi16(listed);
    _mm512_storeu_si512(line, _mm512_add_epi16(first, number));
    _mm512_storeu_si512(cells, _mm512_permutexvar_epi16(_mm512_srli_epi16(number, 2), cell));
}

/* Each byte of a vector is a line of 16 tiles. */
KERNEL static uint32_t list_avx512(const uint8_t *symbol, const picked_tiles *tiles,
                                   uint32_t ntiles, const picked_lines *to)
{
    const __m512i four =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    const __m512i pairs =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12, 12, 13, 13));
    const __m512i context_of =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3));
    const __m512i bits = _mm512_set1_epi32(0x08040201);
    const __m512i low_bits = _mm512_set1_epi8(0xF);
    const __mmask64 second = 0xAAAAAAAAAAAAAAAA; /* of two lines in a byte */
    const __m512i numbers = _mm512_add_epi32(
        _mm512_set1_epi32(0x03020100),
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(0x04040404)));
    uint32_t n = 0;
    for (uint32_t t = 0; t < ntiles; t += LANES) {
        const uint32_t left = ntiles - t;
        const __mmask16 inside = (__mmask16)(left < LANES ? (1u << left) - 1 : 0xFFFF);
        lines_ahead_ask(tiles->ahead);
        const __m512i symbols = _mm512_shuffle_epi8(
            _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, symbol + t)), four);
        const __m512i cells =
            _mm512_castsi256_si512(_mm256_maskz_loadu_epi16(inside, tiles->cell + t));
        const __m512i two = _mm512_shuffle_epi8(
            _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, tiles->open + t)), pairs);
        const __m512i one = _mm512_and_si512(
            _mm512_mask_blend_epi8(second, two, _mm512_srli_epi16(two, LINE_NPIXELS)), low_bits);
        const __mmask64 lines = _mm512_test_epi8_mask(symbols, bits);
        const uint32_t nlines = (uint32_t)__builtin_popcountll(lines);
        const __m512i listed = _mm512_maskz_compress_epi8(lines, numbers);
        const __m512i first = _mm512_set1_epi16((short)(TILE_EDGE * t));
        _mm512_storeu_si512(to->pixels + n, _mm512_maskz_compress_epi8(lines, one));
        _mm512_storeu_si512(
            to->context + n,
            _mm512_maskz_compress_epi8(
                lines, _mm512_shuffle_epi8(context_of, _mm512_and_si512(symbols, low_bits))));
        put_lines(_mm512_castsi512_si256(listed), first, cells, to->line + n, to->cell + n);
        if (nlines > 32)
            put_lines(_mm512_extracti64x4_epi64(listed, 1), first, cells, to->line + n + 32,
                      to->cell + n + 32);
        n += nlines;
    }
    return n;
}
#endif

void picked_lines_contexts(const picked_contexts *contexts, const picked_tiles *tiles,
                           uint8_t *context)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512) {
        contexts_avx512(contexts, tiles, context);
        return;
    }
    if (bragg_cpu_level() == CPU_AVX2) {
        picked_lines_contexts_avx2(contexts, tiles, context);
        return;
    }
#endif
    picked_lines_contexts_plain(contexts, tiles, context);
}

void picked_lines_symbols(const picked_contexts *contexts, const picked_row *row, uint8_t *symbol,
                          uint16_t *pair)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512) {
        symbols_avx512(contexts, row, symbol, pair);
        return;
    }
#endif
    picked_lines_symbols_plain(contexts, row, symbol, pair);
}

uint32_t picked_lines_list(const uint8_t *symbol, const picked_tiles *tiles, uint32_t ntiles,
                           const picked_lines *to)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_avx512(symbol, tiles, ntiles, to);
    if (bragg_cpu_level() == CPU_AVX2)
        return picked_lines_list_avx2(symbol, tiles, ntiles, to);
#endif
    return picked_lines_list_plain(symbol, tiles, ntiles, to);
}
