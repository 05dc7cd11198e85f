/* SPDX-License-Identifier: MIT */
/*
 * Writes tiles that are stored pixel by pixel and are bytes: docs/format.md, "Exact values".  All
 * pixels are known, so that the contexts of a tile are made together.
 */
#include "cpu_level.h"
#include "exact_tiles.h"

enum { UNIT = 8, NOTHING = -1 };

enum { HALF_NPIXELS = TILE_NPIXELS / 2, RAW_NBYTES = TILE_NPIXELS };

BRAGG_INLINE int32_t counted(int16_t stored, int32_t absent)
{
    return stored == NOTHING ? absent : UNIT * stored;
}

/* A row of a tile as four 16-bit numbers of 64 bits, the leftmost pixel lowest. */
BRAGG_INLINE uint64_t spread_bytes(uint32_t row)
{
    const uint64_t pairs = (row | (uint64_t)row << 16) & 0x0000FFFF0000FFFFu;
    return (pairs | pairs << 8) & 0x00FF00FF00FF00FFu;
}

BRAGG_INLINE uint64_t counts_above(const int16_t *above, int32_t absent)
{
    uint64_t row = 0;
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        row |= (uint64_t)counted(above[k], absent) << 16 * k;
    return row;
}

/* What a whole tile leaves to its neighbours; row[i] as of spread_bytes. */
BRAGG_INLINE void leave_rows(exact_lines *lines, uint32_t column, const uint64_t row[TILE_EDGE])
{
    int16_t *below = lines->below + 1 + (size_t)column * TILE_EDGE;
    for (uint32_t k = 0; k < TILE_EDGE; k++) {
        below[k] = (int16_t)(row[TILE_EDGE - 1] >> 16 * k & 0xFF);
        lines->left[k] = (int16_t)(row[k] >> 48);
    }
    lines->below_tiles[lines->nbelow++] = column;
    lines->left_column = column + 1;
}

/* Puts pairs of contexts and bytes, which need not be symbols yet; raw bits fit into the buffer
 * eight bytes at a time. */
static void put_pairs(symbol_writer *s, const number_symbols *numbers, const uint16_t *pair)
{
    fast_writer w;
    if (!fast_writer_open(&w, s, TILE_NPIXELS, RAW_NBYTES))
        return;
    for (uint32_t k = 0; k < TILE_NPIXELS; k++) {
        fast_put_number(&w, numbers, pair[k] >> 8, pair[k] & 0xFF);
        if (k % HALF_NPIXELS == HALF_NPIXELS - 1)
            fast_flush(&w);
    }
    fast_writer_close(&w, s);
}

/*
 * Contexts are looked up by half of 2 * left + 2 * above + (above left): four at a time, which no
 * carry leaves, as counts are at most 2040.
 */
static void write_plain(exact_lines *lines, symbol_writer *s, const number_symbols *numbers,
                        const exact_rule *rule, const exact_bytes *tile)
{
    const uint32_t column = tile->column;
    const int has_left = lines->left_column == column && column > 0;
    const int16_t *above = lines->above + (size_t)column * TILE_EDGE;
    uint64_t up = counts_above(above + 1, rule->absent);
    uint64_t corner = (uint64_t)counted(above[0], rule->absent);
    uint64_t row[TILE_EDGE];
    uint16_t pair[TILE_NPIXELS];
    uint16_t ordered[TILE_NPIXELS];
    uint32_t all = 0;
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const uint32_t bytes = load_u32(tile->byte + i * tile->stride);
        row[i] = spread_bytes(bytes);
        all |= bytes;
        const uint64_t here = UNIT * row[i];
        const uint64_t left =
            (uint64_t)(has_left ? counted(lines->left[i], rule->absent) : rule->absent);
        const uint64_t half =
            (here << 16 | left) + up + ((up << 16 | corner) >> 1 & 0x7FFF7FFF7FFF7FFFu);
        for (uint32_t j = 0; j < TILE_EDGE; j++) {
            const uint32_t context = lines->context[half >> 16 * j & 0xFFFF];
            pair[i * TILE_EDGE + j] = (uint16_t)(context << 8 | (bytes >> 8 * j & 0xFF));
        }
        up = here;
        corner = left;
    }
    uint16_t *direct = all & 0xF0F0F0F0u ? NULL : symbol_writer_room(s, TILE_NPIXELS);
    uint16_t *out = direct ? direct : ordered;
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        out[k] = pair[EXACT_ORDER[k]];
    if (direct)
        s->npairs += TILE_NPIXELS; /* bytes below 16 are their own symbols */
    else
        put_pairs(s, numbers, ordered);
    leave_rows(lines, column, row);
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")))

/* Bounds of contexts beyond the table of 64, halved. */
enum { NEAR_CONTEXTS = 64, NFAR_BOUNDS = 5 };
static const int16_t FAR_BOUND[NFAR_BOUNDS] = {90, 130, 200, 300, 500};

