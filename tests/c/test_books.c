/* SPDX-License-Identifier: MIT */
/* Books of patterns: threads share their rows, and know which of them are made. */
#include <pthread.h>
#include <string.h>

#include "cpu_level.h"
#include "levels.h"
#include "pattern_rows.h"

enum { NTHREADS = 4, NSUMS = 120, NBOOKS = 12 };

static void *race(void *argument)
{
    const unsigned number = *(const unsigned *)argument;
    const uint8_t *first[NSUMS];
    const level_tables tables = level_tables_get();
    pattern_book *book = book_of(3);
    for (uint32_t i = 0; i < NSUMS; i++) {
        const uint32_t sum = (i + 30 * number) % NSUMS;
        first[sum] = pattern_row(book, 16, 11, sum);
        check_row(first[sum], 16, 11, sum);
        CHECK(book->permutations[17][0] == book->permutations[16][1]);
        CHECK(level_get(11, sum) && level_moments_get(&tables, 11, sum)->mean[2] <= 11.0);
    }
    for (unsigned k = 0; k < 4 * NBOOKS; k++) { /* more books than the cache holds */
        pattern_book *other = book_of((int)((k + number) % NBOOKS) + 4);
        check_row(pattern_row(other, 16, 5, 20), 16, 5, 20);
        pattern_book_release(other);
    }
    for (uint32_t sum = 0; sum < NSUMS; sum++)
        CHECK(pattern_row(book, 16, 11, sum) == first[sum]);
    pattern_book_release(book);
    return NULL;
}

static void threads_share_rows(void)
{
    pthread_t thread[NTHREADS];
    unsigned number[NTHREADS];
    for (unsigned k = 0; k < NTHREADS; k++) {
        number[k] = k;
        CHECK(pthread_create(&thread[k], NULL, race, &number[k]) == 0);
    }
    for (unsigned k = 0; k < NTHREADS; k++)
        CHECK(pthread_join(thread[k], NULL) == 0);
}

/* Runs of T * 2^18 + first * 2^9 + last: the longest of what is made, however it came about. */
static void runs_are_the_longest_of_rows_that_are_made(void)
{
    static const uint32_t SUMS[] = {40, 42, 41, 90, 93, 92, 91, 94, 0, 1};
    static const uint32_t RUNS[][2] = {{0, 0},   {0, 0},   {40, 42}, {40, 42}, {40, 42},
                                       {40, 42}, {90, 93}, {90, 94}, {90, 94}, {90, 94}};
    pattern_book *book = book_of(-3);
    CHECK(pattern_run(book, 9) == 9u << 18);
    for (size_t k = 0; k < sizeof SUMS / sizeof SUMS[0]; k++) {
        CHECK(pattern_row(book, 16, 9, SUMS[k]) == book->full[9 * 512 + SUMS[k]]);
        const uint32_t run = pattern_run(book, 9);
        CHECK(run >> 18 == 9);
        CHECK(pattern_run_first(run) == RUNS[k][0] && pattern_run_last(run) == RUNS[k][1]);
    }
    CHECK(pattern_run(book, 8) == 8u << 18 && pattern_run(book, 10) == 10u << 18);
    pattern_book_release(book);
}

/* Sums of the guide of a level that are sure have their rows. */
static void rows_of_a_level_are_made(void)
{
    pattern_book *book = book_of(-4);
    const level_tables tables = level_tables_get();
    for (uint32_t level = 0; level <= LEVEL_MAX; level += 20) {
        const level_table *table = level_get(13, level);
        CHECK(table && table->first <= table->last && level_rows_make(book, 13, table));
        for (uint32_t i = 0; i < LEVEL_GUIDE_SIZE; i++) {
            const uint32_t guide = tables.guide[13 * LEVEL_NLEVELS + level][i];
            const uint32_t at = guide & LEVEL_GUIDE_AT;
            if (guide & LEVEL_GUIDE_UNSURE)
                continue;
            CHECK(level == 0 ? at == 13 * 512 : atomic_load(&book->is_made[at])); /* 0: no counts */
            CHECK(!(guide >> LEVEL_GUIDE_STEP_BIT) || atomic_load(&book->is_made[at + 1]));
        }
    }
    pattern_book_release(book);
}

/* Two pixels a byte, where they are small enough and kernels want it. */
static void half_rows_are_those_of_full_tiles(void)
{
    pattern_book *book = book_of(5);
    if (bragg_cpu_level() == CPU_AVX512)
        CHECK(book->half != NULL);
    for (uint32_t threshold = 14; book->half && threshold <= 16; threshold++) {
        for (uint32_t sum = 0; sum < 16 * threshold; sum += 37) {
            const uint32_t at = threshold << PATTERN_SUM_NBITS | sum;
            const uint8_t *row = pattern_row(book, 16, threshold, sum);
            for (uint32_t i = 0; i < PATTERN_HALF_ROW_NBYTES && threshold < 16; i++)
                CHECK(book->half[at][i] == (row[2 * i] | row[2 * i + 1] << 4));
        }
    }
    pattern_book_release(book);
}

/* `nrows` is set by hand: to fill a book takes seconds. */
static void a_full_book_says_so_and_a_half_full_one_is_replaced(void)
{
    pattern_book *book = book_of(-1);
    const uint8_t *row = pattern_row(book, 4, 4, 4);
    book->nrows = PATTERN_MAX_ROWS;
    CHECK(pattern_row(book, 4, 4, 5) == NULL && pattern_row(book, 16, 4, 5) == NULL);
    CHECK(pattern_row(book, 4, 4, 4) == row);
    pattern_book *fresh = book_of(-1);
    CHECK(fresh != book && check_row(pattern_row(fresh, 4, 4, 5), 4, 4, 5) > 0);
    CHECK(memcmp(pattern_row(fresh, 4, 4, 4), row, PATTERN_NVARIANTS * PATTERN_NBYTES) == 0);
    pattern_book_release(book);
    pattern_book_release(fresh);
    pattern_book_release(NULL);
}

int main(void)
{
    threads_share_rows();
    runs_are_the_longest_of_rows_that_are_made();
    rows_of_a_level_are_made();
    half_rows_are_those_of_full_tiles();
    a_full_book_says_so_and_a_half_full_one_is_replaced();
    return 0;
}
