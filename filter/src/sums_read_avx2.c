/* SPDX-License-Identifier: MIT */
/* Sums of a row of tiles with AVX2, eight at a time: docs/format.md, "Scales and sums". */
#include "sums_read_kernels.h"

#if defined(BRAGG_X86_64)
#include "lane_tables.h"
#include "sum_rules.h"

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { NLANES = 8, LOW_BITS = 0xFF };

/* Sixteen bits from as many lanes that are -1 or 0. */
KERNEL BRAGG_INLINE uint32_t bits_of_16(__m256i lanes)
{
    return (uint32_t)_mm_movemask_epi8(
        _mm_packs_epi16(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1)));
}

/* The highest bits of eight lanes. */
KERNEL BRAGG_INLINE uint32_t bits_of_8(__m256i lanes)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(lanes));
}

/* Of rules, those whose context is NOT_SMALL, the only one with its bit, have a highest bit now. */
KERNEL BRAGG_INLINE __m256i not_small(__m256i step) { return _mm256_slli_epi32(step, 8); }

/* The kinds of four quads, two bytes a tile. */
KERNEL BRAGG_INLINE __m256i kinds_at(const uint8_t *quads)
{
    const __m256i tile = _mm256_setr_epi8(0, -1, 0, -1, 0, -1, 0, -1, 1, -1, 1, -1, 1, -1, 1, -1, 2,
                                          -1, 2, -1, 2, -1, 2, -1, 3, -1, 3, -1, 3, -1, 3, -1);
    return _mm256_shuffle_epi8(_mm256_set1_epi32((int)load_u32(quads)), tile);
}

KERNEL BRAGG_INLINE __m128i load_2_rules(const small_rule *small, const uint16_t cell[2])
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)(small + cell[0])),
                              _mm_loadl_epi64((const void *)(small + cell[1])));
}

/* The rules of eight cells, each as two words. */
KERNEL BRAGG_INLINE void load_8_rules(const small_rule *small, const uint16_t cell[NLANES],
                                      __m256i *range, __m256i *step)
{
    const __m256 outer = _mm256_castsi256_ps(
        _mm256_setr_m128i(load_2_rules(small, cell), load_2_rules(small, cell + 4)));
    const __m256 inner = _mm256_castsi256_ps(
        _mm256_setr_m128i(load_2_rules(small, cell + 2), load_2_rules(small, cell + 6)));
    *range = _mm256_castps_si256(_mm256_shuffle_ps(outer, inner, 0x88));
    *step = _mm256_castps_si256(_mm256_shuffle_ps(outer, inner, 0xDD));
}

