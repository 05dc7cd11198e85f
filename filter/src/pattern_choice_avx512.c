/* SPDX-License-Identifier: MIT */
/* The choice of patterns with AVX-512: 16 tiles at a time, whose tables are gathered. */
#include "pattern_choice.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "ring_map.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

enum { NLANES = 16 };

/* Lanes of the tiles from k on. */
KERNEL BRAGG_INLINE __mmask16 lanes_from(const choice_row *r, uint32_t k)
{
    return (__mmask16)(r->ntx - k < NLANES ? (1u << (r->ntx - k)) - 1 : 0xFFFF);
}

KERNEL BRAGG_INLINE __m512i load_16_bits(__mmask16 lanes, const uint16_t *from)
{
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, from));
}

/* Rows of the book that nobody has asked for yet; 0 in lanes where there is no memory. */
KERNEL static __mmask16 make_rows(const pattern_cells *cells, __mmask16 missing,
                                  const uint32_t at[NLANES], uint64_t row[NLANES])
{
    __mmask16 made = 0;
    for (uint32_t i = 0; i < NLANES; i++) {
        if (!(missing >> i & 1))
            continue;
        row[i] = (uint64_t)(uintptr_t)choice_row_of(cells->book, at[i]);
        made |= (__mmask16)((row[i] != 0) << i);
    }
    return made;
}

/*
 * Gives the tiles in some lanes the patterns of T * 512 + S, the others the empty one.  Loads of
 * rows are whole and in order, as those of the processor are: what they point to has been made.
 */
KERNEL BRAGG_INLINE int choose(const pattern_cells *cells, choice_row *r, uint32_t k,
                               __mmask16 lanes, __m512i hash, __m512i at)
{
    const void *rows = (const void *)cells->book->rows[PATTERN_NBYTES - 1];
    const __m512i zero = _mm512_setzero_si512();
    const __m512i empty = _mm512_set1_epi64((long long)(intptr_t)CHOICE_EMPTY);
    const __mmask16 inside = lanes_from(r, k);
    __m512i low =
        _mm512_mask_i32gather_epi64(zero, (__mmask8)lanes, _mm512_castsi512_si256(at), rows, 8);
    __m512i high = _mm512_mask_i32gather_epi64(zero, (__mmask8)(lanes >> 8),
                                               _mm512_extracti64x4_epi64(at, 1), rows, 8);
    const __mmask16 missing = lanes & _mm512_kunpackb(_mm512_testn_epi64_mask(high, high),
                                                      _mm512_testn_epi64_mask(low, low));
    if (SHOWS_GATHERS) {
        uint32_t places[NLANES];
        _mm512_storeu_si512(places, at);
        choice_show_rows(cells->book, places, lanes);
    }
    int has_all = 1;
    if (missing) {
        uint32_t places[NLANES];
        uint64_t row[NLANES];
        _mm512_storeu_si512(places, at);
        _mm512_storeu_si512(row, low);
        _mm512_storeu_si512(row + 8, high);
        const __mmask16 made = make_rows(cells, missing, places, row);
        low = _mm512_loadu_si512(row);
        high = _mm512_loadu_si512(row + 8);
        has_all = made == missing;
        lanes = (__mmask16)(lanes & ~(missing ^ made));
    }
    const __m512i variant =
        _mm512_and_si512(_mm512_srli_epi32(hash, CHOICE_VARIANT_SHIFT - 4),
                         _mm512_set1_epi32(PATTERN_NBYTES * (PATTERN_NVARIANTS - 1)));
    low = _mm512_mask_add_epi64(empty, (__mmask8)lanes, low,
                                _mm512_cvtepu32_epi64(_mm512_castsi512_si256(variant)));
    high = _mm512_mask_add_epi64(empty, (__mmask8)(lanes >> 8), high,
                                 _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(variant, 1)));
    _mm512_mask_storeu_epi64((void *)(r->variant + k), (__mmask8)inside, low);
    _mm512_mask_storeu_epi64((void *)(r->variant + k + 8), (__mmask8)(inside >> 8), high);
    _mm512_mask_cvtepi32_storeu_epi8(r->permutation + k, inside,
                                     _mm512_srli_epi32(hash, CHOICE_PERMUTATION_SHIFT));
    return has_all;
}

/* Numbers of the tables of levels that the sums are drawn from; a negative number for tiles
 * without. */
KERNEL static void list_tables(const pattern_cells *cells, choice_row *r, uint32_t *table)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i is_odd = _mm512_and_si512(
        _mm512_add_epi32(lane, _mm512_set1_epi32((int)r->is_odd)), _mm512_set1_epi32(1));
    r->has_general = 0;
    const __m512i none = _mm512_set1_epi32((int)CHOICE_NO_PATTERN);
    for (uint32_t k = 0; k < r->ntx; k += NLANES) {
        const __mmask16 inside = lanes_from(r, k);
        const __m512i open = load_16_bits(inside, r->open + k);
        const __m512i cell = load_16_bits(inside, r->cell + k);
        const __m512i more = _mm512_maskz_loadu_epi32(inside, r->more + k);
        const __mmask16 drawn = _mm512_test_epi32_mask(open, open);
        const __m512i x = _mm512_mask_i32gather_epi32(
            none, drawn, _mm512_add_epi32(_mm512_add_epi32(cell, cell), is_odd), cells->level, 4);
        const __m512i level = _mm512_srai_epi32(
            _mm512_add_epi32(x, _mm512_and_si512(more, _mm512_set1_epi32(0xFF))), 8);
        _mm512_mask_storeu_epi32(table + k, inside, level);
        r->has_general |= (_mm512_movepi32_mask(x) & drawn) != 0;
    }
}

