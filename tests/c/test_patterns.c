/* SPDX-License-Identifier: MIT */
/* Pattern rows, permutations and levels follow docs/format.md. */
#include <math.h>
#include <string.h>

#include "levels.h"
#include "pattern_rows.h"

static void variants_have_their_sum_and_range(void)
{
    pattern_book *book = book_of(0);
    unsigned state = 1;
    for (int i = 0; i < 300; i++) {
        const uint32_t f = 1 + random_bits(&state) % 16;
        const uint32_t threshold = random_bits(&state) % 64;
        const uint32_t sum = random_bits(&state) % (min_u32(PATTERN_MAX_SUM, f * threshold) + 1);
        const uint8_t *row = pattern_row(book, f, threshold, sum);
        check_row(row, f, threshold, sum);
        CHECK(pattern_row(book, f, threshold, sum) == row);
    }
    for (uint32_t f = 1; f <= 16; f++) {
        check_row(pattern_row(book, f, 0, 0), f, 0, 0);
        check_row(pattern_row(book, f, 63, min_u32(511, 63 * f)), f, 63, min_u32(511, 63 * f));
    }
    pattern_book_release(book);
}

/* Sum of the squares and of the weights 8^n / n! over all ways to give `sum` to f pixels. */
static void enumerate(uint32_t f, uint32_t threshold, uint32_t sum, double weight, double squares,
                      double totals[2])
{
    if (f == 0) {
        totals[0] += sum == 0 ? weight : 0.0;
        totals[1] += sum == 0 ? weight * squares : 0.0;
        return;
    }
    double w = 1.0;
    for (uint32_t n = 0; n <= min_u32(threshold, sum); n++) {
        if (n > 0)
            w *= 8.0 / n;
        enumerate(f - 1, threshold, sum - n, weight * w, squares + (double)(n * n), totals);
    }
}

static void squares_are_those_of_all_ways_to_share_the_sum(void)
{
    for (uint32_t threshold = 0; threshold <= 6; threshold++) {
        const pattern_weights *weights = pattern_weights_get(threshold);
        CHECK(weights);
        for (uint32_t sum = 0; sum <= min_u32(16 * threshold, 6); sum++) {
            double totals[2] = {0.0, 0.0};
            enumerate(16, threshold, sum, 1.0, 0.0, totals);
            const double expected = totals[1] / totals[0];
            CHECK(fabs(weights->squares[sum] - expected) <= 1e-12 * (1.0 + expected));
        }
        CHECK(fabs(weights->squares[16 * threshold] - 16.0 * threshold * threshold) <= 1e-9);
    }
}

/* To 1, as squares differ by steps of 2. */
static void squares_of_a_row_follow_the_dispersion(void)
{
    static const uint32_t SUMS[][2] = {{4, 9}, {5, 14}, {7, 25}, {9, 40}, {14, 80}, {20, 130}};
    static const int DISPERSIONS[] = {-64, -16, 0, 16, 64};
    for (size_t i = 0; i < sizeof SUMS / sizeof SUMS[0]; i++) {
        const uint32_t threshold = SUMS[i][0];
        const uint32_t sum = SUMS[i][1];
        uint32_t before = 0;
        for (size_t d = 0; d < 5; d++) {
            pattern_book *book = book_of(DISPERSIONS[d]);
            const uint8_t *row = pattern_row(book, 16, threshold, sum);
            const uint32_t squares = check_row(row, 16, threshold, sum);
            const double poisson = 64.0 * pattern_weights_get(threshold)->squares[sum];
            const double even = sum * sum / 16.0;
            const double aim =
                64.0 * (even + (poisson / 64.0 - even) * (1.0 + DISPERSIONS[d] / 400.0));
            CHECK(squares > before && fabs(squares - aim) <= 1.5);
            before = squares;
            pattern_book_release(book);
        }
    }
}

/* Checksums of rows, permutations and levels that a program written from the document alone made.
 */
static uint64_t fnv(const uint8_t *bytes, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001B3u;
    return h;
}

static void tables_are_those_of_the_document(void)
{
    static const struct {
        uint32_t f, threshold, sum;
        int dispersion;
        uint64_t hash;
    } ROWS[] = {{16, 3, 9, 0, 0x8C36E8EDBDBD697Fu},      {5, 7, 11, -3, 0xB52593B44265F703u},
                {16, 7, 40, 0, 0x4160FD920B5C11D3u},     {16, 20, 130, 5, 0x3EF0D7B3BC289DCDu},
                {16, 63, 511, -64, 0x8C0CD80F1D3D7771u}, {9, 63, 511, 64, 0xFE5B6451B7094153u},
                {16, 1, 7, 10, 0x895B12786436AB03u}};
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        pattern_book *book = book_of(ROWS[i].dispersion);
        const uint8_t *row = pattern_row(book, ROWS[i].f, ROWS[i].threshold, ROWS[i].sum);
        CHECK(row && fnv(row, PATTERN_NVARIANTS * PATTERN_NBYTES) == ROWS[i].hash);
        pattern_book_release(book);
    }
    CHECK(fnv(pattern_permutations(PATTERNS_SHUFFLED)[0], 256 * PATTERN_NBYTES) ==
          0xAD6A1D9AFA87B89Du);
}

