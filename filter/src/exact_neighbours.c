/* SPDX-License-Identifier: MIT */
/*
 * Reads rows of tiles that are stored pixel by pixel: docs/format.md, "Exact values".
 *
 * A symbol's context hangs on the symbols before it, so that what counts is how long one waits for
 * the next.  Most tiles have nothing but direct symbols: whole ones are read as if they had, and
 * again, as any tile, if one was not.  What a tile has on its left is kept number by number, so
 * that its first pixels do not wait for the last ones of that neighbour.
 */
#include "exact_tiles.h"

/* Of a symbol_reader, in registers: its states, its words, and which of them comes next. */
typedef struct states {
    uint32_t x[SYMBOLS_NSTATES];
    const uint8_t *words;
    uint32_t at; /* there are fewer than 2^32 in a stream */
} states;

/* One by one: to load what was just stored in smaller pieces takes long. */
BRAGG_INLINE void copy_states(const states *from, states *to)
{
    for (uint32_t k = 0; k < SYMBOLS_NSTATES; k++)
        to->x[k] = from->x[k];
    to->words = from->words;
    to->at = from->at;
}

/* The next symbol of a state in a context, as symbol_get_sure. */
BRAGG_INLINE uint64_t take(const uint8_t *context, states *s, uint32_t k)
{
    uint32_t *state = &s->x[k % SYMBOLS_NSTATES];
    const uint32_t u = *state & (SYMBOLS_TOTAL - 1);
    const uint64_t symbol = context[u];
    uint32_t entry;
    memcpy(&entry, context + SYMBOLS_TOTAL + sizeof entry * symbol, sizeof entry);
    const uint32_t x = (entry >> ENTRY_FREQUENCY_BIT) * (*state >> SYMBOLS_PROBABILITY_BITS) +
                       (u - (entry & ENTRY_START));
    const uint32_t lacks = (uint32_t)((int32_t)((x >> 16) - 1) >> 31); /* a mask */
    *state = x ^ ((x ^ (x << 16 | load_u16(s->words + 2 * (size_t)s->at))) & lacks);
    s->at -= lacks;
    return symbol;
}

/*
 * What a tile's pixels in its first row and column find outside of it, as parts of the places where
 * their contexts are looked up.
 */
typedef struct edges {
    uint64_t top;             /* what is above, and half of what is left of that: 16 bits each */
    uint32_t side[TILE_EDGE]; /* what is left, and but for the first half of what is above that */
} edges;

BRAGG_INLINE uint64_t lane(uint64_t four, uint32_t k) { return four >> 16 * k & 0xFFFF; }

/* What the last tile has left to one on its right, as exact_lines do. */
typedef struct left_edge {
    int32_t stored[TILE_EDGE];
    uint32_t column;
} left_edge;

/* Where a whole tile is read from, and what of it there is. */
typedef struct tile_reader {
    const uint8_t *context;
    const uint16_t *at; /* places of contexts by left + above + corner / 2 */
    states *s;
    uint64_t c[TILE_NPIXELS]; /* values, up to EXACT_MOST */
} tile_reader;

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

/* Takes down the value of pixel p, and returns what it counts. */
BRAGG_INLINE uint64_t put_number(exact_tile *tile, uint32_t p, uint64_t x)
{
    tile->value[p] = (int64_t)x;
    return x < EXACT_MOST ? x : EXACT_MOST;
}

/* Positions in the order of reading, by diagonals: pixels of one do not depend on each other, so
 * that they overlap.  READ(k, p, place) reads number k, at position p. */
#define INNER(left, above, corner) (HALF * (2 * (c[left] + c[above]) + c[corner]))
#define READ_TILE(e)                                                                               \
    READ(0, 0, lane(e->top, 0) + e->side[0])                                                       \
    READ(1, 1, lane(e->top, 1) + FULL * c[0])                                                      \
    READ(2, 4, e->side[1] + FULL * c[0])                                                           \
    READ(3, 2, lane(e->top, 2) + FULL * c[1])                                                      \
    READ(4, 5, INNER(4, 1, 0))                                                                     \
    READ(5, 8, e->side[2] + FULL * c[4])                                                           \
    READ(6, 3, lane(e->top, 3) + FULL * c[2])                                                      \
    READ(7, 6, INNER(5, 2, 1))                                                                     \
    READ(8, 9, INNER(8, 5, 4))                                                                     \
    READ(9, 12, e->side[3] + FULL * c[8])                                                          \
    READ(10, 7, INNER(6, 3, 2))                                                                    \
    READ(11, 10, INNER(9, 6, 5))                                                                   \
    READ(12, 13, INNER(12, 9, 8))                                                                  \
    READ(13, 11, INNER(10, 7, 6))                                                                  \
    READ(14, 14, INNER(13, 10, 9))                                                                 \
    READ(15, 15, INNER(14, 11, 10))
