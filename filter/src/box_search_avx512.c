/* SPDX-License-Identifier: MIT */
/* Significant boxes of single tiles for AVX-512 (F, BW, VL, VBMI2): as box_search.c does it. */
#include "box_search.h"

#if BRAGG_HAVE_X86_KERNELS
#include <immintrin.h>
#include <string.h>

#define LEVEL_TARGET __attribute__((target("avx2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2")))
#define LEVEL_INLINE static inline LEVEL_TARGET __attribute__((always_inline))

/* Room for the suspects that there may be, and for a vector that begins with the last one. */
enum { LIST_SIZE = (BOX_MOST_GROUPS + 2) * GROUP_NTILES };

/* Numbers of the suspects.  Without branches: where they are is a matter of chance. */
LEVEL_INLINE uint32_t list_suspects(const uint16_t *found, uint32_t ngroups,
                                    uint16_t list[LIST_SIZE])
{
    const __m512i two = _mm512_set1_epi16(2 * GROUP_NTILES);
    __m512i tile = _mm512_cvtepu8_epi16(_mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                                                         13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
                                                         24, 25, 26, 27, 28, 29, 30, 31));
    uint32_t n = 0;
    for (uint32_t group = 0; group < ngroups; group += 2) {
        uint32_t bits;
        memcpy(&bits, found + group, sizeof bits);
        _mm512_storeu_si512(list + n, _mm512_maskz_compress_epi16(bits, tile));
        n += (uint32_t)__builtin_popcount(bits);
        tile = _mm512_add_epi16(tile, two);
    }
    return n;
}

/* Eight pixels of each of two rows, from one to the left of the tile, as 16-bit numbers. */
LEVEL_INLINE __m256i load_rows(const uint8_t *upper, const uint8_t *lower)
{
    const __m128i first = _mm_loadl_epi64((const __m128i *)(const void *)(upper - 1));
    const __m128i second = _mm_loadl_epi64((const __m128i *)(const void *)(lower - 1));
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(first, second));
}

LEVEL_INLINE __m256i sum_columns(__m256i sums)
{
    const __m256i two = _mm256_add_epi16(sums, _mm256_srli_si256(sums, 2));
    return _mm256_add_epi16(two, _mm256_srli_si256(sums, 4));
}

/* The box sums around the 16 pixels of a tile: rows 0 and 2 go together, and rows 1 and 3. */
LEVEL_INLINE __m256i box_sums(const uint8_t *tile, size_t stride)
{
    const __m256i above = load_rows(tile - stride, tile + stride);
    const __m256i even = load_rows(tile, tile + 2 * stride);
    const __m256i odd = load_rows(tile + stride, tile + 3 * stride);
    const __m256i below = load_rows(tile + 2 * stride, tile + 4 * stride);
    const __m256i both = _mm256_add_epi16(even, odd);
    return _mm256_unpacklo_epi64(sum_columns(_mm256_add_epi16(above, both)),
                                 sum_columns(_mm256_add_epi16(both, below)));
}

/* What a tile makes of itself and its neighbours, in the order of box_reach. */
LEVEL_INLINE uint32_t marks_of(const box_suspects *s, uint32_t t)
{
    const uint32_t word = s->word[t];
    const uint32_t inside = t == s->last ? s->inside_last : s->inside;
    const __m256i sums = box_sums(s->value + (size_t)TILE_EDGE * t, s->stride);
    const __m256i chance = _mm256_set1_epi16((short)box_chance(word));
    const __m256i peak = _mm256_set1_epi16((short)box_peak(word));
    const uint32_t hits = _mm256_cmpgt_epu16_mask(sums, chance) & inside;
    const uint32_t peaks = _mm256_cmpgt_epu16_mask(sums, peak) & inside;
    const __m512i reach = _mm512_loadu_si512(box_reach);
    return _mm512_test_epi16_mask(reach, _mm512_set1_epi32((int)(hits | peaks << 16)));
}

/*
 * Marks of neighbours overlap.  Those of columns that the next suspect may still mark stay in a
 * register and are stored anew with its own: memory is only written, and nothing waits for it.
 */
LEVEL_TARGET void box_search_avx512(const box_suspects *s, uint8_t *mark)
{
    uint16_t list[LIST_SIZE];
    const uint32_t n = list_suspects(s->found, s->ngroups, list);
    uint32_t marks = 0;
    uint32_t before = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t t = list[k];
        const uint32_t distance = t - before < 3 ? t - before : 3;
        marks = marks >> 8 * distance | marks_of(s, t);
        memcpy(mark + t, &marks, sizeof marks);
        before = t;
    }
}
#else
typedef int box_search_avx512_is_not_built; /* a source file must not be empty */
#endif
