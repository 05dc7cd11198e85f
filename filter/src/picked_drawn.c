/* SPDX-License-Identifier: MIT */
/*
 * Picked pixels as patterns are drawn: docs/format.md, "Picked pixels".
 *
 * Where many pixels are picked, to write down where each is, and to go there later, costs more than
 * to draw it.  The bits of a tile say both where its pixels are and how many.
 */
#include "picked_drawn.h"

#include "cpu_level.h"
#include "scratch.h"
#include "tile_sums.h" /* count_bits */

h5bragg_status picked_drawn_make(const picked_contexts *contexts, picked_drawn *drawn)
{
    const uint32_t ncells = contexts->map->ncells;
    const uint32_t ngroups = (contexts->map->ntx + DRAWN_NTILES - 1) / DRAWN_NTILES;
    const size_t ntiles = (size_t)MACRO_EDGE * ngroups * DRAWN_NTILES;
    drawn->ngroups = ngroups;
    drawn->base = scratch_take((BRAGG_NO_CELL + 1u) * sizeof *drawn->base);
    drawn->pixels = scratch_take(ntiles * sizeof *drawn->pixels);
    drawn->start = scratch_take((size_t)MACRO_EDGE * ngroups * sizeof *drawn->start);
    drawn->value = scratch_take(ntiles * TILE_NPIXELS + DRAWN_SLACK);
    if (!drawn->base || !drawn->pixels || !drawn->start || !drawn->value)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < ncells; c++) {
        const picked_base b = contexts->heights[c];
        drawn->base[c] = b.least | (uint32_t)b.context << 8;
    }
    drawn->base[BRAGG_NO_CELL] = 0;
    return H5BRAGG_OK;
}

void picked_drawn_free(picked_drawn *drawn)
{
    scratch_give(drawn->base);
    scratch_give(drawn->pixels);
    scratch_give(drawn->start);
    scratch_give(drawn->value);
    memset(drawn, 0, sizeof *drawn);
}

void drawn_find_places(const picked_drawn *drawn, uint32_t nx, const drawn_large *large)
{
    const uint32_t ngroups = drawn->ngroups;
    uint32_t group = 0;
    for (uint32_t k = 0; k < large->n; k++) {
        while (group + 1 < MACRO_EDGE * ngroups && drawn->start[group + 1] <= large->number[k])
            group++;
        const uint16_t *pixels = drawn->pixels + (size_t)group * DRAWN_NTILES;
        uint32_t before = large->number[k] - drawn->start[group];
        for (; before >= count_bits(*pixels); pixels++)
            before -= count_bits(*pixels);
        uint32_t bits = *pixels;
        for (; before > 0; before--)
            bits &= bits - 1;
        const uint32_t tile = (uint32_t)(pixels - drawn->pixels);
        const uint32_t row = tile / (ngroups * DRAWN_NTILES);
        const uint32_t column = tile % (ngroups * DRAWN_NTILES);
        const uint32_t p = lowest_bit(bits);
        large->number[k] =
            (TILE_EDGE * row + p / TILE_EDGE) * nx + TILE_EDGE * column + p % TILE_EDGE;
    }
}

uint32_t drawn_lines_plain(const drawn_row *row, uint8_t *context)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < row->ntiles; t++) {
        const uint32_t nlines = PICKED_NBITS[row->symbol[t] & 0xF];
        for (uint32_t k = 0; k < nlines; k++)
            context[n++] = (uint8_t)(nlines - 1);
    }
    return n;
}

/* Bits of the pixels of a tile, by the symbols of its lines, from which *symbol goes on. */
static uint32_t bits_of(uint32_t lines, const uint8_t **symbol, int *is_impossible)
{
    uint32_t bits = 0;
    for (uint32_t k = 0; k < PICKED_NBITS[lines]; k++) {
        const uint32_t four = *(*symbol)++ + 1u;
        *is_impossible |= four > 0xF;
        bits |= (four & 0xF) << LINE_NPIXELS * PICKED_BITS[lines][k];
    }
    return bits;
}

uint32_t drawn_list_plain(const picked_drawn *drawn, const drawn_row *row, uint32_t n,
                          uint8_t *context, int *is_impossible)
{
    const size_t first = (size_t)row->row * drawn->ngroups;
    const uint8_t *symbol = row->line_symbol;
    for (uint32_t t = 0; t < drawn->ngroups * DRAWN_NTILES; t++) {
        const uint32_t lines = t < row->ntiles ? row->symbol[t] & 0xFu : 0;
        const uint32_t bits = bits_of(lines, &symbol, is_impossible);
        if (t % DRAWN_NTILES == 0)
            drawn->start[first + t / DRAWN_NTILES] = n;
        drawn->pixels[first * DRAWN_NTILES + t] = (uint16_t)bits;
        if (!lines)
            continue;
        const uint32_t base = drawn->base[row->tiles->cell[t]];
        *is_impossible |= (bits & ~(uint32_t)row->tiles->open[t]) != 0;
        for (uint32_t left = bits; left; left &= left - 1, n++) {
            const uint32_t line = lowest_bit(left) / LINE_NPIXELS;
            drawn->value[n] = (uint8_t)base;
            context[n] = (uint8_t)((base >> 8) + PICKED_NBITS[lines] - 1 +
                                   PICKED_NBITS[bits >> LINE_NPIXELS * line & 0xF] - 1);
        }
    }
    return n;
}

