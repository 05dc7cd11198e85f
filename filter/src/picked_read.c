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

/* What of a reader serves a batch: it fits into registers. */
typedef struct batch_reader {
    const uint8_t *words;
    size_t word_at;
    const uint8_t *raw;
    uint64_t bit_at;
} batch_reader;

/* What stays the same in a batch, and the pixel at work. */
typedef struct batch {
    const uint16_t *cell_of;
    const uint16_t *contexts_of;
    const picked_cell *cells;
    const picked_numbers *numbers;
    const uint8_t *first_table;
    const uint8_t *peak_table;
    const uint8_t *gap_table;  /* of the next gap */
    const uint8_t *cell_table; /* of gaps after no peak */
    const uint8_t *excess_table;
    uint64_t last; /* place of the frame */
    uint64_t next;
    uint64_t excess;
    uint64_t all;
    uint32_t contexts; /* of cell_table and excess_table; 0: none */
} batch;

static const uint8_t *table_of(const uint8_t *first, uint32_t context)
{
    return first + (size_t)context * SYMBOLS_CONTEXT_NBYTES;
}

/*
 * The state that lacks a word takes one.  That is a matter of chance, of which compilers make a
 * branch unless it is spelt out.
 */
BRAGG_INLINE uint32_t refill(uint32_t next, uint32_t refilled, size_t *word_at)
{
#if defined(__GNUC__) && defined(__x86_64__) && defined(__LP64__)
    __asm__("cmpl %[lowest], %[next]\n\t"
            "cmovb %[refilled], %[next]\n\t"
            "adcq $0, %[word_at]"
            : [next] "+r"(next), [word_at] "+r"(*word_at)
            : [refilled] "r"(refilled), [lowest] "i"(SYMBOLS_LOWEST_STATE)
            : "cc");
    return next;
#else
    const uint32_t lacks = 0u - (uint32_t)(next < SYMBOLS_LOWEST_STATE);
    *word_at += lacks & 1;
    return next ^ ((next ^ refilled) & lacks);
#endif
}

/* As symbol_get_sure, with few instructions: all there is to wait for is their number. */
BRAGG_INLINE uint32_t get_symbol(batch_reader *r, uint32_t *state, const uint8_t *table)
{
    const uint32_t x = *state;
    const uint32_t u = x & (SYMBOLS_TOTAL - 1);
    const uint32_t symbol = table[u];
    uint32_t entry;
    memcpy(&entry, table + SYMBOLS_TOTAL + sizeof entry * symbol, sizeof entry);
    const uint32_t next = (entry >> ENTRY_FREQUENCY_BIT) * (x >> SYMBOLS_PROBABILITY_BITS) + u -
                          (entry & ENTRY_START);
    const uint32_t refilled = next << 16 | load_u16(r->words + 2 * r->word_at);
    *state = refill(next, refilled, &r->word_at);
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

/* One pixel, whose symbols the given states hold; returns 0 where it cannot be. */
BRAGG_INLINE int get_pixel(batch *b, batch_reader *r, uint32_t *gap_state, uint32_t *excess_state,
                           picked_pixel *pixel)
{
    const uint64_t place =
        b->next + get_number(r, b->numbers, get_symbol(r, gap_state, b->gap_table));
    const uint64_t tile = place / TILE_NPIXELS;
    uint64_t tile_behind = (place + 1) / TILE_NPIXELS;
    if (!IS_LIKELY(place < b->last)) {
        if (place > b->last)
            return 0;
        tile_behind = tile; /* nothing can be there */
    }
    const uint32_t cell = b->cell_of[tile];
    const uint32_t here = b->contexts_of[cell];
    const uint32_t behind = b->contexts_of[b->cell_of[tile_behind]];
    if (!IS_LIKELY(here == b->contexts) || !IS_LIKELY(behind == b->contexts)) {
        KEEP_BRANCH();
        if (cell == BRAGG_NO_CELL)
            return 0;
        b->contexts = here == behind ? here : 0;
        b->cell_table = table_of(b->first_table, behind >> 8);
        b->excess_table = table_of(b->first_table, here & 0xFF);
    }
    b->next = place + 1;
    const uint32_t symbol = get_symbol(r, excess_state, b->excess_table);
    b->gap_table = symbol < PICKED_PEAK_EXCESS ? b->cell_table : b->peak_table;
    b->excess = symbol;
    if (!IS_LIKELY(symbol < NUMBER_DIRECT)) {
        KEEP_BRANCH();
        b->excess = get_number(r, b->numbers, symbol);
        b->all |= b->excess;
    }
    pixel->place = place;
    pixel->value = b->cells[cell].least + (int64_t)b->excess;
    return 1;
}

/*
 * As picked_read, for n pixels that have words and raw bits whatever they are.  n is even: two
 * pixels take the four states, each of which has a register of its own.
 */
static uint32_t read_batch(picked_state *state, symbol_reader *s, picked_pixel *pixel, uint32_t n)
{
    const ring_map *map = state->model->noise.map;
    const uint8_t *gap_table = table_of(s->context, picked_gap_context(state));
    batch b = {.cell_of = map->cell,
               .contexts_of = state->contexts,
               .cells = state->cell,
               .numbers = state->numbers,
               .first_table = s->context,
               .peak_table = table_of(s->context, PICKED_PEAK_CONTEXT),
               .gap_table = gap_table,
               .cell_table = gap_table,
               .excess_table = gap_table,
               .last = (uint64_t)ring_map_ntiles(map) * TILE_NPIXELS - 1,
               .next = state->next,
               .excess = state->last_excess};
    batch_reader r = {s->words, s->word_at, s->raw, s->bit_at};
    uint32_t x0 = s->x0;
    uint32_t x1 = s->x1;
    uint32_t x2 = s->x2;
    uint32_t x3 = s->x3;
    uint32_t k = 0;
    for (; k < n; k += 2) {
        if (!get_pixel(&b, &r, &x0, &x1, &pixel[k]))
            break;
        if (!get_pixel(&b, &r, &x2, &x3, &pixel[k + 1])) {
            k++;
            break;
        }
    }
    s->x0 = x0; /* after a break they are of no use any more */
    s->x1 = x1;
    s->x2 = x2;
    s->x3 = x3;
    s->word_at = r.word_at;
    s->bit_at = r.bit_at;
    s->seen |= b.all & PICKED_NO_NUMBER ? ENTRY_BAD : 0;
    state->next = b.next;
    state->last_excess = b.excess;
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

/* How many pixels there are words and raw bits for, whatever they are, up to n; whole pairs. */
static uint32_t sure_pixels(const symbol_reader *s, uint32_t n)
{
    const uint64_t nbits = 8 * s->raw_nbytes;
    if (s->word_at > s->nwords || s->bit_at > nbits)
        return 0;
    const uint64_t by_words = (s->nwords - s->word_at) / PIXEL_NWORDS;
    const uint64_t by_bits = (nbits - s->bit_at) / PIXEL_NBITS;
    const uint64_t sure = by_words < by_bits ? by_words : by_bits;
    return (sure < n ? (uint32_t)sure : n) & ~1u;
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
