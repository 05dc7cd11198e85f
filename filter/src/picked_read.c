/* SPDX-License-Identifier: MIT */
/*
 * Reads picked pixels: docs/format.md, "Picked pixels".
 *
 * The context of a number follows from the place of a pixel, and the place from the number before:
 * taken literally, every symbol waits for the one before it, the map and two tables.  But pixels
 * that follow one another nearly always have the same contexts.  They are kept, and a branch that
 * the processor foresees says whether they are still right.
 */
#include "picked.h"

/* Compilers must not turn a branch into a choice of values, which would wait for both. */
#if defined(__GNUC__)
#define KEEP_BRANCH() __asm__ volatile("")
#define IS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#else
#define KEEP_BRANCH() ((void)0)
#define IS_LIKELY(condition) (condition)
#endif

/* Words and raw bits that a pixel takes at most. */
enum { PIXEL_NWORDS = 2, PIXEL_NBITS = 64 };

/* What of a reader serves a batch: it fits into registers.  Words are taken from a pointer. */
typedef struct batch_reader {
    uint32_t x0;
    uint32_t x1;
    uint32_t x2;
    uint32_t x3;
    const uint8_t *word;
    const uint8_t *raw;
    uint64_t bit_at;
} batch_reader;

static const uint8_t *table_of(const symbol_reader *s, uint32_t context)
{
    return s->context + (size_t)context * SYMBOLS_CONTEXT_NBYTES;
}

/* As symbol_get_sure, with few instructions: all there is to wait for is their number. */
BRAGG_INLINE uint32_t get_symbol(batch_reader *r, const uint8_t *table)
{
    const uint32_t x = r->x0;
    const uint32_t u = x & (SYMBOLS_TOTAL - 1);
    const uint32_t symbol = table[u];
    uint32_t entry;
    memcpy(&entry, table + SYMBOLS_TOTAL + sizeof entry * symbol, sizeof entry);
    const uint32_t next = (entry >> ENTRY_FREQUENCY_BIT) * (x >> SYMBOLS_PROBABILITY_BITS) + u -
                          (entry & ENTRY_START);
    const uint32_t lacks = 0u - (uint32_t)(next < SYMBOLS_LOWEST_STATE);
    const uint32_t refilled = next << 16 | load_u16(r->word);
    r->x0 = r->x1;
    r->x1 = r->x2;
    r->x2 = r->x3;
    r->x3 = next ^ ((next ^ refilled) & lacks);
    r->word += lacks & 2;
    return symbol;
}

/* The number of a symbol.  It takes no branch, as it may be a matter of chance whether there are
 * raw bits. */
BRAGG_INLINE uint64_t get_number(batch_reader *r, const picked_numbers *numbers, uint32_t symbol)
{
    const uint8_t *p = r->raw + (r->bit_at >> 3);
    const uint64_t bits = (load_u32(p) | (uint64_t)load_u32(p + 4) << 32) >> (r->bit_at & 7);
    numbers += symbol;
    r->bit_at += numbers->nbits;
    return numbers->least + (bits & numbers->mask);
}

