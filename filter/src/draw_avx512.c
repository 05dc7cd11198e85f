/* SPDX-License-Identifier: MIT */
/* Drawing of pattern noise with AVX-512: docs/format.md, "Pattern noise", "Hash". */
#include "draw_kernels.h"

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#include <string.h>

#include "noise_hash_simd.h"
#include "patterns.h"

#define KERNEL                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,popcnt")))

/* Rows of 16 bytes in four lanes: masked broadcasts from memory need no shuffle. */
#define LOAD_LANES(a, b, c, d)                                                                     \
    load_lane(load_lane(load_lane(_mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(a))),   \
                                  0x00F0, (b)),                                                    \
                        0x0F00, (c)),                                                              \
              0xF000, (d))

KERNEL BRAGG_INLINE __m512i load_lane(__m512i lanes, __mmask16 lane, const uint8_t *from)
{
    return _mm512_mask_broadcast_i32x4(lanes, lane, _mm_loadu_si128((const __m128i *)from));
}

/* Patterns lie anywhere in a book that is larger than the caches: so far ahead they are asked for.
 * Where they are is given in units of some bytes. */
enum { TILES_AHEAD = 64 };

KERNEL BRAGG_INLINE void ask_for(const uint8_t *patterns, const uint32_t variant[16], size_t unit)
{
    for (size_t i = 0; i < 16; i++)
        _mm_prefetch((const char *)patterns + unit * variant[i], _MM_HINT_T0);
}

/* Four tiles side by side. */
KERNEL BRAGG_INLINE __m512i draw_4(const uint8_t *patterns, const uint32_t *v, const uint8_t *p,
                                   const uint8_t (*table)[16])
{
    const __m512i pattern = LOAD_LANES(patterns + 2 * (size_t)v[0], patterns + 2 * (size_t)v[1],
                                       patterns + 2 * (size_t)v[2], patterns + 2 * (size_t)v[3]);
    const __m512i from = LOAD_LANES(table[p[0]], table[p[1]], table[p[2]], table[p[3]]);
    return _mm512_shuffle_epi8(pattern, from);
}

/* The 8 bytes of a tile in both halves of a lane. */
KERNEL BRAGG_INLINE __m512i load_half(__m512i lanes, __mmask8 lane, const uint8_t *from)
{
    return _mm512_mask_broadcastq_epi64(lanes, lane, _mm_loadl_epi64((const __m128i *)from));
}

/*
 * Likewise from half rows.  A byte begins with the four bits of the pixel that the permutation
 * says; the other four are cleared.
 */
KERNEL BRAGG_INLINE __m512i draw_4_halves(const uint8_t *half, const uint32_t *v, const uint8_t *p,
                                          const uint8_t (*table)[16])
{
    __m512i pattern = _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(half + v[0])));
    pattern = load_half(pattern, 0x0C, half + v[1]);
    pattern = load_half(pattern, 0x30, half + v[2]);
    pattern = load_half(pattern, 0xC0, half + v[3]);
    const __m512i from = LOAD_LANES(table[p[0]], table[p[1]], table[p[2]], table[p[3]]);
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(_mm512_slli_epi16(from, 2), pattern),
                            _mm512_set1_epi8(0x0F));
}

/* Pixels before the next multiple of 64 bytes: stores that straddle cache lines take twice the
 * time.  0 where pixels are not aligned to their size and never reach one. */
static size_t pixels_before_line(const uint8_t *to, size_t pixel_nbytes, size_t n)
{
    const size_t before = (64 - (uintptr_t)to % 64) % 64;
    if (before % pixel_nbytes != 0)
        return 0;
    return before / pixel_nbytes < n ? before / pixel_nbytes : n;
}

/* Fewer than 32, and than 16, pixels. */
KERNEL BRAGG_INLINE void widen_some_16(const uint8_t *in, size_t n, uint8_t *to)
{
    const __mmask32 lanes = (UINT32_C(1) << n) - 1;
    _mm512_mask_storeu_epi16(to, lanes, _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(lanes, in)));
}

KERNEL BRAGG_INLINE void widen_some_32(const uint8_t *in, size_t n, uint8_t *to)
{
    const __mmask16 lanes = (__mmask16)((1u << n) - 1);
    _mm512_mask_storeu_epi32(to, lanes, _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, in)));
}

KERNEL BRAGG_INLINE void widen_some(const uint8_t *in, size_t n, size_t pixel_nbytes, uint8_t *to)
{
    if (pixel_nbytes == 2)
        widen_some_16(in, n, to);
    else
        widen_some_32(in, n, to);
}

