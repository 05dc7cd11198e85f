/* SPDX-License-Identifier: MIT */
/*
 * Reads tiles that are stored pixel by pixel: docs/format.md, "Exact values", version 2.
 *
 * No context hangs on a value.  So the levels of a row of macro blocks are read first, then its
 * values, many tiles at once, and only then is looked at which value belongs where: nearly always
 * symbols are values, and sixteen bytes are copied.
 */
#include "exact_stream.h"

#include "cpu_level.h"
#include "tile_sums.h" /* count_bits */

enum { BATCH_NTILES = 256, BATCH_NVALUES = BATCH_NTILES * TILE_NPIXELS };

/* Symbols of some tiles, those of values one behind the other. */
typedef struct tile_batch {
    uint8_t context[BATCH_NVALUES];
    uint8_t symbol[BATCH_NVALUES];
} tile_batch;

static uint32_t place_of(const exact_reader *r, const exact_tile *tile)
{
    return exact_place(&r->levels, tile->row, tile->column);
}

/* Levels of some tiles; returns 0 if one does not exist. */
static int read_levels(exact_reader *r, const exact_rule *const *rule, const exact_tile *tile,
                       uint32_t n)
{
    uint8_t context[BATCH_NTILES];
    uint8_t level[BATCH_NTILES];
    uint32_t most = 0;
    for (uint32_t k = 0; k < n; k++)
        context[k] = exact_level_context(&r->levels, rule[k], place_of(r, &tile[k]));
    wide_symbols_get(&r->level_symbols, context, n, level);
    for (uint32_t k = 0; k < n; k++) {
        most = level[k] > most ? level[k] : most;
        exact_levels_put(&r->levels, place_of(r, &tile[k]), level[k]);
    }
    return most < EXACT_NLEVELS;
}

/* Keeps the contexts of valid pixels, in place; returns how many there are. */
static uint32_t drop_invalid(uint8_t *context, uint32_t valid)
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        context[n] = context[p];
        n += valid >> p & 1;
    }
    return n;
}

/* The contexts of n tiles' values; returns how many they are. */
static size_t list_contexts(const exact_reader *r, const exact_tile *tile, uint32_t n,
                            uint8_t *context)
{
    uint8_t *at = context; /* for every tile there is room for a whole one */
    for (uint32_t k = 0; k < n; k++) {
        exact_value_contexts(&r->levels, place_of(r, &tile[k]), at);
        at += tile[k].valid == 0xFFFF ? TILE_NPIXELS : drop_invalid(at, tile[k].valid);
    }
    return (size_t)(at - context);
}

/* number_of without branches on what is a matter of chance. */
BRAGG_INLINE uint64_t any_number(symbol_reader *r, uint32_t symbol)
{
    if (symbol > NUMBER_LARGEST_SYMBOL)
        return number_of(r, symbol);
    const uint32_t has_bits = 0 - ((uint32_t)(NUMBER_DIRECT - 1 - symbol) >> 31);
    const uint32_t nbits = (symbol / 4 - 2) & has_bits;
    const uint32_t head = symbol ^ ((symbol ^ (4 | (symbol & 3))) & has_bits);
    return (uint64_t)head << nbits | raw_bits_get(r, nbits);
}

/* Whether sixteen symbols are the numbers themselves. */
BRAGG_INLINE int are_direct(const uint8_t *symbol)
{
    uint32_t all = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p += TILE_EDGE)
        all |= load_u32(symbol + p);
    return (all & 0xF0F0F0F0u) == 0;
}

/* Any tile; returns where the symbols of the next are. */
static const uint8_t *restore_values(symbol_reader *s, const exact_rule *rule,
                                     const uint8_t *symbol, exact_tile *tile)
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (tile->valid >> p & 1)
            tile->value[p] = exact_value(rule, any_number(s, *symbol++));
    }
    return symbol;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

/* Raw bits of a number, of which a lane of 32 bits holds any at any place in a byte. */
enum { LANE_NBITS = 24, LANE_MAX_SYMBOL = NUMBER_DIRECT + 4 * (LANE_NBITS - 2) + 3 };

/*
 * The numbers of sixteen symbols, if all bits of any of them were there and none is larger than a
 * byte; otherwise 0, and nothing is taken.
 */