enum { FULL = EXACT_UNIT, HALF = EXACT_UNIT / 2 };

/* A whole tile of direct symbols; returns 0 if one was not. */
BRAGG_INLINE int read_direct(tile_reader *t, const edges *e)
{
    uint64_t *c = t->c;
    uint64_t all = 0;
#define READ(k, p, place) all |= c[p] = take(t->context + t->at[place], t->s, k);
    READ_TILE(e)
#undef READ
    return all < NUMBER_DIRECT;
}

/* A whole tile of any numbers.  Even what is no number keeps places within bounds. */
BRAGG_INLINE void read_numbers(symbol_reader *r, tile_reader *t, const edges *e, exact_tile *tile)
{
    symbol_reader raw = {.raw = r->raw, .raw_nbytes = r->raw_nbytes, .bit_at = r->bit_at};
    uint64_t *c = t->c;
#define READ(k, p, place)                                                                          \
    c[p] =                                                                                         \
        put_number(tile, p, any_number(&raw, (uint32_t)take(t->context + t->at[place], t->s, k)));
    READ_TILE(e)
#undef READ
    r->bit_at = raw.bit_at;
    r->seen |= raw.seen;
}

/* Four numbers that neighbours store. */
BRAGG_INLINE uint64_t four_at(const int16_t *stored)
{
    return (uint16_t)stored[0] | (uint64_t)(uint16_t)stored[1] << 16 |
           (uint64_t)(uint16_t)stored[2] << 32 | (uint64_t)(uint16_t)stored[3] << 48;
}

/* What they count: at most 2040 each, so that sums and multiples stay apart. */
BRAGG_INLINE uint64_t counted(uint64_t four, uint32_t absent)
{
    const uint64_t ones = 0x0001000100010001u;
    const uint64_t lacks = (four >> 15 & ones) * 0xFFFF; /* EXACT_NOTHING has all bits */
    return EXACT_UNIT * (four & ~lacks) | (absent * ones & lacks);
}

BRAGG_INLINE uint64_t halves(uint64_t four) { return four >> 1 & 0x7FFF7FFF7FFF7FFFu; }

BRAGG_INLINE edges look_around(const exact_lines *lines, const left_edge *left, uint32_t column,
                               uint32_t absent)
{
    const int16_t *above = lines->above + (size_t)column * TILE_EDGE;
    const uint64_t up = counted(four_at(above + 1), absent);
    const uint64_t corner = counted((uint16_t)above[0], absent);
    const uint32_t has_none = 0 - (uint32_t)(left->column != column || column == 0);
    edges e = {up + halves(up << 16 | corner), {0}};
    uint32_t over = 0;
    for (uint32_t k = 0; k < TILE_EDGE; k++) {
        const uint32_t stored = (uint32_t)left->stored[k] | has_none;
        const uint32_t lacks = 0 - (stored >> 31);
        const uint32_t here = (EXACT_UNIT * stored & ~lacks) | (absent & lacks);
        e.side[k] = here + over / 2;
        over = here;
    }
    return e;
}

/* Whether what is around a tile makes symbols that are not direct likely. */
BRAGG_INLINE int is_bright(const edges *e)
{
    enum { BRIGHT = 180 }; /* about 15 counts */
    const uint64_t room = (0x8000 - BRIGHT) * (uint64_t)0x0001000100010001u;
    const int is_above = ((e->top + room) & 0x8000800080008000u) != 0;
    return is_above | (e->side[0] >= BRIGHT) | (e->side[1] >= BRIGHT) | (e->side[2] >= BRIGHT) |
           (e->side[3] >= BRIGHT);
}