/* Heights from pixel k on, up to number n. */
static int add_some(const picked_drawn *drawn, symbol_reader *heights, const uint8_t *symbol,
                    uint32_t k, uint32_t n, int64_t most, drawn_large *large)
{
    int is_good = 1;
    for (; k < n; k++) {
        const uint64_t value = drawn->value[k] + number_of(heights, symbol[k]);
        is_good &= value <= (uint64_t)most;
        drawn->value[k] = (uint8_t)value;
        if (value <= UINT8_MAX)
            continue;
        large->number[large->n] = k;
        large->value[large->n++] = (uint32_t)value;
    }
    return is_good;
}

int drawn_add_plain(const picked_drawn *drawn, symbol_reader *heights, const uint8_t *symbol,
                    uint32_t n, int64_t most, drawn_large *large)
{
    return add_some(drawn, heights, symbol, 0, n, most, large);
}

#if defined(BRAGG_X86_64)
#include "byte_lanes.h"
#include "look_up_simd.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,bmi2,"        \
                          "popcnt")))

/* Least values are at most 64; with those of heights below this symbol they are bytes. */
enum { MAYBE_NO_BYTE = 30 };

/* Of sixteen dwords, one byte four times: of 16 tiles, of their lines. */
KERNEL BRAGG_INLINE __m512i four_times(uint32_t byte)
{
    const __m512i lowest =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    return _mm512_add_epi8(lowest, _mm512_set1_epi8((char)byte));
}

/* The symbols of 16 tiles, four times each, for their lines. */
KERNEL BRAGG_INLINE __m512i symbols_of(const drawn_row *row, uint32_t t, __mmask16 inside)
{
    const __m512i symbols = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, row->symbol + t));
    return _mm512_and_si512(_mm512_shuffle_epi8(symbols, four_times(0)), _mm512_set1_epi8(0xF));
}

/* By four bits, 0 to 15 in bytes: their number less 1. */
KERNEL BRAGG_INLINE __m512i nbits_less_1(__m512i bits)
{
    const __m512i number =
        _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3));
    return _mm512_shuffle_epi8(number, bits);
}

KERNEL BRAGG_INLINE __mmask16 lanes_from(const drawn_row *row, uint32_t t)
{
    const uint32_t left = row->ntiles - t;
    return (__mmask16)(left < DRAWN_NTILES ? (1u << left) - 1 : 0xFFFF);
}

KERNEL BRAGG_INLINE __mmask64 four_bits(__m512i bits)
{
    return _mm512_test_epi8_mask(bits, _mm512_set1_epi32(0x08040201));
}

KERNEL static uint32_t lines_avx512(const drawn_row *row, uint8_t *context)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < row->ntiles; t += DRAWN_NTILES) {
        const __m512i symbols = symbols_of(row, t, lanes_from(row, t));
        const __mmask64 lines = four_bits(symbols);
        _mm512_storeu_si512(context + n, _mm512_maskz_compress_epi8(lines, nbits_less_1(symbols)));
        n += (uint32_t)__builtin_popcountll(lines);
    }
    return n;
}

/* What cells are for 16 tiles. */
KERNEL BRAGG_INLINE __m512i bases_of(const picked_drawn *drawn, const drawn_row *row, uint32_t t,
                                     __mmask16 inside)
{
    uint16_t some[DRAWN_NTILES];
    const uint16_t *cell = row->tiles->cell + t;
    if (inside != 0xFFFF) {
        _mm256_storeu_si256((void *)some, _mm256_maskz_loadu_epi16(inside, cell));
        cell = some;
    }
    return look_up_16_at(bragg_gathers_are_slow(), drawn->base, cell);
}

/* The open pixels of 16 tiles, four bits a byte. */
KERNEL BRAGG_INLINE __m512i open_lines(const drawn_row *row, uint32_t t, __mmask16 inside)
{
    const __m512i two_lines =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12, 12, 13, 13));
    const __m512i open =
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, row->tiles->open + t));
    const __m512i two = _mm512_shuffle_epi8(open, two_lines);
    const __m512i one =
        _mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAA, two, _mm512_srli_epi16(two, LINE_NPIXELS));
    return _mm512_and_si512(one, _mm512_set1_epi8(0xF));
}