__attribute__((target("avx512f,avx512bw,avx512vl"))) static int
restore_bytes_avx512(symbol_reader *s, const uint8_t *symbol, uint8_t *number)
{
    const uint64_t most_nbytes = (TILE_NPIXELS * LANE_NBITS + 7) / 8;
    const __m512i zero = _mm512_setzero_si512();
    const __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)symbol));
    const __mmask16 has_bits = _mm512_cmpge_epu32_mask(x, _mm512_set1_epi32(NUMBER_DIRECT));
    const __m512i nbits =
        _mm512_maskz_sub_epi32(has_bits, _mm512_srli_epi32(x, 2), _mm512_set1_epi32(2));
    const __m512i head = _mm512_mask_or_epi32(x, has_bits, _mm512_set1_epi32(4),
                                              _mm512_and_si512(x, _mm512_set1_epi32(3)));
    __m512i sum = _mm512_add_epi32(nbits, _mm512_alignr_epi32(nbits, zero, 15));
    sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, zero, 14));
    sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, zero, 12));
    sum = _mm512_add_epi32(sum, _mm512_alignr_epi32(sum, zero, 8));
    if (_mm512_cmpgt_epu32_mask(x, _mm512_set1_epi32(LANE_MAX_SYMBOL)) ||
        (s->bit_at >> 3) + most_nbytes > s->raw_nbytes) /* where 8 more bytes may be looked at */
        return 0;
    const __m512i at =
        _mm512_add_epi32(_mm512_sub_epi32(sum, nbits), _mm512_set1_epi32((int)(s->bit_at & 7)));
    const __m512i word =
        _mm512_i32gather_epi32(_mm512_srli_epi32(at, 3), s->raw + (s->bit_at >> 3), 1);
    const __m512i mask =
        _mm512_sub_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), nbits), _mm512_set1_epi32(1));
    const __m512i bits =
        _mm512_and_si512(_mm512_srlv_epi32(word, _mm512_and_si512(at, _mm512_set1_epi32(7))), mask);
    const __m512i numbers = _mm512_or_si512(_mm512_sllv_epi32(head, nbits), bits);
    if (_mm512_cmpgt_epu32_mask(numbers, _mm512_set1_epi32(UINT8_MAX)))
        return 0;
    _mm_storeu_si128((void *)number, _mm512_cvtepi32_epi8(numbers));
    s->bit_at += (uint32_t)_mm_extract_epi32(_mm512_extracti32x4_epi32(sum, 3), 3);
    return 1;
}
#endif

/* Restores sixteen numbers if they are all bytes, or returns 0 and takes nothing. */
typedef int restore_function(symbol_reader *s, const uint8_t *symbol, uint8_t *number);

static int restore_no_bytes(symbol_reader *s, const uint8_t *symbol, uint8_t *number)
{
    (void)s, (void)symbol, (void)number;
    return 0;
}

static restore_function *restore_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return restore_bytes_avx512;
#endif
    return restore_no_bytes;
}

/* Restores the values of a tile all of whose pixels are valid, if they are all bytes; or returns 0.
 */
BRAGG_INLINE int restore_bytes(restore_function *restore, symbol_reader *s, const uint8_t *symbol,
                               uint8_t *byte)
{
    if (!are_direct(symbol))
        return restore(s, symbol, byte);
    memcpy(byte, symbol, TILE_NPIXELS);
    return 1;
}

static void read_values(exact_reader *r, const exact_rule *const *rule, exact_tile *tile,
                        uint32_t n)
{
    tile_batch b;
    restore_function *restore = restore_kernel();
    const uint8_t *symbol = b.symbol;
    const size_t nvalues = list_contexts(r, tile, n, b.context);
    wide_symbols_get(&r->value_symbols, b.context, nvalues, b.symbol);
    for (uint32_t k = 0; k < n; k++) {
        symbol_reader *s = &r->value_symbols.stream;
        tile[k].is_narrow = tile[k].valid == 0xFFFF && rule[k]->is_counting &&
                            restore_bytes(restore, s, symbol, tile[k].byte);
        symbol = tile[k].is_narrow ? symbol + TILE_NPIXELS
                                   : restore_values(s, rule[k], symbol, &tile[k]);
    }
}

h5bragg_status exact_reader_open(byte_reader *in, uint32_t version, const ring_map *map,
                                 exact_reader *r)
{
    h5bragg_status status = wide_symbols_open(in, version, EXACT_NCONTEXTS, &r->level_symbols);
    if (!status)
        status = wide_symbols_open(in, version, EXACT_NCONTEXTS, &r->value_symbols);
    return status ? status : exact_levels_make(map, &r->levels);
}

h5bragg_status exact_reader_close(const exact_reader *r)
{
    const h5bragg_status status = wide_symbols_close(&r->level_symbols);
    return status ? status : wide_symbols_close(&r->value_symbols);
}

void exact_reader_free(exact_reader *r)
{
    symbol_reader_free(&r->level_symbols.stream);
    symbol_reader_free(&r->value_symbols.stream);
    exact_levels_free(&r->levels);
}

static uint32_t batch_at(uint32_t first, uint32_t ntiles)
{
    return ntiles - first < BATCH_NTILES ? ntiles - first : BATCH_NTILES;
}

int exact_tiles_read(exact_reader *r, const exact_rule *const *rule, exact_tile *tile,
                     uint32_t ntiles)
{
    for (uint32_t k = 0; k < ntiles; k++)
        exact_levels_mark(&r->levels, rule[k], place_of(r, &tile[k]));
    exact_levels_look_beside(&r->levels);
    for (uint32_t k = 0; k < ntiles; k += BATCH_NTILES) {
        if (!read_levels(r, rule + k, tile + k, batch_at(k, ntiles)))
            return 0;
    }
    exact_levels_look_around(&r->levels);
    for (uint32_t k = 0; k < ntiles; k += BATCH_NTILES)
        read_values(r, rule + k, tile + k, batch_at(k, ntiles));
    exact_levels_next_row(&r->levels);
    return 1;
}
