/* SPDX-License-Identifier: MIT */
/*
 * Puts many numbers into a symbol_writer without branches on what is a matter of chance
 * (docs/format.md, "Numbers").
 */
#ifndef BRAGG_FAST_NUMBERS_H
#define BRAGG_FAST_NUMBERS_H

#include "pixel.h" /* BRAGG_INLINE */
#include "symbols.h"

/* Of small numbers the symbol, in bits 0-7, and how many raw bits follow, in bits 8-15. */
enum { NUMBER_NKNOWN = 1024 };
typedef struct number_symbols {
    uint16_t code[NUMBER_NKNOWN];
} number_symbols;

static inline void number_symbols_make(number_symbols *numbers)
{
    for (uint32_t x = 0; x < NUMBER_NKNOWN; x++) {
        const uint32_t e = floor_log2(x | NUMBER_DIRECT);
        const uint32_t symbol = 4 * e + (x >> (e - 2) & 3);
        numbers->code[x] = (uint16_t)(x < NUMBER_DIRECT ? x : symbol | (e - 2) << 8);
    }
}

/* Where the next pair and raw bits go. */
typedef struct fast_writer {
    uint16_t *pair;
    uint8_t *raw;
    uint64_t buffer;
    uint32_t nbits; /* in the buffer; less than 8 after fast_flush */
} fast_writer;

BRAGG_INLINE void fast_flush(fast_writer *w)
{
    store_u32(w->raw, (uint32_t)w->buffer);
    store_u32(w->raw + 4, (uint32_t)(w->buffer >> 32));
    w->raw += w->nbits / 8;
    w->buffer >>= w->nbits & ~7u;
    w->nbits &= 7;
}

/* Room in `s` for pairs and raw bytes; returns 0 if there is none. */
BRAGG_INLINE int fast_writer_open(fast_writer *w, symbol_writer *s, size_t npairs,
                                  size_t raw_nbytes)
{
    w->pair = symbol_writer_room(s, npairs);
    w->raw = symbol_writer_raw_room(s, raw_nbytes + 2 * sizeof w->buffer);
    w->buffer = s->buffer;
    w->nbits = s->buffer_nbits;
    if (!w->pair || !w->raw)
        return 0;
    fast_flush(w);
    return 1;
}

/* After fast_flush. */
BRAGG_INLINE void fast_writer_close(const fast_writer *w, symbol_writer *s)
{
    s->npairs = (size_t)(w->pair - s->pair);
    s->raw_nbytes = (size_t)(w->raw - s->raw);
    s->buffer = w->buffer;
    s->buffer_nbits = w->nbits;
}

/* Puts a pair and the raw bits of its number, for which the buffer must have room. */
BRAGG_INLINE void fast_put_symbol(fast_writer *w, uint32_t context, uint32_t symbol, uint64_t x,
                                  uint32_t nbits)
{
    *w->pair++ = (uint16_t)(context << 8 | symbol);
    w->buffer |= (x & (((uint64_t)1 << nbits) - 1)) << w->nbits;
    w->nbits += nbits;
}

BRAGG_INLINE void fast_put_number(fast_writer *w, const number_symbols *numbers, uint32_t context,
                                  uint64_t x)
{
    if (x < NUMBER_NKNOWN) {
        const uint32_t code = numbers->code[x];
        fast_put_symbol(w, context, code & 0xFF, x, code >> 8);
        return;
    }
    const uint32_t e = floor_log2(x);
    fast_put_symbol(w, context, 4 * e + (uint32_t)(x >> (e - 2) & 3), x, e - 2);
}

#endif
