/* SPDX-License-Identifier: MIT */
/* The choice of patterns by sums with AVX2: 8 tiles at a time, whose tables are gathered. */
#include "pattern_choice.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include "bytes.h"
#include "ring_map.h"

#define KERNEL __attribute__((target("avx2")))

enum { NLANES = 8 };

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

/*
 * The variants of four tiles, in the lanes that `lanes` has; adds to *missing where a row has not
 * been made.  As loads of the processor are whole and in order, what they point to has been.
 */
KERNEL BRAGG_INLINE __m256i variants_at(const pattern_cells *cells, __m128i at, __m128i lanes,
                                        __m128i offset, __m256i *missing)
{
    const long long *rows = (const void *)cells->book->rows[PATTERN_NBYTES - 1];
    const __m256i zero = _mm256_setzero_si256();
    const __m256i empty = _mm256_set1_epi64x((long long)(intptr_t)CHOICE_EMPTY);
    const __m256i wide = _mm256_cvtepi32_epi64(lanes);
    const __m256i row = _mm256_mask_i32gather_epi64(zero, rows, at, wide, 8);
    *missing = _mm256_and_si256(wide, _mm256_cmpeq_epi64(row, zero));
    return _mm256_blendv_epi8(empty, _mm256_add_epi64(row, _mm256_cvtepu32_epi64(offset)), wide);
}

/* Gives the tiles in some lanes the patterns of T * 512 + S, the others the empty one. */
KERNEL BRAGG_INLINE int choose(const pattern_cells *cells, choice_row *r, uint32_t k, __m256i lanes,
                               __m256i at)
{
    const __m256i hash = _mm256_loadu_si256((const void *)(r->hash + k));
    const __m256i offset =
        _mm256_and_si256(_mm256_srli_epi32(hash, CHOICE_VARIANT_SHIFT - 4),
                         _mm256_set1_epi32(PATTERN_NBYTES * (PATTERN_NVARIANTS - 1)));
    const __m256i highest = _mm256_set1_epi32(0x0F0B0703); /* bytes of the lanes of a half */
    const __m256i permutation = _mm256_shuffle_epi8(hash, highest);
    __m256i missing[2];
    const __m256i low =
        variants_at(cells, _mm256_castsi256_si128(at), _mm256_castsi256_si128(lanes),
                    _mm256_castsi256_si128(offset), &missing[0]);
    const __m256i high =
        variants_at(cells, _mm256_extracti128_si256(at, 1), _mm256_extracti128_si256(lanes, 1),
                    _mm256_extracti128_si256(offset, 1), &missing[1]);
    if (SHOWS_GATHERS) {
        uint32_t place[NLANES];
        _mm256_storeu_si256((void *)place, at);
        choice_show_rows(cells->book, place, bits_of(lanes));
    }
    _mm256_storeu_si256((void *)(r->variant + k), low);
    _mm256_storeu_si256((void *)(r->variant + k + 4), high);
    store_u32(r->permutation + k, (uint32_t)_mm256_extract_epi32(permutation, 0));
    store_u32(r->permutation + k + 4, (uint32_t)_mm256_extract_epi32(permutation, 4));
    const __m256i any = _mm256_or_si256(missing[0], missing[1]);
    int has_all = 1;
    if (!_mm256_testz_si256(any, any)) {
        uint32_t place[NLANES];
        _mm256_storeu_si256((void *)place, at);
        for (uint32_t bits = bits_of(lanes), i = 0; bits; bits >>= 1, i++) {
            if (bits & 1)
                has_all &= choice_put(cells, r, k + i, place[i]);
        }
    }
    return has_all;
}

KERNEL int choice_by_sum_avx2(const pattern_cells *cells, choice_row *r)
{
    const __m256i none = _mm256_set1_epi32((int)CHOICE_NO_PATTERN);
    const __m256i zero = _mm256_setzero_si256();
    int has_all = 1;
    uint32_t general = 0;
    uint32_t k = 0;
    r->ncut = 0;
    for (; k + NLANES <= r->ntx; k += NLANES) {
        const __m256i open = load_16_bits(r->open + k);
        const __m256i closed = _mm256_or_si256(_mm256_cmpeq_epi32(open, zero),
                                               coarse_lanes(r->is_coarse + k / MACRO_EDGE));
        const __m256i drawn = _mm256_xor_si256(closed, _mm256_cmpeq_epi32(zero, zero));
        const __m256i rows = _mm256_mask_i32gather_epi32(none, (const void *)cells->rows,
                                                         load_16_bits(r->cell + k), drawn, 4);
        const __m256i has_pattern = _mm256_andnot_si256(_mm256_srai_epi32(rows, 31), drawn);
        const __m256i whole =
            _mm256_and_si256(has_pattern, _mm256_cmpeq_epi32(open, _mm256_set1_epi32(0xFFFF)));
        general |= bits_of(_mm256_andnot_si256(has_pattern, drawn));
        has_all &= choose(cells, r, k, whole, _mm256_add_epi32(rows, load_sums(r->sum + k)));
        for (uint32_t cut = bits_of(_mm256_andnot_si256(whole, has_pattern)); cut; cut &= cut - 1)
            r->cut[r->ncut++] = k + (uint32_t)__builtin_ctz(cut);
    }
    r->has_general = general != 0;
    return choice_by_sum_from(cells, r, k) & has_all;
}
#endif
