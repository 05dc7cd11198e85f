/* SPDX-License-Identifier: MIT */
/*
 * A tile must be kept where its pixels cannot be drawn: some are below their range or under the
 * static mask and, with local counts, above the threshold.  Of nearly all tiles the largest byte
 * and the sum tell.
 */
#include "calm_tiles.h"

#include "bytes.h"
#include "quad_bits.h"
#include "symbols.h" /* lowest_bit */

uint8_t calm_limit(const frame_model *m, uint32_t cell)
{
    const cell_range *r = &m->range[cell];
    if (!m->noise.is_counting || r->low != 0 || r->high < 0)
        return 0;
    return (uint8_t)(r->high < BYTE_LOOKUP ? r->high + 1 : BYTE_LOOKUP);
}

/* The pixels of a tile one by one. */
static int must_keep_pixels(const frame_source *s, const frame_model *m, size_t tile,
                            const cell_range *r)
{
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(s->plane.valid[tile] >> p & 1))
            continue;
        if (value[p] < r->low || (m->layout.has_local && value[p] > r->high))
            return 1;
        const uint32_t row = (uint32_t)(tile / s->map->ntx);
        const size_t i = tile_pixel(s->map, row, (uint32_t)(tile % s->map->ntx), p);
        if (s->static_mask && s->static_mask[i])
            return 1;
    }
    return 0;
}

/* Without a static mask, and where no pixel is negative, large bytes are counts of 255 or more. */
static int must_keep(const frame_source *s, const frame_model *m, size_t tile)
{
    const cell_range *r = &m->range[s->map->cell[tile]];
    const int has_local = m->layout.has_local;
    const int has_large = s->plane.has_large[tile];
    const int is_simple = m->noise.is_counting && r->low == 0;
    const int is_beyond = !s->static_mask && (!has_local || r->high < BYTE_LOOKUP);
    if (is_simple && !has_large && s->plane.largest[tile] <= r->high)
        return has_local && r->is_pattern && s->plane.sum[tile] > PATTERN_MAX_SUM;
    if (is_simple && (!has_large || is_beyond))
        return has_local;
    return must_keep_pixels(s, m, tile, r);
}

/* Four cells come with one load: loads are what this waits for. */
static void look_up_limits(const uint8_t *restrict below, const uint16_t *restrict cell, size_t n,
                           uint8_t *restrict limit)
{
    size_t t = 0;
    for (; n - t >= QUAD_NTILES; t += QUAD_NTILES) {
        const uint64_t quad = quad_get(cell + t);
        for (uint32_t k = 0; k < QUAD_NTILES; k++)
            limit[t + k] = below[quad >> 16 * k & 0xFFFF];
    }
    for (; t < n; t++)
        limit[t] = below[cell[t]];
}

/*
 * Calm are tiles without bytes of `limit` or more, and few counts.  Tiles with such bytes, all of
 * which the bytes tell, are kept if the threshold says so.  Others must be looked at one by one.
 * Loops without branches.
 */
BRAGG_INLINE void choose_tiles(const tile_run *run, uint8_t keeps, uint32_t n,
                               uint8_t *restrict others)
{
    const uint8_t *restrict largest = run->largest;
    const uint16_t *restrict sum = run->sum;
    const uint8_t *restrict kept = run->kept;
    const uint8_t *restrict limit = run->limit;
    uint8_t *restrict is_kept = run->is_kept;
    uint8_t *restrict calm = run->calm;
    uint8_t few[RUN_NTILES];
    for (uint32_t t = 0; t < n; t++)
        few[t] = sum[t] <= PATTERN_MAX_SUM;
    for (uint32_t t = 0; t < n; t++) {
        const uint8_t is_free = kept[t] == 0;
        const uint8_t is_low = largest[t] < limit[t];
        const uint8_t is_known = largest[t] != BYTE_LOOKUP;
        const uint8_t is_blank = limit[t] == 0;
        const uint8_t is_bright = (is_low ^ 1) & is_known & (is_blank ^ 1);
        calm[t] = is_low & few[t] & is_free;
        others[t] = is_blank | (is_free & ((is_known ^ 1) | (is_low & (few[t] ^ 1))));
        is_kept[t] = (is_free ^ 1) | (keeps & is_bright);
    }
}

