/* SPDX-License-Identifier: MIT */
/*
 * Tables of frequencies: docs/format.md, "Tables".
 *
 * Neighbouring symbols are about as frequent, so a frequency is given as a change of its number of
 * bits and a few bits of it.  How few is a matter of how often the table is used: rounding to q
 * bits behind the first makes a symbol's code longer by 0.0325 * 4^-q bits in the mean (the
 * relative error is even within +-2^-(q + 1) over the leading part, and its square over 2 ln 2 is
 * what it costs), of which one more bit of every entry saves three quarters.
 */
#include "frequency_tables.h"

#include "symbols.h" /* floor_log2, SYMBOLS_TOTAL */

enum { MAX_NBITS = 12, PRECISION_NBITS = 3, ALL_BITS = 7 /* of q: means 10 */, WORTH = 41 };

static void put_bits(bit_writer *w, uint32_t bits, uint32_t n)
{
    w->buffer |= (uint64_t)bits << w->nbits;
    for (w->nbits += n; w->nbits >= 8; w->nbits -= 8) {
        write_u8(w->out, (uint8_t)w->buffer);
        w->buffer >>= 8;
    }
}

void bit_writer_finish(bit_writer *w)
{
    if (w->nbits)
        write_u8(w->out, (uint8_t)w->buffer);
    *w = (bit_writer){.out = w->out};
}

/* n ones and a zero; n < 32 */
static void put_unary(bit_writer *w, uint32_t n)
{
    put_bits(w, (uint32_t)((1ull << n) - 1), n + 1);
}

/* n <= 16 */
static uint32_t get_bits(bit_reader *r, uint32_t n)
{
    for (; r->nbits < n; r->nbits += 8)
        r->buffer |= (uint64_t)read_u8(r->in) << r->nbits;
    const uint32_t bits = (uint32_t)r->buffer & ((1u << n) - 1);
    r->buffer >>= n;
    r->nbits -= n;
    return bits;
}

int bit_reader_finish(const bit_reader *r) { return !r->in->failed && r->buffer == 0; }

/* Ones before a zero, at most `most` + 1, beyond which nothing is right. */
static uint32_t get_unary(bit_reader *r, uint32_t most)
{
    uint32_t n = 0;
    while (n <= most && get_bits(r, 1))
        n++;
    return n;
}

static uint32_t nbits_of(uint32_t x) { return x ? floor_log2(x) + 1 : 0; }

static uint32_t kept_bits(uint32_t precision) { return precision == ALL_BITS ? 10 : precision; }

/* Frequencies for weights, some of which are not 0; returns 0 if that is impossible. */
static int scale_weights(uint16_t *weight, uint32_t m)
{
    uint32_t sum = 0;
    uint32_t largest = 0;
    for (uint32_t s = 0; s < m; s++) {
        sum += weight[s];
        largest = weight[s] > weight[largest] ? s : largest;
    }
    if (sum == 0)
        return 0;
    int32_t rest = SYMBOLS_TOTAL;
    for (uint32_t s = 0; s < m; s++) {
        const uint32_t f = (SYMBOLS_TOTAL * weight[s] + sum / 2) / sum;
        weight[s] = weight[s] && f == 0 ? 1 : (uint16_t)f;
        rest -= weight[s];
    }
    rest += weight[largest];
    weight[largest] = (uint16_t)rest;
    return rest > 0;
}

/* Bits behind the first that are worth their place: see above. */
static uint32_t choose_precision(uint64_t count, uint32_t nentries)
{
    uint64_t worth = (uint64_t)WORTH * nentries;
    uint32_t q = 0;
    for (; q < ALL_BITS && count > worth; q++)
        worth *= 4;
    return q;
}

