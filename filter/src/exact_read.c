/* SPDX-License-Identifier: MIT */
/*
 * Reads tiles that are stored pixel by pixel: docs/format.md, "Exact values", version 2.
 *
 * No context hangs on a value.  So the levels of a row of macro blocks are read first, then its
 * values, many tiles at once, and only then is looked at which value belongs where: nearly always
 * symbols are values, and sixteen bytes are copied.
 */
#include "exact_read.h"

#include "byte_lanes.h"
#include "cpu_level.h"
#include "tile_sums.h" /* count_bits */

enum { BATCH_NTILES = 256, BATCH_NVALUES = BATCH_NTILES * TILE_NPIXELS };

/* Symbols of some tiles, those of values one behind the other. */
typedef struct tile_batch {
    uint8_t context[BATCH_NVALUES];
    uint8_t symbol[BATCH_NVALUES];
} tile_batch;

/* Levels of some tiles; returns 0 if one does not exist. */
static int read_levels(exact_reader *r, const uint32_t *place, uint32_t n)
{
    uint8_t context[BATCH_NTILES];
    uint8_t level[BATCH_NTILES];
    uint32_t most = 0;
    for (uint32_t k = 0; k < n; k++)
        context[k] = r->levels.context[place[k]];
    wide_symbols_get(&r->level_symbols, context, n, level);
    for (uint32_t k = 0; k < n; k++) {
        most = level[k] > most ? level[k] : most;
        exact_levels_put(&r->levels, place[k], level[k]);
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
static size_t list_contexts(const exact_reader *r, const uint32_t *place, const exact_tile *tile,
                            uint32_t n, uint8_t *context)
{
    uint8_t *at = context; /* for every tile there is room for a whole one */
    for (uint32_t k = 0; k < n; k++) {
        exact_value_contexts(&r->levels, place[k], at);
        at += tile[k].valid == 0xFFFF ? TILE_NPIXELS : drop_invalid(at, tile[k].valid);
    }
    return (size_t)(at - context);
}

/* The number of a symbol that has raw bits. */
BRAGG_INLINE uint64_t number_of_large(symbol_reader *s, uint32_t symbol)
{
    const uint32_t nbits = symbol / 4 - 2;
    return (uint64_t)(4 | (symbol & 3)) << nbits | raw_bits_get(s, nbits);
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

const uint8_t *exact_restore(symbol_reader *s, const exact_rule *rule, const uint8_t *symbol,
                             exact_tile *tile)
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (tile->valid >> p & 1)
            tile->value[p] = exact_value(rule, any_number(s, *symbol++));
    }
    tile->is_narrow = 0;
    return symbol;
}

/* All bits that occur in sixteen symbols. */
BRAGG_INLINE uint32_t bits_of(const uint8_t *symbol)
{
    uint64_t all = load_u64(symbol) | load_u64(symbol + 8);
    all |= all >> 32;
    all |= all >> 16;
    return (uint32_t)(all | all >> 8) & 0xFF;
}

/* Which of eight symbols that stand for bytes have raw bits, as bits: their fifth bit is set. */
BRAGG_INLINE uint32_t large_symbols(const uint8_t *symbol)
{
    const uint64_t large = load_u64(symbol) >> 4 & 0x0101010101010101u;
    return (uint32_t)(large * 0x0102040810204080u >> 56);
}

/* Restores a tile all of whose pixels are valid, if its symbols stand for bytes; or returns 0. */
BRAGG_INLINE int restore_bytes(symbol_reader *s, const uint8_t *symbol, exact_tile *tile)
{
    if (bits_of(symbol) >= BYTE_NSYMBOLS)
        return 0;
    memcpy(tile->byte, symbol, TILE_NPIXELS);
    tile->is_narrow = 1;
    uint32_t large = large_symbols(symbol) | large_symbols(symbol + 8) << 8;
    if (!large)
        return 1;
    symbol_reader raw = *s; /* which pixels, being bytes, cannot overwrite */
    for (; large; large &= large - 1) {
        const uint32_t p = lowest_bit(large);
        tile->byte[p] = (uint8_t)number_of_large(&raw, symbol[p]);
    }
    s->bit_at = raw.bit_at;
    return 1;
}

static void read_plainly(exact_reader *r, const uint32_t *place, const exact_rule *const *rule,
                         exact_tile *tile, uint32_t n)
{
    tile_batch b;
    symbol_reader *s = &r->value_symbols.stream;
    const uint8_t *symbol = b.symbol;
    const size_t nvalues = list_contexts(r, place, tile, n, b.context);
    wide_symbols_get(&r->value_symbols, b.context, nvalues, b.symbol);
    for (uint32_t k = 0; k < n; k++) {
        lines_ahead_ask(r->ahead);
        const int may_be_narrow = tile[k].valid == 0xFFFF && rule[k]->is_counting;
        if (may_be_narrow && restore_bytes(s, symbol, &tile[k]))
            symbol += TILE_NPIXELS;
        else
            symbol = exact_restore(s, rule[k], symbol, &tile[k]);
    }
}

static uint32_t batch_at(uint32_t first, uint32_t ntiles)
{
    return ntiles - first < BATCH_NTILES ? ntiles - first : BATCH_NTILES;
}

static void read_values(exact_reader *r, const exact_rule *const *rule, exact_tile *tile,
                        uint32_t ntiles)
{
    const int has_vectors = bragg_cpu_level() == CPU_AVX512 && ntiles && rule[0]->is_counting;
    uint32_t n = 0; /* read plainly */
    for (uint32_t k = 0; k < ntiles; k += n) {
        if (has_vectors)
            k += exact_read_avx512(r, r->place + k, rule + k, tile + k, ntiles - k);
        if (k == ntiles)
            break;
        /* What stopped vectors is a tile that is not whole, or the end of the stream. */
        n = has_vectors ? 1 : batch_at(k, ntiles);
        read_plainly(r, r->place + k, rule + k, tile + k, n);
    }
}

h5bragg_status exact_reader_open(byte_reader *in, uint32_t version, const ring_map *map,
                                 exact_reader *r)
{
    h5bragg_status status = wide_symbols_open(in, version, EXACT_NCONTEXTS, &r->level_symbols);
    if (!status)
        status = wide_symbols_open(in, version, EXACT_NCONTEXTS, &r->value_symbols);
    if (!status)
        status = exact_levels_make(map, &r->levels);
    r->place = scratch_take((size_t)MACRO_EDGE * map->ntx * sizeof *r->place);
    return status || r->place ? status : H5BRAGG_NO_MEMORY;
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
    scratch_give(r->place);
    r->place = NULL;
}

int exact_tiles_read(exact_reader *r, const exact_rule *const *rule, exact_tile *tile,
                     uint32_t ntiles)
{
    for (uint32_t k = 0; k < ntiles; k++) {
        r->place[k] = exact_place(&r->levels, tile[k].row, tile[k].column);
        exact_levels_mark(&r->levels, exact_rule_digits(rule[k]), r->place[k]);
    }
    exact_levels_look_beside(&r->levels);
    for (uint32_t k = 0; k < ntiles; k += BATCH_NTILES) {
        if (!read_levels(r, r->place + k, batch_at(k, ntiles)))
            return 0;
    }
    exact_levels_look_around(&r->levels);
    read_values(r, rule, tile, ntiles);
    exact_levels_next_row(&r->levels);
    return 1;
}