/* Bit t is byte t, which is 0 or 1. */
static uint64_t join_bits(const uint8_t bytes[RUN_NTILES])
{
    uint64_t bits = 0;
    for (uint32_t t = 0; t < RUN_NTILES; t += 8)
        bits |= (load_u64(bytes + t) * 0x0102040810204080u >> 56) << t;
    return bits;
}

BRAGG_INLINE uint64_t choose_run(const tile_run *run, uint8_t keeps)
{
    uint8_t others[RUN_NTILES] = {0};
    if (run->n == RUN_NTILES) /* a constant is for vectors */
        choose_tiles(run, keeps, RUN_NTILES, others);
    else
        choose_tiles(run, keeps, run->n, others);
    return join_bits(others);
}

uint64_t calm_tiles_plain(const tile_run *run, uint8_t keeps) { return choose_run(run, keeps); }

#if defined(BRAGG_X86_64)
#include <immintrin.h>

__attribute__((target("avx2"))) static uint64_t choose_avx2(const tile_run *run, uint8_t keeps)
{
    return choose_run(run, keeps);
}

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl")))

/* Of 64 tiles those with few counts. */
KERNEL BRAGG_INLINE uint64_t few_bits(const uint16_t *sum, uint64_t inside)
{
    const __m512i most = _mm512_set1_epi16(PATTERN_MAX_SUM);
    const __m512i low = _mm512_maskz_loadu_epi16((__mmask32)inside, sum);
    const __m512i high = _mm512_maskz_loadu_epi16((__mmask32)(inside >> 32), sum + 32);
    return _mm512_cmple_epu16_mask(low, most) | (uint64_t)_mm512_cmple_epu16_mask(high, most) << 32;
}

KERNEL BRAGG_INLINE void store_bits(uint8_t *to, uint64_t inside, uint64_t bits)
{
    _mm512_mask_storeu_epi8(to, inside, _mm512_maskz_set1_epi8(bits, 1));
}

/* The same with a bit a tile. */
KERNEL static uint64_t choose_avx512(const tile_run *run, uint8_t keeps)
{
    const uint64_t inside = UINT64_MAX >> (RUN_NTILES - run->n);
    const __m512i largest = _mm512_maskz_loadu_epi8(inside, run->largest);
    const __m512i limit = _mm512_maskz_loadu_epi8(inside, run->limit);
    const __m512i kept = _mm512_maskz_loadu_epi8(inside, run->kept);
    const uint64_t few = few_bits(run->sum, inside);
    const uint64_t is_free = _mm512_testn_epi8_mask(kept, kept);
    const uint64_t is_low = _mm512_cmplt_epu8_mask(largest, limit);
    const uint64_t is_known = _mm512_cmpneq_epu8_mask(largest, _mm512_set1_epi8((char)BYTE_LOOKUP));
    const uint64_t is_blank = _mm512_testn_epi8_mask(limit, limit);
    const uint64_t is_bright = ~is_low & is_known & ~is_blank;
    store_bits(run->calm, inside, is_low & few & is_free);
    store_bits(run->is_kept, inside, ~is_free | (is_bright & (0 - (uint64_t)keeps)));
    return inside & (is_blank | (is_free & (~is_known | (is_low & ~few))));
}

#define LIMITS_KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

/* Of 16 tiles whose cells are less than 256 above the least: that part of the table is in vectors.
 */
LIMITS_KERNEL BRAGG_INLINE __m128i limits_of_group(const uint8_t *from, __m256i above)
{
    const __m512i number = _mm512_castsi128_si512(_mm256_cvtepi16_epi8(above));
    const __m512i low =
        _mm512_permutex2var_epi8(_mm512_loadu_si512(from), number, _mm512_loadu_si512(from + 64));
    const __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(from + 128), number,
                                                  _mm512_loadu_si512(from + 192));
    const __m128i of_number = _mm512_castsi512_si128(number);
    return _mm_mask_blend_epi8(_mm_movepi8_mask(of_number), _mm512_castsi512_si128(low),
                               _mm512_castsi512_si128(high));
}