KERNEL static void widen(const uint8_t *in, size_t n, size_t pixel_nbytes, void *out)
{
    uint8_t *to = out;
    size_t i = pixels_before_line(to, pixel_nbytes, n);
    if (pixel_nbytes == 1) {
        memcpy(to, in, n);
    } else if (pixel_nbytes == 2) {
        widen_some_16(in, i, to);
        for (; n - i >= 32; i += 32) {
            const __m256i bytes = _mm256_loadu_si256((const __m256i *)(in + i));
            _mm512_storeu_si512(to + 2 * i, _mm512_cvtepu8_epi16(bytes));
        }
        widen_some_16(in + i, n - i, to + 2 * i);
    } else {
        widen_some_32(in, i, to);
        for (; n - i >= 16; i += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(in + i));
            _mm512_storeu_si512(to + 4 * i, _mm512_cvtepu8_epi32(bytes));
        }
        widen_some_32(in + i, n - i, to + 4 * i);
    }
}

enum { LINE_NBYTES = 64, NDRAWN = 64 /* pixels that 16 tiles have in a row */ };

/*
 * Four rows of pixels at work.  They begin anywhere in lines of the cache, but whole lines are
 * stored: one takes pixels of two times 16 tiles, which stay in registers.
 */
typedef struct pixel_rows {
    __m512i drawn[4];  /* of the last 16 tiles */
    __m512i from[4];   /* where in these and the next the pixels of a line are, in lowest bytes */
    size_t nstored[4]; /* pixels of the last 16 tiles that are in the frame */
    uint8_t *to[4];    /* where the others go */
} pixel_rows;

/* The numbers of the pixels of a line, in their lowest bytes. */
KERNEL BRAGG_INLINE __m512i numbers_in_line(size_t pixel_nbytes)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i even = _mm512_add_epi32(lane, lane);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return pixel_nbytes == 4 ? lane : _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

/* From the first 16 tiles on: pixels before the first whole line. */
KERNEL BRAGG_INLINE void start_rows(pixel_rows *r, size_t n, size_t pixel_nbytes,
                                    void *const rows[4])
{
    for (size_t k = 0; k < 4; k++) {
        const size_t before = pixels_before_line(rows[k], pixel_nbytes, n);
        uint8_t first[NDRAWN];
        _mm512_storeu_si512(first, r->drawn[k]);
        widen_some(first, before, pixel_nbytes, rows[k]);
        r->from[k] = _mm512_add_epi8(numbers_in_line(pixel_nbytes), _mm512_set1_epi8((char)before));
        r->nstored[k] = before;
        r->to[k] = (uint8_t *)rows[k] + pixel_nbytes * before;
    }
}

/* With the next 16 tiles there are 64 pixels more in whole lines. */
KERNEL BRAGG_INLINE void store_lines(pixel_rows *r, const __m512i drawn[4], size_t pixel_nbytes)
{
    const size_t nline = LINE_NBYTES / pixel_nbytes;
    const __mmask64 lowest =
        pixel_nbytes == 2 ? UINT64_C(0x5555555555555555) : UINT64_C(0x1111111111111111);
    for (size_t k = 0; k < 4; k++) {
        __m512i from = r->from[k];
        for (size_t i = 0; i < NDRAWN; i += nline) {
            const __m512i line =
                _mm512_maskz_permutex2var_epi8(lowest, r->drawn[k], from, drawn[k]);
            _mm512_storeu_si512(r->to[k] + pixel_nbytes * i, line);
            from = _mm512_add_epi8(from, _mm512_set1_epi8((char)nline));
        }
        r->drawn[k] = drawn[k];
        r->to[k] += pixel_nbytes * NDRAWN;
    }
}

/* The last n pixels, behind those that are stored: of two times 16 tiles. */
KERNEL BRAGG_INLINE void finish_rows(const pixel_rows *r, const __m512i drawn[4], size_t n,
                                     size_t pixel_nbytes)
{
    for (size_t k = 0; k < 4; k++) {
        uint8_t last[2 * NDRAWN];
        _mm512_storeu_si512(last, r->drawn[k]);
        _mm512_storeu_si512(last + NDRAWN, drawn[k]);
        widen(last + r->nstored[k], n - r->nstored[k], pixel_nbytes, r->to[k]);
    }
}

/* Tiles, and where their patterns come from. */
typedef struct pattern_source {
    const draw_patterns *patterns;
    const uint32_t *variant;
    const uint8_t *permutation;
    const draw_picks *picks;
    size_t ntiles;
} pattern_source;

KERNEL BRAGG_INLINE void ask_for_tiles(const pattern_source *s, size_t t, int is_half)
{
    if (is_half)
        ask_for(s->patterns->half, s->variant + t, 1);
    else
        ask_for(s->patterns->full, s->variant + t, 2);
}

