/* SPDX-License-Identifier: MIT */
/*
 * Most of what is masked are gaps, which go on from row to row: with AVX-512 a quad that has
 * nothing new is found by a comparison or two a row.
 */
#include "mask_quads.h"

#include "cpu_level.h"

/* From column t on. */
static uint32_t list_plain(const mask_tiles *tiles, uint32_t t, uint32_t *quad)
{
    uint32_t n = 0;
    for (; t < tiles->map->ntx; t += QUAD_NTILES) {
        const uint64_t here = valid_of_quad(tiles->valid, tiles->map, t);
        if ((here & valid_of_quad(tiles->above, tiles->map, t)) != UINT64_MAX)
            quad[n++] = t;
    }
    return n;
}

/*
 * Bits of the pixels of the quad in column t whose being masked differs from the row above, which
 * the first row of a frame has not; *masked are those that are.
 */
BRAGG_INLINE uint64_t new_bits(const mask_tiles *tiles, uint32_t t, uint64_t *masked)
{
    const uint32_t j = TILE_EDGE * t;
    const uint32_t nleft = tiles->frame->ny - TILE_EDGE * tiles->row;
    const uint32_t nrows = nleft < TILE_EDGE ? nleft : TILE_EDGE;
    const uint32_t inside =
        tiles->frame->nx - j < TILE_NPIXELS ? (1u << (tiles->frame->nx - j)) - 1 : 0xFFFF;
    const uint64_t here = valid_of_quad(tiles->valid, tiles->map, t);
    const uint64_t above = valid_of_quad(tiles->above, tiles->map, t);
    *masked = masked_rows(here) & inside * 0x0001000100010001u;
    const uint64_t before = *masked << 16 | (masked_rows(above) >> 48 & inside);
    return (*masked ^ before) << 16 * (TILE_EDGE - nrows);
}

/* Whether the masked pixels of a quad, and of that above, are known to have the same code. */
BRAGG_INLINE int has_one_code(const mask_tiles *tiles, uint32_t t)
{
    const uint32_t g = t / GROUP_NTILES;
    const uint32_t codes = tiles->found ? tiles->found[g] | tiles->found_above[g] : UINT32_MAX;
    return (codes & (codes - 1)) == 0;
}

static uint32_t drop_plain(const mask_tiles *tiles, uint32_t *quad, uint32_t n)
{
    uint32_t nkept = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t masked;
        quad[nkept] = quad[k];
        nkept += new_bits(tiles, quad[k], &masked) != 0 || !has_one_code(tiles, quad[k]);
    }
    return nkept;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

enum { LISTED_NTILES = 32 };

KERNEL static uint32_t list_avx512(const mask_tiles *tiles, uint32_t *quad)
{
    uint32_t n = 0;
    uint32_t t = 0;
    for (; tiles->map->ntx - t >= LISTED_NTILES; t += LISTED_NTILES) {
        const __m512i here = _mm512_loadu_si512(tiles->valid + t);
        const __m512i both = _mm512_and_si512(here, _mm512_loadu_si512(tiles->above + t));
        uint32_t left = _mm512_cmpneq_epi64_mask(both, _mm512_set1_epi64(-1));
        for (; left; left &= left - 1)
            quad[n++] = t + QUAD_NTILES * (uint32_t)__builtin_ctz(left);
    }
    return n + list_plain(tiles, t, quad + n);
}

/* Bits of `masked` pixels, of 2 or 4 bytes, that differ from the row above. */
KERNEL BRAGG_INLINE uint32_t changed_bits(const uint8_t *here, const uint8_t *above,
                                          uint64_t masked, const size_t nbytes)
{
    const __mmask16 bits = (__mmask16)masked;
    if (nbytes == sizeof(uint16_t))
        return _mm256_mask_cmpneq_epi16_mask(bits, _mm256_maskz_loadu_epi16(bits, here),
                                             _mm256_maskz_loadu_epi16(bits, above));
    return _mm512_mask_cmpneq_epi32_mask(bits, _mm512_maskz_loadu_epi32(bits, here),
                                         _mm512_maskz_loadu_epi32(bits, above));
}

KERNEL BRAGG_INLINE uint32_t drop_avx512(const mask_tiles *tiles, uint32_t *quad, uint32_t n,
                                         const size_t nbytes)
{
    const size_t row_nbytes = tiles->frame->nx * nbytes;
    const uint32_t first = TILE_EDGE * tiles->row;
    const uint32_t nleft = tiles->frame->ny - first;
    const uint32_t nrows = nleft < TILE_EDGE ? nleft : TILE_EDGE;
    const uint8_t *pixels = (const uint8_t *)tiles->frame->pixels + first * row_nbytes;
    uint32_t nkept = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint8_t *row = pixels + TILE_EDGE * quad[k] * nbytes;
        uint64_t masked;
        uint32_t changed = new_bits(tiles, quad[k], &masked) != 0;
        if (changed || has_one_code(tiles, quad[k])) {
            quad[nkept] = quad[k];
            nkept += changed;
            continue;
        }
        /* Gaps go on below; where they are narrow, the processor does not foresee it. */
        for (uint32_t i = 0; i < TILE_EDGE && nleft >= 2 * TILE_EDGE; i++)
            _mm_prefetch((const char *)row + (TILE_EDGE + i) * row_nbytes, _MM_HINT_T0);
        for (uint32_t i = 0; i < nrows; i++, row += row_nbytes)
            changed |= changed_bits(row, row - row_nbytes, masked >> 16 * i & 0xFFFF, nbytes);
        quad[nkept] = quad[k];
        nkept += changed != 0;
    }
    return nkept;
}

KERNEL static uint32_t drop16_avx512(const mask_tiles *tiles, uint32_t *quad, uint32_t n)
{
    return drop_avx512(tiles, quad, n, sizeof(uint16_t));
}

KERNEL static uint32_t drop32_avx512(const mask_tiles *tiles, uint32_t *quad, uint32_t n)
{
    return drop_avx512(tiles, quad, n, sizeof(uint32_t));
}
#endif

uint32_t mask_quads_list(const mask_tiles *tiles, uint32_t *quad)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_avx512(tiles, quad);
#endif
    return list_plain(tiles, 0, quad);
}

uint32_t mask_quads_drop(const mask_tiles *tiles, uint32_t *quad, uint32_t n)
{
    if (tiles->row == 0)
        return n;
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512) {
        const size_t nbytes = h5bragg_pixel_nbytes(tiles->frame->type);
        if (nbytes == sizeof(uint16_t))
            return drop16_avx512(tiles, quad, n);
        if (nbytes == sizeof(uint32_t))
            return drop32_avx512(tiles, quad, n);
    }
#endif
    return drop_plain(tiles, quad, n);
}
