/* SPDX-License-Identifier: MIT */
/*
 * Codes collected symbols: docs/format.md, "Streams".
 *
 * The frequencies of a context are those whole numbers with the sum 2048 that make the code of its
 * symbols shortest, rounded as its table is.
 */
#include "frequency_tables.h"
#include "scratch.h"
#include "symbol_coder.h"
#include "symbol_counts.h"

enum { NSYMBOLS = CODING_NSYMBOLS };
typedef struct symbol_model {
    symbol_counts counts;
    uint16_t frequency[CODING_NPAIRS];
    coding_tables coding;
} symbol_model;

void symbol_writer_reset(symbol_writer *w)
{
    w->npairs = 0;
    w->raw_nbytes = 0;
    w->buffer = 0;
    w->buffer_nbits = 0;
    w->failed = 0;
}

void symbol_writer_free(symbol_writer *w)
{
    scratch_give(w->pair);
    scratch_give(w->raw);
    *w = (symbol_writer){0};
}

/*
 * Room for `least` pairs or bytes, or 0: counts of symbols are 32-bit numbers.  Streams are short,
 * or about as long as a frame has tiles.  Memory that is not used is not touched, and costs less
 * than copies.
 */
static size_t next_capacity(size_t capacity, size_t least)
{
    enum { SHORT = 1 << 15, LONG = 3 << 18 };
    while (capacity < least && capacity < UINT32_MAX / 2)
        capacity = capacity < SHORT ? SHORT : capacity < LONG ? LONG : 4 * capacity;
    return capacity < UINT32_MAX / 2 ? capacity : 0;
}

static int make_pairs_room(symbol_writer *w, size_t least)
{
    const size_t capacity = next_capacity(w->pair_capacity, least);
    uint16_t *pair = NULL;
    if (!w->failed && capacity)
        pair = scratch_grow(w->pair, capacity * sizeof *pair);
    if (!pair) {
        w->failed = 1;
        return 0;
    }
    w->pair = pair;
    w->pair_capacity = capacity;
    return 1;
}

int symbol_writer_grow_pairs(symbol_writer *w) { return make_pairs_room(w, w->pair_capacity + 1); }

uint16_t *symbol_writer_room(symbol_writer *w, size_t n)
{
    if (w->pair && w->pair_capacity - w->npairs >= n)
        return w->pair + w->npairs;
    return make_pairs_room(w, w->npairs + (n ? n : 1)) ? w->pair + w->npairs : NULL;
}

static int make_raw_room(symbol_writer *w, size_t least)
{
    const size_t capacity = next_capacity(w->raw_capacity, least);
    uint8_t *raw = NULL;
    if (!w->failed && capacity)
        raw = scratch_grow(w->raw, capacity);
    if (!raw) {
        w->failed = 1;
        return 0;
    }
    w->raw = raw;
    w->raw_capacity = capacity;
    return 1;
}

int symbol_writer_grow_raw(symbol_writer *w) { return make_raw_room(w, w->raw_capacity + 1); }

uint8_t *symbol_writer_raw_room(symbol_writer *w, size_t n)
{
    if (w->raw_capacity - w->raw_nbytes >= n)
        return w->raw + w->raw_nbytes;
    return make_raw_room(w, w->raw_nbytes + n) ? w->raw + w->raw_nbytes : NULL;
}

/*
 * What a symbol that occurs `count` times saves, in units of its logarithm, by the frequency f + 1
 * in place of f: count * log((f + 1) / f), as a series.
 */
static double saving(double count, uint32_t f)
{
    const double z = 1.0 / (2.0 * f + 1.0);
    const double z2 = z * z;
    return count * z * (1.0 + z2 * (1.0 / 3.0 + z2 * (1.0 / 5.0 + z2 * (1.0 / 7.0))));
}

typedef struct frequency_search {
    uint32_t n; /* symbols that occur */
    uint32_t symbol[NSYMBOLS];
    double count[NSYMBOLS];
    uint32_t f[NSYMBOLS];
    double gain[NSYMBOLS]; /* saving by one more */
    double loss[NSYMBOLS]; /* cost of one less, beyond all others for f = 1 */
} frequency_search;

static void set_frequency(frequency_search *q, uint32_t k, uint32_t f)
{
    q->f[k] = f;
    q->gain[k] = saving(q->count[k], f);
    q->loss[k] = f > 1 ? saving(q->count[k], f - 1) : 1e300;
}

/*
 * Gives one unit to the symbol that gains most by it or takes one from that which loses least,
 * until the sum is right and no exchange helps.  Savings become less with every unit, so this ends,
 * and at the best frequencies.
 */
static void settle(frequency_search *q, uint32_t sum)
{
    for (;;) {
        uint32_t most = 0;
        uint32_t least = 0;
        for (uint32_t k = 1; k < q->n; k++) {
            most = q->gain[k] > q->gain[most] ? k : most;
            least = q->loss[k] < q->loss[least] ? k : least;
        }
        if (sum == SYMBOLS_TOTAL && !(q->gain[most] > q->loss[least]))
            return;
        if (sum >= SYMBOLS_TOTAL) {
            set_frequency(q, least, q->f[least] - 1);
            sum--;
        } else {
            set_frequency(q, most, q->f[most] + 1);
            sum++;
        }
    }
}

