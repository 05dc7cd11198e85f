/* SPDX-License-Identifier: MIT */
/* Every kernel chooses the patterns that plain C chooses. */
#include <string.h>

#include "check.h"
#include "pattern_choice.h"

enum {
    NCELLS = 40,
    MAX_NTX = 1100, /* more than kernels have at a time */
    NROUNDS = 60,
    LEVEL_UNITS = 256
};

typedef struct chosen {
    uint32_t variant[MAX_NTX];
    uint8_t permutation[MAX_NTX];
    uint32_t cut[MAX_NTX];
    choice_row row;
} chosen;

typedef struct tiles {
    uint16_t cell[MAX_NTX];
    uint16_t open[MAX_NTX];
    uint32_t hash[MAX_NTX];
    int64_t sum[MAX_NTX];
    uint8_t is_coarse[MAX_NTX];
    uint64_t more_seed;
    uint32_t first_number;
} tiles;

static uint8_t frame[5000]; /* whose lines are asked for */
static lines_ahead ahead;
static uint32_t run_of[CHOICE_NCELLS];
static uint32_t level_of[CHOICE_NCELLS][2];

static uint32_t random_word(unsigned *state)
{
    return random_bits(state) << 16 ^ random_bits(state);
}

/* Cells of all thresholds; every seventh is of a general ring. */
static void make_cells(pattern_book *book, unsigned *state)
{
    for (uint32_t c = 0; c < NCELLS; c++) {
        const uint32_t threshold = (c * 63 + NCELLS - 2) / (NCELLS - 1) % 64;
        run_of[c] = level_of[c][0] = level_of[c][1] = CHOICE_NO_PATTERN;
        if (c % 7 == 3)
            continue;
        run_of[c] = pattern_run(book, threshold);
        for (int k = 0; k < 2; k++) {
            const uint32_t x =
                c == 0 ? LEVEL_MAX * LEVEL_UNITS : random_bits(state) % (LEVEL_MAX * LEVEL_UNITS);
            level_of[c][k] = threshold * LEVEL_NLEVELS * LEVEL_UNITS + x;
            for (uint32_t up = 0; up < LEVEL_UNITS; up += LEVEL_UNITS - 1) {
                const level_table *table = level_get(threshold, (x + up) / LEVEL_UNITS);
                CHECK(table && level_rows_make(book, threshold, table));
            }
        }
    }
}

/* In some rounds all tiles are in the tails of their levels, where the guide is not sure. */
static void make_tiles(unsigned *state, int are_tails, tiles *t)
{
    t->more_seed = (uint64_t)random_word(state) << 32 | random_word(state);
    t->first_number = random_word(state);
    for (uint32_t k = 0; k < MAX_NTX; k++) {
        const uint32_t kind = random_bits(state) % 8;
        t->open[k] = kind == 0 ? 0 : kind == 1 ? (uint16_t)random_bits(state) : 0xFFFF;
        t->cell[k] = t->open[k] ? (uint16_t)(random_bits(state) % NCELLS) : 0xFFFF;
        t->hash[k] = random_word(state);
        t->is_coarse[k] = random_bits(state) % 5 == 0;
        if (are_tails || random_bits(state) % 4 == 0)
            t->hash[k] = (t->hash[k] & 0xFFFF0000u) | (0xFFFF - random_bits(state) % 50);
        const uint32_t threshold = t->open[k] ? run_of[t->cell[k]] >> 18 & 63 : 0;
        const uint32_t most = 16 * threshold < 511 ? 16 * threshold : 511;
        t->sum[k] = random_bits(state) % (most + 1);
    }
}

static void choose(const choice_kernels *kernels, int has_sum, const pattern_cells *cells,
                   const tiles *t, uint32_t ntx, uint32_t is_odd, chosen *result)
{
    memset(result, 0, sizeof *result);
    ahead = lines_ahead_of(frame, sizeof frame);
    result->row = (choice_row){.ntx = ntx,
                               .is_odd = is_odd,
                               .cell = t->cell,
                               .open = t->open,
                               .hash = t->hash,
                               .more_seed = t->more_seed,
                               .first_number = t->first_number,
                               .sum = t->sum,
                               .is_coarse = t->is_coarse,
                               .ahead = &ahead,
                               .variant = result->variant,
                               .permutation = result->permutation,
                               .cut = result->cut};
    CHECK((has_sum ? kernels->by_sum : kernels->by_level)(cells, &result->row));
}

/* The rows of the patterns are there, whoever made them. */
static void check_rows(const pattern_book *book, const tiles *t, int has_sum, const chosen *c)
{
    for (uint32_t k = 0; k < c->row.ntx; k++) {
        const uint8_t *pattern = book->full[0] + 2 * (size_t)c->variant[k];
        uint32_t sum = 0;
        for (uint32_t i = 0; i < PATTERN_NBYTES; i++)
            sum += pattern[i];
        CHECK(sum == (c->variant[k] / PATTERN_HALF_ROW_NBYTES & PATTERN_MAX_SUM));
        if (has_sum && c->variant[k])
            CHECK(t->open[k] == 0xFFFF && sum == t->sum[k]);
    }
}

/* Runs as they were before anything was made, in some cells. */
static void forget_runs(unsigned *state)
{
    for (uint32_t c = 0; c < NCELLS; c++) {
        if (run_of[c] != CHOICE_NO_PATTERN && random_bits(state) % 3 == 0)
            run_of[c] &= 63u << 18;
    }
}

static void check_same(const chosen *a, const chosen *b)
{
    CHECK(memcmp(a->variant, b->variant, sizeof a->variant) == 0);
    for (uint32_t k = 0; k < a->row.ntx; k++)
        CHECK(a->variant[k] == 0 || a->permutation[k] == b->permutation[k]);
    CHECK(a->row.ncut == b->row.ncut && a->row.has_general == b->row.has_general);
    CHECK(memcmp(a->cut, b->cut, sizeof a->cut) == 0);
}

int main(void)
{
    const choice_kernels *kernels = choice_kernels_get(bragg_cpu_level());
    pattern_cells cells = {.run = run_of, .level = level_of};
    static chosen plain;
    static chosen other;
    static tiles t;
    unsigned state = 5;
    CHECK(pattern_book_acquire((pattern_kind){PATTERNS_ARRANGED, 7, 4}, &cells.book) == H5BRAGG_OK);
    make_cells(cells.book, &state);
    for (uint32_t round = 0; round < NROUNDS; round++) {
        const int are_tails = round % 8 == 7;
        const uint32_t ntx = round < 40  ? 1 + round
                             : are_tails ? MAX_NTX
                                         : 1 + random_bits(&state) % (round < 50 ? 90 : MAX_NTX);
        make_tiles(&state, are_tails, &t);
        forget_runs(&state);
        for (int has_sum = 0; has_sum < 2; has_sum++) { /* whoever is first makes the rows */
            choose(kernels, has_sum, &cells, &t, ntx, round & 1, &other);
            check_rows(cells.book, &t, has_sum, &other);
            choose(&CHOICE_KERNELS_SCALAR, has_sum, &cells, &t, ntx, round & 1, &plain);
            check_rows(cells.book, &t, has_sum, &plain);
            check_same(&plain, &other);
        }
    }
    pattern_book_release(cells.book);
    return 0;
}