static void permutations_are_rotations_of_sixteen(void)
{
    const uint8_t(*permutations)[PATTERN_NBYTES] = pattern_permutations(PATTERNS_SHUFFLED);
    CHECK(pattern_permutations(PATTERNS_SHUFFLED) == permutations);
    for (uint32_t number = 0; number < 256; number++) {
        const uint8_t *basic = permutations[number & 0xF0];
        uint32_t seen = 0;
        for (uint32_t i = 0; i < PATTERN_NBYTES; i++) {
            seen |= 1u << permutations[number][i];
            CHECK(permutations[number][i] == basic[(i + number) % 16]);
        }
        CHECK(seen == 0xFFFF);
        for (uint32_t other = 0; other < number; other++)
            CHECK(memcmp(permutations[number], permutations[other], PATTERN_NBYTES) != 0);
    }
}

/* Distribution of the sum of 16 Poisson counts of mean (y/32)^2, cut at the threshold and at 511.
 */
static uint32_t convolve(uint32_t threshold, uint32_t level, double *sums)
{
    const double mean = level / 32.0 * (level / 32.0);
    double pixel[PATTERN_MAX_THRESHOLD + 1] = {1.0};
    for (uint32_t n = 1; n <= threshold; n++)
        pixel[n] = pixel[n - 1] * mean / n;
    memset(sums, 0, (PATTERN_MAX_SUM + 1) * sizeof *sums);
    sums[0] = 1.0;
    for (int k = 0; k < 16; k++) {
        for (uint32_t s = PATTERN_MAX_SUM + 1; s-- > 0;) {
            double total = 0.0;
            for (uint32_t n = 0; n <= min_u32(threshold, s); n++)
                total += sums[s - n] * pixel[n];
            sums[s] = total;
        }
    }
    return min_u32(PATTERN_MAX_SUM, 16 * threshold);
}

static void check_moments(uint32_t threshold, uint32_t level, double mean, double variance)
{
    const level_tables tables = level_tables_get();
    const level_moments *at = level_moments_get(&tables, threshold, level);
    CHECK(at && level_moments_get(&tables, threshold, level) == at);
    CHECK(fabs(16.0 * at->mean[0] - mean) <= 1e-10 * (1.0 + mean));
    CHECK(fabs(16.0 * at->variance[0] - variance) <= 1e-10 * (1.0 + mean * mean));
    for (uint32_t k = 1; k < 3; k++) {
        const uint32_t above = min_u32(level + k, LEVEL_MAX);
        const level_moments *next = level_moments_get(&tables, threshold, above);
        CHECK(next && at->mean[k] == next->mean[0]);
        CHECK(k > 1 || at->variance[k] == next->variance[0]);
    }
}

static void check_level(uint32_t threshold, uint32_t level)
{
    double sums[PATTERN_MAX_SUM + 1];
    const uint32_t largest = convolve(threshold, level, sums);
    const level_table *table = level_get(threshold, level);
    const level_tables tables = level_tables_get();
    const uint32_t number = threshold * LEVEL_NLEVELS + level;
    CHECK(table && level_get(threshold, level) == table);
    double moments[3] = {0.0, 0.0, 0.0};
    for (uint32_t s = 0; s <= largest; s++) {
        moments[0] += sums[s];
        moments[1] += sums[s] * s;
        moments[2] += sums[s] * s * s;
    }
    const double mean = moments[1] / moments[0];
    check_moments(threshold, level, mean, moments[2] / moments[0] - mean * mean);
    double cumulated = 0.0;
    for (uint32_t s = 0; s < largest; s++) {
        cumulated += sums[s];
        CHECK(fabs(table->threshold[s] - 65536.0 * cumulated / moments[0]) < 0.51);
    }
    for (uint32_t s = largest; s <= PATTERN_MAX_SUM; s++)
        CHECK(table->threshold[s] == UINT32_MAX);
    double drawn = 0.0;
    for (uint32_t r = 0, linear = 0; r < 65536; r++) {
        while (linear < largest && table->threshold[linear] <= r)
            linear++;
        CHECK(level_draw(&tables, number, r) == 512 * threshold + linear);
        drawn += linear;
    }
    /* each of the 16 T thresholds is rounded by at most half a step of 1/65536 */
    CHECK(fabs(drawn / 65536.0 - mean) <= 0.51 * largest / 65536.0);
}