/* Frequencies of one context, 0 for symbols that do not occur; returns the number of symbols. */
static uint64_t make_frequencies(const uint32_t *count, uint32_t nsymbols, uint16_t *frequency)
{
    frequency_search q;
    uint64_t total = 0;
    uint32_t sum = 0;
    q.n = 0; /* and nothing else: it is large */
    for (uint32_t symbol = 0; symbol < nsymbols; symbol++) {
        total += count[symbol];
        frequency[symbol] = 0;
        if (count[symbol])
            q.symbol[q.n++] = symbol;
    }
    for (uint32_t k = 0; k < q.n; k++) {
        const uint64_t c = count[q.symbol[k]];
        const uint32_t f = (uint32_t)((c * SYMBOLS_TOTAL + total / 2) / total);
        q.count[k] = (double)c;
        set_frequency(&q, k, f ? f : 1);
        sum += q.f[k];
    }
    if (q.n)
        settle(&q, sum);
    for (uint32_t k = 0; k < q.n; k++)
        frequency[q.symbol[k]] = (uint16_t)q.f[k];
    return total;
}

/* Writes the tables, and makes what is coded with. */
static void write_tables(symbol_model *m, uint32_t ncontexts, uint32_t nsymbols, byte_writer *out)
{
    bit_writer bits = {.out = out};
    for (uint32_t context = 0; context < ncontexts; context++) {
        const uint32_t first = context * NSYMBOLS;
        uint16_t *frequency = m->frequency + first;
        const uint64_t count = make_frequencies(m->counts.count[0] + first, nsymbols, frequency);
        frequency_table_write(&bits, count, frequency, nsymbols);
        coding_tables_set(&m->coding, context, frequency, nsymbols);
    }
    bit_writer_finish(&bits);
}

static void write_words(const uint16_t *word, size_t nwords, byte_writer *out)
{
    uint8_t *p = write_bytes(out, 2 * nwords);
    for (size_t i = 0; p && i < nwords; i++) {
        p[2 * i] = (uint8_t)word[i];
        p[2 * i + 1] = (uint8_t)(word[i] >> 8);
    }
}

enum { MAX_TABLES_NBYTES = SYMBOLS_MAX_CONTEXTS * (4 + NSYMBOLS * FREQUENCY_MAX_NBITS / 8) };

static size_t varint_nbytes(uint64_t x)
{
    size_t n = 1;
    while (x >>= 7)
        n++;
    return n;
}

static void write_raw(const symbol_writer *w, byte_writer *out)
{
    write_varint(out, w->raw_nbytes + (w->buffer_nbits + 7) / 8);
    uint8_t *p = write_bytes(out, w->raw_nbytes);
    if (p && w->raw_nbytes)
        memcpy(p, w->raw, w->raw_nbytes);
    for (uint32_t bit = 0; bit < w->buffer_nbits; bit += 8)
        write_u8(out, (uint8_t)(w->buffer >> bit));
}

static void write_stream(symbol_writer *w, symbol_model *m, uint32_t ncontexts, uint32_t nsymbols,
                         uint32_t nstates, byte_writer *out)
{
    uint8_t tables[MAX_TABLES_NBYTES];
    byte_writer header = {tables, tables + sizeof tables, 0};
    uint32_t state[SYMBOLS_WIDE_NSTATES];
    symbols_count(&m->counts, w->pair, w->npairs, ncontexts, nsymbols);
    write_tables(m, ncontexts, nsymbols, &header);
    const uint16_t *word = pairs_code(&m->coding, w->pair, w->npairs, state, nstates);
    const size_t nwords = (size_t)(w->pair + w->npairs - word);
    const size_t tables_nbytes = (size_t)(header.at - tables);
    const size_t raw_nbytes = w->raw_nbytes + (w->buffer_nbits + 7) / 8;
    write_varint(out,
                 tables_nbytes + varint_nbytes(raw_nbytes) + raw_nbytes + 4 * nstates + 2 * nwords);
    uint8_t *p = write_bytes(out, tables_nbytes);
    if (p)
        memcpy(p, tables, tables_nbytes);
    write_raw(w, out);
    for (uint32_t k = 0; k < nstates; k++)
        write_u32(out, state[k]);
    write_words(word, nwords, out);
}

/* The memory of a model is large, and a stream finds it in the caches if the last one had it. */
void symbols_write(symbol_writer *w, uint32_t ncontexts, uint32_t nstates, byte_writer *out)
{
    const uint32_t nsymbols = symbols_count_kinds(w->pair, w->npairs);
    const int has_raw = w->npairs && (w->raw_nbytes || w->buffer_nbits);
    const int is_empty = !w->failed && nsymbols == 1 && !has_raw;
    symbol_model *m = is_empty || w->failed ? NULL : scratch_take(sizeof *m);
    if (m)
        write_stream(w, m, ncontexts, nsymbols, nstates, out);
    else if (is_empty)
        write_varint(out, 0);
    else
        out->failed = 1;
    scratch_give(m);
    symbol_writer_reset(w);
}
