/* SPDX-License-Identifier: MIT */
/* Every kernel that draws, widens, hashes and throws counts equals plain C; lines asked for. */
#include <string.h>

#include "check.h"
#include "draw_kernels.h"
#include "lines_ahead.h"
#include "noise_hash.h"
#include "patterns.h"

enum { MAX_NTILES = 76, MAX_N = 300 };
enum { PADDED_NTILES = (MAX_N + 63) / 64 * 16 };

static void check_draw(const draw_kernels *kernels, unsigned *state)
{
    static uint8_t pool[1024];
    const uint8_t(*table)[PATTERN_NBYTES] = pattern_permutations(PATTERNS_SHUFFLED);
    uint32_t variant[MAX_NTILES] = {0};
    uint8_t permutation[MAX_NTILES] = {0};
    uint8_t expected[4][4 * MAX_NTILES + 1];
    uint8_t got[4][4 * MAX_NTILES + 1]; /* odd, so that the rows are aligned differently */
    for (size_t i = 0; i < sizeof pool; i++)
        pool[i] = (uint8_t)random_bits(state);
    for (size_t ntiles = 0; ntiles <= MAX_NTILES; ntiles += DRAW_NTILES) {
        for (size_t t = 0; t < ntiles; t++) {
            variant[t] = random_bits(state) % (sizeof pool / 2 - 7);
            permutation[t] = (uint8_t)random_bits(state);
        }
        memset(expected, 0xAA, sizeof expected);
        memset(got, 0xAA, sizeof got);
        uint8_t *const rows_expected[4] = {expected[0], expected[1], expected[2], expected[3]};
        uint8_t *const rows_got[4] = {got[0], got[1], got[2], got[3]};
        DRAW_KERNELS_SCALAR.draw(pool, variant, permutation, table, ntiles, rows_expected);
        kernels->draw(pool, variant, permutation, table, ntiles, rows_got);
        CHECK(memcmp(expected, got, sizeof got) == 0);
        for (size_t t = 0; t < ntiles; t++)
            for (size_t p = 0; p < 16; p++)
                CHECK(got[p / 4][4 * t + p % 4] == pool[2 * variant[t] + table[permutation[t]][p]]);
    }
}

/* Picks of few or of many pixels, for whole DRAW_MOST_NTILES. */
static void make_picks(uint16_t *pixels, uint32_t *start, uint8_t *value, unsigned *state)
{
    const unsigned rare = random_bits(state) % 3;
    uint32_t n = 0;
    for (size_t t = 0; t < PADDED_NTILES; t++) {
        uint32_t bits = random_bits(state);
        for (unsigned k = 0; k < rare; k++)
            bits &= random_bits(state);
        if (t % DRAW_MOST_NTILES == 0)
            start[t / DRAW_MOST_NTILES] = n;
        pixels[t] = (uint16_t)bits;
        for (size_t p = 0; p < 16; p++)
            n += bits >> p & 1;
    }
    for (size_t k = 0; k < 16 * PADDED_NTILES + 64; k++)
        value[k] = (uint8_t)random_bits(state);
}

/* Puts picks into a strip. */
static void put_picks(const draw_picks *picks, uint8_t strip[4][4 * PADDED_NTILES])
{
    const uint8_t *value = picks->value;
    for (size_t t = 0; t < PADDED_NTILES; t++)
        for (size_t p = 0; p < 16; p++)
            if (picks->pixels[t] >> p & 1)
                strip[p / 4][4 * t + p % 4] = *value++;
}

/* Rows of n pixels that begin anywhere, even within a pixel: those of a strip, and no more.  From
 * whole bytes or, where pixels are small enough, from halves; with or without picks. */
static void check_rows(const draw_kernels *kernels, size_t n, size_t nbytes, int is_half,
                       unsigned *state)
{
    static uint16_t picked[PADDED_NTILES];
    static uint32_t start[PADDED_NTILES / DRAW_MOST_NTILES];
    static uint8_t value[16 * PADDED_NTILES + 64];
    const int has_picks = kernels->draws_picks && random_bits(state) % 2;
    const draw_picks picks = {has_picks ? picked : NULL, start, value};
    enum { PITCH = 4 * MAX_N + 80 };
    static uint8_t pool[1024];
    static uint8_t half[sizeof pool / 2];
    static uint8_t out[4][PITCH];
    static uint8_t strip[4][4 * PADDED_NTILES];
    uint32_t variant[PADDED_NTILES] = {0};
    uint8_t permutation[PADDED_NTILES] = {0};
    const uint8_t(*table)[PATTERN_NBYTES] = pattern_permutations(PATTERNS_ARRANGED);
    uint8_t *const from[4] = {strip[0], strip[1], strip[2], strip[3]};
    void *rows[4];
    size_t shift[4];
    for (size_t i = 0; i < sizeof pool; i++)
        pool[i] = (uint8_t)(random_bits(state) & (is_half ? 15 : 255));
    for (size_t i = 0; i < sizeof half; i++)
        half[i] = (uint8_t)(pool[2 * i] | pool[2 * i + 1] << 4);
    for (size_t t = 0; 4 * t < n; t++) {
        variant[t] = random_bits(state) % (sizeof pool / 2 - 7);
        permutation[t] = (uint8_t)random_bits(state);
    }
    for (size_t k = 0; k < 4; k++) {
        shift[k] = random_bits(state) % 72;
        rows[k] = out[k] + shift[k];
    }
    memset(out, 0xAA, sizeof out);
    make_picks(picked, start, value, state);
    const draw_patterns patterns = {pool, is_half ? half : NULL, table};
    kernels->draw_pixels(&patterns, variant, permutation, &picks, n, nbytes, rows);
    DRAW_KERNELS_SCALAR.draw(pool, variant, permutation, table, PADDED_NTILES, from);
    if (has_picks)
        put_picks(&picks, strip);
    for (size_t k = 0; k < 4; k++) {
        uint8_t expected[PITCH];
        memset(expected, 0xAA, sizeof expected);
        DRAW_KERNELS_SCALAR.widen(strip[k], n, nbytes, expected + shift[k]);
        CHECK(memcmp(out[k], expected, sizeof expected) == 0);
    }
}