/* Rounds frequencies to q bits behind the first and leaves out zeros that all have at their end. */
static void round_weights(uint16_t *weight, uint32_t m, uint32_t q)
{
    uint32_t all = 0;
    for (uint32_t s = 0; s < m; s++) {
        const uint32_t nbits = nbits_of(weight[s]);
        const uint32_t dropped = nbits > q + 1 ? nbits - q - 1 : 0;
        const uint32_t half = dropped ? 1u << dropped >> 1 : 0;
        weight[s] = (uint16_t)((weight[s] + half) >> dropped << dropped);
        all |= weight[s];
    }
    const uint32_t nzeros = lowest_bit(all);
    for (uint32_t s = 0; s < m; s++)
        weight[s] = (uint16_t)(weight[s] >> nzeros);
}

static void put_weights(bit_writer *w, const uint16_t *weight, uint32_t m, uint32_t q)
{
    uint32_t before = 0;
    for (uint32_t s = 0; s < m; s++) {
        const uint32_t nbits = nbits_of(weight[s]);
        const uint32_t change = nbits > before ? nbits - before : before - nbits;
        put_unary(w, change);
        if (change)
            put_bits(w, nbits < before, 1);
        before = nbits;
        if (nbits < 2)
            continue;
        const uint32_t given = nbits - 1 < q ? nbits - 1 : q;
        const uint32_t behind_first = weight[s] & ((1u << (nbits - 1)) - 1);
        put_bits(w, behind_first >> (nbits - 1 - given), given);
    }
}

void frequency_table_write(bit_writer *w, uint64_t count, uint16_t *frequency, uint32_t nsymbols)
{
    uint32_t m = 0;
    uint32_t nentries = 0;
    for (uint32_t s = 0; s < nsymbols; s++) {
        m = frequency[s] ? s + 1 : m;
        nentries += frequency[s] != 0;
    }
    put_unary(w, nbits_of(m));
    if (m == 0)
        return;
    put_bits(w, m & ((1u << (nbits_of(m) - 1)) - 1), nbits_of(m) - 1);
    uint32_t precision = choose_precision(count, nentries);
    uint16_t weight[FREQUENCY_NSYMBOLS];
    uint16_t scaled[FREQUENCY_NSYMBOLS];
    for (;; precision = ALL_BITS) { /* where roundings up leave nothing for the largest */
        memcpy(weight, frequency, m * sizeof *weight);
        round_weights(weight, m, kept_bits(precision));
        memcpy(scaled, weight, m * sizeof *scaled);
        if (scale_weights(scaled, m))
            break;
    }
    put_bits(w, precision, PRECISION_NBITS);
    put_weights(w, weight, m, kept_bits(precision));
    memcpy(frequency, scaled, m * sizeof *frequency);
}

/* The weight of a symbol, whose number of bits changes from that of the one before. */
static uint16_t get_weight(bit_reader *r, uint32_t q, uint32_t *nbits)
{
    const uint32_t change = get_unary(r, MAX_NBITS);
    *nbits = change && get_bits(r, 1) ? *nbits - change : *nbits + change;
    if (*nbits == 0 || *nbits > MAX_NBITS) /* also below 0 */
        return 0;
    const uint32_t given = *nbits - 1 < q ? *nbits - 1 : q;
    return (uint16_t)((1u << given | get_bits(r, given)) << (*nbits - 1 - given));
}

int frequency_table_read(bit_reader *r, uint16_t *frequency, uint32_t *m)
{
    memset(frequency, 0, FREQUENCY_NSYMBOLS * sizeof *frequency);
    const uint32_t size = get_unary(r, nbits_of(FREQUENCY_NSYMBOLS));
    *m = size ? 1u << (size - 1) | get_bits(r, size - 1) : 0;
    if (*m == 0 || *m > FREQUENCY_NSYMBOLS)
        return *m == 0 && !r->in->failed;
    const uint32_t q = kept_bits(get_bits(r, PRECISION_NBITS));
    uint32_t nbits = 0;
    for (uint32_t s = 0; s < *m; s++) {
        frequency[s] = get_weight(r, q, &nbits);
        if (nbits > MAX_NBITS)
            return 0;
    }
    return !r->in->failed && scale_weights(frequency, *m);
}
