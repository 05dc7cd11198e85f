/* SPDX-License-Identifier: MIT */
/* The choice of patterns with AVX2: 8 tiles at a time, whose tables are gathered. */
#include "pattern_choice.h"

#if defined(BRAGG_X86_64)
#include "look_up_simd.h"

#include "lane_tables.h"
#include "noise_hash_simd.h"

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { NLANES = 8, ALL_LANES = 0xFF, MOST_UNSURE = 64, PART_NTILES = 1024 };

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
KERNEL BRAGG_INLINE void put(const choice_row *r, uint32_t k, __m256i lanes, __m256i hash,
                             __m256i at)
{
    const __m256i variant =
        _mm256_and_si256(_mm256_srli_epi32(hash, CHOICE_VARIANT_SHIFT - 3),
                         _mm256_set1_epi32(PATTERN_NBYTES / 2 * (PATTERN_NVARIANTS - 1)));
    const __m256i place = _mm256_or_si256(_mm256_slli_epi32(at, PATTERN_ROW_SHIFT - 1), variant);
    const __m256i highest = _mm256_set1_epi32(0x0F0B0703); /* bytes of the lanes of a half */
    const __m256i permutation = _mm256_shuffle_epi8(hash, highest);
    _mm256_storeu_si256((void *)(r->variant + k), _mm256_and_si256(lanes, place));
    _mm_storel_epi64((void *)(r->permutation + k),
                     _mm_unpacklo_epi32(_mm256_castsi256_si128(permutation),
                                        _mm256_extracti128_si256(permutation, 1)));
}

/* Tiles of a row that are dealt with at a time. */
typedef struct row_part {
    _Alignas(32) uint32_t place[PART_NTILES]; /* in the guides: number of table * 256 + R >> 8 */
    uint8_t lanes[PART_NTILES / NLANES];      /* of tiles whose sum is drawn; others have place 0 */
    uint32_t first;
    uint32_t n; /* whole NLANES */
} row_part;

/* Lines are asked for by sixteen tiles, once in each loop: what is read before asks for the others.
 */
KERNEL BRAGG_INLINE void ask_for_lines(lines_ahead *ahead, uint32_t tile)
{
    enum { ASKED_NTILES = 16 };
    if (tile % ASKED_NTILES == 0)
        lines_ahead_ask(ahead);
}

/* As with AVX-512, places in the guides are found in a loop of their own, and written down: the
 * one that looks them up has them as soon as it wants them. */
KERNEL BRAGG_INLINE void list_places(int by_loads, const pattern_cells *cells, choice_row *r,
                                     row_part *part)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low_byte = _mm256_set1_epi32(0xFF);
    const uint32_t(*const levels)[2] = (const uint32_t(*)[2])cells->level;
    uint32_t general = 0;
    const choice_row row = *r; /* what is stored might be part of it */
    for (uint32_t i = 0; i < part->n; i += NLANES) {
        const uint32_t k = part->first + i;
        ask_for_lines(row.ahead, i);
        const __m256i closed =
            _mm256_cmpeq_epi32(load_16_bits(row.open + k), _mm256_setzero_si256());
        const __m256i more = noise_hash_8(
            row.more_seed, _mm256_add_epi32(lane, _mm256_set1_epi32((int)(row.first_number + k))));
        const __m256i x = look_up_8_by_turns(by_loads, levels, row.is_odd, row.cell + k);
        const __m256i hash = _mm256_loadu_si256((const void *)(row.hash + k));
        const __m256i level = _mm256_add_epi32(x, _mm256_and_si256(more, low_byte));
        const __m256i place =
            _mm256_or_si256(_mm256_andnot_si256(low_byte, level),
                            _mm256_and_si256(low_byte, _mm256_srli_epi32(hash, LEVEL_GUIDE_SHIFT)));
        const __m256i has_none = _mm256_or_si256(closed, _mm256_srai_epi32(x, 31));
        _mm256_store_si256((void *)(part->place + i), _mm256_andnot_si256(has_none, place));
        part->lanes[i / NLANES] = (uint8_t)~bits_of(has_none);
        general |= bits_of(_mm256_andnot_si256(closed, x));
    }
    r->has_general |= general != 0;
}

/* See count_reached_function. */
KERNEL static uint32_t count_reached(const uint32_t *threshold, uint32_t r16)
{
    const __m256i least = _mm256_set1_epi32((int)(r16 + 1));
    for (uint32_t n = 0;; n += NLANES) {
        const __m256i t = _mm256_loadu_si256((const void *)(threshold + n));
        const uint32_t above = bits_of(_mm256_cmpeq_epi32(_mm256_max_epu32(t, least), t));
        if (above)
            return n + (uint32_t)__builtin_ctz(above);
    }
}

KERNEL static int draw_unsure(const pattern_cells *cells, choice_row *r, const row_part *part,
                              const uint32_t *tile, uint32_t n)
{
    return choice_draw_unsure(count_reached, cells, r, part->first, part->place, tile, n);
}

/* Lanes by bits. */
KERNEL BRAGG_INLINE __m256i lanes_of(uint32_t bits)
{
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), bit), bit);
}