/* Each byte of a vector is a line of 16 tiles, then a pixel of four of them. */
KERNEL static uint32_t list_avx512(const picked_drawn *drawn, const drawn_row *row, uint32_t n,
                                   uint8_t *context, int *is_impossible)
{
    const __m512i lines_of_4 =
        _mm512_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505,
                          0x06060606, 0x07070707, 0x08080808, 0x09090909, 0x0A0A0A0A, 0x0B0B0B0B,
                          0x0C0C0C0C, 0x0D0D0D0D, 0x0E0E0E0E, 0x0F0F0F0F);
    const uint8_t *symbol = row->line_symbol;
    const size_t first = (size_t)row->row * drawn->ngroups;
    __m512i impossible = _mm512_setzero_si512();
    for (uint32_t t = 0; t < row->ntiles; t += DRAWN_NTILES) {
        const __mmask16 inside = lanes_from(row, t);
        const __m512i symbols = symbols_of(row, t, inside);
        const __mmask64 lines = four_bits(symbols);
        const __m512i listed = _mm512_add_epi8(_mm512_loadu_si512(symbol), _mm512_set1_epi8(1));
        const __m512i bits = _mm512_maskz_expand_epi8(lines, listed);
        const __m512i base = bases_of(drawn, row, t, inside);
        const __m512i least = _mm512_shuffle_epi8(base, four_times(0));
        const __m512i contexts = _mm512_add_epi8(
            _mm512_add_epi8(_mm512_shuffle_epi8(base, four_times(1)), nbits_less_1(symbols)),
            nbits_less_1(bits));
        uint16_t *pixels = drawn->pixels + first * DRAWN_NTILES + t;
        __m512i line = lines_of_4;
        symbol += __builtin_popcountll(lines);
        lines_ahead_ask(row->tiles->ahead);
        impossible =
            _mm512_or_si512(impossible, _mm512_andnot_si512(open_lines(row, t, inside), bits));
        drawn->start[first + t / DRAWN_NTILES] = n;
        for (uint32_t k = 0; k < DRAWN_NTILES; k += 4) {
            const uint64_t picked = four_bits(_mm512_permutexvar_epi8(line, bits));
            const __m512i from = _mm512_maskz_compress_epi8(picked, line);
            memcpy(pixels + k, &picked, sizeof picked);
            _mm512_storeu_si512(drawn->value + n, _mm512_permutexvar_epi8(from, least));
            _mm512_storeu_si512(context + n, _mm512_permutexvar_epi8(from, contexts));
            n += (uint32_t)__builtin_popcountll(picked);
            line = _mm512_add_epi8(line, _mm512_set1_epi8(16));
        }
    }
    *is_impossible |= _mm512_test_epi8_mask(impossible, impossible) != 0;
    return n;
}

/* Heights of up to 16 pixels, of which some have raw bits. */
KERNEL BRAGG_INLINE int add_16(const picked_drawn *drawn, symbol_reader *heights,
                               const uint8_t *symbol, uint32_t k, uint32_t n, int64_t most,
                               drawn_large *large)
{
    const __mmask16 inside = (__mmask16)(n - k < 16 ? (1u << (n - k)) - 1 : 0xFFFF);
    const __m128i symbols = _mm_maskz_loadu_epi8(inside, symbol + k);
    if (_mm_cmpge_epu8_mask(symbols, _mm_set1_epi8(MAYBE_NO_BYTE)))
        return add_some(drawn, heights, symbol, k, n - k < 16 ? n : k + 16, most, large);
    const __m128i least = _mm_loadu_si128((const void *)(drawn->value + k));
    _mm_storeu_si128((void *)(drawn->value + k), _mm_add_epi8(least, bytes_of(heights, symbols)));
    return 1;
}

KERNEL static int add_avx512(const picked_drawn *drawn, symbol_reader *heights,
                             const uint8_t *symbol, uint32_t n, int64_t most, drawn_large *large)
{
    int is_good = 1;
    for (uint32_t k = 0; k < n; k += 64) {
        const __mmask64 inside = n - k < 64 ? ((uint64_t)1 << (n - k)) - 1 : UINT64_MAX;
        const __m512i symbols = _mm512_maskz_loadu_epi8(inside, symbol + k);
        if (_mm512_cmplt_epu8_mask(symbols, _mm512_set1_epi8(NUMBER_DIRECT)) == UINT64_MAX) {
            const __m512i least = _mm512_loadu_si512(drawn->value + k);
            _mm512_storeu_si512(drawn->value + k, _mm512_add_epi8(least, symbols));
            continue;
        }
        for (uint32_t i = k; i < n && i < k + 64; i += 16)
            is_good &= add_16(drawn, heights, symbol, i, n, most, large);
    }
    return is_good;
}
#endif

uint32_t drawn_lines(const drawn_row *row, uint8_t *context)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return lines_avx512(row, context);
#endif
    return drawn_lines_plain(row, context);
}

uint32_t drawn_list(const picked_drawn *drawn, const drawn_row *row, uint32_t n, uint8_t *context,
                    int *is_impossible)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_avx512(drawn, row, n, context, is_impossible);
#endif
    return drawn_list_plain(drawn, row, n, context, is_impossible);
}

int drawn_add(const picked_drawn *drawn, symbol_reader *heights, const uint8_t *symbol, uint32_t n,
              int64_t most, drawn_large *large)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return add_avx512(drawn, heights, symbol, n, most, large);
#endif
    return drawn_add_plain(drawn, heights, symbol, n, most, large);
}