/* Leaves a tile's last row and column to its neighbours. */
BRAGG_INLINE void leave_behind(exact_lines *lines, left_edge *left, uint32_t column,
                               const uint64_t c[TILE_NPIXELS])
{
    int16_t *below = lines->below + 1 + (size_t)column * TILE_EDGE;
    for (uint32_t k = 0; k < TILE_EDGE; k++) {
        below[k] = (int16_t)c[TILE_NPIXELS - TILE_EDGE + k];
        left->stored[k] = (int32_t)c[k * TILE_EDGE + TILE_EDGE - 1];
    }
    lines->below_tiles[lines->nbelow++] = column;
    left->column = column + 1;
}

BRAGG_INLINE states states_of(const symbol_reader *r)
{
    return (states){{r->x0, r->x1, r->x2, r->x3}, r->words, (uint32_t)r->word_at};
}

BRAGG_INLINE void put_states(symbol_reader *r, const states *s)
{
    r->x0 = s->x[0];
    r->x1 = s->x[1];
    r->x2 = s->x[2];
    r->x3 = s->x[3];
    r->word_at = s->at;
}

/* A tile that is not whole or may be the last.  Out of line, as the others need the registers. */
__attribute__((noinline)) static void read_any(exact_lines *lines, symbol_reader *r,
                                               left_edge *left, uint32_t absent, exact_tile *tile,
                                               states *s)
{
    put_states(r, s);
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        lines->left[k] = (int16_t)left->stored[k];
    lines->left_column = left->column;
    exact_tile_read(lines, r, (int32_t)absent, tile);
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        left->stored[k] = lines->left[k];
    left->column = lines->left_column;
    tile->is_narrow = 0;
    *s = states_of(r);
}

/* Takes down a whole tile, narrow or not. */
BRAGG_INLINE void put_tile(exact_lines *lines, left_edge *left, exact_tile *tile,
                           const uint64_t c[TILE_NPIXELS])
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        tile->byte[p] = (uint8_t)c[p];
    leave_behind(lines, left, tile->column, c);
}

/* A whole tile of any numbers.  Out of line, as read_any. */
__attribute__((noinline)) static void read_bright(exact_lines *lines, symbol_reader *r,
                                                  left_edge *left, const edges *e, exact_tile *tile,
                                                  states *s)
{
    states own = *s;
    tile_reader t;
    t.context = r->context;
    t.at = lines->context_at;
    t.s = &own;
    read_numbers(r, &t, e, tile);
    tile->is_narrow = 1;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        tile->is_narrow &= t.c[p] < EXACT_MOST;
    put_tile(lines, left, tile, t.c);
    copy_states(&own, s);
}

/* A tile, as it is stored. */
BRAGG_INLINE void read_tile(exact_lines *lines, symbol_reader *r, left_edge *left, uint32_t absent,
                            exact_tile *tile, states *s)
{
    const int has_words = r->nwords >= TILE_NPIXELS && s->at <= r->nwords - TILE_NPIXELS;
    if (tile->valid != 0xFFFF || !has_words) {
        read_any(lines, r, left, absent, tile, s);
        return;
    }
    const edges e = look_around(lines, left, tile->column, absent);
    states direct;
    copy_states(s, &direct);
    tile_reader t;
    t.context = r->context;
    t.at = lines->context_at;
    t.s = &direct;
    if (is_bright(&e) || !read_direct(&t, &e)) {
        const edges around = e; /* so that e stays in registers */
        read_bright(lines, r, left, &around, tile, s);
        return;
    }
    tile->is_narrow = 1;
    put_tile(lines, left, tile, t.c);
    copy_states(&direct, s);
}

void exact_row_read(exact_lines *lines, symbol_reader *r, const exact_rule *const *rule,
                    exact_tile *tile, uint32_t ntiles)
{
    states s = states_of(r);
    left_edge left = {.column = 0}; /* a row's first tile has none */
    for (uint32_t k = 0; k < ntiles; k++) {
        exact_tile *t = &tile[k];
        read_tile(lines, r, &left, (uint32_t)rule[k]->absent, t, &s);
        if (rule[k]->is_counting)
            continue;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            t->value[p] = rule[k]->predicted + unzigzag((uint64_t)exact_tile_value(t, p));
        t->is_narrow = 0;
    }
    put_states(r, &s);
}