static void check_draw_pixels(const draw_kernels *kernels, unsigned *state)
{
    if (!kernels->draw_pixels)
        return;
    for (size_t n = 1; n <= MAX_N; n++) {
        for (int is_half = 0; is_half < 2; is_half++) {
            check_rows(kernels, n, 2, is_half, state);
            check_rows(kernels, n, 4, is_half, state);
        }
    }
}

static void check_widen(const draw_kernels *kernels, unsigned *state)
{
    uint8_t in[MAX_N + 8];
    uint8_t out[4 * MAX_N + 80];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)random_bits(state);
    for (size_t n = 0; n <= MAX_N; n += n < 70 ? 1 : 23) {
        for (size_t nbytes = 1; nbytes <= 4; nbytes *= 2) {
            const size_t shift = random_bits(state) % 72;
            const uint8_t *from = in + random_bits(state) % 8;
            memset(out, 0xAA, sizeof out);
            kernels->widen(from, n, nbytes, out + shift);
            for (size_t i = 0; i < n; i++) {
                const uint8_t byte = from[i];
                const uint16_t half = byte;
                const uint32_t word = byte;
                const void *expected = &word;
                if (nbytes < 4)
                    expected = nbytes == 1 ? (const void *)&byte : (const void *)&half;
                CHECK(memcmp(out + shift + nbytes * i, expected, nbytes) == 0);
            }
            for (size_t i = 0; i < sizeof out; i++)
                CHECK((i >= shift && i < shift + nbytes * n) || out[i] == 0xAA);
        }
    }
}

static void check_hashes(const draw_kernels *kernels, unsigned *state)
{
    uint32_t out[MAX_N + 1];
    for (size_t n = 0; n <= MAX_N; n += n < 40 ? 1 : 37) {
        const uint64_t seed = (uint64_t)random_bits(state) << 40 ^ random_bits(state);
        const uint32_t first = n % 2 ? 0xFFFFFFF0u : random_bits(state);
        out[n] = 0xAAAAAAAAu;
        kernels->hash(seed, first, n, out);
        CHECK(out[n] == 0xAAAAAAAAu);
        for (size_t i = 0; i < n; i++)
            CHECK(out[i] == noise_hash(seed, first + (uint32_t)i));
    }
}

static uint32_t count_bits_of(uint64_t bits)
{
    uint32_t n = 0;
    for (; bits; bits &= bits - 1)
        n++;
    return n;
}

static uint32_t nopen_of(const uint64_t open[BLOCK_NROWS])
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < BLOCK_NROWS; row++)
        n += count_bits_of(open[row]);
    return n;
}

static uint64_t random_word(unsigned *state)
{
    uint64_t word = 0;
    for (int k = 0; k < 8; k++)
        word = word << 8 ^ random_bits(state);
    return word;
}

/* Blocks without counts, and some with many; whole ones, and some with hardly a pixel. */
static void fill_blocks(throw_blocks *blocks, unsigned *state)
{
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++) {
        uint64_t *open = blocks->open + BLOCK_NROWS * b;
        const uint32_t kind = random_bits(state) % 4;
        for (uint32_t row = 0; row < BLOCK_NROWS; row++)
            open[row] = kind ? UINT64_MAX : random_word(state) & random_word(state);
        if (kind == 1)
            open[random_bits(state) % BLOCK_NROWS] = random_bits(state) % 2;
        blocks->state[b] = (uint32_t)random_word(state) | 1;
        blocks->n[b] = nopen_of(open) ? random_bits(state) % (b % 4 ? 30 : 256) : 0;
    }
}

