/* SPDX-License-Identifier: MIT */
/*
 * Reads rows of tiles that are stored pixel by pixel: docs/format.md, "Exact values".
 *
 * A symbol's context hangs on the symbols before it, so that what counts is how long one waits for
 * the next.  Most tiles have nothing but direct symbols: whole ones are read as if they had, and
 * again, as any tile, if one was not.
 */
#include "cpu_level.h"
#include "exact_tiles.h"

/* Of a symbol_reader, in registers: its states, and the word that comes next. */
typedef struct states {
    uint32_t x[SYMBOLS_NSTATES];
    const uint8_t *word;
} states;

#if defined(BRAGG_X86_64)
/*
 * The next symbol of a state in a context, as symbol_get_sure.  By hand, as compilers make branches
 * of what is a matter of chance, whether a state lacks a word, and run out of registers.
 */
BRAGG_INLINE uint64_t take(const uint8_t *context, uint32_t *state, const uint8_t **word)
{
    uint64_t symbol, u, f;
    __asm__("mov %k[x], %k[u]\n\t"
            "and %[mask], %k[u]\n\t"
            "shr %[nbits], %k[x]\n\t"
            "movzbl (%[context], %[u]), %k[symbol]\n\t"
            "mov %c[total](%[context], %[symbol], 4), %k[f]\n\t"
            "movzwl %c[total](%[context], %[symbol], 4), %k[context]\n\t" /* its start */
            "shr %[frequency], %k[f]\n\t"
            "imul %k[f], %k[x]\n\t"
            "sub %k[context], %k[u]\n\t"
            "add %k[u], %k[x]\n\t"
            "movzwl (%[word]), %k[u]\n\t"
            "mov %k[x], %k[f]\n\t"
            "shl $16, %k[f]\n\t"
            "or %k[u], %k[f]\n\t"
            "lea 2(%[word]), %[u]\n\t"
            "cmp %[lowest], %k[x]\n\t"
            "cmovb %k[f], %k[x]\n\t"
            "cmovb %[u], %[word]"
            : [x] "+&r"(*state), [word] "+&r"(*word), [context] "+&r"(context),
              [symbol] "=&r"(symbol), [u] "=&r"(u), [f] "=&r"(f)
            : [mask] "i"(SYMBOLS_TOTAL - 1), [total] "i"(SYMBOLS_TOTAL),
              [nbits] "i"(SYMBOLS_PROBABILITY_BITS), [frequency] "i"(ENTRY_FREQUENCY_BIT),
              [lowest] "i"(SYMBOLS_LOWEST_STATE)
            : "cc");
    return symbol;
}
#else
BRAGG_INLINE uint64_t take(const uint8_t *context, uint32_t *state, const uint8_t **word)
{
    const uint32_t u = *state & (SYMBOLS_TOTAL - 1);
    const uint32_t symbol = context[u];
    uint32_t entry;
    memcpy(&entry, context + SYMBOLS_TOTAL + sizeof entry * symbol, sizeof entry);
    const uint32_t x = (entry >> ENTRY_FREQUENCY_BIT) * (*state >> SYMBOLS_PROBABILITY_BITS) + u -
                       (entry & ENTRY_START);
    const uint64_t lacks = ((uint64_t)x - SYMBOLS_LOWEST_STATE) >> 63;
    *state = x ^ ((x ^ (x << 16 | load_u16(*word))) & (uint32_t)(0 - lacks));
    *word += 2 * lacks;
    return symbol;
}
#endif

/*
 * What a tile's pixels in its first row and column find outside of it, as parts of the places where
 * their contexts are looked up: four 16-bit numbers each, the first lowest.
 */
typedef struct edges {
    uint64_t top;  /* what is above, and half of what is left of that */
    uint64_t side; /* what is left, and but for the first half of what is above that */
} edges;

BRAGG_INLINE uint64_t lane(uint64_t four, uint32_t k) { return four >> 16 * k & 0xFFFF; }

/* Where a whole tile is read from. */
typedef struct tile_reader {
    const uint8_t *context;
    const uint16_t *at; /* places of contexts by left + above + corner / 2 */
    states s;           /* for direct symbols */
    symbol_reader r;    /* for numbers */
    int64_t *value;
} tile_reader;

/*
 * Pixel p, in the order of reading the one of a state; returns the value, up to EXACT_MOST.  Even
 * symbols that are not direct keep places within bounds.
 */
BRAGG_INLINE uint64_t read_pixel(const int is_direct, tile_reader *t, uint32_t p, uint32_t state,
                                 uint64_t place)
{
    if (is_direct)
        return take(t->context + t->at[place], &t->s.x[state], &t->s.word);
    const uint64_t x = number_of(&t->r, symbol_get_sure(&t->r, t->at[place]));
    t->value[p] = (int64_t)x;
    return x < EXACT_MOST ? x : EXACT_MOST;
}

