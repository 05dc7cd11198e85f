/* SPDX-License-Identifier: MIT */
/* The choice of patterns with AVX-512: 16 tiles at a time, whose tables are gathered. */
#include "pattern_choice.h"

#if defined(BRAGG_X86_64)
#include <string.h>

#include "look_up_simd.h"
#include "noise_hash_simd.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,popcnt")))

enum { NLANES = 16, MOST_UNSURE = 64, PART_NTILES = 1024 };

/* Of three vectors, bits of the second where the first has ones, elsewhere of the third. */
enum { SELECT_BY_FIRST = 0xCA };

/* Lanes of the tiles from k on. */
KERNEL BRAGG_INLINE __mmask16 lanes_from(const choice_row *r, uint32_t k)
{
    return (__mmask16)(r->ntx - k < NLANES ? (1u << (r->ntx - k)) - 1 : 0xFFFF);
}

/* Gives the tiles in some lanes the patterns of T * 512 + S, the others that of no counts. */
KERNEL BRAGG_INLINE void put(const choice_row *r, uint32_t k, __mmask16 lanes, __m512i hash,
                             __m512i at)
{
    const __mmask16 inside = lanes_from(r, k);
    const __m512i variant =
        _mm512_and_si512(_mm512_srli_epi32(hash, CHOICE_VARIANT_SHIFT - 3),
                         _mm512_set1_epi32(PATTERN_NBYTES / 2 * (PATTERN_NVARIANTS - 1)));
    const __m512i place = _mm512_or_si512(_mm512_slli_epi32(at, PATTERN_ROW_SHIFT - 1), variant);
    _mm512_mask_storeu_epi32(r->variant + k, inside, _mm512_maskz_mov_epi32(lanes, place));
    _mm512_mask_cvtepi32_storeu_epi8(r->permutation + k, inside,
                                     _mm512_srli_epi32(hash, CHOICE_PERMUTATION_SHIFT));
}

/* Tiles of a row that are dealt with at a time. */
typedef struct row_part {
    _Alignas(64) uint32_t place[PART_NTILES]; /* in the guides: number of table * 256 + R >> 8 */
    __mmask16 lanes[PART_NTILES / NLANES];    /* of tiles whose sum is drawn; others have place 0 */
    uint32_t first;
    uint32_t n;
} row_part;

/* The cells of the tiles from k on, which are copied where the row ends within them. */
KERNEL BRAGG_INLINE const uint16_t *cells_from(const choice_row *r, uint32_t k,
                                               uint16_t copy[NLANES])
{
    if (r->ntx - k >= NLANES)
        return r->cell + k;
    _mm256_storeu_si256((void *)copy, _mm256_maskz_loadu_epi16(lanes_from(r, k), r->cell + k));
    return copy;
}

/*
 * Finds the places in the guides.  They are written down: the loop that looks them up has them as
 * soon as it wants them.  Both loops have a copy of the row, as what they store might be part of
 * the row itself, for all that the compiler knows.
 */
KERNEL BRAGG_INLINE void list_places(int by_loads, const pattern_cells *cells, choice_row *r,
                                     row_part *part)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i none = _mm512_set1_epi32((int)CHOICE_NO_PATTERN);
    const __m512i low_byte = _mm512_set1_epi32(0xFF);
    const uint32_t(*const levels)[2] = (const uint32_t(*)[2])cells->level;
    uint32_t general = 0;
    const choice_row row = *r;
    for (uint32_t i = 0; i < part->n; i += NLANES) {
        const uint32_t k = part->first + i;
        const __mmask16 inside = lanes_from(&row, k);
        uint16_t copy[NLANES];
        lines_ahead_ask(row.ahead);
        const __m256i open = _mm256_maskz_loadu_epi16(inside, row.open + k);
        const __mmask16 drawn = _mm256_test_epi16_mask(open, open);
        const __m512i number =
            _mm512_add_epi32(lane, _mm512_set1_epi32((int)(row.first_number + k)));
        const __m512i more = noise_hash_16(row.more_seed, number);
        const __m512i x = _mm512_mask_mov_epi32(
            none, drawn,
            look_up_16_by_turns(by_loads, levels, row.is_odd, cells_from(&row, k, copy)));
        const __m512i hash = _mm512_maskz_loadu_epi32(inside, row.hash + k);
        const __mmask16 lanes = (__mmask16)(drawn & ~_mm512_movepi32_mask(x));
        const __m512i level = _mm512_add_epi32(x, _mm512_and_si512(more, low_byte));
        const __m512i place = _mm512_ternarylogic_epi32(
            low_byte, _mm512_srli_epi32(hash, LEVEL_GUIDE_SHIFT), level, SELECT_BY_FIRST);
        _mm512_storeu_si512(part->place + i, _mm512_maskz_mov_epi32(lanes, place));
        part->lanes[i / NLANES] = lanes;
        general |= drawn ^ lanes;
    }
    r->has_general |= general != 0;
}