/* Puts values into 16 tiles from t on, which lie side by side. */
KERNEL BRAGG_INLINE void put_picks(const draw_picks *picks, size_t t, __m512i tile[4])
{
    const uint8_t *value = picks->value + picks->start[t / 16];
    for (size_t i = 0; i < 4; i++) {
        uint64_t pixels;
        memcpy(&pixels, picks->pixels + t + 4 * i, sizeof pixels);
        tile[i] = _mm512_mask_expand_epi8(tile[i], pixels, _mm512_loadu_si512(value));
        value += __builtin_popcountll(pixels);
    }
}

/* The rows of 16 tiles that lie side by side. */
KERNEL BRAGG_INLINE void rows_of(const __m512i tile[4], __m512i row[4])
{
    const __m512i rows_0_1 =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i rows_2_3 = _mm512_add_epi32(rows_0_1, _mm512_set1_epi32(2));
    const __m512i low01 = _mm512_permutex2var_epi32(tile[0], rows_0_1, tile[1]);
    const __m512i low23 = _mm512_permutex2var_epi32(tile[0], rows_2_3, tile[1]);
    const __m512i high01 = _mm512_permutex2var_epi32(tile[2], rows_0_1, tile[3]);
    const __m512i high23 = _mm512_permutex2var_epi32(tile[2], rows_2_3, tile[3]);
    row[0] = _mm512_inserti64x4(low01, _mm512_castsi512_si256(high01), 1);
    row[1] = _mm512_shuffle_i64x2(low01, high01, _MM_SHUFFLE(3, 2, 3, 2));
    row[2] = _mm512_inserti64x4(low23, _mm512_castsi512_si256(high23), 1);
    row[3] = _mm512_shuffle_i64x2(low23, high23, _MM_SHUFFLE(3, 2, 3, 2));
}

/* What loops over tiles do; known when they are compiled. */
typedef struct draw_kind {
    int is_half;
    int has_picks;
    size_t pixel_nbytes;
} draw_kind;

KERNEL BRAGG_INLINE void draw_tiles(const draw_kind kind, const pattern_source *s, size_t t,
                                    __m512i row[4])
{
    const draw_patterns *p = s->patterns;
    __m512i tile[4];
    for (size_t i = 0; i < 4; i++) {
        const uint32_t *variant = s->variant + t + 4 * i;
        const uint8_t *permutation = s->permutation + t + 4 * i;
        tile[i] = kind.is_half ? draw_4_halves(p->half, variant, permutation, p->table)
                               : draw_4(p->full, variant, permutation, p->table);
    }
    if (kind.has_picks)
        put_picks(s->picks, t, tile);
    rows_of(tile, row);
}

KERNEL static void draw_strip(const uint8_t *patterns, const uint32_t *variant,
                              const uint8_t *permutation, const uint8_t (*table)[16], size_t ntiles,
                              uint8_t *const rows[4])
{
    const draw_kind whole_bytes = {0};
    const draw_patterns full = {patterns, NULL, table};
    const pattern_source source = {&full, variant, permutation, NULL, ntiles};
    size_t t = 0;
    for (; t < TILES_AHEAD && ntiles - t >= 16; t += 16)
        ask_for(patterns, variant + t, 2);
    t = 0;
    for (; ntiles - t >= 16; t += 16) {
        __m512i row[4];
        if (ntiles - t >= TILES_AHEAD + 16)
            ask_for(patterns, variant + t + TILES_AHEAD, 2);
        draw_tiles(whole_bytes, &source, t, row);
        for (size_t k = 0; k < 4; k++)
            _mm512_storeu_si512(rows[k] + 4 * t, row[k]);
    }
    uint8_t *const rest[4] = {rows[0] + 4 * t, rows[1] + 4 * t, rows[2] + 4 * t, rows[3] + 4 * t};
    DRAW_KERNELS_AVX2.draw(patterns, variant + t, permutation + t, table, ntiles - t, rest);
}

KERNEL BRAGG_INLINE void draw_pixels_of(const draw_kind kind, const pattern_source *s, size_t n,
                                        void *const rows[4])
{
    const size_t pixel_nbytes = kind.pixel_nbytes;
    pixel_rows r;
    __m512i drawn[4];
    size_t t = 16;
    for (size_t i = 0; i < TILES_AHEAD && i < s->ntiles; i += 16)
        ask_for_tiles(s, i, kind.is_half);
    draw_tiles(kind, s, 0, r.drawn);
    start_rows(&r, n, pixel_nbytes, rows);
    for (; 4 * t + LINE_NBYTES / pixel_nbytes <= n; t += 16) {
        if (s->ntiles > t + TILES_AHEAD)
            ask_for_tiles(s, t + TILES_AHEAD, kind.is_half);
        draw_tiles(kind, s, t, drawn);
        store_lines(&r, drawn, pixel_nbytes);
    }
    const size_t last = t < s->ntiles ? t : 0; /* any others, if there are no more */
    draw_tiles(kind, s, last, drawn);
    finish_rows(&r, drawn, n - 4 * (t - 16), pixel_nbytes);
}