/* As picked_read, for n pixels that have words and raw bits whatever they are. */
static uint32_t read_batch(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n)
{
    const ring_map *map = state->model->noise.map;
    const uint16_t *cell_of = map->cell;
    const uint64_t ntiles = ring_map_ntiles(map);
    const uint16_t *contexts_of = state->contexts;
    const picked_cell *cells = state->cell;
    const uint8_t *peak_table = table_of(s, PICKED_PEAK_CONTEXT);
    const uint8_t *gap_table = table_of(s, picked_gap_context(state)); /* of the next gap */
    const uint8_t *cell_table = gap_table;                             /* of gaps after no peak */
    const uint8_t *excess_table = gap_table;
    uint32_t contexts = 0; /* none */
    uint64_t next = state->next;
    uint64_t excess = state->last_excess;
    uint64_t all = 0;
    uint32_t k = 0;
    batch_reader r = {s->x0, s->x1, s->x2, s->x3, s->words + 2 * s->word_at, s->raw, s->bit_at};
    for (; k < n; k++) {
        const uint64_t place = next + get_number(&r, state->numbers, get_symbol(&r, gap_table));
        const uint64_t tile = place / TILE_NPIXELS;
        uint64_t tile_behind = (place + 1) / TILE_NPIXELS;
        if (!IS_LIKELY(tile_behind < ntiles)) {
            if (tile >= ntiles)
                break;
            tile_behind = tile; /* nothing can be there */
        }
        const uint32_t cell = cell_of[tile];
        const uint32_t here = contexts_of[cell];
        const uint32_t behind = contexts_of[cell_of[tile_behind]];
        if (!IS_LIKELY(here == contexts) || !IS_LIKELY(behind == contexts)) {
            KEEP_BRANCH();
            if (cell == BRAGG_NO_CELL)
                break;
            contexts = here == behind ? here : 0;
            cell_table = table_of(s, behind >> 8);
            excess_table = table_of(s, here & 0xFF);
        }
        next = place + 1;
        const uint32_t symbol = get_symbol(&r, excess_table);
        gap_table = symbol < PICKED_PEAK_EXCESS ? cell_table : peak_table;
        excess = symbol;
        if (!IS_LIKELY(symbol < NUMBER_DIRECT)) {
            KEEP_BRANCH();
            excess = get_number(&r, state->numbers, symbol);
            all |= excess;
        }
        pixel[k].place = place;
        pixel[k].value = cells[cell].least + (int64_t)excess;
    }
    s->x0 = r.x0;
    s->x1 = r.x1;
    s->x2 = r.x2;
    s->x3 = r.x3;
    s->word_at = (size_t)(r.word - s->words) / 2;
    s->bit_at = r.bit_at;
    s->seen |= all & PICKED_NO_NUMBER ? ENTRY_BAD : 0;
    state->next = next;
    state->last_excess = excess;
    return k;
}

/* One pixel; returns 0 where it cannot be. */
static int read_one(picked_state *state, symbol_reader *r, picked_pixel *pixel)
{
    const ring_map *map = state->model->noise.map;
    const picked_numbers *gap = &state->numbers[symbol_get(r, picked_gap_context(state))];
    const uint64_t place = state->next + gap->least + raw_bits_get(r, gap->nbits);
    const uint64_t tile = place / TILE_NPIXELS;
    if (tile >= ring_map_ntiles(map) || map->cell[tile] == BRAGG_NO_CELL)
        return 0;
    const picked_cell *cell = &state->cell[map->cell[tile]];
    state->last_excess = number_get(r, cell->excess_context);
    state->next = place + 1;
    *pixel = (picked_pixel){place, cell->least + (int64_t)state->last_excess};
    return 1;
}

/* How many pixels there are words and raw bits for, whatever they are, up to n. */
static uint32_t sure_pixels(const symbol_reader *s, uint32_t n)
{
    const uint64_t nbits = 8 * s->raw_nbytes;
    if (s->word_at > s->nwords || s->bit_at > nbits)
        return 0;
    const uint64_t by_words = (s->nwords - s->word_at) / PIXEL_NWORDS;
    const uint64_t by_bits = (nbits - s->bit_at) / PIXEL_NBITS;
    const uint64_t sure = by_words < by_bits ? by_words : by_bits;
    return sure < n ? (uint32_t)sure : n;
}

uint32_t picked_read(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n)
{
    uint32_t k = 0;
    for (uint32_t sure = sure_pixels(s, n); sure; sure = sure_pixels(s, n - k)) {
        const uint32_t good = read_batch(state, s, pixel + k, sure);
        k += good;
        if (good < sure)
            return k;
    }
    while (k < n && read_one(state, s, &pixel[k]))
        k++;
    return k;
}