/* See count_reached_function. */
KERNEL static uint32_t count_reached(const uint32_t *threshold, uint32_t r16)
{
    for (uint32_t n = 0;; n += NLANES) {
        const uint32_t above =
            _mm512_cmpgt_epu32_mask(_mm512_loadu_si512(threshold + n), _mm512_set1_epi32((int)r16));
        if (above)
            return n + (uint32_t)__builtin_ctz(above);
    }
}

KERNEL static int draw_unsure(const pattern_cells *cells, choice_row *r, const row_part *part,
                              const uint32_t *tile, uint32_t n)
{
    return choice_draw_unsure(count_reached, cells, r, part->first, part->place, tile, n);
}

/* From places to patterns, as level_draw does it.  Their rows are made where it is sure. */
KERNEL BRAGG_INLINE int draw_sums(int by_loads, const pattern_cells *cells, choice_row *r,
                                  const row_part *part)
{
    const level_tables tables = level_tables_get();
    uint32_t unsure[MOST_UNSURE];
    uint32_t nunsure = 0;
    int has_all = 1;
    const choice_row row = *r;
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i low_byte = _mm512_set1_epi32(0xFF);
    for (uint32_t i = 0; i < part->n; i += NLANES) {
        const uint32_t k = part->first + i;
        lines_ahead_ask(row.ahead);
        const __m512i hash = _mm512_maskz_loadu_epi32(lanes_from(&row, k), row.hash + k);
        const __mmask16 lanes = part->lanes[i / NLANES];
        const __m512i guide =
            _mm512_maskz_mov_epi32(lanes, look_up_16_of(by_loads, tables.guide, part->place + i));
        const __m512i step =
            _mm512_and_si512(_mm512_srli_epi32(guide, LEVEL_GUIDE_STEP_BIT), low_byte);
        const __m512i more = _mm512_srli_epi32(
            _mm512_add_epi32(_mm512_and_si512(hash, low_byte), step), LEVEL_GUIDE_SHIFT);
        const __m512i at =
            _mm512_add_epi32(_mm512_and_si512(guide, _mm512_set1_epi32(LEVEL_GUIDE_AT)), more);
        put(&row, k, lanes, hash, at);
        const __mmask16 is_unsure = _mm512_movepi32_mask(guide);
        const __m512i tile = _mm512_add_epi32(lane, _mm512_set1_epi32((int)i));
        _mm512_storeu_si512(unsure + nunsure, _mm512_maskz_compress_epi32(is_unsure, tile));
        nunsure += (uint32_t)__builtin_popcount(is_unsure);
        if (nunsure > MOST_UNSURE - NLANES) {
            has_all &= draw_unsure(cells, r, part, unsure, nunsure);
            nunsure = 0;
        }
    }
    return has_all & draw_unsure(cells, r, part, unsure, nunsure);
}

KERNEL BRAGG_INLINE int by_level_by(int by_loads, const pattern_cells *cells, choice_row *r)
{
    row_part part;
    int has_all = 1;
    r->has_general = 0;
    for (uint32_t first = 0; first < r->ntx; first += PART_NTILES) {
        part.first = first;
        part.n = r->ntx - first < PART_NTILES ? r->ntx - first : PART_NTILES;
        list_places(by_loads, cells, r, &part);
        has_all &= draw_sums(by_loads, cells, r, &part);
    }
    return has_all;
}