/* The numbers of lanes whose bits are set, one behind the other. */
KERNEL BRAGG_INLINE __m256i numbers_of(uint32_t bits)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)&LANES_CHOSEN[bits]));
}

/* From places to patterns, as level_draw does it.  Their rows are made where it is sure. */
KERNEL BRAGG_INLINE int draw_sums(int by_loads, const pattern_cells *cells, choice_row *r,
                                  const row_part *part)
{
    const level_tables tables = level_tables_get();
    const __m256i low_byte = _mm256_set1_epi32(0xFF);
    uint32_t unsure[MOST_UNSURE];
    uint32_t nunsure = 0;
    int has_all = 1;
    const choice_row row = *r;
    for (uint32_t i = 0; i < part->n; i += NLANES) {
        const uint32_t k = part->first + i;
        ask_for_lines(row.ahead, i);
        const __m256i hash = _mm256_loadu_si256((const void *)(row.hash + k));
        const __m256i lanes = lanes_of(part->lanes[i / NLANES]);
        const __m256i guide =
            _mm256_and_si256(lanes, look_up_8_of(by_loads, tables.guide, part->place + i));
        const __m256i step =
            _mm256_and_si256(_mm256_srli_epi32(guide, LEVEL_GUIDE_STEP_BIT), low_byte);
        const __m256i more = _mm256_srli_epi32(
            _mm256_add_epi32(_mm256_and_si256(hash, low_byte), step), LEVEL_GUIDE_SHIFT);
        const __m256i at = _mm256_and_si256(guide, _mm256_set1_epi32(LEVEL_GUIDE_AT));
        put(&row, k, lanes, hash, _mm256_add_epi32(at, more));
        const uint32_t is_unsure = bits_of(guide);
        _mm256_storeu_si256((void *)(unsure + nunsure),
                            _mm256_add_epi32(numbers_of(is_unsure), _mm256_set1_epi32((int)i)));
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
    const uint32_t nwhole = r->ntx / NLANES * NLANES;
    row_part part;
    int has_all = 1;
    r->has_general = 0;
    for (uint32_t first = 0; first < nwhole; first += PART_NTILES) {
        part.first = first;
        part.n = nwhole - first < PART_NTILES ? nwhole - first : PART_NTILES;
        list_places(by_loads, cells, r, &part);
        has_all &= draw_sums(by_loads, cells, r, &part);
    }
    return choice_by_level_from(cells, r, nwhole) & has_all;
}

KERNEL int choice_by_level_avx2(const pattern_cells *cells, choice_row *r)
{
    return bragg_gathers_are_slow() ? by_level_by(1, cells, r) : by_level_by(0, cells, r);
}

KERNEL BRAGG_INLINE int by_sum_by(int by_loads, const pattern_cells *cells, choice_row *r)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low_bits = _mm256_set1_epi32(PATTERN_MAX_SUM);
    const choice_row row = *r; /* what is stored might be part of it */
    uint32_t general = 0;
    uint32_t ncut = 0;
    int has_all = 1;
    uint32_t k = 0;
    for (; k + NLANES <= row.ntx; k += NLANES) {
        ask_for_lines(row.ahead, k);
        const __m256i open = load_16_bits(row.open + k);
        const __m256i run = look_up_8_at(by_loads, cells->run, row.cell + k);
        const __m256i sum = load_sums(row.sum + k);
        const __m256i hash = _mm256_loadu_si256((const void *)(row.hash + k));
        const __m256i closed = _mm256_or_si256(_mm256_cmpeq_epi32(open, zero),
                                               coarse_lanes(row.is_coarse + k / MACRO_EDGE));
        const __m256i high = _mm256_srli_epi32(run, PATTERN_SUM_NBITS); /* T * 512 + first */
        const __m256i first = _mm256_and_si256(high, low_bits);
        const __m256i last = _mm256_and_si256(run, low_bits);
        const __m256i outside =
            _mm256_or_si256(_mm256_cmpgt_epi32(first, sum), _mm256_cmpgt_epi32(sum, last));
        const __m256i has_none = _mm256_or_si256(closed, _mm256_srai_epi32(run, 31));
        const __m256i whole =
            _mm256_andnot_si256(has_none, _mm256_cmpeq_epi32(open, _mm256_set1_epi32(0xFFFF)));
        general |= bits_of(_mm256_andnot_si256(closed, run));
        const uint32_t missing = bits_of(_mm256_and_si256(whole, outside));
        put(&row, k, whole, hash, _mm256_or_si256(_mm256_andnot_si256(low_bits, high), sum));
        if (missing)
            has_all &= choice_rows_make(cells, r, k, missing);
        for (uint32_t cut = ~bits_of(_mm256_or_si256(whole, has_none)) & ALL_LANES; cut;
             cut &= cut - 1)
            row.cut[ncut++] = k + (uint32_t)__builtin_ctz(cut);
    }
    r->ncut = ncut;
    r->has_general = general != 0;
    return choice_by_sum_from(cells, r, k) & has_all;
}

KERNEL int choice_by_sum_avx2(const pattern_cells *cells, choice_row *r)
{
    return bragg_gathers_are_slow() ? by_sum_by(1, cells, r) : by_sum_by(0, cells, r);
}
#endif
