/* SPDX-License-Identifier: MIT */
/*
 * Opens and closes streams of symbols for reading: docs/format.md, "Streams".  The symbols
 * themselves are read by the inline functions of symbols.h.
 *
 * Every context has a table, also one that has no symbols: its entries leave the state as it is and
 * are marked bad.
 */
#include "cpu_level.h"
#include "frequency_tables.h"
#include "scratch.h"
#include "symbols.h"

enum { NOT_A_NUMBER = 255, ENTRIES_AT_ONCE = 16 };

/* What an empty stream's reader looks at in place of words and raw bits. */
static const uint8_t nothing[8] = {0};

/* Puts n entries down in a wide table, each with a bias of one more than that before, and some that
 * mean nothing behind them: less than ENTRIES_AT_ONCE, which those of the next symbol or context
 * overwrite. */
typedef void fill_function(uint32_t *entry, uint32_t n, uint32_t first);

static void fill_plain(uint32_t *entry, uint32_t n, uint32_t first)
{
    for (uint32_t k = 0; k < n; k += 4) {
        for (uint32_t i = k; i < k + 4; i++)
            entry[i] = first + (i << 8);
    }
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

__attribute__((target("avx512f"))) static void fill_avx512(uint32_t *entry, uint32_t n,
                                                           uint32_t first)
{
    const __m512i bias = _mm512_slli_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 8);
    __m512i entries = _mm512_add_epi32(_mm512_set1_epi32((int)first), bias);
    for (uint32_t k = 0; k < n; k += ENTRIES_AT_ONCE) {
        _mm512_storeu_si512(entry + k, entries);
        entries = _mm512_add_epi32(entries, _mm512_set1_epi32(ENTRIES_AT_ONCE << 8));
    }
}
#endif

static fill_function *fill_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return fill_avx512;
#endif
    return fill_plain;
}

/* Tables at work; `fill` is that of wide ones, NULL for others. */
typedef struct table_kind {
    uint32_t version;
    fill_function *fill;
} table_kind;

/* `symbol` has f values of u from `start` on, in the table of a context. */
static void fill_entries(table_kind kind, void *table, uint32_t symbol, uint32_t start, uint32_t f,
                         uint32_t flags)
{
    const uint32_t entry = f << ENTRY_FREQUENCY_BIT | flags;
    uint8_t *symbols = table;
    uint32_t *entries = table;
    if (f == 0)
        return;
    if (kind.fill) {
        kind.fill(entries + start, f, entry | symbol);
        return;
    }
    memset(symbols + start, (int)symbol, f);
    entries[SYMBOLS_TOTAL / sizeof *entries + symbol] = entry | start;
}

static void fill_bad(table_kind kind, void *table)
{
    fill_entries(kind, table, kind.fill ? 0 : NOT_A_NUMBER, 0, SYMBOLS_TOTAL, ENTRY_BAD);
}

/* A context's frequencies in version 1, whose sum is 2048 if there are any; 0 if they are not. */
static int read_varint_frequencies(byte_reader *in, uint16_t *frequency, uint32_t *m)
{
    const uint64_t n = read_varint(in);
    uint32_t sum = 0;
    if (n > FREQUENCY_NSYMBOLS)
        return 0;
    *m = (uint32_t)n;
    for (uint32_t symbol = 0; symbol < n; symbol++) {
        const uint64_t f = read_varint(in);
        if (f > SYMBOLS_TOTAL - sum)
            return 0;
        frequency[symbol] = (uint16_t)f;
        sum += (uint32_t)f;
    }
    return n == 0 || sum == SYMBOLS_TOTAL;
}

