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
    return nleft < GROUP_NTILES ? (1u << nleft) - 1 : 0xFFFF;
}

/* Sorts the tiles from `first` on; returns bits of kept ones that may not be. */
static uint32_t sort_plain(const tile_flags *f, uint32_t first, uint16_t *restrict open,
                           uint16_t *exact)
{
    uint32_t bad = 0;
    for (; first < f->ntiles; first += GROUP_NTILES) {
        const uint32_t nleft = f->ntiles - first;
        const uint32_t kept = kept_bits(f->symbol + first / QUAD_NTILES);
        uint32_t blank = 0;
        uint32_t is_exact = 0;
        for (uint32_t k = 0; k < (nleft < GROUP_NTILES ? nleft : GROUP_NTILES); k++) {
            const uint32_t is_blank = f->cell[first + k] == BRAGG_NO_CELL;
            const uint32_t is_drawn = ~(kept >> k | is_blank) & 1;
            const uint32_t valid = f->valid[first + k];
            open[first + k] = (uint16_t)(valid & (0u - is_drawn));
            blank |= is_blank << k;
            is_exact |= ((valid != 0) & (is_drawn ^ 1)) << k;
        }
        bad |= kept & (blank | ~lane_bits(nleft));
        exact[first / GROUP_NTILES] = (uint16_t)is_exact;
    }
    return bad;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

/*
 * The cells of a frame have left the caches when the next one comes, and there is too little to do
 * here meanwhile.  So those of a row of tiles are asked for a row of macro blocks before.  By
 * addresses, as they may be beyond the last row.
 */
BRAGG_INLINE void ask_for_below(const tile_flags *f, uint32_t first)
{
    const uintptr_t nbytes = sizeof *f->cell * ((uintptr_t)MACRO_EDGE * f->ntiles + first);
    __builtin_prefetch((const void *)((uintptr_t)f->cell + nbytes), 0, 2);
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) static uint32_t
sort_avx512(const tile_flags *f, uint16_t *open, uint16_t *exact)
{
    uint32_t bad = 0;
    for (uint32_t first = 0; first < f->ntiles; first += GROUP_NTILES) {
        ask_for_below(f, first);
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
        exact[first / GROUP_NTILES] = _mm256_mask_test_epi16_mask(stored, valid, valid);
    }
    return bad;
}

__attribute__((target("avx2"))) static uint32_t sort_avx2(const tile_flags *f, uint16_t *open,
                                                          uint16_t *exact)
{
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                          8192, 16384, INT16_MIN);
    __m256i bad = _mm256_setzero_si256();
    uint32_t first = 0;
    for (; first + GROUP_NTILES <= f->ntiles; first += GROUP_NTILES) {
        ask_for_below(f, first);
        const uint32_t bits = kept_bits(f->symbol + first / QUAD_NTILES);
        const __m256i cell = _mm256_loadu_si256((const void *)(f->cell + first));
        const __m256i valid = _mm256_loadu_si256((const void *)(f->valid + first));
        const __m256i kept =
            _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16((short)bits), bit), bit);
        const __m256i blank = _mm256_cmpeq_epi16(cell, _mm256_set1_epi16((short)BRAGG_NO_CELL));
        const __m256i stored = _mm256_or_si256(kept, blank);
        const __m256i is_empty = _mm256_cmpeq_epi16(valid, _mm256_setzero_si256());
        const __m256i is_exact = _mm256_andnot_si256(is_empty, stored);
        _mm256_storeu_si256((void *)(open + first), _mm256_andnot_si256(stored, valid));
        exact[first / GROUP_NTILES] = (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(
            _mm256_castsi256_si128(is_exact), _mm256_extracti128_si256(is_exact, 1)));
        bad = _mm256_or_si256(bad, _mm256_and_si256(kept, blank));
    }
    return sort_plain(f, first, open, exact) | !_mm256_testz_si256(bad, bad);
}
#endif

int tiles_sort(const tile_flags *flags, uint16_t *open, uint16_t *exact)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return sort_avx512(flags, open, exact) == 0;
    if (bragg_cpu_level() == CPU_AVX2)
        return sort_avx2(flags, open, exact) == 0;
#endif
    return sort_plain(flags, 0, open, exact) == 0;
}
