/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "check.h"
#include "entropy.h"

enum { MAX_NBYTES = 100000 };
static uint8_t bytes[MAX_NBYTES];
static uint8_t coded[MAX_NBYTES + 300];

static size_t round_trip(size_t nbytes)
{
    byte_writer w = {coded, coded + sizeof coded, 0};
    stream_write(&w, bytes, nbytes);
    CHECK(!w.failed);
    byte_reader r = {coded, w.at, 0};
    byte_reader back;
    uint8_t *owned;
    CHECK(stream_read(&r, nbytes, &back, &owned) == H5BRAGG_OK);
    CHECK(bytes_left(&r) == 0 && bytes_left(&back) == nbytes);
    CHECK(nbytes == 0 || memcmp(back.at, bytes, nbytes) == 0);
    free(owned);
    return (size_t)(w.at - coded);
}

/* Geometric bytes: many small, few large. */
static void fill(unsigned *state, size_t nbytes, unsigned spread)
{
    for (size_t i = 0; i < nbytes; i++) {
        const double u = (random_bits(state) + 1.0) / 16777217.0;
        const double x = -log(u) * spread;
        bytes[i] = (uint8_t)(x < 255 ? x : 255);
    }
}

/* Cuts and changes of a coded stream must neither crash nor read outside (run under sanitizers). */
static void damage(unsigned *state, size_t nbytes)
{
    byte_writer w = {coded, coded + sizeof coded, 0};
    stream_write(&w, bytes, nbytes);
    const size_t size = (size_t)(w.at - coded);
    for (int k = 0; k < 3000; k++) {
        uint8_t *copy = malloc(size + 1);
        CHECK(copy);
        memcpy(copy, coded, size);
        copy[random_bits(state) % (k % 2 ? size : 140)] ^= (uint8_t)(1u << random_bits(state) % 8);
        byte_reader r = {copy, copy + random_bits(state) % (size + 1), 0};
        byte_reader back;
        uint8_t *owned;
        (void)stream_read(&r, nbytes, &back, &owned);
        free(owned);
        free(copy);
    }
}

int main(void)
{
    unsigned state = 1;
    for (size_t nbytes = 0; nbytes < 300; nbytes += 7) {
        fill(&state, nbytes, 3);
        round_trip(nbytes);
    }
    memset(bytes, 42, MAX_NBYTES);
    CHECK(round_trip(MAX_NBYTES) < MAX_NBYTES / 7);
    fill(&state, MAX_NBYTES, 4);
    CHECK(round_trip(MAX_NBYTES) < MAX_NBYTES / 2);
    fill(&state, MAX_NBYTES, 1000);
    CHECK(round_trip(MAX_NBYTES) <= MAX_NBYTES + 5);
    /* Weights like Fibonacci numbers make the deepest tree: lengths must be limited. */
    size_t n = 0;
    for (size_t a = 1, b = 1, symbol = 0; n + a < MAX_NBYTES; symbol++) {
        memset(bytes + n, (int)symbol, a);
        n += a;
        const size_t next = a + b;
        a = b;
        b = next;
    }
    CHECK(round_trip(n) < n / 2);
    fill(&state, 3000, 4);
    damage(&state, 3000);
    return 0;
}