/* Reads a context's table; *m is the number of frequencies that it gives. */
static h5bragg_status read_table(bit_reader *bits, table_kind kind, void *table, uint32_t *m)
{
    uint16_t frequency[FREQUENCY_NSYMBOLS];
    const int is_right = kind.version == 1 ? read_varint_frequencies(bits->in, frequency, m)
                                           : frequency_table_read(bits, frequency, m);
    if (!is_right)
        return H5BRAGG_CORRUPT;
    if (*m == 0)
        fill_bad(kind, table);
    for (uint32_t symbol = 0, start = 0; symbol < *m; start += frequency[symbol++])
        fill_entries(kind, table, symbol, start, frequency[symbol], 0);
    return H5BRAGG_OK;
}

/* A context of a stream of no bytes: no symbol in version 1, only symbol 0 in version 2. */
static void fill_implied(table_kind kind, void *table)
{
    if (kind.version == 1)
        fill_bad(kind, table);
    else
        fill_entries(kind, table, 0, 0, SYMBOLS_TOTAL, 0);
}

static h5bragg_status read_states(byte_reader *in, uint32_t *state, uint32_t nstates)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t k = 0; k < nstates; k++) {
        state[k] = read_u32(in);
        least = state[k] < least ? state[k] : least;
    }
    return least < SYMBOLS_LOWEST_STATE ? H5BRAGG_CORRUPT : H5BRAGG_OK;
}

/* Raw bits, states and words, which must end where the stream does. */
static h5bragg_status read_contents(byte_reader *in, uint32_t version, symbol_reader *s,
                                    uint32_t *state, uint32_t nstates)
{
    s->raw_nbytes = read_varint(in);
    if (in->failed || s->raw_nbytes > bytes_left(in))
        return H5BRAGG_CORRUPT;
    s->raw = read_bytes(in, (size_t)s->raw_nbytes);
    const uint8_t *states = in->at; /* what follows the raw bits may be looked at */
    const h5bragg_status status = read_states(in, state, nstates);
    const uint64_t nwords = version == 1 ? read_varint(in) : bytes_left(in) / 2;
    if (status || in->failed || bytes_left(in) % 2 || nwords != bytes_left(in) / 2)
        return H5BRAGG_CORRUPT;
    s->nwords = (size_t)nwords;
    s->last_word = nwords ? s->nwords - 1 : 0;
    s->words = nwords ? in->at : states;
    return H5BRAGG_OK;
}

static h5bragg_status reserve(symbol_reader *s, size_t nbytes)
{
    if (s->memory_nbytes >= nbytes)
        return H5BRAGG_OK;
    uint32_t *memory = scratch_take(nbytes);
    if (!memory)
        return H5BRAGG_NO_MEMORY;
    scratch_give(s->memory);
    s->memory = memory;
    s->memory_nbytes = nbytes;
    return H5BRAGG_OK;
}

/* A reader of a stream without symbols that keeps the memory of s. */
static void open_empty(symbol_reader *s)
{
    const uint32_t x = SYMBOLS_LOWEST_STATE;
    *s = (symbol_reader){.table = s->memory,
                         .context = (const uint8_t *)s->memory,
                         .words = nothing,
                         .x0 = x,
                         .x1 = x,
                         .x2 = x,
                         .x3 = x,
                         .raw = nothing,
                         .memory = s->memory,
                         .memory_nbytes = s->memory_nbytes};
}

