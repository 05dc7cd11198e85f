/* SPDX-License-Identifier: MIT */
/* Codes symbols whose frequencies are known: docs/format.md, "Streams". */
#ifndef BRAGG_SYMBOL_CODER_H
#define BRAGG_SYMBOL_CODER_H

#include "cpu_level.h"
#include "symbols.h"

/*
 * floor(x / f) = floor(x * reciprocal / 2^43), reciprocal = ceil(2^43 / f): with
 * reciprocal * f = 2^43 + r, r < f, this holds if x * r < 2^43, and x < f * 2^21, f <= 2^11.  The
 * product is below (f * 2^21 - 1) * (2^43 + f) / f, which is below 2^64 as f * (f - 1) < 2^22.
 */
typedef struct coding_entry {
    uint64_t reciprocal;
    uint32_t most;       /* f * 2^21 - 1: larger states put out a word first */
    uint16_t complement; /* 2048 - f */
    uint16_t start;      /* C */
} coding_entry;

/*
 * The same for vectors, closer together: floor(x / f) = floor((x + b) * reciprocal / 2^(32 + s)).
 *
 * With s = floor(log2 f) and n = 2^(32 + s), reciprocal * f is n + r, 0 <= r < f, if rounded up,
 * which with b = 0 holds if x * r < n: so if f * r < 2^(11 + s).  Else it is rounded down, to
 * n - (f - r), which with b = 1 holds if (x + 1) * (f - r) <= n: if f * (f - r) <= 2^(11 + s). That
 * is so, as f * f <= 2^(2 s + 2) <= 2^(12 + s).  Powers of two would need one bit too many: they
 * have s less by one and 2^31, and 1 has b = 1 and 2^32 - 1.
 */
typedef struct coding_step {
    uint32_t reciprocal;
    uint32_t packed; /* C | b << 11 | s << 12 | complement << 21 */
} coding_step;

/* In `packed`. */
enum { MORE_BIT = 11, SHIFT_BIT = 12, SHIFT_MASK = 15, COMPLEMENT_BIT = 21 };

enum { CODING_NSYMBOLS = 256, CODING_NPAIRS = SYMBOLS_MAX_CONTEXTS * CODING_NSYMBOLS };

/* By pair, context << 8 | symbol. */
typedef struct coding_tables {
    coding_entry entry[CODING_NPAIRS];
    coding_step step[CODING_NPAIRS];
} coding_tables;

/* What a context's symbols below nsymbols, of these frequencies, are coded with; those of frequency
 * 0 are left alone. */
void coding_tables_set(coding_tables *tables, uint32_t context, const uint16_t *frequency,
                       uint32_t nsymbols);

/*
 * Codes n pairs last to first with states state[0] to state[nstates - 1].  The words take the place
 * of the pairs: a symbol puts out at most one word, so those of the symbols behind it leave its own
 * place free.  Returns the first word; the last is where the last pair was.
 */
const uint16_t *pairs_code(const coding_tables *tables, uint16_t *pair, size_t n, uint32_t *state,
                           uint32_t nstates);

/* The same in plain C. */
const uint16_t *pairs_code_plain(const coding_tables *tables, uint16_t *pair, size_t n,
                                 uint32_t *state, uint32_t nstates);

/* Codes n pairs, n divisible by SYMBOLS_WIDE_NSTATES and not 0, whose words go below `top`; returns
 * the first word. */
typedef uint16_t *code_wide_function(const coding_step *step, const uint16_t *pair, size_t n,
                                     uint32_t *state, uint16_t *top);

#if defined(BRAGG_X86_64)
code_wide_function *code_wide_avx2(void); /* that of this machine */
#endif

#endif
