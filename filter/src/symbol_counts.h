/* SPDX-License-Identifier: MIT */
/* How often each symbol of a stream occurs in its context. */
#ifndef BRAGG_SYMBOL_COUNTS_H
#define BRAGG_SYMBOL_COUNTS_H

#include "symbol_coder.h" /* CODING_NPAIRS */

/*
 * Counters by pair, context << 8 | symbol.  Equal pairs in a row use different ones, which then
 * need not wait for one another: nor does the processor take them for the same, as it does at
 * distances of whole 4096 bytes.
 */
enum { COUNTS_NCOUNTERS = 8, COUNTS_APART = 80 };
typedef struct symbol_counts {
    uint32_t count[COUNTS_NCOUNTERS][CODING_NPAIRS + COUNTS_APART];
} symbol_counts;

/* One more than the largest symbol of n pairs, 1 if there are none. */
uint32_t symbols_count_kinds(const uint16_t *pair, size_t n);

/* Counts n pairs, in count[0]; their contexts are below ncontexts, their symbols below nsymbols. */
void symbols_count(symbol_counts *c, const uint16_t *pair, size_t n, uint32_t ncontexts,
                   uint32_t nsymbols);

/* The same in plain C. */
void symbols_count_plain(symbol_counts *c, const uint16_t *pair, size_t n, uint32_t ncontexts,
                         uint32_t nsymbols);

#endif
