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

/* Rows of n pixels that begin anywhere, even within a pixel: those of a strip, and no more.  From
 * whole bytes or, where pixels are small enough, from halves. */
static void check_rows(const draw_kernels *kernels, size_t n, size_t nbytes, int is_half,
                       unsigned *state)
{
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
    const draw_patterns patterns = {pool, is_half ? half : NULL, table};
    kernels->draw_pixels(&patterns, variant, permutation, n, nbytes, rows);
    DRAW_KERNELS_SCALAR.draw(pool, variant, permutation, table, PADDED_NTILES, from);
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

static uint32_t largest_of(const uint8_t count[THROW_NPIXELS])
{
    uint32_t largest = 0;
    for (uint32_t k = 0; k < THROW_NPIXELS; k++)
        largest = count[k] > largest ? count[k] : largest;
    return largest;
}

/* From an empty block to one in which hardly a pixel has as few as it may. */
static void check_throws(const draw_kernels *kernels, unsigned *state)
{
    uint8_t expected[THROW_NPIXELS];
    uint8_t got[THROW_NPIXELS];
    uint32_t nkept = 0;
    for (uint32_t n = 0; n <= 255; n++) {
        const uint32_t seed = random_bits(state) << 16 | random_bits(state) << 1 | 1;
        const uint32_t npixels = n % 2 ? THROW_NPIXELS : 1 + random_bits(state) % THROW_NPIXELS;
        const uint32_t most = random_bits(state) % 64;
        const int is_kept = DRAW_KERNELS_SCALAR.throw_counts(seed, n, npixels, most, expected);
        uint32_t next = seed;
        uint32_t sum = 0;
        for (uint32_t i = 0; i < n; i++)
            expected[(uint64_t)next_bits(&next) * npixels >> 32]--;
        for (uint32_t k = 0; k < THROW_NPIXELS; k++)
            CHECK(expected[k] == 0);
        CHECK(DRAW_KERNELS_SCALAR.throw_counts(seed, n, npixels, most, expected) == is_kept);
        CHECK(is_kept == (largest_of(expected) <= most));
        if (!kernels->throw_counts(seed, n, npixels, most, got)) {
            CHECK(!is_kept || largest_of(expected) > 15); /* a kernel need not count farther */
            continue;
        }
        CHECK(is_kept && memcmp(expected, got, sizeof got) == 0);
        for (uint32_t k = 0; k < THROW_NPIXELS; k++)
            sum += got[k];
        CHECK(sum == n);
        nkept++;
    }
    CHECK(nkept > 100);
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
