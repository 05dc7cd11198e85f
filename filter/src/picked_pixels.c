/* SPDX-License-Identifier: MIT */
/*
 * Pixels of lines with picked pixels: docs/format.md, "Picked pixels".
 *
 * Which they are is a matter of chance, and not branched on: as with lines, more is put down than
 * there is, and the next overwrites what is none.
 */
#include "cpu_level.h"
#include "picked_lists.h"

/* Four times `first` plus the set bits. */
BRAGG_INLINE void put_bits(uint32_t *to, uint32_t first, uint32_t bits)
{
    uint64_t pair[2];
    memcpy(pair, PICKED_BITS[bits], sizeof pair);
    pair[0] += first * UINT64_C(0x100000001);
    pair[1] += first * UINT64_C(0x100000001);
    memcpy(to, pair, sizeof pair);
}

/* Four times the same. */
BRAGG_INLINE void put_four(uint32_t *to, uint32_t value)
{
    const uint64_t pair[2] = {value * UINT64_C(0x100000001), value * UINT64_C(0x100000001)};
    memcpy(to, pair, sizeof pair);
}

BRAGG_INLINE void put_four_shorts(uint16_t *to, uint16_t value)
{
    const uint64_t four = value * UINT64_C(0x1000100010001);
    memcpy(to, &four, sizeof four);
}

BRAGG_INLINE uint32_t list_plain(const picked_base *restrict base, const picked_places *places,
                                 const picked_lines *lines, const uint8_t *restrict symbol,
                                 uint32_t n, const picked_pixels *to, int has_leasts, int has_cells,
                                 uint32_t *seen)
{
    uint32_t start[TILE_EDGE];
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        start[k] = places->first + k * places->line;
    const uint32_t column_pitch = places->column;
    const uint16_t *restrict line = lines->line;
    const uint16_t *restrict cell = lines->cell;
    const uint8_t *restrict pixels = lines->pixels;
    const uint8_t *restrict line_context = lines->context;
    uint32_t *restrict at = to->at;
    uint32_t *restrict least = to->least;
    uint16_t *restrict cell_of = to->cell;
    uint8_t *restrict context = to->context;
    uint32_t npixels = 0;
    uint32_t all = 0;
    for (uint32_t j = 0; j < n; j++) {
        const uint32_t bits = symbol[j] + 1u;
        const uint32_t nbits = PICKED_NBITS[bits & 0xF];
        const picked_base b = base[cell[j]];
        all |= bits & ~(uint32_t)pixels[j];
        all |= (uint32_t)b.is_tight << SEEN_TIGHT_SHIFT;
        put_bits(at + npixels, start[line[j] % TILE_EDGE] + column_pitch * (line[j] / TILE_EDGE),
                 bits & 0xF);
        if (has_leasts)
            put_four(least + npixels, b.least);
        if (has_cells)
            put_four_shorts(cell_of + npixels, cell[j]);
        store_u32(context + npixels, (b.context + line_context[j] + nbits - 1) * 0x01010101u);
        npixels += nbits;
    }
    *seen |= all;
    return npixels;
}

uint32_t picked_pixels_list_plain(const picked_base *base, const picked_places *places,
                                  const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                                  const picked_pixels *to, uint32_t *seen)
{
    if (to->cell)
        return list_plain(base, places, lines, symbol, n, to, 1, 1, seen);
    return to->least ? list_plain(base, places, lines, symbol, n, to, 1, 0, seen)
                     : list_plain(base, places, lines, symbol, n, to, 0, 0, seen);
}

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,popcnt")))

enum { LANES = 16 };

/* Puts down up to sixteen pixels, numbers among those of sixteen lines, as numbers n and more. */
KERNEL BRAGG_INLINE void put_pixels(__m128i listed, __m512i at, __m512i least, __m512i cell,
                                    const picked_pixels *to, uint32_t n)
{
    const __m512i number = _mm512_cvtepu8_epi32(listed);
    const __m512i from = _mm512_srli_epi32(number, 2);
    const __m512i in_line = _mm512_and_si512(number, _mm512_set1_epi32(3));
    _mm512_storeu_si512(to->at + n, _mm512_add_epi32(_mm512_permutexvar_epi32(from, at), in_line));
    if (to->least)
        _mm512_storeu_si512(to->least + n, _mm512_permutexvar_epi32(from, least));
    if (to->cell)
        _mm256_storeu_si256((__m256i *)(void *)(to->cell + n),
                            _mm512_cvtepi32_epi16(_mm512_permutexvar_epi32(from, cell)));
}

