/* SPDX-License-Identifier: MIT */
/*
 * Writes tiles that are stored pixel by pixel: docs/format.md, "Exact values", version 2.
 *
 * Contexts follow from the levels of all tiles of a row of macro blocks, so that tiles are listed
 * first.  Most are of bytes, which are put many at a time.
 */
#include "exact_stream.h"

#include "scratch.h"

enum { LARGEST_LEVEL = EXACT_NLEVELS - 1 };

/* The level of n pixels whose numbers have this sum: digits of 16 times their mean. */
static inline uint32_t level_of(uint64_t sum, uint32_t n)
{
    const uint32_t ndigits = floor_log2(2 * (16 * sum / n) + 1);
    return ndigits < LARGEST_LEVEL ? ndigits : LARGEST_LEVEL;
}

h5bragg_status exact_writer_make(const ring_map *map, const exact_rule *rule, size_t stride,
                                 exact_writer *w)
{
    const size_t room = (size_t)map->ntx + ROW_LISTS_SLACK;
    const size_t ntiles = (size_t)MACRO_EDGE * map->ntx;
    memset(w, 0, sizeof *w);
    number_symbols_make(&w->numbers);
    w->stride = stride;
    w->digits = scratch_take(BRAGG_NO_CELL + 1u);
    w->column = scratch_take(MACRO_EDGE * room * sizeof *w->column);
    w->odd = scratch_take(ntiles * sizeof *w->odd);
    w->t = scratch_take(ntiles * TILE_NPIXELS * sizeof *w->t);
    if (!w->digits || !w->column || !w->odd || !w->t)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        w->digits[c] = exact_rule_digits(&rule[c]);
    w->digits[BRAGG_NO_CELL] = exact_rule_digits(&rule[map->ncells]);
    for (uint32_t sum = 0; sum <= EXACT_LARGE_SUM; sum++)
        w->grid_of_sum[sum] = (uint8_t)(1 + level_of(sum, TILE_NPIXELS));
    for (uint32_t row = 0; row < MACRO_EDGE; row++)
        w->row[row].column = w->column + row * room;
    return exact_levels_make(map, &w->levels);
}

void exact_writer_free(exact_writer *w)
{
    exact_levels_free(&w->levels);
    symbol_writer_free(&w->level_symbols);
    symbol_writer_free(&w->value_symbols);
    scratch_give(w->digits);
    scratch_give(w->column);
    scratch_give(w->odd);
    scratch_give(w->t);
}

void exact_row_add(exact_writer *w, uint32_t row, uint32_t n, const uint16_t *cell,
                   const uint16_t *sum, const uint8_t *byte)
{
    const uint16_t *column = w->row[row].column;
    const uint32_t first = exact_place(&w->levels, row, 0);
    w->row[row].n = n;
    w->row[row].byte = byte;
    const uint8_t *of_cell = w->digits;
    const uint8_t *of_sum = w->grid_of_sum;
    const uint32_t before = first - w->levels.stride;
    uint8_t *restrict grid = w->levels.grid + first;
    uint8_t *restrict digits = w->levels.digits + first;
    uint8_t *restrict is_used = w->levels.is_used;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t t = column[k];
        digits[t] = of_cell[cell[t]];
        grid[t] = of_sum[sum[t] < EXACT_LARGE_SUM ? sum[t] : EXACT_LARGE_SUM];
        is_used[(before + t) / EXACT_RUN] = 1;
    }
}

static uint32_t place_of(const exact_writer *w, uint32_t row, uint32_t number)
{
    return exact_place(&w->levels, row, w->row[row].column[number]);
}

void exact_odd_add(exact_writer *w, const exact_rule *rule, uint32_t row, uint32_t number,
                   uint16_t valid, const int64_t value[TILE_NPIXELS])
{
    uint64_t *t = w->t + w->nt;
    uint64_t sum = 0;
    uint32_t n = 0;
    w->odd[w->nodd++] = (exact_odd){number, (uint8_t)row, valid, t};
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(valid >> p & 1))
            continue;
        t[n] = rule->is_counting ? (uint64_t)value[p] : zigzag(value[p] - rule->predicted);
        sum += t[n++];
    }
    w->nt += n;
    exact_levels_put(&w->levels, place_of(w, row, number), level_of(sum, n));
}