KERNEL BRAGG_INLINE void draw_pixels_by(const int has_picks, const pattern_source *s, size_t n,
                                        size_t pixel_nbytes, void *const rows[4])
{
    const int is_half = s->patterns->half != NULL;
    if (pixel_nbytes == 2 && is_half)
        draw_pixels_of((draw_kind){1, has_picks, 2}, s, n, rows);
    else if (pixel_nbytes == 2)
        draw_pixels_of((draw_kind){0, has_picks, 2}, s, n, rows);
    else if (is_half)
        draw_pixels_of((draw_kind){1, has_picks, 4}, s, n, rows);
    else
        draw_pixels_of((draw_kind){0, has_picks, 4}, s, n, rows);
}

KERNEL static void draw_pixels(const draw_patterns *patterns, const uint32_t *variant,
                               const uint8_t *permutation, const draw_picks *picks, size_t n,
                               size_t pixel_nbytes, void *const rows[4])
{
    const pattern_source source = {patterns, variant, permutation, picks, (n + 3) / 4};
    if (picks->pixels)
        draw_pixels_by(1, &source, n, pixel_nbytes, rows);
    else
        draw_pixels_by(0, &source, n, pixel_nbytes, rows);
}

KERNEL static void tile_hashes(uint64_t seed, uint32_t first, size_t n, uint32_t *out)
{
    __m512i counter =
        _mm512_add_epi32(_mm512_set1_epi32((int)first),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        _mm512_storeu_si512(out + i, noise_hash_16(seed, counter));
        counter = _mm512_add_epi32(counter, _mm512_set1_epi32(16));
    }
    DRAW_KERNELS_SCALAR.hash(seed, first + (uint32_t)i, n - i, out + i);
}

/* The rows of four tiles: their pixels lie tile by tile, and are put row by row. */
KERNEL BRAGG_INLINE void put_tiles(__m512i counts, uint8_t *pixels, size_t stride)
{
    const __m512i by_rows = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i rows = _mm512_permutexvar_epi32(by_rows, counts);
    _mm_storeu_si128((__m128i *)pixels, _mm512_castsi512_si128(rows));
    _mm_storeu_si128((__m128i *)(pixels + stride), _mm512_extracti32x4_epi32(rows, 1));
    _mm_storeu_si128((__m128i *)(pixels + 2 * stride), _mm512_extracti32x4_epi32(rows, 2));
    _mm_storeu_si128((__m128i *)(pixels + 3 * stride), _mm512_extracti32x4_epi32(rows, 3));
}

KERNEL static int put_counts(const uint8_t count[BLOCK_NPIXELS], const uint64_t open[BLOCK_NROWS],
                             uint32_t most, uint8_t *pixels, size_t stride)
{
    const __m512i allowed = _mm512_set1_epi8((char)most);
    __mmask64 too_many = 0;
    for (size_t row = 0; row < BLOCK_NROWS; row++) {
        const uint32_t n = (uint32_t)__builtin_popcountll(open[row]);
        /* Within the counts: there are 64 in all for each row. */
        const __m512i next =
            _mm512_maskz_loadu_epi8(n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1, count);
        too_many |= _mm512_cmpgt_epu8_mask(next, allowed);
        put_tiles(_mm512_maskz_expand_epi8(open[row], next), pixels + 4 * row * stride, stride);
        count += n;
    }
    return too_many == 0;
}

KERNEL static void spread_cut(const cut_tile *tile, size_t n, uint8_t (*pixels)[16])
{
    const __m128i number = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t k = 0; k < n; k++) {
        const __mmask16 open = (__mmask16)tile[k].open;
        const uint32_t f = (uint32_t)__builtin_popcount(open);
        const __m128i pattern = _mm_loadu_si128((const __m128i *)tile[k].pattern);
        const __m128i end = _mm_set1_epi8((char)f);
        const __m128i first = _mm_set1_epi8((char)((tile[k].hash >> 24) * f >> 8));
        const __m128i on = _mm_add_epi8(number, first);
        const __m128i from = _mm_min_epu8(on, _mm_sub_epi8(on, end)); /* which wraps below 0 */
        _mm_storeu_si128((__m128i *)pixels[k],
                         _mm_maskz_expand_epi8(open, _mm_shuffle_epi8(pattern, from)));
    }
}

const draw_kernels DRAW_KERNELS_AVX512 = {.draw = draw_strip,
                                          .draw_pixels = draw_pixels,
                                          .draws_picks = 1,
                                          .widen = widen,
                                          .hash = tile_hashes,
                                          .throw_counts = throw_counts_avx512,
                                          .put_counts = put_counts,
                                          .spread_cut = spread_cut};
#endif
