/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "check.h"
#include "symbols.h"

enum { MAX_ITEMS = 60000, ROOM = 600000 };

/* What a stream is made of: a symbol, a number or raw bits. */
typedef enum item_kind { SYMBOL, NUMBER, RAW } item_kind;

typedef struct item {
    item_kind kind;
    uint32_t context; /* of raw bits their number */
    uint64_t value;
} item;

static item items[MAX_ITEMS];
static size_t nitems;
static uint8_t coded[ROOM];
static symbol_writer writer;
static symbol_reader reader;

static void add(item_kind kind, uint32_t context, uint64_t value)
{
    CHECK(nitems < MAX_ITEMS);
    items[nitems++] = (item){kind, context, value};
}

static size_t write_items(uint32_t ncontexts)
{
    for (size_t i = 0; i < nitems; i++) {
        if (items[i].kind == SYMBOL)
            symbol_put(&writer, items[i].context, (uint32_t)items[i].value);
        else if (items[i].kind == NUMBER)
            number_put(&writer, items[i].context, items[i].value);
        else
            raw_bits_put(&writer, (uint32_t)items[i].value, items[i].context);
    }
    byte_writer out = {coded, coded + sizeof coded, 0};
    symbols_write(&writer, ncontexts, SYMBOLS_NSTATES, &out);
    CHECK(!out.failed);
    return (size_t)(out.at - coded);
}

/* How many items come back as they were put; the reader is left before symbols_close. */
static size_t read_items(symbol_reader *s)
{
    size_t same = 0;
    for (size_t i = 0; i < nitems; i++) {
        if (items[i].kind == SYMBOL)
            same += symbol_get(s, items[i].context) == items[i].value;
        else if (items[i].kind == NUMBER)
            same += number_get(s, items[i].context) == items[i].value;
        else
            same += raw_bits_get(s, items[i].context) == items[i].value;
    }
    return same;
}

static size_t round_trip(uint32_t ncontexts)
{
    const size_t size = write_items(ncontexts);
    byte_reader in = {coded, coded + size, 0};
    CHECK(symbols_open(&in, 2, ncontexts, &reader) == H5BRAGG_OK);
    CHECK(bytes_left(&in) == 0);
    CHECK(read_items(&reader) == nitems);
    CHECK(!symbols_failed(&reader));
    CHECK(symbols_close(&reader) == H5BRAGG_OK);
    return size;
}

static void stream_of_zeros_is_one_byte(void)
{
    nitems = 0;
    CHECK(round_trip(32) == 1 && coded[0] == 0);
    CHECK(symbol_get(&reader, 31) == 0 && symbols_close(&reader) == H5BRAGG_OK);
    while (nitems < 1000)
        add(SYMBOL, (uint32_t)nitems % 3, 0);
    CHECK(round_trip(3) == 1);
    (void)raw_bits_get(&reader, 1);
    CHECK(symbols_failed(&reader) && symbols_close(&reader) == H5BRAGG_CORRUPT);
}

static void empty_stream_of_version_1_has_no_symbol(void)
{
    const uint8_t empty = 0;
    byte_reader in = {&empty, &empty + 1, 0};
    CHECK(symbols_open(&in, 1, 32, &reader) == H5BRAGG_OK);
    CHECK(symbols_close(&reader) == H5BRAGG_OK);
    (void)symbol_get(&reader, 31);
    CHECK(symbols_failed(&reader) && symbols_close(&reader) == H5BRAGG_CORRUPT);
}

static void single_symbols_cost_nothing(void)
{
    for (uint32_t symbol = 0; symbol < 256; symbol += 51) {
        nitems = 0;
        add(SYMBOL, 0, symbol);
        const size_t one = round_trip(1);
        while (nitems < 10000)
            add(SYMBOL, 0, symbol);
        CHECK(round_trip(1) == one);
        CHECK(round_trip(32) <= one + 4);
    }
}

