/* SPDX-License-Identifier: MIT */
/* Significant boxes of single tiles for AVX-512 (F, BW, VL): the same as box_search_tile. */
#include "box_search.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>
#include <string.h>

#define LEVEL_TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))

/* Eight pixels of a row from one to the left of the tile, as 16-bit numbers. */
LEVEL_INLINE __m128i load_row(const uint8_t *row)
{
    return _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(row - 1)));
}

LEVEL_INLINE __m128i sum_columns(__m128i sums)
{
    return _mm_add_epi16(_mm_add_epi16(sums, _mm_srli_si128(sums, 2)), _mm_srli_si128(sums, 4));
}

/* The box sums around the 16 pixels of a tile. */
LEVEL_INLINE __m256i box_sums(const uint8_t *tile, size_t stride)
{
    const __m128i row1 = load_row(tile);
    const __m128i row2 = load_row(tile + stride);
    const __m128i row3 = load_row(tile + 2 * stride);
    const __m128i row4 = load_row(tile + 3 * stride);
    const __m128i upper = _mm_add_epi16(row1, row2);
    const __m128i lower = _mm_add_epi16(row3, row4);
    const __m128i sum1 = sum_columns(_mm_add_epi16(load_row(tile - stride), upper));
    const __m128i sum2 = sum_columns(_mm_add_epi16(upper, row3));
    const __m128i sum3 = sum_columns(_mm_add_epi16(row2, lower));
    const __m128i sum4 = sum_columns(_mm_add_epi16(lower, load_row(tile + 4 * stride)));
    return _mm256_set_m128i(_mm_unpacklo_epi64(sum3, sum4), _mm_unpacklo_epi64(sum1, sum2));
}

/* Marks up to three tiles side by side, of four. */
LEVEL_INLINE void mark_three(uint8_t *kept, uint32_t touched, uint32_t near)
{
    static const uint32_t bytes[8] = {0x000000, 0x000001, 0x000100, 0x000101,
                                      0x010000, 0x010001, 0x010100, 0x010101};
    uint32_t four;
    memcpy(&four, kept, sizeof four);
    four |= BOX_TOUCHES * bytes[touched & 7] | BOX_IS_NEAR * bytes[near & 7];
    memcpy(kept, &four, sizeof four);
}

/* A tile that has neighbours on all sides, and one more to the right. */
LEVEL_INLINE void search_inner_tile(const box_suspects *s, uint32_t column)
{
    /* Of nine tiles, row by row, the pixels of this one whose boxes touch them; those of peaks. */
    const __m256i nearer =
        _mm256_setr_epi16(0x0001, 0x000F, 0x0008, 0x1111, -1, (short)0x8888, 0x1000, (short)0xF000,
                          (short)0x8000, 0, 0, 0, 0, 0, 0, 0);
    const __m256i near =
        _mm256_setr_epi16(0x0033, 0x00FF, 0x00CC, 0x3333, -1, (short)0xCCCC, 0x3300, (short)0xFF00,
                          (short)0xCC00, 0, 0, 0, 0, 0, 0, 0);
    const size_t stride = s->plane->stride;
    const size_t ntx = s->map->ntx;
    const size_t at = s->row * ntx + column;
    const uint32_t word = s->word[column - s->first];
    const __m256i sums = box_sums(s->plane->value + TILE_EDGE * (s->row * stride + column), stride);
    const __mmask16 chance =
        _mm256_cmpgt_epu16_mask(sums, _mm256_set1_epi16((short)box_chance(word)));
    const __mmask16 peak = _mm256_cmpgt_epu16_mask(sums, _mm256_set1_epi16((short)box_peak(word)));
    const uint32_t touched = _mm256_test_epi16_mask(nearer, _mm256_set1_epi16((short)chance));
    const uint32_t reached = _mm256_test_epi16_mask(near, _mm256_set1_epi16((short)peak));
    mark_three(s->kept + at - ntx - 1, touched, reached);
    mark_three(s->kept + at - 1, touched >> 3, reached >> 3);
    mark_three(s->kept + at + ntx - 1, touched >> 6, reached >> 6);
}

LEVEL_TARGET void box_search_avx512(const box_suspects *s)
{
    const int is_inner_row = s->row > 0 && s->row + 1 < s->map->nty;
    for (uint32_t group = 0; group < s->ngroups; group++) {
        for (uint32_t left = s->found[group]; left; left &= left - 1) {
            const uint32_t t = group * GROUP_NTILES + (uint32_t)__builtin_ctz(left);
            const uint32_t column = s->first + t;
            if (is_inner_row && column > 0 && column + 2 < s->map->ntx)
                search_inner_tile(s, column);
            else
                box_search_tile(s, column);
        }
    }
}
#else
typedef int box_search_avx512_is_not_built; /* a source file must not be empty */
#endif
