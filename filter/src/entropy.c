/* SPDX-License-Identifier: MIT */
/*
 * Canonical Huffman coding of byte streams: docs/format.md, "Streams".
 *
 * A stream is stored plain or coded.  Codes are at most MAX_BITS long, so that one table look-up
 * decodes a symbol; bits are packed from the low end of each byte, and codes are stored
 * bit-reversed, so that the next code is always at the low end of the reader's buffer.  Code
 * lengths are written as 256 nibbles.
 */
#include "entropy.h"

#include <stdlib.h>

enum { MAX_BITS = 12, NSYMBOLS = 256, LENGTHS_NBYTES = NSYMBOLS / 2, PLAIN = 0, HUFFMAN = 1 };

typedef struct prefix_code {
    uint8_t length[NSYMBOLS];
    uint16_t code[NSYMBOLS]; /* bit-reversed */
} prefix_code;

/* Leaf or inner node of the tree under construction. */
typedef struct tree_node {
    uint64_t weight;
    int parent;
} tree_node;

static int by_weight(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/*
 * Depths of the Huffman tree over sorted weights (two-queue method): leaves are nodes 0..n-1, inner
 * nodes follow in the order of their making, which is ascending too.
 */
static void tree_depths(const uint64_t *weight, int n, uint8_t *depth)
{
    tree_node node[2 * NSYMBOLS];
    int leaf = 0;
    int inner = n;
    for (int k = 0; k < n; k++)
        node[k].weight = weight[k];
    for (int made = n; made < 2 * n - 1; made++) {
        node[made].weight = 0;
        for (int child = 0; child < 2; child++) {
            const int take_leaf =
                leaf < n && (inner == made || node[leaf].weight <= node[inner].weight);
            const int taken = take_leaf ? leaf++ : inner++;
            node[made].weight += node[taken].weight;
            node[taken].parent = made;
        }
    }
    uint8_t level[2 * NSYMBOLS];
    level[2 * n - 2] = 0;
    for (int k = 2 * n - 3; k >= 0; k--)
        level[k] = (uint8_t)(level[node[k].parent] + 1);
    for (int k = 0; k < n; k++)
        depth[k] = level[k] ? level[k] : 1;
}

/*
 * Depths limited to MAX_BITS: too deep leaves are raised, then the rarest symbols that still can
 * are lowered until the lengths satisfy Kraft's inequality.  Symbols are sorted by ascending
 * weight.
 */
static void limit_depths(int n, uint8_t *depth)
{
    const uint32_t full = 1u << MAX_BITS;
    uint32_t used = 0;
    for (int k = 0; k < n; k++) {
        depth[k] = depth[k] > MAX_BITS ? MAX_BITS : depth[k];
        used += full >> depth[k];
    }
    for (int k = 0; used > full; k = (k + 1) % n) {
        if (depth[k] == MAX_BITS)
            continue;
        used -= full >> depth[k];
        depth[k]++;
        used += full >> depth[k];
    }
}

static void code_lengths(const uint64_t count[NSYMBOLS], uint8_t length[NSYMBOLS])
{
    uint64_t sorted[NSYMBOLS]; /* weight, then symbol in the low byte: order is total */
    uint8_t depth[NSYMBOLS];
    int n = 0;
    for (int s = 0; s < NSYMBOLS; s++) {
        length[s] = 0;
        if (count[s])
            sorted[n++] = count[s] << 8 | (uint64_t)s;
    }
    if (n == 0)
        return;
    qsort(sorted, (size_t)n, sizeof *sorted, by_weight);
    uint64_t weight[NSYMBOLS];
    for (int k = 0; k < n; k++)
        weight[k] = sorted[k] >> 8;
    tree_depths(weight, n, depth);
    limit_depths(n, depth);
    for (int k = 0; k < n; k++)
        length[sorted[k] & 0xFF] = depth[k];
}

static uint16_t reversed(uint32_t code, int nbits)
{
    uint32_t r = 0;
    for (int k = 0; k < nbits; k++)
        r |= (code >> k & 1) << (nbits - 1 - k);
    return (uint16_t)r;
}

/* Canonical codes: ascending by length, then by symbol. */
static void assign_codes(prefix_code *p)
{
    uint32_t next = 0;
    for (int nbits = 1; nbits <= MAX_BITS; nbits++) {
        for (int s = 0; s < NSYMBOLS; s++) {
            if (p->length[s] == nbits)
                p->code[s] = reversed(next++, nbits);
        }
        next <<= 1;
    }
}

static void write_lengths(byte_writer *w, const uint8_t length[NSYMBOLS])
{
    for (int s = 0; s < NSYMBOLS; s += 2)
        write_u8(w, (uint8_t)(length[s] | length[s + 1] << 4));
}

static void write_codes(byte_writer *w, const prefix_code *p, const uint8_t *bytes, size_t nbytes)
{
    uint64_t buffer = 0;
    int nbits = 0;
    for (size_t i = 0; i < nbytes; i++) {
        buffer |= (uint64_t)p->code[bytes[i]] << nbits;
        nbits += p->length[bytes[i]];
        if (nbits >= 32) {
            write_u32(w, (uint32_t)buffer);
            buffer >>= 32;
            nbits -= 32;
        }
    }
    for (; nbits > 0; nbits -= 8, buffer >>= 8)
        write_u8(w, (uint8_t)buffer);
}

void stream_write(byte_writer *w, const uint8_t *bytes, size_t nbytes)
{
    uint64_t count[NSYMBOLS] = {0};
    prefix_code p;
    uint64_t nbits = 0;
    for (size_t i = 0; i < nbytes; i++)
        count[bytes[i]]++;
    code_lengths(count, p.length);
    assign_codes(&p);
    for (int s = 0; s < NSYMBOLS; s++)
        nbits += count[s] * p.length[s];
    const size_t coded = (size_t)((nbits + 7) / 8);
    const int is_coded = coded + LENGTHS_NBYTES + 5 < nbytes;
    write_u8(w, is_coded ? HUFFMAN : PLAIN);
    write_varint(w, nbytes);
    if (is_coded) {
        write_varint(w, coded);
        write_lengths(w, p.length);
        write_codes(w, &p, bytes, nbytes);
        return;
    }
    uint8_t *at = write_bytes(w, nbytes);
    if (at && nbytes)
        memcpy(at, bytes, nbytes);
}

/* One entry per MAX_BITS bits: symbol and length of the code they start with. */
typedef struct decode_entry {
    uint8_t symbol;
    uint8_t length;
} decode_entry;

/* Fails unless the lengths describe a prefix code; unused entries keep length 0. */
static h5bragg_status decode_table(const uint8_t *lengths, decode_entry *table)
{
    prefix_code p;
    uint32_t used = 0;
    for (int s = 0; s < NSYMBOLS; s++) {
        p.length[s] = s & 1 ? lengths[s / 2] >> 4 : lengths[s / 2] & 0xF;
        if (p.length[s] > MAX_BITS)
            return H5BRAGG_CORRUPT;
        used += p.length[s] ? (1u << MAX_BITS) >> p.length[s] : 0;
    }
    if (used > 1u << MAX_BITS)
        return H5BRAGG_CORRUPT;
    assign_codes(&p);
    memset(table, 0, sizeof *table << MAX_BITS);
    for (int s = 0; s < NSYMBOLS; s++) {
        const decode_entry entry = {(uint8_t)s, p.length[s]};
        for (uint32_t k = p.code[s]; p.length[s] && k < 1u << MAX_BITS; k += 1u << p.length[s])
            table[k] = entry;
    }
    return H5BRAGG_OK;
}

static h5bragg_status read_codes(const uint8_t *at, size_t coded, const decode_entry *table,
                                 uint8_t *bytes, size_t nbytes)
{
    const uint8_t *end = at + coded;
    uint64_t buffer = 0;
    int nbits = 0;
    for (size_t i = 0; i < nbytes; i++) {
        while (nbits <= 56 && at < end) {
            buffer |= (uint64_t)*at++ << nbits;
            nbits += 8;
        }
        const decode_entry entry = table[buffer & ((1u << MAX_BITS) - 1)];
        if (entry.length == 0 || entry.length > nbits)
            return H5BRAGG_CORRUPT;
        bytes[i] = entry.symbol;
        buffer >>= entry.length;
        nbits -= entry.length;
    }
    return at == end && nbits < 8 ? H5BRAGG_OK : H5BRAGG_CORRUPT;
}

static h5bragg_status read_huffman(byte_reader *r, size_t nbytes, uint8_t **owned)
{
    const uint64_t coded = read_varint(r);
    const uint8_t *lengths = read_bytes(r, LENGTHS_NBYTES);
    if (r->failed || coded > bytes_left(r))
        return H5BRAGG_TRUNCATED;
    if (nbytes > 8 * coded) /* a code has at least one bit */
        return H5BRAGG_CORRUPT;
    const uint8_t *codes = read_bytes(r, (size_t)coded);
    decode_entry *table = malloc(sizeof *table << MAX_BITS);
    *owned = malloc(nbytes + 1);
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    if (table && *owned) {
        status = decode_table(lengths, table);
        if (!status)
            status = read_codes(codes, (size_t)coded, table, *owned, nbytes);
    }
    free(table);
    return status;
}

h5bragg_status stream_read(byte_reader *r, size_t max_nbytes, byte_reader *bytes, uint8_t **owned)
{
    const uint8_t method = read_u8(r);
    const uint64_t nbytes = read_varint(r);
    *owned = NULL;
    if (r->failed)
        return H5BRAGG_TRUNCATED;
    if (nbytes > max_nbytes || method > HUFFMAN)
        return H5BRAGG_CORRUPT;
    const uint8_t *start = NULL;
    if (method == HUFFMAN) {
        const h5bragg_status status = read_huffman(r, (size_t)nbytes, owned);
        if (status)
            return status;
        start = *owned;
    } else {
        start = read_bytes(r, (size_t)nbytes);
        if (!start)
            return H5BRAGG_TRUNCATED;
    }
    *bytes = (byte_reader){start, start + nbytes, 0};
    return H5BRAGG_OK;
}
