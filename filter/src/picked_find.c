/* SPDX-License-Identifier: MIT */
/* Finds the pixels of a row of tiles that are above the threshold. */
#include "cpu_level.h"
#include "picked_writer.h"
#include "tile_transpose.h"

/* Which bytes of a tile are above a threshold. */
BRAGG_INLINE uint32_t bits_above(const uint8_t *byte, size_t stride, uint32_t threshold)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        /* Bytes as 16-bit numbers: adding 0x7FFF - high carries into the top bit if above. */
        const uint64_t row = load_u32(byte + i * stride);
        const uint64_t wide =
            (row & 0xFF) | (row & 0xFF00) << 8 | (row & 0xFF0000) << 16 | (row & 0xFF000000) << 24;
        const uint64_t top = (wide + (0x7FFF - threshold) * 0x0001000100010001u) >> 15;
        bits |= (uint32_t)((top & 0x0001000100010001u) * 0x0001000200040008u >> 48 & 0xF) << 4 * i;
    }
    return bits;
}

/* Thresholds of the tiles of a group, 255 for special ones, whose bits it returns, and behind the
 * last. */
static uint32_t group_thresholds(const pick_row *row, uint32_t first,
                                 uint8_t threshold[GROUP_NTILES])
{
    uint32_t special = 0;
    memset(threshold, 255, GROUP_NTILES);
    for (uint32_t k = 0; k < GROUP_NTILES && first + k < row->ntx; k++) {
        const uint32_t t = first + k;
        const uint32_t rule = row->rule[row->cell[t]];
        const uint32_t is_special = rule >> PICK_SPECIAL_BIT || row->kept[t] || row->has_large[t];
        threshold[k] = (uint8_t)(rule | (0 - is_special));
        special |= is_special << k;
    }
    return special;
}

uint32_t find_picked_plain(const pick_row *row, const found_row *found)
{
    uint32_t n = 0;
    for (uint32_t first = 0; first < row->ntx; first += GROUP_NTILES) {
        uint8_t threshold[GROUP_NTILES];
        found->special[first / GROUP_NTILES] = (uint16_t)group_thresholds(row, first, threshold);
        found->before[first / GROUP_NTILES] = n;
        for (uint32_t t = first; t < first + GROUP_NTILES && t < row->ntx; t++) {
            const uint32_t most = threshold[t - first];
            const uint8_t *byte = row->value + (size_t)t * TILE_EDGE;
            found->above[t] = (uint16_t)(bits_above(byte, row->stride, most) | row->odd[t]);
            for (uint32_t left = found->above[t]; left; left &= left - 1) {
                const uint32_t p = lowest_bit(left);
                const uint32_t value = byte[p / TILE_EDGE * row->stride + p % TILE_EDGE];
                found->height[n++] = (uint8_t)(value - most - 1);
            }
        }
    }
    return n;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL4 __attribute__((target("ssse3,sse4.1")))

/* Bits of a tile, those of an odd one being given; heights of its pixels are added. */
KERNEL4 BRAGG_INLINE uint16_t bits_of_tile(__m128i tile, uint8_t threshold, uint16_t odd,
                                           uint8_t *height, uint32_t *n)
{
    const __m128i most = _mm_set1_epi8((char)threshold);
    const __m128i below = _mm_cmpeq_epi8(_mm_subs_epu8(tile, most), _mm_setzero_si128());
    const __m128i above = _mm_sub_epi8(tile, most);
    const uint16_t bits = (uint16_t)(~_mm_movemask_epi8(below) | odd);
    uint8_t excess[TILE_NPIXELS];
    _mm_storeu_si128((void *)excess, _mm_add_epi8(above, _mm_set1_epi8(-1)));
    for (uint32_t left = bits; left; left &= left - 1)
        height[(*n)++] = excess[lowest_bit(left)];
    return bits;
}

/* Four tiles at a time. */
KERNEL4 static uint32_t find_picked_sse4(const pick_row *row, const found_row *found)
{
    uint32_t n = 0;
    for (uint32_t first = 0; first < row->ntx; first += GROUP_NTILES) {
        uint8_t threshold[GROUP_NTILES];
        found->special[first / GROUP_NTILES] = (uint16_t)group_thresholds(row, first, threshold);
        found->before[first / GROUP_NTILES] = n;
        ask_for_next_group(row->value + (size_t)first * TILE_EDGE, row->stride);
        for (uint32_t k = 0; k < GROUP_NTILES; k += TILE_EDGE) {
            const uint32_t t = first + k;
            const uint8_t *value = row->value + (size_t)t * TILE_EDGE;
            __m128i r[TILE_EDGE];
            __m128i tile[TILE_EDGE];
            for (uint32_t i = 0; i < TILE_EDGE; i++)
                r[i] = _mm_loadu_si128((const void *)(value + i * row->stride));
            transpose_128(r, tile);
            for (uint32_t j = 0; j < 4; j++)
                found->above[t + j] =
                    bits_of_tile(tile[j], threshold[k + j], row->odd[t + j], found->height, &n);
        }
    }
    return n;
}
#endif

find_picked_function *find_picked_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() >= CPU_SSE4)
        return find_picked_sse4;
#endif
    return find_picked_plain;
}