/* Tables to T * 512 + S, in place, as level_draw gives it; a negative number stays. */
KERNEL static void draw_sums(const choice_row *r, uint32_t *table)
{
    const level_tables tables = level_tables_get();
    const __m512i low_byte = _mm512_set1_epi32(0xFF);
    for (uint32_t k = 0; k < r->ntx; k += NLANES) {
        const __mmask16 inside = lanes_from(r, k);
        const __m512i number = _mm512_maskz_loadu_epi32(inside, table + k);
        const __m512i hash = _mm512_maskz_loadu_epi32(inside, r->hash + k);
        const __mmask16 lanes = (__mmask16)(inside & ~_mm512_movepi32_mask(number));
        const __m512i high_byte =
            _mm512_and_si512(_mm512_srli_epi32(hash, LEVEL_GUIDE_SHIFT), low_byte);
        const __m512i guide = _mm512_mask_i32gather_epi32(
            _mm512_setzero_si512(), lanes,
            _mm512_add_epi32(_mm512_slli_epi32(number, LEVEL_GUIDE_SHIFT), high_byte), tables.guide,
            4);
        const __m512i step =
            _mm512_and_si512(_mm512_srli_epi32(guide, LEVEL_GUIDE_STEP_BIT), low_byte);
        const __m512i more = _mm512_srli_epi32(
            _mm512_add_epi32(_mm512_and_si512(hash, low_byte), step), LEVEL_GUIDE_SHIFT);
        const __m512i at =
            _mm512_add_epi32(_mm512_and_si512(guide, _mm512_set1_epi32(LEVEL_GUIDE_AT)), more);
        const __mmask16 unsure = _mm512_movepi32_mask(guide);
        _mm512_mask_storeu_epi32(table + k, (__mmask16)(lanes & ~unsure), at);
        for (uint32_t left = unsure; left; left &= left - 1) {
            const uint32_t t = k + (uint32_t)__builtin_ctz(left);
            table[t] = level_draw(&tables, table[t], r->hash[t] & 0xFFFF);
        }
    }
}

KERNEL static int by_level(const pattern_cells *cells, choice_row *r)
{
    int has_all = 1;
    list_tables(cells, r, r->more);
    draw_sums(r, r->more);
    for (uint32_t k = 0; k < r->ntx; k += NLANES) {
        const __mmask16 inside = lanes_from(r, k);
        const __m512i at = _mm512_maskz_loadu_epi32(inside, r->more + k);
        const __m512i hash = _mm512_maskz_loadu_epi32(inside, r->hash + k);
        const __mmask16 lanes = (__mmask16)(inside & ~_mm512_movepi32_mask(at));
        has_all &= choose(cells, r, k, lanes, hash, at);
    }
    return has_all;
}

/* Which lanes are in coarse blocks. */
KERNEL BRAGG_INLINE __mmask16 coarse_lanes(const choice_row *r, uint32_t k)
{
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < NLANES && k + i < r->ntx; i += MACRO_EDGE)
        lanes |= r->is_coarse[(k + i) / MACRO_EDGE] ? 0xFu << i : 0;
    return (__mmask16)lanes;
}

KERNEL static int by_sum(const pattern_cells *cells, choice_row *r)
{
    int has_all = 1;
    r->ncut = 0;
    r->has_general = 0;
    for (uint32_t k = 0; k < r->ntx; k += NLANES) {
        const __mmask16 inside = lanes_from(r, k);
        const __m512i open = load_16_bits(inside, r->open + k);
        const __m512i cell = load_16_bits(inside, r->cell + k);
        const __m512i hash = _mm512_maskz_loadu_epi32(inside, r->hash + k);
        const __m512i sum = _mm512_inserti64x4(
            _mm512_castsi256_si512(
                _mm512_cvtepi64_epi32(_mm512_maskz_loadu_epi64((__mmask8)inside, r->sum + k))),
            _mm512_cvtepi64_epi32(
                _mm512_maskz_loadu_epi64((__mmask8)(inside >> 8), r->sum + k + 8)),
            1);
        const __mmask16 drawn =
            (__mmask16)(_mm512_test_epi32_mask(open, open) & ~coarse_lanes(r, k));
        const __m512i rows = _mm512_mask_i32gather_epi32(_mm512_set1_epi32((int)CHOICE_NO_PATTERN),
                                                         drawn, cell, cells->rows, 4);
        const __mmask16 has_pattern = (__mmask16)(drawn & ~_mm512_movepi32_mask(rows));
        r->has_general |= has_pattern != drawn;
        const __mmask16 whole =
            _mm512_mask_cmpeq_epi32_mask(has_pattern, open, _mm512_set1_epi32(0xFFFF));
        has_all &= choose(cells, r, k, whole, hash, _mm512_add_epi32(rows, sum));
        for (uint32_t cut = has_pattern & ~(uint32_t)whole; cut; cut &= cut - 1)
            r->cut[r->ncut++] = k + (uint32_t)__builtin_ctz(cut);
    }
    return has_all;
}

const choice_kernels CHOICE_KERNELS_AVX512 = {by_level, by_sum};
#endif