/* Makes room for tables and reads them, where the stream is not empty. */
static h5bragg_status read_tables(byte_reader *in, uint32_t version, uint32_t ncontexts,
                                  int is_wide, symbol_reader *s)
{
    const table_kind kind = {version, is_wide ? fill_kernel() : NULL};
    bit_reader bits = {.in = in};
    const int is_empty = bytes_left(in) == 0;
    const size_t wide_nbytes = SYMBOLS_TOTAL * sizeof *s->memory;
    const size_t table_nbytes = is_wide ? wide_nbytes : SYMBOLS_CONTEXT_NBYTES;
    h5bragg_status status =
        reserve(s, ncontexts * table_nbytes + ENTRIES_AT_ONCE * sizeof *s->memory);
    if (status)
        return status;
    open_empty(s);
    if (is_empty && is_wide && version != 1) { /* zeros are known without tables */
        s->zeros = UINT32_MAX;
        return H5BRAGG_OK;
    }
    uint32_t nsymbols_sum = 0;
    for (uint32_t context = 0; context < ncontexts && !status; context++) {
        uint32_t *table = s->memory + context * (table_nbytes / sizeof *s->memory);
        uint32_t nsymbols = 0;
        if (is_empty)
            fill_implied(kind, table);
        else
            status = read_table(&bits, kind, table, &nsymbols);
        if (is_wide && table[0] == (uint32_t)SYMBOLS_TOTAL << ENTRY_FREQUENCY_BIT)
            s->zeros |= (uint32_t)1 << context;
        nsymbols_sum += nsymbols;
    }
    if (status || is_empty)
        return status;
    /* A stream without symbols would have had no bytes. */
    return nsymbols_sum && bit_reader_finish(&bits) ? H5BRAGG_OK : H5BRAGG_CORRUPT;
}

static h5bragg_status open_stream(byte_reader *in, uint32_t version, uint32_t ncontexts,
                                  symbol_reader *s, uint32_t *state, uint32_t nstates)
{
    for (uint32_t k = 0; k < nstates; k++)
        state[k] = SYMBOLS_LOWEST_STATE;
    const uint64_t nbytes = read_varint(in);
    if (in->failed || nbytes > bytes_left(in))
        return H5BRAGG_TRUNCATED;
    byte_reader stream = {in->at, in->at + nbytes, 0};
    in->at = stream.end;
    if (ncontexts < 1 || ncontexts > SYMBOLS_MAX_CONTEXTS)
        return H5BRAGG_BAD_ARGUMENT;
    const h5bragg_status status =
        read_tables(&stream, version, ncontexts, nstates == SYMBOLS_WIDE_NSTATES, s);
    if (status || nbytes == 0)
        return status;
    return read_contents(&stream, version, s, state, nstates);
}

h5bragg_status symbols_open(byte_reader *in, uint32_t version, uint32_t ncontexts, symbol_reader *s)
{
    uint32_t state[SYMBOLS_NSTATES];
    const h5bragg_status status = open_stream(in, version, ncontexts, s, state, SYMBOLS_NSTATES);
    s->x0 = state[0];
    s->x1 = state[1];
    s->x2 = state[2];
    s->x3 = state[3];
    return status;
}

h5bragg_status wide_symbols_open(byte_reader *in, uint32_t version, uint32_t ncontexts,
                                 wide_reader *s)
{
    s->next = 0;
    return open_stream(in, version, ncontexts, &s->stream, s->state, SYMBOLS_WIDE_NSTATES);
}

static h5bragg_status check_end(const symbol_reader *s)
{
    const uint64_t nbits = 8 * s->raw_nbytes;
    if (symbols_failed(s) || s->word_at != s->nwords || nbits - s->bit_at >= 8)
        return H5BRAGG_CORRUPT;
    if (s->bit_at < nbits && s->raw[s->bit_at >> 3] >> (s->bit_at & 7))
        return H5BRAGG_CORRUPT;
    return H5BRAGG_OK;
}

h5bragg_status symbols_close(const symbol_reader *s)
{
    const uint32_t end = SYMBOLS_LOWEST_STATE;
    if (s->x0 != end || s->x1 != end || s->x2 != end || s->x3 != end)
        return H5BRAGG_CORRUPT;
    return check_end(s);
}

h5bragg_status wide_symbols_close(const wide_reader *s)
{
    for (uint32_t k = 0; k < SYMBOLS_WIDE_NSTATES; k++) {
        if (s->state[k] != SYMBOLS_LOWEST_STATE)
            return H5BRAGG_CORRUPT;
    }
    return check_end(&s->stream);
}

void symbol_reader_free(symbol_reader *s)
{
    scratch_give(s->memory);
    *s = (symbol_reader){0};
}