/* Any numbers below 2^34: each has at most 32 raw bits, and the buffer room for 57. */
static void put_odd(exact_writer *w, const exact_odd *odd)
{
    fast_writer f;
    const uint64_t *t = odd->t;
    uint8_t context[TILE_NPIXELS];
    exact_value_contexts(&w->levels, place_of(w, odd->row, odd->number), context);
    if (!fast_writer_open(&f, &w->value_symbols, TILE_NPIXELS, TILE_NPIXELS * sizeof(uint32_t)))
        return;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(odd->valid >> p & 1))
            continue;
        fast_put_number(&f, &w->numbers, context[p], *t++);
        fast_flush(&f);
    }
    fast_writer_close(&f, &w->value_symbols);
}

/* Tiles of bytes that are put together. */
enum { BATCH_NTILES = 128, BATCH_NBYTES = BATCH_NTILES * TILE_NPIXELS };
typedef struct byte_batch {
    uint8_t context[BATCH_NBYTES];
    uint8_t byte[BATCH_NBYTES];
    uint8_t large[BATCH_NBYTES + BYTE_NUMBERS_SLACK];
} byte_batch;

/* The contexts of n tiles of a row. */
static void list_contexts(const exact_levels *levels, uint32_t row, const uint16_t *column,
                          uint32_t n, uint8_t *context)
{
    const uint8_t *first = levels->first + exact_place(levels, row, 0);
    const uint8_t *shape = levels->shape + exact_place(levels, row, 0);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t t = column[k];
        exact_shade(levels->shade[shape[t]], first[t], context + k * TILE_NPIXELS);
    }
}

/* Their bytes, from the plane. */
static void list_bytes(const uint8_t *byte, size_t stride, const uint16_t *column, uint32_t n,
                       uint8_t *to)
{
    for (uint32_t k = 0; k < n; k++) {
        const uint8_t *from = byte + (size_t)column[k] * TILE_EDGE;
        for (uint32_t i = 0; i < TILE_EDGE; i++)
            memcpy(to + k * TILE_NPIXELS + i * TILE_EDGE, from + i * stride, TILE_EDGE);
    }
}

/* Puts tiles `first` to `end` of a row, none of which is odd. */
static void put_bytes(exact_writer *w, uint32_t row, uint32_t first, uint32_t end)
{
    byte_batch b;
    exact_columns *r = &w->row[row];
    uint32_t n = 0;
    for (uint32_t k = first; k < end; k += n) {
        const uint16_t *column = r->column + k;
        const uint8_t *byte = b.byte;
        n = end - k < BATCH_NTILES ? end - k : BATCH_NTILES;
        list_contexts(&w->levels, row, column, n, b.context);
        if (w->stride == EXACT_LISTED) {
            byte = r->byte;
            r->byte += n * TILE_NPIXELS;
        } else {
            list_bytes(r->byte, w->stride, column, n, b.byte);
        }
        put_bytes_kernel()(&w->value_symbols, &w->numbers, byte, b.context, n * TILE_NPIXELS,
                           b.large);
    }
}

static void put_levels(exact_writer *w, uint32_t row)
{
    const uint32_t n = w->row[row].n;
    const uint16_t *restrict column = w->row[row].column;
    const uint32_t first = exact_place(&w->levels, row, 0);
    const uint8_t *context = w->levels.context + first;
    const uint8_t *grid = w->levels.grid + first;
    uint16_t *restrict pair = symbol_writer_room(&w->level_symbols, n);
    for (uint32_t k = 0; pair && k < n; k++)
        pair[k] = (uint16_t)(context[column[k]] << 8 | (grid[column[k]] - 1));
    w->level_symbols.npairs += pair ? n : 0;
}

/* Puts the tiles of a row, of which the first odd one is given; returns that of later rows. */
static const exact_odd *put_row(exact_writer *w, uint32_t row, const exact_odd *odd)
{
    const exact_odd *end = w->odd + w->nodd;
    uint32_t k = 0;
    put_levels(w, row);
    for (; odd < end && odd->row == row; odd++) {
        put_bytes(w, row, k, odd->number);
        put_odd(w, odd);
        k = odd->number + 1;
    }
    put_bytes(w, row, k, w->row[row].n);
    return odd;
}

void exact_writer_end_row(exact_writer *w)
{
    const exact_odd *odd = w->odd;
    exact_levels_look_beside(&w->levels);
    exact_levels_look_around(&w->levels);
    for (uint32_t row = 0; row < MACRO_EDGE; row++) {
        if (w->row[row].n)
            odd = put_row(w, row, odd);
        w->row[row].n = 0;
    }
    w->nodd = 0;
    w->nt = 0;
    exact_levels_next_row(&w->levels);
}

void exact_writer_finish(exact_writer *w, byte_writer *out)
{
    symbols_write(&w->level_symbols, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
    symbols_write(&w->value_symbols, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
}