/* The contexts of sixteen rules, a byte each. */
KERNEL BRAGG_INLINE __m128i contexts_of(__m256i low_step, __m256i high_step)
{
    const __m256i halves =
        _mm256_packus_epi32(_mm256_srli_epi32(low_step, 16), _mm256_srli_epi32(high_step, 16));
    const __m256i bytes = _mm256_packus_epi16(halves, halves);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

/* Puts down the contexts of the listed ones of sixteen tiles; returns how many there are. */
KERNEL BRAGG_INLINE uint32_t put_contexts(__m128i contexts, uint32_t listed, uint8_t *to)
{
    const uint32_t n = (uint32_t)__builtin_popcount(listed & LOW_BITS);
    collect_8(to, contexts, listed & LOW_BITS);
    collect_8(to + n, _mm_unpackhi_epi64(contexts, contexts), listed >> NLANES);
    return n + (uint32_t)__builtin_popcount(listed >> NLANES);
}

/* Sixteen tiles, of which some are listed; returns those whose rule is not small. */
KERNEL BRAGG_INLINE uint32_t list_16(const sum_row *row, uint32_t first, __m256i unlisted,
                                     uint32_t listed, uint8_t *context)
{
    uint16_t cell[SUM_NLANES];
    __m256i range[2];
    __m256i step[2];
    _mm256_storeu_si256(
        (void *)cell,
        _mm256_andnot_si256(unlisted, _mm256_loadu_si256((const void *)(row->cell + first))));
    for (uint32_t i = 0; i < 2; i++) {
        load_8_rules(row->small, cell + NLANES * i, &range[i], &step[i]);
        _mm256_storeu_si256((void *)(row->range + first + NLANES * i), range[i]);
        _mm256_storeu_si256((void *)(row->step + first + NLANES * i), step[i]);
    }
    put_contexts(contexts_of(step[0], step[1]), listed, context);
    return bits_of_8(not_small(step[0])) | bits_of_8(not_small(step[1])) << NLANES;
}

KERNEL static uint32_t list(const sum_row *tiles, uint8_t *context)
{
    const sum_row row = *tiles; /* which contexts, being bytes, cannot overwrite */
    const __m256i all = _mm256_set1_epi16(-1);
    const __m256i zero = _mm256_setzero_si256();
    uint32_t n = 0;
    uint32_t first = 0;
    for (; first + SUM_NLANES <= row.ntiles; first += SUM_NLANES) {
        lines_ahead_ask(row.ahead);
        const __m256i open = _mm256_loadu_si256((const void *)(row.open + first));
        const __m256i kind = kinds_at(row.kind + first / QUAD_NTILES);
        const __m256i coarse = _mm256_slli_epi16(kind, 15); /* SUM_COARSE is the lowest bit */
        const __m256i unlisted =
            _mm256_or_si256(_mm256_cmpeq_epi16(open, zero), _mm256_srai_epi16(coarse, 15));
        const __m256i even =
            _mm256_and_si256(_mm256_cmpeq_epi16(open, all), _mm256_cmpeq_epi16(kind, zero));
        const uint32_t listed = ~bits_of_16(unlisted) & 0xFFFF;
        row.listed[first / SUM_NLANES] = (uint16_t)listed;
        row.odd[first / SUM_NLANES] = 0;
        if (!listed) /* many side by side are coarse */
            continue;
        const uint32_t odd =
            ~bits_of_16(even) | list_16(&row, first, unlisted, listed, context + n);
        row.odd[first / SUM_NLANES] = (uint16_t)(odd & listed);
        n += (uint32_t)__builtin_popcount(listed);
    }
    return sums_list_rest(&row, first, n, context);
}

/* Sums of eight tiles, of which some are listed; returns bits of odd ones.  A lane of *room becomes
 * negative where there is no such sum. */
KERNEL BRAGG_INLINE uint32_t restore_8(const sum_row *row, uint32_t first, __m256i symbols,
                                       uint32_t listed, int64_t *sum, __m256i *room)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i one = _mm256_set1_epi32(1);
    const __m256i highest = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24); /* of each lane */
    const __m256i hash = _mm256_loadu_si256((const void *)(row->hash + first));
    const __m256i range = _mm256_loadu_si256((const void *)(row->range + first));
    const __m256i rule = _mm256_loadu_si256((const void *)(row->step + first));
    const __m256i odd = _mm256_or_si256(
        not_small(rule), _mm256_cmpgt_epi32(symbols, _mm256_set1_epi32(NUMBER_DIRECT - 1)));
    const __m256i step = _mm256_and_si256(rule, _mm256_set1_epi32(0xFFFF));
    const __m256i most = _mm256_srai_epi32(range, 16);
    const __m256i predicted = _mm256_srai_epi32(_mm256_slli_epi32(range, 16), 16);
    const __m256i dither = _mm256_mulhi_epu16(hash, step); /* upper halves: times 0 */
    const __m256i sign = _mm256_sub_epi32(zero, _mm256_and_si256(symbols, one));
    const __m256i j = _mm256_xor_si256(_mm256_srli_epi32(symbols, 1), sign);
    const __m256i start =
        _mm256_add_epi32(_mm256_sub_epi32(predicted, dither), _mm256_mullo_epi32(j, step));
    const __m256i last = _mm256_sub_epi32(_mm256_add_epi32(start, step), one);
    const __m256i low = _mm256_max_epi32(start, zero);
    const __m256i width = _mm256_sub_epi32(_mm256_min_epi32(last, most), low);
    const __m256i up = _mm256_and_si256(_mm256_srli_epi32(hash, 16), one);
    const __m256i sums = _mm256_add_epi32(low, _mm256_srai_epi32(_mm256_add_epi32(width, up), 1));
    const __m256i looked_at =
        _mm256_andnot_si256(odd, _mm256_sllv_epi32(_mm256_set1_epi32((int)listed), highest));
    *room = _mm256_or_si256(*room, _mm256_and_si256(looked_at, width));
    _mm256_storeu_si256((void *)(sum + first), _mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums)));
    _mm256_storeu_si256((void *)(sum + first + NLANES / 2),
                        _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1)));
    return bits_of_8(odd) & listed;
}

KERNEL static int32_t restore(const sum_row *tiles, const uint8_t *symbol, int64_t *sum)
{
    const sum_row row = *tiles;
    __m256i room = _mm256_setzero_si256();
    for (uint32_t first = 0; first < row.ntiles; first += SUM_NLANES) {
        lines_ahead_ask(row.ahead);
        uint32_t odd = 0;
        const uint32_t listed = row.listed[first / SUM_NLANES];
        if (!listed)
            continue;
        for (uint32_t i = 0; i < SUM_NLANES; i += NLANES) {
            const uint32_t bits = listed >> i & LOW_BITS;
            const __m256i symbols = _mm256_cvtepu8_epi32(spread_8(symbol, bits));
            odd |= restore_8(&row, first + i, symbols, bits, sum, &room) << i;
            symbol += __builtin_popcount(bits);
        }
        row.odd[first / SUM_NLANES] = (uint16_t)odd;
    }
    return bits_of_8(room) ? -1 : 0;
}

const sums_read_kernels SUMS_READ_KERNELS_AVX2 = {list, restore};
#endif