/* What the neighbours of a tile count: from the corner along the row above, and 8 to 11 on the
 * left. */
KERNEL BRAGG_INLINE __m256i counts_around(const exact_lines *lines, uint32_t column, int32_t absent)
{
    const int has_left = lines->left_column == column && column > 0;
    const __m128i above = _mm_maskz_loadu_epi16(0x1F, lines->above + (size_t)column * TILE_EDGE);
    const __m128i left = _mm_loadl_epi64((const __m128i *)(const void *)lines->left);
    const __m256i stored = _mm256_inserti128_si256(_mm256_castsi128_si256(above), left, 1);
    const __mmask16 is_there =
        (__mmask16)(_mm256_movepi16_mask(stored) ^ 0xFFFF) & (has_left ? 0xFFFF : 0xFF);
    return _mm256_mask_slli_epi16(_mm256_set1_epi16((int16_t)absent), is_there, stored, 3);
}

/* Number of bounds that are not above what the neighbours count, of which this is half. */
KERNEL BRAGG_INLINE __m256i contexts_of(const exact_lines *lines, __m256i half)
{
    const __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)lines->context);
    const __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(lines->context + 32));
    const __m256i at = _mm256_min_epu16(half, _mm256_set1_epi16(NEAR_CONTEXTS - 1));
    __m256i context = _mm256_permutex2var_epi8(low, at, high);
    for (uint32_t k = 0; k < NFAR_BOUNDS; k++) {
        const __m256i bound = _mm256_set1_epi16((int16_t)(FAR_BOUND[k] - 1));
        context = _mm256_sub_epi16(context, _mm256_cmpgt_epi16(half, bound));
    }
    return context;
}

KERNEL static void write_avx512(exact_lines *lines, symbol_writer *s, const number_symbols *numbers,
                                const exact_rule *rule, const exact_bytes *tile)
{
    const __m256i from_left =
        _mm256_setr_epi16(24, 0, 1, 2, 25, 4, 5, 6, 26, 8, 9, 10, 27, 12, 13, 14);
    const __m256i from_above =
        _mm256_setr_epi16(17, 18, 19, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    const __m256i from_corner =
        _mm256_setr_epi16(16, 17, 18, 19, 24, 0, 1, 2, 25, 4, 5, 6, 26, 8, 9, 10);
    const __m256i order = _mm256_setr_epi16(0, 1, 4, 2, 5, 8, 3, 6, 9, 12, 7, 10, 13, 11, 14, 15);
    const uint8_t *byte = tile->byte;
    const size_t stride = tile->stride;
    const __m128i bytes =
        _mm_setr_epi32((int)load_u32(byte), (int)load_u32(byte + stride),
                       (int)load_u32(byte + 2 * stride), (int)load_u32(byte + 3 * stride));
    const __m256i value = _mm256_cvtepu8_epi16(bytes);
    const __m256i count = _mm256_slli_epi16(value, 3);
    const __m256i around = counts_around(lines, tile->column, rule->absent);
    const __m256i corner = _mm256_permutex2var_epi16(count, from_corner, around);
    const __m256i half =
        _mm256_add_epi16(_mm256_add_epi16(_mm256_permutex2var_epi16(count, from_left, around),
                                          _mm256_permutex2var_epi16(count, from_above, around)),
                         _mm256_srli_epi16(corner, 1));
    const __m256i context = _mm256_slli_epi16(contexts_of(lines, half), 8);
    const __m256i pairs = _mm256_permutexvar_epi16(order, _mm256_or_si256(context, value));
    uint16_t pair[TILE_NPIXELS];
    uint16_t *out = pair;
    const int is_direct = _mm_testz_si128(bytes, _mm_set1_epi8((char)0xF0));
    if (is_direct && (out = symbol_writer_room(s, TILE_NPIXELS)) != NULL)
        s->npairs += TILE_NPIXELS;
    if (out)
        _mm256_storeu_si256((__m256i *)(void *)out, pairs);
    if (!is_direct)
        put_pairs(s, numbers, pair);
    const __m256i last_column = _mm256_permutexvar_epi16(
        _mm256_setr_epi16(3, 7, 11, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), value);
    int16_t *below = lines->below + 1 + (size_t)tile->column * TILE_EDGE;
    const int64_t last_row = _mm256_extract_epi64(value, 3);
    memcpy(below, &last_row, sizeof last_row);
    _mm_storel_epi64((__m128i *)(void *)lines->left, _mm256_castsi256_si128(last_column));
    lines->below_tiles[lines->nbelow++] = tile->column;
    lines->left_column = tile->column + 1;
}
#endif

void exact_bytes_write(exact_lines *lines, symbol_writer *s, const number_symbols *numbers,
                       const exact_rule *rule, const exact_bytes *tile)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512) {
        write_avx512(lines, s, numbers, rule, tile);
        return;
    }
#endif
    write_plain(lines, s, numbers, rule, tile);
}
