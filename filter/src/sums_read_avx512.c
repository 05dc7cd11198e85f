/* SPDX-License-Identifier: MIT */
/* Sums of a row of tiles with AVX-512, sixteen at a time: docs/format.md, "Scales and sums". */
#include "sums_read_kernels.h"

#if defined(BRAGG_X86_64)
#include "sum_rule_simd.h"

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/* Bits of the tiles that a row still has. */
BRAGG_INLINE __mmask16 lanes_of(const sum_row *row, uint32_t first)
{
    const uint32_t left = row->ntiles - first;
    return (__mmask16)(left < SUM_NLANES ? (1u << left) - 1 : 0xFFFF);
}

/* The kinds of four quads, a byte a tile. */
KERNEL BRAGG_INLINE __m128i kinds_at(const sum_row *row, uint32_t first)
{
    const __m128i tile = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    int quads;
    memcpy(&quads, row->kind + first / QUAD_NTILES, sizeof quads);
    return _mm_shuffle_epi8(_mm_cvtsi32_si128(quads), tile);
}

KERNEL static uint32_t list(const sum_row *row, uint8_t *context)
{
    uint32_t n = 0;
    for (uint32_t first = 0; first < row->ntiles; first += SUM_NLANES) {
        lines_ahead_ask(row->ahead);
        const __mmask16 lanes = lanes_of(row, first);
        const __m256i open = _mm256_maskz_loadu_epi16(lanes, row->open + first);
        const __m128i kind = kinds_at(row, first);
        const __mmask16 listed = _mm256_test_epi16_mask(open, open) &
                                 (__mmask16)~_mm_test_epi8_mask(kind, _mm_set1_epi8(SUM_COARSE));
        row->listed[first / SUM_NLANES] = listed;
        row->odd[first / SUM_NLANES] = 0;
        if (!listed) /* many side by side are coarse */
            continue;
        __m512i range;
        __m512i step;
        look_up_cells(row->small, row->cell + first, lanes, listed, &range, &step);
        const __mmask16 odd = _mm256_cmpneq_epi16_mask(open, _mm256_set1_epi16(-1)) |
                              _mm_test_epi8_mask(kind, kind) |
                              _mm512_test_epi32_mask(step, _mm512_set1_epi32(NOT_SMALL << 16));
        const __m512i contexts = _mm512_maskz_compress_epi32(listed, _mm512_srli_epi32(step, 16));
        _mm512_storeu_si512(row->range + first, range);
        _mm512_storeu_si512(row->step + first, step);
        _mm_storeu_si128((__m128i *)(context + n), _mm512_cvtepi32_epi8(contexts));
        row->odd[first / SUM_NLANES] = odd & listed;
        n += (uint32_t)__builtin_popcount(listed);
    }
    return n;
}

KERNEL static int32_t restore(const sum_row *row, const uint8_t *symbol, int64_t *sum)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i one = _mm512_set1_epi32(1);
    __m512i room = zero;
    for (uint32_t first = 0; first < row->ntiles; first += SUM_NLANES) {
        lines_ahead_ask(row->ahead);
        const __mmask16 listed = row->listed[first / SUM_NLANES];
        if (!listed)
            continue;
        const __m512i symbols = _mm512_maskz_expand_epi32(
            listed, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)symbol)));
        const __m512i hash = _mm512_loadu_si512(row->hash + first);
        const __m512i range = _mm512_loadu_si512(row->range + first);
        const __m512i rule = _mm512_loadu_si512(row->step + first);
        const __mmask16 odd =
            listed & (_mm512_test_epi32_mask(rule, _mm512_set1_epi32(NOT_SMALL << 16)) |
                      _mm512_cmpge_epu32_mask(symbols, _mm512_set1_epi32(NUMBER_DIRECT)));
        const __m512i step = _mm512_and_si512(rule, _mm512_set1_epi32(0xFFFF));
        const __m512i most = _mm512_srai_epi32(range, 16);
        const __m512i predicted = _mm512_srai_epi32(_mm512_slli_epi32(range, 16), 16);
        const __m512i dither = _mm512_mulhi_epu16(hash, step); /* upper halves: times 0 */
        const __m512i sign = _mm512_sub_epi32(zero, _mm512_and_si512(symbols, one));
        const __m512i j = _mm512_xor_si512(_mm512_srli_epi32(symbols, 1), sign);
        const __m512i start =
            _mm512_add_epi32(_mm512_sub_epi32(predicted, dither), _mm512_mullo_epi32(j, step));
        const __m512i last = _mm512_sub_epi32(_mm512_add_epi32(start, step), one);
        const __m512i low = _mm512_max_epi32(start, zero);
        const __m512i width = _mm512_sub_epi32(_mm512_min_epi32(last, most), low);
        const __m512i up = _mm512_and_si512(_mm512_srli_epi32(hash, 16), one);
        const __m512i sums =
            _mm512_add_epi32(low, _mm512_srai_epi32(_mm512_add_epi32(width, up), 1));
        room = _mm512_mask_or_epi32(room, listed & (__mmask16)~odd, room, width);
        _mm512_storeu_si512(sum + first, _mm512_cvtepi32_epi64(_mm512_castsi512_si256(sums)));
        _mm512_storeu_si512(sum + first + SUM_NLANES / 2,
                            _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sums, 1)));
        row->odd[first / SUM_NLANES] = odd;
        symbol += __builtin_popcount(listed);
    }
    return _mm512_reduce_or_epi32(room);
}

const sums_read_kernels SUMS_READ_KERNELS_AVX512 = {list, restore};
#endif
