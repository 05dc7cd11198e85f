/* SPDX-License-Identifier: MIT */
/* The choice of patterns with AVX2: 8 tiles at a time, whose tables are gathered. */
#include "pattern_choice.h"

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"

#include "bytes.h"
#include "noise_hash_simd.h"

#define KERNEL __attribute__((target("avx2")))

enum { NLANES = 8 };

/* By levels, this loop alone asks for lines: for all that eight tiles fill.  By sums, for half of
 * them, as reading sums asks for the others. */
enum { NASKED_BY_LEVEL = 2, NASKED_BY_SUM = 1 };

KERNEL BRAGG_INLINE uint32_t bits_of(__m256i lanes)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(lanes));
}

KERNEL BRAGG_INLINE __m256i load_16_bits(const uint16_t *from)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)from));
}

/* The lower halves of eight sums. */
KERNEL BRAGG_INLINE __m256i load_sums(const int64_t *sum)
{
    const __m256 low = _mm256_castsi256_ps(_mm256_loadu_si256((const void *)sum));
    const __m256 high = _mm256_castsi256_ps(_mm256_loadu_si256((const void *)(sum + 4)));
    const __m256i halves = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    return _mm256_permute4x64_epi64(halves, 0xD8);
}

/* Lanes of tiles in coarse blocks. */
KERNEL BRAGG_INLINE __m256i coarse_lanes(const uint8_t *is_coarse)
{
    const __m256i blocks = _mm256_setr_m128i(_mm_set1_epi32(is_coarse[0]),
                                             _mm_set1_epi32(is_coarse[NLANES / MACRO_EDGE - 1]));
    return _mm256_cmpgt_epi32(blocks, _mm256_setzero_si256());
}

/* Gives the tiles in some lanes the patterns of T * 512 + S, the others that of no counts. */
KERNEL BRAGG_INLINE void put(const choice_row *r, uint32_t k, __m256i lanes, __m256i at)
{
    const __m256i hash = _mm256_loadu_si256((const void *)(r->hash + k));
    const __m256i variant =
        _mm256_and_si256(_mm256_srli_epi32(hash, CHOICE_VARIANT_SHIFT - 3),
                         _mm256_set1_epi32(PATTERN_NBYTES / 2 * (PATTERN_NVARIANTS - 1)));
    const __m256i place = _mm256_or_si256(_mm256_slli_epi32(at, PATTERN_ROW_SHIFT - 1), variant);
    const __m256i highest = _mm256_set1_epi32(0x0F0B0703); /* bytes of the lanes of a half */
    const __m256i permutation = _mm256_shuffle_epi8(hash, highest);
    _mm256_storeu_si256((void *)(r->variant + k), _mm256_and_si256(lanes, place));
    store_u32(r->permutation + k, (uint32_t)_mm256_extract_epi32(permutation, 0));
    store_u32(r->permutation + k + 4, (uint32_t)_mm256_extract_epi32(permutation, 4));
}

/* T * 512 + S of the tiles in some lanes, from numbers of tables of levels, as level_draw gives it;
 * the highest bit is set where it is not sure. */
KERNEL BRAGG_INLINE __m256i draw_sums(const level_tables *tables, __m256i number, __m256i hash,
                                      __m256i lanes)
{
    const __m256i low_byte = _mm256_set1_epi32(0xFF);
    const __m256i high_byte =
        _mm256_and_si256(_mm256_srli_epi32(hash, LEVEL_GUIDE_SHIFT), low_byte);
    const __m256i place = _mm256_or_si256(_mm256_slli_epi32(number, LEVEL_GUIDE_SHIFT), high_byte);
    const __m256i guide =
        _mm256_and_si256(lanes, look_up_8(tables->guide, _mm256_and_si256(lanes, place)));
    const __m256i step = _mm256_and_si256(_mm256_srli_epi32(guide, LEVEL_GUIDE_STEP_BIT), low_byte);
    const __m256i more = _mm256_srli_epi32(_mm256_add_epi32(_mm256_and_si256(hash, low_byte), step),
                                           LEVEL_GUIDE_SHIFT);
    const __m256i at = _mm256_and_si256(guide, _mm256_set1_epi32(LEVEL_GUIDE_AT));
    const __m256i unsure = _mm256_set1_epi32((int)LEVEL_GUIDE_UNSURE);
    return _mm256_or_si256(_mm256_add_epi32(at, more), _mm256_and_si256(guide, unsure));
}

