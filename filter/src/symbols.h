/* SPDX-License-Identifier: MIT */
/*
 * Streams of symbols, range asymmetric numeral coding: docs/format.md, "Streams".
 *
 * A writer collects (context, symbol) pairs and raw bits, then codes them all: tables are made from
 * the frequencies found.  A reader gives them back one by one.  Reading past the end or in a
 * context without a table gives arbitrary values, never reads out of bounds, and is found out by
 * symbols_failed and symbols_close; callers bound what they do with a value in the meantime.
 *
 * Both structs may be copied.  A loop that reads many symbols should work on a local copy and store
 * it back at the end: the compiler then keeps the states in registers.
 */
#ifndef BRAGG_SYMBOLS_H
#define BRAGG_SYMBOLS_H

#include "bytes.h"
#include "h5bragg.h"

enum {
    SYMBOLS_MAX_CONTEXTS = 32,
    SYMBOLS_PROBABILITY_BITS = 11,
    SYMBOLS_NSTATES = 4,
    SYMBOLS_WIDE_NSTATES = 32 /* of streams whose contexts are known before their symbols */
};

/* Sum of the frequencies of a context; least value of a state between symbols. */
enum { SYMBOLS_TOTAL = 1 << SYMBOLS_PROBABILITY_BITS, SYMBOLS_LOWEST_STATE = 1 << 16 };

/* Numbers below DIRECT are their own symbols; LARGEST is the symbol of 2^34 - 1. */
enum { NUMBER_DIRECT = 16, NUMBER_LARGEST_SYMBOL = 16 + 4 * 29 + 3 };

/* Zero-initialised is empty. */
typedef struct symbol_writer {
    uint16_t *pair; /* context << 8 | symbol */
    size_t npairs;
    size_t pair_capacity;
    uint8_t *raw;
    size_t raw_nbytes;
    size_t raw_capacity;
    uint64_t buffer; /* raw bits not yet in `raw`, less than 32 between calls */
    uint32_t buffer_nbits;
    int failed; /* memory ran out */
} symbol_writer;

/* Makes it empty and keeps its memory. */
void symbol_writer_reset(symbol_writer *w);
void symbol_writer_free(symbol_writer *w);

/* Make room for one more pair, four more raw bytes; 0 and `failed` if that is impossible. */
int symbol_writer_grow_pairs(symbol_writer *w);
int symbol_writer_grow_raw(symbol_writer *w);

/* Room for n more pairs, to be filled and counted in npairs by the caller; NULL and `failed` if
 * that is impossible. */
uint16_t *symbol_writer_room(symbol_writer *w, size_t n);

/* Likewise room for n more raw bytes. */
uint8_t *symbol_writer_raw_room(symbol_writer *w, size_t n);

/*
 * Writes the whole stream, its length first, with SYMBOLS_NSTATES or SYMBOLS_WIDE_NSTATES states;
 * all contexts put must be below ncontexts.  The writer is empty afterwards.  Without room or
 * memory, now or in an earlier put, `out` fails.
 */
void symbols_write(symbol_writer *w, uint32_t ncontexts, uint32_t nstates, byte_writer *out);

/* symbol 0 to 255 */
static inline void symbol_put(symbol_writer *w, uint32_t context, uint32_t symbol)
{
    if (w->npairs == w->pair_capacity && !symbol_writer_grow_pairs(w))
        return;
    w->pair[w->npairs++] = (uint16_t)(context << 8 | symbol);
}

/* The low n bits of `bits`, n <= 32; always after a symbol, as a stream without symbols is empty.
 */
static inline void raw_bits_put(symbol_writer *w, uint32_t bits, uint32_t n)
{
    w->buffer |= (bits & (((uint64_t)1 << n) - 1)) << w->buffer_nbits;
    w->buffer_nbits += n;
    if (w->buffer_nbits < 32)
        return;
    if (w->raw_capacity - w->raw_nbytes >= 4 || symbol_writer_grow_raw(w)) {
        store_u32(w->raw + w->raw_nbytes, (uint32_t)w->buffer);
        w->raw_nbytes += 4;
    }
    w->buffer >>= 32;
    w->buffer_nbits -= 32;
}