static void number_ranges(void)
{
    const uint64_t limit = (uint64_t)1 << 34;
    nitems = 0;
    for (uint64_t x = 0; x < 70; x++)
        add(NUMBER, 1, x);
    for (uint32_t e = 5; e <= 34; e++) {
        for (uint64_t quarter = 4; quarter < 8; quarter++) {
            const uint64_t x = quarter << (e - 2);
            add(NUMBER, e % 3, x - 1 < limit ? x - 1 : limit - 1);
            add(NUMBER, e % 3, x < limit ? x : 0);
            add(NUMBER, 0, x + 1 < limit ? x + 1 : 1);
        }
    }
    add(NUMBER, 2, limit - 1);
    round_trip(3);
}

/* Alphabets of all sizes, even and skew, in up to 32 contexts, with raw bits of all lengths. */
static void random_streams(unsigned *state)
{
    for (int k = 0; k < 300; k++) {
        const uint32_t ncontexts = 1 + random_bits(state) % 32;
        const uint32_t alphabet = 1 + random_bits(state) % 256;
        const uint32_t skew = random_bits(state) % 4;
        const size_t n = random_bits(state) % (k % 20 ? 300 : 30000);
        nitems = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t value = random_bits(state) % alphabet;
            for (uint32_t j = 0; j < skew; j++)
                value = value * (random_bits(state) % 256) / 256;
            add(SYMBOL, random_bits(state) % ncontexts, value);
            const uint32_t nbits = random_bits(state) % 33;
            if (i % 7 == 0)
                add(RAW, nbits, (random_bits(state) * 2654435761u) & (((uint64_t)1 << nbits) - 1));
        }
        round_trip(ncontexts);
    }
}

/* Within 1 % and the bytes of tables and states. */
static void size_is_near_the_entropy(unsigned *state)
{
    for (uint32_t spread = 1; spread < 60; spread *= 3) {
        double count[256] = {0};
        nitems = 0;
        while (nitems < MAX_ITEMS) {
            const double x = -log((random_bits(state) + 1.0) / 16777217.0) * spread;
            const uint32_t symbol = x < 255 ? (uint32_t)x : 255;
            count[symbol]++;
            add(SYMBOL, 0, symbol);
        }
        double nbits = 0;
        for (uint32_t symbol = 0; symbol < 256; symbol++) {
            if (count[symbol] > 0)
                nbits -= count[symbol] * log2(count[symbol] / MAX_ITEMS);
        }
        CHECK((double)round_trip(1) < 1.005 * nbits / 8 + 256 + 30);
    }
}

/* Even with more symbols than there is room for fair frequencies each gets one. */
static void rare_symbols_keep_a_frequency(void)
{
    nitems = 0;
    for (uint32_t symbol = 0; symbol < 256; symbol++)
        add(SYMBOL, 0, symbol);
    while (nitems < MAX_ITEMS)
        add(SYMBOL, 0, 77);
    round_trip(1);
}

/* The contents of the known streams, whatever their version. */
static void check_known_stream(const uint8_t *stream, size_t nbytes, uint32_t version)
{
    byte_reader in = {stream, stream + nbytes, 0};
    CHECK(symbols_open(&in, version, 3, &reader) == H5BRAGG_OK);
    CHECK(symbol_get(&reader, 0) == 2);
    CHECK(symbol_get(&reader, 0) == 1);
    CHECK(number_get(&reader, 1) == 25);
    CHECK(number_get(&reader, 1) == 3);
    CHECK(symbol_get(&reader, 0) == 2);
    CHECK(number_get(&reader, 1) == 27);
    CHECK(symbol_get(&reader, 0) == 0);
    CHECK(symbols_close(&reader) == H5BRAGG_CORRUPT);
    CHECK(symbol_get(&reader, 0) == 1);
    CHECK(symbols_close(&reader) == H5BRAGG_OK);
    (void)symbol_get(&reader, 2);
    CHECK(symbols_failed(&reader) && symbols_close(&reader) == H5BRAGG_CORRUPT);
}

/*
 * Made from docs/format.md without this code.  Context 0 has symbols 0 to 2 with frequencies 2000,
 * 47 and 1, context 1 symbols 3 and 18 with 1024 each, context 2 none.  Of versions 1 and 2.
 */