KERNEL int choice_by_level_avx2(const pattern_cells *cells, choice_row *r)
{
    const level_tables tables = level_tables_get();
    const __m256i none = _mm256_set1_epi32((int)CHOICE_NO_PATTERN);
    const __m256i zero = _mm256_setzero_si256();
    const __m256i one = _mm256_set1_epi32(1);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i is_odd =
        _mm256_and_si256(_mm256_add_epi32(lane, _mm256_set1_epi32((int)r->is_odd)), one);
    int has_all = 1;
    uint32_t general = 0;
    uint32_t k = 0;
    for (; k + NLANES <= r->ntx; k += NLANES) {
        for (uint32_t i = 0; i < NASKED_BY_LEVEL; i++)
            lines_ahead_ask(r->ahead);
        const __m256i closed = _mm256_cmpeq_epi32(load_16_bits(r->open + k), zero);
        const __m256i drawn = _mm256_xor_si256(closed, _mm256_cmpeq_epi32(zero, zero));
        const __m256i cell = load_16_bits(r->cell + k);
        const __m256i place = _mm256_add_epi32(_mm256_add_epi32(cell, cell), is_odd);
        const __m256i x = _mm256_blendv_epi8(
            none, look_up_8(cells->level, _mm256_and_si256(drawn, place)), drawn);
        const __m256i more = noise_hash_8(
            r->more_seed, _mm256_add_epi32(lane, _mm256_set1_epi32((int)(r->first_number + k))));
        const __m256i number = _mm256_srai_epi32(
            _mm256_add_epi32(x, _mm256_and_si256(more, _mm256_set1_epi32(0xFF))), 8);
        const __m256i lanes = _mm256_andnot_si256(_mm256_srai_epi32(x, 31), drawn);
        const __m256i hash = _mm256_loadu_si256((const void *)(r->hash + k));
        const __m256i at = draw_sums(&tables, number, hash, lanes);
        general |= bits_of(_mm256_andnot_si256(lanes, drawn));
        put(r, k, lanes, at);
        uint32_t numbers[NLANES];
        _mm256_storeu_si256((void *)numbers, number);
        for (uint32_t unsure = bits_of(at); unsure; unsure &= unsure - 1) {
            const uint32_t i = (uint32_t)__builtin_ctz(unsure);
            has_all &= choice_put(cells, r, k + i,
                                  level_draw(&tables, numbers[i], r->hash[k + i] & 0xFFFF));
        }
    }
    r->has_general = general != 0;
    return choice_by_level_from(cells, r, k) & has_all;
}

KERNEL int choice_by_sum_avx2(const pattern_cells *cells, choice_row *r)
{
    const __m256i none = _mm256_set1_epi32((int)CHOICE_NO_PATTERN);
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low_bits = _mm256_set1_epi32(PATTERN_MAX_SUM);
    int has_all = 1;
    uint32_t general = 0;
    uint32_t k = 0;
    r->ncut = 0;
    for (; k + NLANES <= r->ntx; k += NLANES) {
        for (uint32_t i = 0; i < NASKED_BY_SUM; i++)
            lines_ahead_ask(r->ahead);
        const __m256i open = load_16_bits(r->open + k);
        const __m256i closed = _mm256_or_si256(_mm256_cmpeq_epi32(open, zero),
                                               coarse_lanes(r->is_coarse + k / MACRO_EDGE));
        const __m256i drawn = _mm256_xor_si256(closed, _mm256_cmpeq_epi32(zero, zero));
        const __m256i sum = load_sums(r->sum + k);
        const __m256i run = _mm256_blendv_epi8(
            none, look_up_8(cells->run, _mm256_and_si256(drawn, load_16_bits(r->cell + k))), drawn);
        const __m256i high = _mm256_srli_epi32(run, PATTERN_SUM_NBITS); /* T * 512 + first */
        const __m256i first = _mm256_and_si256(high, low_bits);
        const __m256i last = _mm256_and_si256(run, low_bits);
        const __m256i outside =
            _mm256_or_si256(_mm256_cmpgt_epi32(first, sum), _mm256_cmpgt_epi32(sum, last));
        const __m256i has_pattern = _mm256_andnot_si256(_mm256_srai_epi32(run, 31), drawn);
        const __m256i whole =
            _mm256_and_si256(has_pattern, _mm256_cmpeq_epi32(open, _mm256_set1_epi32(0xFFFF)));
        general |= bits_of(_mm256_andnot_si256(has_pattern, drawn));
        const uint32_t missing = bits_of(_mm256_and_si256(whole, outside));
        put(r, k, whole, _mm256_or_si256(_mm256_andnot_si256(low_bits, high), sum));
        if (missing)
            has_all &= choice_rows_make(cells, r, k, missing);
        for (uint32_t cut = bits_of(_mm256_andnot_si256(whole, has_pattern)); cut; cut &= cut - 1)
            r->cut[r->ncut++] = k + (uint32_t)__builtin_ctz(cut);
    }
    r->has_general = general != 0;
    return choice_by_sum_from(cells, r, k) & has_all;
}
#endif