KERNEL static int by_level(const pattern_cells *cells, choice_row *r)
{
    return bragg_gathers_are_slow() ? by_level_by(1, cells, r) : by_level_by(0, cells, r);
}

/* Which lanes are in coarse blocks. */
KERNEL BRAGG_INLINE __mmask16 coarse_lanes(const choice_row *r, uint32_t k)
{
    const __m128i block_of = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    int four;
    memcpy(&four, r->is_coarse + k / MACRO_EDGE, sizeof four);
    const __m128i blocks = _mm_shuffle_epi8(_mm_cvtsi32_si128(four), block_of);
    return _mm_test_epi8_mask(blocks, blocks);
}

/* Sums, of which those of patterns are in the lower halves. */
KERNEL BRAGG_INLINE __m512i load_sums(__mmask16 lanes, const int64_t *sum)
{
    const __m512i lower =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_epi32(_mm512_maskz_loadu_epi64((__mmask8)lanes, sum), lower,
                                     _mm512_maskz_loadu_epi64((__mmask8)(lanes >> 8), sum + 8));
}

KERNEL BRAGG_INLINE int by_sum_by(int by_loads, const pattern_cells *cells, choice_row *r)
{
    const __m512i low_bits = _mm512_set1_epi32(PATTERN_MAX_SUM);
    const __m512i none = _mm512_set1_epi32((int)CHOICE_NO_PATTERN);
    uint32_t general = 0;
    uint32_t ncut = 0;
    int has_all = 1;
    const choice_row row = *r;
    for (uint32_t k = 0; k < row.ntx; k += NLANES) {
        const __mmask16 inside = lanes_from(&row, k);
        uint16_t copy[NLANES];
        lines_ahead_ask(row.ahead);
        const __m256i open = _mm256_maskz_loadu_epi16(inside, row.open + k);
        const __m512i hash = _mm512_maskz_loadu_epi32(inside, row.hash + k);
        const __m512i sum = load_sums(inside, row.sum + k);
        const __mmask16 drawn = _mm256_test_epi16_mask(open, open) & ~coarse_lanes(&row, k);
        const __m512i run = _mm512_mask_mov_epi32(
            none, drawn, look_up_16_at(by_loads, cells->run, cells_from(&row, k, copy)));
        const __mmask16 has_pattern = (__mmask16)(drawn & ~_mm512_movepi32_mask(run));
        const __mmask16 whole =
            _mm256_mask_cmpeq_epi16_mask(has_pattern, open, _mm256_set1_epi16(-1));
        const __m512i high = _mm512_srli_epi32(run, PATTERN_SUM_NBITS); /* T * 512 + first */
        const __m512i first = _mm512_and_si512(high, low_bits);
        const __m512i length = _mm512_sub_epi32(_mm512_and_si512(run, low_bits), first);
        const __mmask16 missing =
            _mm512_mask_cmpgt_epu32_mask(whole, _mm512_sub_epi32(sum, first), length);
        general |= has_pattern ^ drawn;
        put(&row, k, whole, hash, _mm512_or_si512(_mm512_andnot_si512(low_bits, high), sum));
        if (missing)
            has_all &= choice_rows_make(cells, r, k, missing);
        for (uint32_t cut = has_pattern & ~(uint32_t)whole; cut; cut &= cut - 1)
            row.cut[ncut++] = k + (uint32_t)__builtin_ctz(cut);
    }
    r->ncut = ncut;
    r->has_general = general != 0;
    return has_all;
}

KERNEL static int by_sum(const pattern_cells *cells, choice_row *r)
{
    return bragg_gathers_are_slow() ? by_sum_by(1, cells, r) : by_sum_by(0, cells, r);
}

const choice_kernels CHOICE_KERNELS_AVX512 = {by_level, by_sum};
#endif