/* Diagonal by diagonal: pixels of one do not depend on each other, so that they overlap. */
BRAGG_INLINE void read_pixels(const int is_direct, tile_reader *t, const edges *e,
                              uint64_t c[TILE_NPIXELS])
{
    enum { FULL = EXACT_UNIT, HALF = EXACT_UNIT / 2 };
#define READ(p, state, place) c[p] = read_pixel(is_direct, t, p, state, place)
#define INNER(left, above, corner) (HALF * (2 * (c[left] + c[above]) + c[corner]))
    READ(0, 0, lane(e->top, 0) + lane(e->side, 0));
    READ(1, 1, lane(e->top, 1) + FULL * c[0]);
    READ(4, 2, lane(e->side, 1) + FULL * c[0]);
    READ(2, 3, lane(e->top, 2) + FULL * c[1]);
    READ(5, 0, INNER(4, 1, 0));
    READ(8, 1, lane(e->side, 2) + FULL * c[4]);
    READ(3, 2, lane(e->top, 3) + FULL * c[2]);
    READ(6, 3, INNER(5, 2, 1));
    READ(9, 0, INNER(8, 5, 4));
    READ(12, 1, lane(e->side, 3) + FULL * c[8]);
    READ(7, 2, INNER(6, 3, 2));
    READ(10, 3, INNER(9, 6, 5));
    READ(13, 0, INNER(12, 9, 8));
    READ(11, 1, INNER(10, 7, 6));
    READ(14, 2, INNER(13, 10, 9));
    READ(15, 3, INNER(14, 11, 10));
#undef READ
#undef INNER
}

/* A whole tile of direct symbols; returns 0, with s as it was, if one was not. */
BRAGG_INLINE int read_direct(const symbol_reader *r, const uint16_t *at, const edges *e, states *s,
                             uint64_t c[TILE_NPIXELS])
{
    tile_reader t = {.context = r->context, .at = at, .s = *s};
    read_pixels(1, &t, e, c);
    uint64_t all = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        all |= c[p];
    if (all >= NUMBER_DIRECT)
        return 0;
    *s = t.s;
    return 1;
}

/* A whole tile of any numbers.  Out of line, as it needs the registers. */
__attribute__((noinline)) static void read_numbers(symbol_reader *r, const uint16_t *at,
                                                   const edges *e, int64_t *value,
                                                   uint64_t c[TILE_NPIXELS])
{
    tile_reader t = {.at = at, .r = *r, .value = value};
    read_pixels(0, &t, e, c);
    *r = t.r;
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

BRAGG_INLINE edges look_around(const exact_lines *lines, uint32_t column, uint32_t absent)
{
    const int16_t *above = lines->above + (size_t)column * TILE_EDGE;
    const uint64_t has_left = 0 - (uint64_t)(lines->left_column == column && column > 0);
    const uint64_t up = counted(four_at(above + 1), absent);
    const uint64_t corner = counted((uint16_t)above[0], absent);
    const uint64_t left = counted(four_at(lines->left) | ~has_left, absent);
    return (edges){up + halves(up << 16 | corner), left + halves(left << 16)};
}

/* Whether what is around a tile makes symbols that are not direct likely. */
BRAGG_INLINE int is_bright(const edges *e)
{
    enum { BRIGHT = 180 }; /* about 15 counts */
    const uint64_t room = (0x8000 - BRIGHT) * (uint64_t)0x0001000100010001u;
    return (((e->top + room) | (e->side + room)) & 0x8000800080008000u) != 0;
}

/* Leaves a tile's last row and column to its neighbours. */
BRAGG_INLINE void leave_behind(exact_lines *lines, uint32_t column, const uint64_t c[TILE_NPIXELS])
{
    const uint64_t left = c[3] | c[7] << 16 | c[11] << 32 | c[15] << 48;
    int16_t *below = lines->below + 1 + (size_t)column * TILE_EDGE;
    for (uint32_t k = 0; k < TILE_EDGE; k++) {
        below[k] = (int16_t)c[TILE_NPIXELS - TILE_EDGE + k];
        lines->left[k] = (int16_t)lane(left, k); /* one store, as four_at is one load */
    }
    lines->below_tiles[lines->nbelow++] = column;
    lines->left_column = column + 1;
}

BRAGG_INLINE states states_of(const symbol_reader *r)
{
    return (states){{r->x0, r->x1, r->x2, r->x3}, r->words + 2 * r->word_at};
}

BRAGG_INLINE void put_states(symbol_reader *r, const states *s)
{
    r->x0 = s->x[0];
    r->x1 = s->x[1];
    r->x2 = s->x[2];
    r->x3 = s->x[3];
    r->word_at = (size_t)(s->word - r->words) / 2;
}

/* A tile, as it is stored. */
BRAGG_INLINE void read_tile(exact_lines *lines, symbol_reader *r, uint32_t absent, exact_tile *tile,
                            states *s)
{
    uint64_t c[TILE_NPIXELS];
    const int has_words =
        r->nwords >= TILE_NPIXELS && s->word <= r->words + 2 * (r->nwords - TILE_NPIXELS);
    tile->is_narrow = 0;
    if (tile->valid != 0xFFFF || !has_words) {
        put_states(r, s);
        exact_tile_read(lines, r, (int32_t)absent, tile);
        *s = states_of(r);
        return;
    }
    const edges e = look_around(lines, tile->column, absent);
    if (!is_bright(&e) && read_direct(r, lines->context_at, &e, s, c)) {
        tile->is_narrow = 1;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            tile->byte[p] = (uint8_t)c[p];
    } else {
        put_states(r, s);
        read_numbers(r, lines->context_at, &e, tile->value, c);
        *s = states_of(r);
    }
    leave_behind(lines, tile->column, c);
}

void exact_row_read(exact_lines *lines, symbol_reader *r, const exact_rule *const *rule,
                    exact_tile *tile, uint32_t ntiles)
{
    states s = states_of(r);
    for (uint32_t k = 0; k < ntiles; k++) {
        exact_tile *t = &tile[k];
        read_tile(lines, r, (uint32_t)rule[k]->absent, t, &s);
        if (rule[k]->is_counting)
            continue;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            t->value[p] = rule[k]->predicted + unzigzag((uint64_t)exact_tile_value(t, p));
        t->is_narrow = 0;
    }
    put_states(r, &s);
}