/* Against one count at a time. */
static void check_throws(const draw_kernels *kernels, unsigned *state)
{
    throw_blocks blocks;
    uint8_t count[THROW_ROOM];
    fill_blocks(&blocks, state);
    kernels->throw_counts(&blocks, count);
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++) {
        uint8_t expected[BLOCK_NPIXELS] = {0};
        const uint32_t nopen = nopen_of(blocks.open + BLOCK_NROWS * b);
        uint32_t next = blocks.state[b];
        for (uint32_t i = 0; i < blocks.n[b]; i++)
            expected[(uint64_t)next_bits(&next) * nopen >> 32]++;
        CHECK(memcmp(expected, count + BLOCK_NPIXELS * b, sizeof expected) == 0);
    }
}

/* Counts of open pixels, and no others beyond the block. */
static void check_puts(const draw_kernels *kernels, unsigned *state)
{
    enum { EDGE = 16, STRIDE = EDGE + 3 };
    throw_blocks blocks;
    fill_blocks(&blocks, state);
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++) {
        const uint64_t *open = blocks.open + BLOCK_NROWS * b;
        uint8_t count[BLOCK_NPIXELS] = {0};
        uint8_t pixels[EDGE * STRIDE];
        uint32_t largest = 0;
        uint32_t n = 0;
        memset(pixels, 0xAA, sizeof pixels);
        for (uint32_t k = 0; k < nopen_of(open); k++) {
            count[k] = (uint8_t)(random_bits(state) % 64);
            largest = count[k] > largest ? count[k] : largest;
        }
        CHECK(kernels->put_counts(count, open, largest, pixels, STRIDE) == 1);
        if (largest > 0)
            CHECK(kernels->put_counts(count, open, largest - 1, pixels, STRIDE) == 0);
        for (uint32_t k = 0; k < BLOCK_NPIXELS; k++) {
            const uint32_t row = k / 64 * 4 + k % 16 / 4;
            if (open[k / 64] >> k % 64 & 1)
                CHECK(pixels[row * STRIDE + k / 16 % 4 * 4 + k % 4] == count[n++]);
        }
        for (uint32_t k = 0; k < sizeof pixels; k++)
            CHECK(k % STRIDE < EDGE || pixels[k] == 0xAA);
    }
}

/* Against one pixel at a time. */
static void check_cut(const draw_kernels *kernels, unsigned *state)
{
    enum { NTILES = 21 };
    uint8_t pattern[NTILES][16];
    uint8_t pixels[NTILES][16];
    cut_tile tile[NTILES];
    for (uint32_t k = 0; k < NTILES; k++) {
        const uint32_t open = k < 16 ? 1u << k : (uint32_t)random_word(state) & 0xFFFF;
        tile[k] = (cut_tile){pattern[k], k, (uint32_t)random_word(state), open ? open : 0xFFFF};
        for (uint32_t p = 0; p < 16; p++)
            pattern[k][p] = (uint8_t)random_bits(state);
    }
    kernels->spread_cut(tile, NTILES, pixels);
    for (uint32_t k = 0; k < NTILES; k++) {
        const uint32_t f = count_bits_of(tile[k].open);
        uint32_t n = (tile[k].hash >> 24) * f / 256;
        for (uint32_t p = 0; p < 16; p++) {
            if (tile[k].open >> p & 1)
                CHECK(pixels[k][p] == pattern[k][n++ % f]);
        }
    }
}

/* H5BRAGG_SIMD and the machine decide which level is the best; all below it work as well. */
static void every_level_draws_the_same(void)
{
    const cpu_level best = bragg_cpu_level();
    unsigned state = 7;
    for (int level = CPU_SCALAR; level <= (int)best; level++) {
        if (best == CPU_NEON && level != CPU_SCALAR && level != CPU_NEON)
            continue;
        const draw_kernels *kernels = draw_kernels_get((cpu_level)level);
        CHECK(level == CPU_SCALAR || kernels != &DRAW_KERNELS_SCALAR);
        for (int round = 0; round < 5; round++) {
            check_draw(kernels, &state);
            check_draw_pixels(kernels, &state);
            check_widen(kernels, &state);
            check_hashes(kernels, &state);
            check_throws(kernels, &state);
            check_puts(kernels, &state);
            check_cut(kernels, &state);
        }
    }
}

/* They are asked for once each, and none where there are none. */
static void lines_are_asked_for_up_to_the_last(void)
{
    static const uint8_t pixels[1000];
    lines_ahead lines = lines_ahead_of(pixels, sizeof pixels);
    const uintptr_t first = lines.at;
    lines_ahead none = {0};
    lines_ahead_find_pages(&lines);
    lines_ahead_find_pages(&none);
    CHECK(lines.at == first);
    for (uint32_t k = 1; k < 9; k++) {
        lines_ahead_ask(&lines);
        CHECK(lines.at - first == 256u * (k < 4 ? k : 4));
    }
    lines_ahead_ask(&none);
    CHECK(none.at == 0 && none.end == 0);
    lines_ahead_ask(NULL);
}

int main(void)
{
    every_level_draws_the_same();
    lines_are_asked_for_up_to_the_last();
    return 0;
}
