/* SPDX-License-Identifier: MIT */
/* Which tiles are drawn and which are stored exactly: docs/format.md, "Kept flags". */
#include "tile_sort.h"

#include "cpu_level.h"

/* The kept ones of sixteen tiles from the symbols of their quads. */
BRAGG_INLINE uint32_t kept_bits(const uint8_t *symbol)
{
    const uint32_t quads = load_u32(symbol);
    const uint32_t pairs = (quads | quads >> 4) & 0x00FF00FFu;
    return (pairs | pairs >> 8) & 0xFFFF;
}

/* Bits of tiles that a row still has. */
BRAGG_INLINE uint32_t lane_bits(uint32_t nleft)
{
    return nleft < SORT_NLANES ? (1u << nleft) - 1 : 0xFFFF;
}

static uint32_t sort_plain(const tile_flags *f, uint16_t *restrict open, uint16_t *exact)
{
    uint32_t bad = 0;
    for (uint32_t first = 0; first < f->ntiles; first += SORT_NLANES) {
        const uint32_t nleft = f->ntiles - first;
        const uint32_t kept = kept_bits(f->symbol + first / QUAD_NTILES);
        uint32_t blank = 0;
        uint32_t is_exact = 0;
        for (uint32_t k = 0; k < (nleft < SORT_NLANES ? nleft : SORT_NLANES); k++) {
            const uint32_t is_blank = f->cell[first + k] == BRAGG_NO_CELL;
            const uint32_t is_drawn = ~(kept >> k | is_blank) & 1;
            const uint32_t valid = f->valid[first + k];
            open[first + k] = (uint16_t)(valid & (0u - is_drawn));
            blank |= is_blank << k;
            is_exact |= ((valid != 0) & (is_drawn ^ 1)) << k;
        }
        bad |= kept & (blank | ~lane_bits(nleft));
        exact[first / SORT_NLANES] = (uint16_t)is_exact;
    }
    return bad;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw,avx512vl"))) static uint32_t
sort_avx512(const tile_flags *f, uint16_t *open, uint16_t *exact)
{
    uint32_t bad = 0;
    for (uint32_t first = 0; first < f->ntiles; first += SORT_NLANES) {
        const __mmask16 lanes = (__mmask16)lane_bits(f->ntiles - first);
        const __mmask16 kept = (__mmask16)kept_bits(f->symbol + first / QUAD_NTILES);
        const __m256i cell = _mm256_maskz_loadu_epi16(lanes, f->cell + first);
        const __m256i valid = _mm256_maskz_loadu_epi16(lanes, f->valid + first);
        const __mmask16 blank =
            _mm256_cmpeq_epi16_mask(cell, _mm256_set1_epi16((short)BRAGG_NO_CELL));
        const __mmask16 stored = kept | blank;
        _mm256_mask_storeu_epi16(open + first, lanes,
                                 _mm256_maskz_mov_epi16((__mmask16)~stored, valid));
        bad |= kept & (uint32_t)(blank | (__mmask16)~lanes);
        exact[first / SORT_NLANES] = _mm256_mask_test_epi16_mask(stored, valid, valid);
    }
    return bad;
}
#endif

int tiles_sort(const tile_flags *flags, uint16_t *open, uint16_t *exact)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return sort_avx512(flags, open, exact) == 0;
#endif
    return sort_plain(flags, open, exact) == 0;
}
