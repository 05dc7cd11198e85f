/* SPDX-License-Identifier: MIT */
/*
 * Writes tiles that are stored pixel by pixel: docs/format.md, "Exact values", version 2.
 *
 * Contexts follow from the levels of all tiles of a row of macro blocks, so that tiles are listed
 * first.  Most are of bytes, which are put many at a time.
 */
#include "exact_stream.h"

enum { LARGEST_LEVEL = EXACT_NLEVELS - 1 };

/* The level of n pixels whose numbers have this sum. */
static uint32_t level_of(uint64_t sum, uint32_t n)
{
    const uint64_t x = 16 * sum / n;
    const uint32_t ndigits = x ? floor_log2(x) + 1 : 0;
    return ndigits < LARGEST_LEVEL ? ndigits : LARGEST_LEVEL;
}

h5bragg_status exact_writer_make(const ring_map *map, size_t stride, exact_writer *w)
{
    const size_t ntiles = (size_t)MACRO_EDGE * map->ntx;
    memset(w, 0, sizeof *w);
    number_symbols_make(&w->numbers);
    w->stride = stride;
    w->item = scratch_take(ntiles * sizeof *w->item);
    w->t = scratch_take(ntiles * TILE_NPIXELS * sizeof *w->t);
    if (!w->item || !w->t)
        return H5BRAGG_NO_MEMORY;
    return exact_levels_make(map, &w->levels);
}

void exact_writer_free(exact_writer *w)
{
    exact_levels_free(&w->levels);
    symbol_writer_free(&w->level_symbols);
    symbol_writer_free(&w->value_symbols);
    scratch_give(w->item);
    scratch_give(w->t);
}

static void add(exact_writer *w, exact_item item, uint32_t row, uint32_t column)
{
    item.place = exact_place(&w->levels, row, column);
    exact_levels_mark(&w->levels, item.rule, item.place);
    exact_levels_put(&w->levels, item.place, item.level);
    w->item[w->nitems++] = item;
}

void exact_tile_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t column,
                    uint16_t valid, const int64_t value[TILE_NPIXELS])
{
    exact_item item = {.rule = rule, .t = w->t + w->nt, .valid = valid};
    uint64_t *t = w->t + w->nt;
    uint64_t sum = 0;
    uint32_t n = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(valid >> p & 1))
            continue;
        t[n] = rule->is_counting ? (uint64_t)value[p] : zigzag(value[p] - rule->predicted);
        sum += t[n++];
    }
    if (n == 0)
        return;
    w->nt += n;
    item.level = (uint8_t)level_of(sum, n);
    add(w, item, row, column);
}

void exact_bytes_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t column,
                     const uint8_t *byte, uint32_t sum)
{
    const exact_item item = {
        .rule = rule, .byte = byte, .valid = 0xFFFF, .level = (uint8_t)level_of(sum, TILE_NPIXELS)};
    add(w, item, row, column);
}

/* Any numbers below 2^34: each has at most 32 raw bits, and the buffer room for 57. */
static void write_numbers(exact_writer *w, const exact_item *item)
{
    fast_writer f;
    const uint64_t *t = item->t;
    uint8_t context[TILE_NPIXELS];
    exact_value_contexts(&w->levels, item->place, context);
    if (!fast_writer_open(&f, &w->value_symbols, TILE_NPIXELS, TILE_NPIXELS * sizeof(uint32_t)))
        return;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(item->valid >> p & 1))
            continue;
        fast_put_number(&f, &w->numbers, context[p], *t++);
        fast_flush(&f);
    }
    fast_writer_close(&f, &w->value_symbols);
}

/* Tiles of bytes that wait to be put together. */
enum { BATCH_NTILES = 64, BATCH_NBYTES = BATCH_NTILES * TILE_NPIXELS };
typedef struct byte_batch {
    uint32_t n; /* bytes */
    uint8_t context[BATCH_NBYTES];
    uint8_t byte[BATCH_NBYTES];
    uint8_t large[BATCH_NBYTES + BYTE_NUMBERS_SLACK];
} byte_batch;

static void put_batch(exact_writer *w, byte_batch *b)
{
    put_bytes_kernel()(&w->value_symbols, &w->numbers, b->byte, b->context, b->n, b->large);
    b->n = 0;
}

static void add_to_batch(exact_writer *w, const exact_item *item, byte_batch *b)
{
    if (b->n == BATCH_NBYTES)
        put_batch(w, b);
    const uint8_t *from = item->byte;
    uint8_t *to = b->byte + b->n;
    const size_t stride = w->stride;
    exact_value_contexts(&w->levels, item->place, b->context + b->n);
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        memcpy(to + i * TILE_EDGE, from + i * stride, TILE_EDGE);
    b->n += TILE_NPIXELS;
}

enum { ITEMS_AHEAD = 12 };

/* The bytes of a tile lie in rows of pixels far apart, and have not been looked at for a while. */
BRAGG_INLINE void ask_for_bytes(const exact_writer *w, const exact_item *item)
{
    for (uint32_t i = 0; i < TILE_EDGE && item->byte; i++)
        __builtin_prefetch(item->byte + i * w->stride);
}

void exact_writer_end_row(exact_writer *w)
{
    const exact_item *end = w->item + w->nitems;
    byte_batch batch;
    batch.n = 0; /* and nothing else: it is large */
    exact_levels_look_beside(&w->levels);
    exact_levels_look_around(&w->levels);
    for (const exact_item *item = w->item; item < end; item++) {
        if (end - item > ITEMS_AHEAD)
            ask_for_bytes(w, item + ITEMS_AHEAD);
        symbol_put(&w->level_symbols, exact_level_context(&w->levels, item->rule, item->place),
                   item->level);
        if (item->byte) {
            add_to_batch(w, item, &batch);
            continue;
        }
        put_batch(w, &batch);
        write_numbers(w, item);
    }
    put_batch(w, &batch);
    w->nitems = 0;
    w->nt = 0;
    exact_levels_next_row(&w->levels);
}

void exact_writer_finish(exact_writer *w, byte_writer *out)
{
    symbols_write(&w->level_symbols, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
    symbols_write(&w->value_symbols, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
}