/* floor(log2 x), x > 0. */
static inline uint32_t floor_log2(uint64_t x)
{
#if defined(__GNUC__)
    return 63 - (uint32_t)__builtin_clzll(x);
#else
    uint32_t e = 0;
    for (uint32_t step = 32; step; step >>= 1) {
        if (x >> step) {
            x >>= step;
            e += step;
        }
    }
    return e;
#endif
}

/* Number of the lowest set bit of x > 0. */
static inline uint32_t lowest_bit(uint64_t x)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(x);
#else
    return floor_log2(x & (0 - x));
#endif
}

/* x < 2^34 */
static inline void number_put(symbol_writer *w, uint32_t context, uint64_t x)
{
    if (x < NUMBER_DIRECT) {
        symbol_put(w, context, (uint32_t)x);
        return;
    }
    const uint32_t e = floor_log2(x);
    symbol_put(w, context, NUMBER_DIRECT + 4 * (e - 4) + (uint32_t)(x >> (e - 2) & 3));
    raw_bits_put(w, (uint32_t)x, e - 2);
}

/*
 * A table entry.  Bits 20-31 are the frequency f of a symbol, 19 "this context has no symbols".
 *
 * In a stream of four states a context has its symbols by u = x mod 2048, a byte each, and behind
 * them its entries by symbol, with C in bits 0-10: all of that stays in the fastest cache, and the
 * context of the next symbol waits for the byte alone.  A wide stream, read by vectors, has entries
 * by context and u, with u - C in bits 8-18 and the symbol in bits 0-7.
 */
enum {
    ENTRY_SYMBOL = 0xFF,
    ENTRY_BIAS = 0x7FF00,
    ENTRY_START = 0x7FF,
    ENTRY_BAD = 0x80000,
    ENTRY_FREQUENCY_BIT = 20,
    SYMBOLS_CONTEXT_NBYTES = SYMBOLS_TOTAL + 4 * 256 /* of a context of a stream of four states */
};

/*
 * Zero-initialise before the first symbols_open; it may be opened again and reuses its memory.
 *
 * x0 is the state of the next symbol, x1 to x3 are those of the ones behind it: they move up with
 * every symbol, which costs nothing in registers.  They are kept apart, as a compiler would join
 * stores to neighbours that are loaded one by one, and the processor stall.
 */
typedef struct symbol_reader {
    const uint32_t *table;  /* of a wide stream: [context][2048] */
    const uint8_t *context; /* of others: SYMBOLS_CONTEXT_NBYTES each */
    uint32_t x0;
    const uint8_t *words;
    uint32_t x1;
    size_t word_at; /* words taken, counts on past the end */
    uint32_t x2;
    size_t last_word; /* the last that may be looked at */
    uint32_t x3;
    const uint8_t *raw; /* at least 8 bytes may be read at raw + raw_nbytes */
    uint32_t seen;      /* all entries used or-ed together, for ENTRY_BAD */
    uint64_t raw_nbytes;
    uint64_t bit_at; /* raw bits taken, counts on past the end */
    size_t nwords;
    uint32_t zeros; /* of a wide stream, a bit each: contexts whose only symbol is 0; if these are
                       all 32, there need not be tables */
    uint32_t *memory;
    size_t memory_nbytes;
} symbol_reader;

/*
 * Takes the length and bytes of a stream in a version of the format from `in`, which must live as
 * long as symbols are read; a stream of no bytes has no symbols but 0, in version 1 none at all.
 * ncontexts is 1 to SYMBOLS_MAX_CONTEXTS.
 */
h5bragg_status symbols_open(byte_reader *in, uint32_t version, uint32_t ncontexts,
                            symbol_reader *s);

/* H5BRAGG_CORRUPT unless exactly the stream's contents were read.  Frees nothing. */
h5bragg_status symbols_close(const symbol_reader *s);