static void levels_follow_truncated_poisson_counts(void)
{
    static const uint32_t CASES[][2] = {{0, 50},  {1, 0},   {1, 160}, {3, 20},  {7, 45},
                                        {20, 90}, {31, 96}, {32, 80}, {63, 33}, {63, 160}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        check_level(CASES[i][0], CASES[i][1]);
}

/* ---- version 2: arranged patterns ---- */

/* Sum of squared differences of the rectangles from their share, times 256. */
static int64_t unevenness(const uint8_t *pixel)
{
    int64_t total = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < PATTERN_NBYTES; i++)
        sum += pixel[i];
    for (uint32_t a = 1; a <= 4; a++) {
        for (uint32_t b = 1; b <= 4; b++) {
            for (uint32_t place = 0; place < 16; place++) {
                if ((a == 4 && place / 4) || (b == 4 && place % 4))
                    continue;
                int64_t inside = 0;
                for (uint32_t k = 0; k < a * b; k++)
                    inside += pixel[(place / 4 + k / b) % 4 * 4 + (place + k % b) % 4];
                const int64_t missing = 16 * inside - sum * a * b;
                total += missing * missing;
            }
        }
    }
    return total;
}

/* docs/format.md, "Arrangement", word for word. */
static void arrange_plainly(uint8_t *v)
{
    int has_changed = 1;
    for (int round = 0; round < 8 && has_changed; round++) {
        has_changed = 0;
        for (uint32_t i = 0; i < 15; i++) {
            for (uint32_t j = i + 1; j < 16; j++) {
                uint8_t other[PATTERN_NBYTES];
                memcpy(other, v, sizeof other);
                other[i] = v[j];
                other[j] = v[i];
                if (unevenness(other) < unevenness(v)) {
                    memcpy(v, other, sizeof other);
                    has_changed = 1;
                }
            }
        }
    }
}

/* Arranging makes tiles much more even; no exchange makes them more so. */
static void arranged_tiles_are_those_of_the_document_and_even(void)
{
    static const uint32_t SUMS[][2] = {{1, 5}, {5, 3}, {7, 25}, {9, 40}, {20, 130}, {63, 511}};
    pattern_book *shuffled = ordered_book_of(3, PATTERNS_SHUFFLED);
    pattern_book *arranged = ordered_book_of(3, PATTERNS_ARRANGED);
    for (size_t k = 0; k < sizeof SUMS / sizeof SUMS[0]; k++) {
        int64_t before = 0;
        int64_t after = 0;
        for (uint32_t v = 0; v < PATTERN_NVARIANTS; v++) {
            uint8_t a[PATTERN_NBYTES], b[PATTERN_NBYTES];
            memcpy(a, pattern_row(shuffled, 16, SUMS[k][0], SUMS[k][1]) + 16 * v, 16);
            memcpy(b, pattern_row(arranged, 16, SUMS[k][0], SUMS[k][1]) + 16 * v, 16);
            const int64_t even = unevenness(b);
            before += unevenness(a);
            arrange_plainly(a);
            CHECK(memcmp(a, b, 16) == 0);
            after += even;
            for (uint32_t i = 0; i < 16; i++) {
                for (uint32_t j = 0; j < i; j++) {
                    const uint8_t swapped = b[i];
                    b[i] = b[j];
                    b[j] = swapped;
                    CHECK(unevenness(b) >= even);
                    b[j] = b[i];
                    b[i] = swapped;
                }
            }
        }
        CHECK(4 * after < 3 * before);
    }
    CHECK(memcmp(pattern_row(shuffled, 9, 7, 20), pattern_row(arranged, 9, 7, 20),
                 PATTERN_ROW_NBYTES) == 0);
    pattern_book_release(shuffled);
    pattern_book_release(arranged);
}

static void symmetries_keep_a_tile_as_even(void)
{
    const uint8_t(*permutations)[PATTERN_NBYTES] = pattern_permutations(PATTERNS_ARRANGED);
    uint8_t pixel[PATTERN_NBYTES];
    uint8_t turned[PATTERN_NBYTES];
    uint32_t seen[PATTERN_NBYTES] = {0};
    unsigned state = 11;
    for (uint32_t i = 0; i < PATTERN_NBYTES; i++)
        pixel[i] = (uint8_t)(random_bits(&state) % 9);
    for (uint32_t number = 0; number < 256; number++) {
        for (uint32_t p = 0; p < PATTERN_NBYTES; p++)
            turned[p] = pixel[permutations[number][p]];
        CHECK(unevenness(turned) == unevenness(pixel));
        CHECK(memcmp(permutations[number], permutations[number % 128], PATTERN_NBYTES) == 0);
        seen[permutations[number][5]]++;
    }
    for (uint32_t p = 0; p < PATTERN_NBYTES; p++)
        CHECK(seen[p] == 256 / PATTERN_NBYTES); /* no pixel of a tile is special */
}

int main(void)
{
    arranged_tiles_are_those_of_the_document_and_even();
    symmetries_keep_a_tile_as_even();
    variants_have_their_sum_and_range();
    squares_are_those_of_all_ways_to_share_the_sum();
    squares_of_a_row_follow_the_dispersion();
    tables_are_those_of_the_document();
    permutations_are_rotations_of_sixteen();
    levels_follow_truncated_poisson_counts();
    return 0;
}