static void known_streams_are_read(void)
{
    static const uint8_t first[] = {0x31, 0x03, 0xD0, 0x0F, 0x2F, 0x01, 0x13, 0x00, 0x00, 0x00,
                                    0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x08, 0x00, 0x01,
                                    0x0D, 0xFF, 0x07, 0x40, 0x00, 0xEA, 0xD7, 0x57, 0x00, 0x00,
                                    0x0E, 0x02, 0x00, 0xE2, 0x2B, 0x57, 0x00, 0x01, 0xFF, 0x07};
    static const uint8_t second[] = {0x1F, 0xFB, 0xFF, 0x03, 0xFD, 0xF7, 0x7D, 0xBF,
                                     0x01, 0x52, 0x00, 0x10, 0x01, 0x0D, 0xFF, 0x07,
                                     0x40, 0x00, 0xEA, 0xD7, 0x57, 0x00, 0x00, 0x0E,
                                     0x02, 0x00, 0xE2, 0x2B, 0x57, 0x00, 0xFF, 0x07};
    check_known_stream(first, sizeof first, 1);
    check_known_stream(second, sizeof second, 2);
}

/* Numbers end at symbol 135, whatever a stream says. */
static void symbols_beyond_numbers_are_refused(void)
{
    for (uint32_t symbol = 136; symbol < 256; symbol += 17) {
        nitems = 0;
        add(SYMBOL, 0, symbol);
        add(RAW, 32, 0);
        const size_t size = write_items(1);
        byte_reader in = {coded, coded + size, 0};
        CHECK(symbols_open(&in, 2, 1, &reader) == H5BRAGG_OK);
        (void)number_get(&reader, 0);
        CHECK(symbols_failed(&reader) && symbols_close(&reader) == H5BRAGG_CORRUPT);
    }
}

/* Opens and reads a stream of exactly its size; 1 if it passes for the items. */
static int passes(const uint8_t *stream, size_t nbytes, uint32_t ncontexts)
{
    uint8_t *copy = malloc(nbytes + !nbytes);
    CHECK(copy);
    memcpy(copy, stream, nbytes);
    byte_reader in = {copy, copy + nbytes, 0};
    symbol_reader s = {0};
    int same = 0;
    if (symbols_open(&in, 2, ncontexts, &s) == H5BRAGG_OK) {
        same = read_items(&s) == nitems;
        same = symbols_close(&s) == H5BRAGG_OK && same;
    }
    symbol_reader_free(&s);
    free(copy);
    return same;
}

