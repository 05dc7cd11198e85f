/* SPDX-License-Identifier: MIT */
/* Finds the tiles of a row that must be looked at one by one. */
#include "row_lists.h"

#include <string.h>

#include "cpu_level.h"
#include "frame_fit.h"
#include "symbols.h" /* lowest_bit */

enum { TILES_AT_ONCE = 64, GROUP_BITS = (1 << GROUP_NTILES) - 1 };

/* Asks for the bytes of the group of a tile.  The second cache has room until they are written. */
static inline void ask_for_group(const listed_row *row, uint32_t column)
{
#if defined(__GNUC__)
    enum { SECOND_CACHE = 2 };
    const size_t first = (size_t)TILE_EDGE * (column / GROUP_NTILES * GROUP_NTILES);
    for (size_t i = 0; i < TILE_EDGE && row->value; i++)
        __builtin_prefetch(row->value + i * row->stride + first, 0, SECOND_CACHE);
#else
    (void)row, (void)column;
#endif
}

void row_lists_add(const listed_row *row, uint32_t start, uint64_t tiles, row_lists *lists)
{
    uint32_t asked = UINT32_MAX;
    for (; tiles; tiles &= tiles - 1) {
        const uint32_t t = start + lowest_bit(tiles);
        if (!row->kept[t] && row->cell[t] != BRAGG_NO_CELL) {
            lists->restless[lists->nrestless++] = (uint16_t)t;
            continue;
        }
        if (row->valid[t] == 0)
            continue;
        if (!row->has_bytes || row->valid[t] != 0xFFFF || row->has_large[t])
            lists->odd[lists->nodd++] = (uint16_t)lists->nexact;
        lists->exact[lists->nexact++] = (uint16_t)t;
        if (t / GROUP_NTILES != asked)
            ask_for_group(row, t);
        asked = t / GROUP_NTILES;
    }
}

/* Of n tiles side by side, at most 64, those that are not calm: few loops that end by chance. */
static uint64_t restless_bits(const uint8_t *calm, uint32_t n)
{
    uint64_t bits = 0;
    uint32_t t = 0;
    for (; t + CALM_NTILES <= n; t += CALM_NTILES)
        bits |= (restless_tiles(calm + t, CALM_NTILES) * 0x0102040810204080u >> 56) << t;
    for (; t < n; t++)
        bits |= (uint64_t)(calm[t] == 0) << t;
    return bits;
}

void list_row_plain(const listed_row *row, row_lists *lists)
{
    for (uint32_t start = 0; start < row->ntx; start += TILES_AT_ONCE) {
        const uint32_t left = row->ntx - start;
        const uint32_t n = left < TILES_AT_ONCE ? left : TILES_AT_ONCE;
        row_lists_add(row, start, restless_bits(row->calm + start, n), lists);
    }
    memcpy(row->open, row->valid, row->ntx * sizeof *row->open);
    for (uint32_t k = 0; k < lists->nexact; k++)
        row->open[lists->exact[k]] = 0;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,popcnt")))

/* The columns of set bits.  Here and below stores are of whole vectors: there is room. */
KERNEL BRAGG_INLINE uint32_t put_columns(uint16_t *to, uint32_t n, __m512i columns, uint32_t tiles)
{
    _mm512_storeu_si512(to + n, _mm512_maskz_compress_epi16(tiles, columns));
    return n + (uint32_t)__builtin_popcount(tiles);
}

KERNEL BRAGG_INLINE void list_tiles(const listed_row *row, uint32_t start, uint32_t inside,
                                    uint32_t restless, __m512i valid, row_lists *to)
{
    static const uint16_t COUNT[ROW_LISTS_SLACK] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                    11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                    22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    const __m512i all = _mm512_set1_epi16(-1); /* bits of pixels, and BRAGG_NO_CELL */
    const __m512i columns =
        _mm512_add_epi16(_mm512_loadu_si512(COUNT), _mm512_set1_epi16((short)start));
    const __m512i cell = _mm512_maskz_loadu_epi16(inside, row->cell + start);
    const __m256i kept = _mm256_maskz_loadu_epi8(inside, row->kept + start);
    const __m256i large = _mm256_maskz_loadu_epi8(inside, row->has_large + start);
    const uint32_t is_exact =
        _mm512_mask_cmpeq_epi16_mask(restless, cell, all) | _mm256_test_epi8_mask(kept, kept);
    const uint32_t exact = restless & is_exact & _mm512_test_epi16_mask(valid, valid);
    const uint32_t has_bytes = row->has_bytes ? UINT32_MAX : 0;
    const uint32_t bytes =
        has_bytes & _mm512_cmpeq_epi16_mask(valid, all) & _mm256_testn_epi8_mask(large, large);
    _mm512_storeu_si512(row->open + start, _mm512_maskz_mov_epi16(~exact, valid));
    for (uint32_t odd = exact & ~bytes; odd; odd &= odd - 1) {
        const uint32_t before = exact & ((odd & (0 - odd)) - 1);
        to->odd[to->nodd++] = (uint16_t)(to->nexact + (uint32_t)__builtin_popcount(before));
    }
    for (uint32_t t = 0; t < TILES_AT_ONCE / 2; t += GROUP_NTILES) {
        if (exact >> t & GROUP_BITS)
            ask_for_group(row, start + t);
    }
    to->nexact = put_columns(to->exact, to->nexact, columns, exact);
    if (restless & ~is_exact)
        to->nrestless = put_columns(to->restless, to->nrestless, columns, restless & ~is_exact);
}

/* What is read of as many tiles of the next row: the processor does not foresee it, as there is
 * much to be done in between. */
KERNEL BRAGG_INLINE void ask_for_next_row(const listed_row *row, uint32_t start)
{
    enum { SECOND_CACHE = 2 };
    const size_t next = (size_t)row->ntx + start;
    __builtin_prefetch(row->valid + next, 0, SECOND_CACHE);
    __builtin_prefetch(row->cell + next, 0, SECOND_CACHE);
    if (start % TILES_AT_ONCE == 0) {
        __builtin_prefetch(row->calm + next, 0, SECOND_CACHE);
        __builtin_prefetch(row->kept + next, 0, SECOND_CACHE);
        __builtin_prefetch(row->has_large + next, 0, SECOND_CACHE);
    }
}

KERNEL static void list_row_avx512(const listed_row *row, row_lists *lists)
{
    row_lists to = *lists; /* in registers */
    for (uint32_t start = 0; start < row->ntx; start += TILES_AT_ONCE / 2) {
        ask_for_next_row(row, start);
        const uint32_t left = row->ntx - start;
        const uint32_t inside = left < TILES_AT_ONCE / 2 ? (1u << left) - 1 : UINT32_MAX;
        const __m256i calm = _mm256_maskz_loadu_epi8(inside, row->calm + start);
        const uint32_t restless = inside & _mm256_testn_epi8_mask(calm, calm);
        const __m512i valid = _mm512_maskz_loadu_epi16(inside, row->valid + start);
        if (restless)
            list_tiles(row, start, inside, restless, valid, &to);
        else
            _mm512_storeu_si512(row->open + start, valid);
    }
    *lists = to;
}
#endif

list_row_function *list_row_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_row_avx512;
#endif
    return list_row_plain;
}