/* Tiles side by side have cells of a few rings, but for blank ones. */
LIMITS_KERNEL static void limits_avx512(const uint8_t *below, const uint16_t *cell, size_t n,
                                        uint8_t *limit)
{
    for (size_t t = 0; t < n; t += GROUP_NTILES) {
        const size_t nhere = n - t < GROUP_NTILES ? n - t : GROUP_NTILES;
        const __mmask16 inside = (__mmask16)(0xFFFFu >> (GROUP_NTILES - nhere));
        const __m256i last = _mm256_set1_epi16((short)cell[t]);
        const __m256i cells = _mm256_mask_loadu_epi16(last, inside, cell + t);
        const __m128i least = _mm_minpos_epu16(
            _mm_min_epu16(_mm256_castsi256_si128(cells), _mm256_extracti128_si256(cells, 1)));
        const __m256i above = _mm256_sub_epi16(cells, _mm256_broadcastw_epi16(least));
        const uint8_t *from = below + (uint16_t)_mm_extract_epi16(least, 0);
        if (_mm256_cmpgt_epu16_mask(above, _mm256_set1_epi16(LIMITS_SLACK - 1)))
            look_up_limits(below, cell + t, nhere, limit + t);
        else
            _mm_mask_storeu_epi8(limit + t, inside, limits_of_group(from, above));
    }
}
#endif

limits_kernel limits_kernel_of(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return limits_avx512;
#endif
    (void)level;
    return look_up_limits;
}

calm_kernel calm_kernel_of(cpu_level level)
{
    switch (level) {
#if defined(BRAGG_X86_64)
    case CPU_AVX2:
        return choose_avx2;
    case CPU_AVX512:
        return choose_avx512;
#endif
    default:
        return calm_tiles_plain;
    }
}

/* Tiles of which more must be known than their sum and largest byte. */
static void choose_others(frame_source *s, const frame_model *m, size_t first, uint64_t others)
{
    for (; others; others &= others - 1) {
        const size_t tile = first + lowest_bit(others);
        if (s->map->cell[tile] == BRAGG_NO_CELL)
            s->kept[tile] = 0;
        else if (!s->kept[tile] && s->plane.valid[tile])
            s->kept[tile] = (uint8_t)must_keep(s, m, tile);
    }
}

/* Of a row of tiles, which come out of a far cache: the processor's own prefetching lags behind. */
static void ask_for_sums(const frame_source *s, uint32_t row)
{
#if defined(__GNUC__)
    enum { LINE_NTILES = 64 / sizeof *s->plane.sum };
    if (row >= s->map->nty)
        return;
    const uint16_t *sum = s->plane.sum + (size_t)row * s->map->ntx;
    for (uint32_t t = 0; t < s->map->ntx; t += LINE_NTILES)
        __builtin_prefetch(sum + t, 0, 2);
#else
    (void)s, (void)row;
#endif
}

void calm_tiles_row(frame_source *s, const frame_model *m, uint32_t row, const uint8_t *kept,
                    const uint8_t *limit)
{
    const calm_kernel choose = calm_kernel_of(bragg_cpu_level());
    const uint32_t ntx = s->map->ntx;
    ask_for_sums(s, row + 1);
    for (uint32_t start = 0; start < ntx; start += RUN_NTILES) {
        const size_t first = (size_t)row * ntx + start;
        const tile_run run = {.largest = s->plane.largest + first,
                              .sum = s->plane.sum + first,
                              .kept = kept + start,
                              .limit = limit + start,
                              .n = ntx - start < RUN_NTILES ? ntx - start : RUN_NTILES,
                              .is_kept = s->kept + first,
                              .calm = s->calm + first};
        choose_others(s, m, first, choose(&run, m->layout.has_local ? 1 : 0));
    }
}