/* Changed or cut streams are never read beyond their bytes (run under sanitizers). */
static void damage_is_found(unsigned *state)
{
    uint8_t stream[2048];
    nitems = 0;
    for (int i = 0; i < 500; i++)
        add(NUMBER, random_bits(state) % 3, random_bits(state) % (i % 8 ? 20 : 500));
    const size_t size = write_items(4);
    CHECK(size > 200 && size < sizeof stream);
    CHECK(passes(coded, size, 4));
    for (size_t i = 0; i < 8 * size; i++) {
        memcpy(stream, coded, size);
        stream[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(!passes(stream, size, 4));
        stream[i / 8] = (uint8_t)random_bits(state);
        (void)passes(stream, size, 4);
    }
    for (size_t cut = 0; cut < size; cut++) {
        CHECK(!passes(coded, cut, 4));
        /* the same with a length, of two bytes here, that agrees */
        memcpy(stream, coded, size);
        if (cut >= 2) {
            stream[0] = (uint8_t)((cut - 2) % 128 | 128);
            stream[1] = (uint8_t)((cut - 2) / 128);
            CHECK(!passes(stream, cut, 4));
        }
    }
}

static void no_room_fails(void)
{
    uint8_t small[64];
    nitems = 0;
    for (uint32_t i = 0; i < 1000; i++)
        add(NUMBER, 0, i);
    const size_t size = write_items(1);
    for (size_t room = 0; room < size; room += 1 + size / 50) {
        for (uint32_t i = 0; i < 1000; i++)
            number_put(&writer, 0, i);
        byte_writer out = {room < sizeof small ? small : coded,
                           room < sizeof small ? small + room : coded + room, 0};
        symbols_write(&writer, 1, SYMBOLS_NSTATES, &out);
        CHECK(out.failed);
    }
}

/* Runs of a context that has no symbol but 0 lie between others; pieces are of any length. */
static void wide_streams_may_have_certain_zeros(unsigned *state)
{
    enum { N = 20000 };
    static uint8_t context[N];
    static uint8_t symbol[N];
    static uint8_t back[N];
    wide_reader wide = {0};
    uint32_t left = 0;
    for (size_t i = 0; i < N; i++, left--) {
        if (left == 0)
            left = 1 + random_bits(state) % 300;
        context[i] = i == 0 ? 0 : context[i - 1] ^ (left == 1);
        symbol[i] = context[i] ? (uint8_t)(random_bits(state) % 7) : 0;
        symbol_put(&writer, context[i], symbol[i]);
    }
    byte_writer out = {coded, coded + sizeof coded, 0};
    symbols_write(&writer, 3, SYMBOLS_WIDE_NSTATES, &out);
    CHECK(!out.failed);
    byte_reader in = {coded, out.at, 0};
    CHECK(wide_symbols_open(&in, 2, 3, &wide) == H5BRAGG_OK);
    for (size_t k = 0; k < N;) {
        const size_t most = 1 + random_bits(state) % 90;
        const size_t n = N - k < most ? N - k : most;
        wide_symbols_get(&wide, context + k, n, back + k);
        k += n;
    }
    CHECK(memcmp(back, symbol, N) == 0);
    CHECK(wide_symbols_close(&wide) == H5BRAGG_OK);
    const uint8_t none = 2; /* a context without symbols */
    wide_symbols_get(&wide, &none, 1, back);
    CHECK(wide_symbols_close(&wide) == H5BRAGG_CORRUPT);
    symbol_reader_free(&wide.stream);
}

/* A wide stream that lacks words at its end is never read beyond its bytes, nor passes. */
static void wide_streams_that_end_early_are_refused(unsigned *state)
{
    enum { N = 2000, PIECE = 75 };
    static uint8_t context[N];
    static uint8_t back[N];
    for (size_t i = 0; i < N; i++) {
        context[i] = (uint8_t)(random_bits(state) % 4);
        symbol_put(&writer, context[i], random_bits(state) % 40);
    }
    byte_writer out = {coded, coded + sizeof coded, 0};
    symbols_write(&writer, 4, SYMBOLS_WIDE_NSTATES, &out);
    const size_t size = (size_t)(out.at - coded);
    CHECK(!out.failed && size > 1000 && size < 128 * 128);
    for (size_t cut = 0; cut < 200; cut += 2) {
        const size_t left = size - cut;
        uint8_t *copy = malloc(left);
        CHECK(copy);
        memcpy(copy, coded, left);
        copy[0] = (uint8_t)((left - 2) % 128 | 128); /* its length, of two bytes */
        copy[1] = (uint8_t)((left - 2) / 128);
        byte_reader in = {copy, copy + left, 0};
        wide_reader wide = {0};
        CHECK(wide_symbols_open(&in, 2, 4, &wide) == H5BRAGG_OK);
        for (size_t k = 0; k < N; k += PIECE)
            wide_symbols_get(&wide, context + k, N - k < PIECE ? N - k : PIECE, back + k);
        CHECK((wide_symbols_close(&wide) == H5BRAGG_OK) == (cut == 0));
        symbol_reader_free(&wide.stream);
        free(copy);
    }
}

int main(void)
{
    unsigned state = 1;
    stream_of_zeros_is_one_byte();
    empty_stream_of_version_1_has_no_symbol();
    single_symbols_cost_nothing();
    number_ranges();
    random_streams(&state);
    size_is_near_the_entropy(&state);
    rare_symbols_keep_a_frequency();
    known_streams_are_read();
    symbols_beyond_numbers_are_refused();
    damage_is_found(&state);
    no_room_fails();
    wide_streams_may_have_certain_zeros(&state);
    wide_streams_that_end_early_are_refused(&state);
    symbol_writer_free(&writer);
    symbol_reader_free(&reader);
    return 0;
}