/* A lane is a line of sixteen, then a pixel of theirs. */
KERNEL static uint32_t list_avx512(const picked_base *base, const picked_places *places,
                                   const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                                   const picked_pixels *to, uint32_t *seen)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i even = _mm512_add_epi32(lane, lane);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512i four =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    const __m512i nbits_less_1 =
        _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3));
    const __m512i numbers = _mm512_add_epi32(
        _mm512_set1_epi32(0x03020100), _mm512_mullo_epi32(lane, _mm512_set1_epi32(0x04040404)));
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i three = _mm512_set1_epi32(3);
    const __m512i low_bits = _mm512_set1_epi32(0xF);
    const __m512i first = _mm512_set1_epi32((int)places->first);
    const __m512i line_pitch = _mm512_set1_epi32((int)places->line);
    const __m512i column_pitch = _mm512_set1_epi32((int)places->column);
    __m512i impossible = _mm512_setzero_si512();
    __m512i tight = _mm512_setzero_si512();
    uint32_t npixels = 0;
    for (uint32_t j = 0; j < n; j += LANES) {
        const uint32_t left = n - j;
        const __mmask16 inside = (__mmask16)(left < LANES ? (1u << left) - 1 : 0xFFFF);
        const __m512i bits = _mm512_maskz_add_epi32(
            inside, one, _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, symbol + j)));
        const __m512i possible =
            _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, lines->pixels + j));
        const __m512i line =
            _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, lines->line + j));
        const __m512i cell =
            _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, lines->cell + j));
        const __m512i low = look_up_8_pairs(base, _mm512_castsi512_si256(cell));
        const __m512i high = look_up_8_pairs(base, _mm512_extracti64x4_epi64(cell, 1));
        const __m512i least = _mm512_permutex2var_epi32(low, even, high);
        const __m512i more = _mm512_permutex2var_epi32(low, odd, high);
        const __m512i at = _mm512_add_epi32(
            _mm512_add_epi32(first, _mm512_mullo_epi32(_mm512_and_si512(line, three), line_pitch)),
            _mm512_mullo_epi32(_mm512_srli_epi32(line, 2), column_pitch));
        const __m512i line_context =
            _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, lines->context + j));
        const __m512i context =
            _mm512_add_epi32(_mm512_add_epi32(more, line_context),
                             _mm512_shuffle_epi8(nbits_less_1, _mm512_and_si512(bits, low_bits)));
        impossible = _mm512_or_si512(impossible, _mm512_andnot_si512(possible, bits));
        tight = _mm512_mask_or_epi32(tight, inside, tight, more);
        const __mmask64 picked =
            _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, four), _mm512_set1_epi32(0x08040201));
        const uint32_t npicked = (uint32_t)__builtin_popcountll(picked);
        __m512i listed = _mm512_maskz_compress_epi8(picked, numbers);
        const __m512i contexts = _mm512_castsi128_si512(_mm512_cvtepi32_epi8(context));
        _mm512_storeu_si512(to->context + npixels, /* by the lowest six bits of bytes */
                            _mm512_permutexvar_epi8(_mm512_srli_epi16(listed, 2), contexts));
        for (uint32_t k = 0; k < npicked; k += 2 * LANES) { /* hardly ever more than once */
            const __m256i some = _mm512_castsi512_si256(listed);
            put_pixels(_mm256_castsi256_si128(some), at, least, cell, to, npixels + k);
            put_pixels(_mm256_extracti128_si256(some, 1), at, least, cell, to, npixels + k + LANES);
            listed = _mm512_shuffle_i64x2(listed, listed, _MM_SHUFFLE(3, 2, 3, 2));
        }
        npixels += npicked;
    }
    *seen |= (uint32_t)_mm512_reduce_or_epi32(impossible) |
             (uint32_t)_mm512_reduce_or_epi32(tight) >> 16 << SEEN_TIGHT_SHIFT;
    return npixels;
}
#endif

uint32_t picked_pixels_list(const picked_base *base, const picked_places *places,
                            const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                            const picked_pixels *to, uint32_t *seen)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_avx512(base, places, lines, symbol, n, to, seen);
    if (bragg_cpu_level() == CPU_AVX2)
        return picked_pixels_list_avx2(base, places, lines, symbol, n, to, seen);
#endif
    return picked_pixels_list_plain(base, places, lines, symbol, n, to, seen);
}