/*
 * A stream of 32 states, whose symbols are read many at a time.  Tables, words and raw bits are
 * those of `stream`, whose own states are not used.
 */
typedef struct wide_reader {
    symbol_reader stream;
    uint32_t state[SYMBOLS_WIDE_NSTATES];
    uint32_t next; /* number of the state of the next symbol */
} wide_reader;

/* As symbols_open and symbols_close. */
h5bragg_status wide_symbols_open(byte_reader *in, uint32_t version, uint32_t ncontexts,
                                 wide_reader *s);
h5bragg_status wide_symbols_close(const wide_reader *s);

/* Reads n symbols of the given contexts. */
void wide_symbols_get(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol);

/* Safe on a zeroed struct and after symbols_open failed. */
void symbol_reader_free(symbol_reader *s);

/* Whether something was read so far that the stream does not hold. */
static inline int symbols_failed(const symbol_reader *s)
{
    return (s->seen & ENTRY_BAD) || s->word_at > s->nwords || s->bit_at > 8 * s->raw_nbytes;
}

/*
 * The next symbol in a context, given by its place in s->context, with the word that it takes if
 * its state lacks one.  Without branches, as that is a matter of chance: a mask chooses (compilers
 * make a branch of ?:).
 */
static inline uint32_t symbol_decode(symbol_reader *s, size_t context_at, const uint8_t *word,
                                     uint32_t *entry)
{
    const uint8_t *context = s->context + context_at;
    const uint32_t x = s->x0;
    const uint32_t u = x & (SYMBOLS_TOTAL - 1);
    const uint32_t symbol = context[u];
    memcpy(entry, context + SYMBOLS_TOTAL + sizeof *entry * symbol, sizeof *entry);
    const uint32_t next = (*entry >> ENTRY_FREQUENCY_BIT) * (x >> SYMBOLS_PROBABILITY_BITS) + u -
                          (*entry & ENTRY_START);
    const uint32_t refilled = next << 16 | load_u16(word);
    const uint64_t lacks = ((uint64_t)next - SYMBOLS_LOWEST_STATE) >> 63;
    s->x0 = s->x1;
    s->x1 = s->x2;
    s->x2 = s->x3;
    s->x3 = next ^ ((next ^ refilled) & (uint32_t)(0 - lacks));
    s->word_at += (size_t)lacks;
    return symbol;
}

/* context < ncontexts */
static inline uint32_t symbol_get(symbol_reader *s, uint32_t context)
{
    /* The next word is looked at in any case. */
    const size_t at = s->word_at < s->last_word ? s->word_at : s->last_word;
    uint32_t entry;
    const uint32_t symbol =
        symbol_decode(s, (size_t)context * SYMBOLS_CONTEXT_NBYTES, s->words + 2 * at, &entry);
    s->seen |= entry;
    return symbol;
}

/* n <= 32 */
static inline uint32_t raw_bits_get(symbol_reader *s, uint32_t n)
{
    const uint64_t byte = s->bit_at >> 3;
    const uint8_t *p = s->raw + (byte < s->raw_nbytes ? byte : s->raw_nbytes);
    const uint64_t bits = load_u64(p) >> (s->bit_at & 7);
    s->bit_at += n;
    return (uint32_t)(bits & (((uint64_t)1 << n) - 1));
}

/* The number that a symbol and the raw bits behind it stand for. */
static inline uint64_t number_of(symbol_reader *s, uint32_t symbol)
{
    if (symbol < NUMBER_DIRECT)
        return symbol;
    if (symbol > NUMBER_LARGEST_SYMBOL) {
        s->seen |= ENTRY_BAD;
        return 0;
    }
    const uint32_t nbits = (symbol - NUMBER_DIRECT) / 4 + 2; /* e - 2 */
    return (uint64_t)(4 | (symbol & 3)) << nbits | raw_bits_get(s, nbits);
}

static inline uint64_t number_get(symbol_reader *s, uint32_t context)
{
    return number_of(s, symbol_get(s, context));
}

#endif
