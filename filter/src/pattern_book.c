/* SPDX-License-Identifier: MIT */
/* Books of patterns: a row is made when it is first asked for, and kept; threads share books. */
#include <stdlib.h>
#include <string.h>

#include "cpu_level.h"
#include "lock.h"
#include "patterns.h"

enum { ROW_ALIGNMENT = 64, SLAB_NROWS = 64, CACHE_SIZE = 8 };

struct pattern_slab {
    struct pattern_slab *next;
    uint8_t bytes[SLAB_NROWS * PATTERN_ROW_NBYTES + ROW_ALIGNMENT];
};

static pattern_book *cache_head; /* most recently used first, guarded as new rows are */

static uint8_t *aligned(uint8_t *bytes)
{
    return bytes + (ROW_ALIGNMENT - (uintptr_t)bytes % ROW_ALIGNMENT) % ROW_ALIGNMENT;
}

static void free_book(pattern_book *book)
{
    while (book->slabs) {
        struct pattern_slab *slab = book->slabs;
        book->slabs = slab->next;
        free(slab);
    }
    free(book->memory);
    free(book);
}

/* Room for one more row, or NULL. */
static uint8_t *new_row(pattern_book *book)
{
    if (book->nslab_rows % SLAB_NROWS == 0) {
        struct pattern_slab *slab = malloc(sizeof *slab);
        if (!slab)
            return NULL;
        slab->next = book->slabs;
        book->slabs = slab;
    }
    uint8_t *bytes = aligned(book->slabs->bytes);
    return bytes + (book->nslab_rows++ % SLAB_NROWS) * PATTERN_ROW_NBYTES;
}

/* Puts a row of fewer pixels in its place. */
static const uint8_t *place_part(pattern_book *book, uint32_t f, uint32_t at, const uint8_t *made)
{
    _Atomic(const uint8_t *) *slot = &book->rows[f - 1][at];
    const uint8_t *row = atomic_load_explicit(slot, memory_order_relaxed);
    uint8_t *room = NULL;
    if (row || book->nrows == PATTERN_MAX_ROWS || !(room = new_row(book)))
        return row;
    memcpy(room, made, PATTERN_ROW_NBYTES);
    book->nrows++;
    atomic_store_explicit(slot, room, memory_order_release);
    return room;
}

static int is_made(const pattern_book *book, uint32_t at)
{
    return atomic_load_explicit(&book->is_made[at], memory_order_relaxed);
}

/* A row of a full tile has come to the others: perhaps to the longest run of them. */
static void note_run(pattern_book *book, uint32_t at)
{
    const uint32_t threshold = at >> PATTERN_SUM_NBITS;
    const uint32_t start = threshold << PATTERN_SUM_NBITS;
    const uint32_t stop = start + PATTERN_MAX_SUM;
    const uint32_t known = pattern_run(book, threshold);
    uint32_t first = at;
    uint32_t last = at;
    while (first > start && is_made(book, first - 1))
        first--;
    while (last < stop && is_made(book, last + 1))
        last++;
    if (last - first > pattern_run_last(known) - pattern_run_first(known))
        atomic_store_explicit(&book->run[threshold],
                              (first - start) << PATTERN_SUM_NBITS | (last - start),
                              memory_order_release);
}

/* A row with two pixels a byte. */
static void halve(const uint8_t *row, uint8_t *half)
{
    for (uint32_t i = 0; i < PATTERN_HALF_ROW_NBYTES; i++)
        half[i] = (uint8_t)(row[2 * i] | row[2 * i + 1] << 4);
}

/* Likewise a row of a full tile.  That of the sum 0 is there, and others may be reading it. */
static const uint8_t *place_full(pattern_book *book, uint32_t at, const uint8_t *made)
{
    if (is_made(book, at))
        return book->full[at];
    if (book->nrows == PATTERN_MAX_ROWS)
        return NULL;
    if (at & PATTERN_MAX_SUM) {
        memcpy(book->full[at], made, PATTERN_ROW_NBYTES);
        if (book->half && at < PATTERN_NHALF_ROWS)
            halve(made, book->half[at]);
    }
    book->nrows++;
    atomic_store_explicit(&book->is_made[at], 1, memory_order_release);
    note_run(book, at);
    return book->full[at];
}

/* Rows are filled outside the lock: threads that start with an empty book share the work. */
const uint8_t *pattern_row_make(pattern_book *book, uint32_t f, uint32_t threshold, uint32_t sum)
{
    const pattern_weights *w = pattern_weights_get(threshold);
    if (!w)
        return NULL;
    uint8_t made[PATTERN_ROW_NBYTES];
    pattern_row_fill(w, book->kind, f, threshold, sum, made);
    if (book->kind.order == PATTERNS_ARRANGED && f == PATTERN_NBYTES)
        pattern_row_arrange(made);
    const uint32_t at = threshold << PATTERN_SUM_NBITS | sum;
    lock_acquire(LOCK_PATTERN_BOOKS);
    const uint8_t *row =
        f < PATTERN_NBYTES ? place_part(book, f, at, made) : place_full(book, at, made);
    lock_release(LOCK_PATTERN_BOOKS);
    return row;
}

static void drop_user(pattern_book *book)
{
    if (--book->users == 0)
        free_book(book);
}

static int is_wanted(const pattern_book *book, pattern_kind kind)
{
    return book->kind.order == kind.order && book->kind.dispersion == kind.dispersion &&
           book->kind.quarters == kind.quarters;
}

/* Takes a book out of the cache: the one that is wanted, or the one at a place. */
static pattern_book *take_cached(pattern_kind kind, int place)
{
    int n = 0;
    for (pattern_book **at = &cache_head; *at; at = &(*at)->next, n++) {
        pattern_book *book = *at;
        if (is_wanted(book, kind) || n == place) {
            *at = book->next;
            return book;
        }
    }
    return NULL;
}

static pattern_book *new_book(pattern_kind kind)
{
    pattern_book *book = calloc(1, sizeof *book);
    if (!book)
        return NULL;
    book->memory = calloc(1, PATTERN_NKINDS_OF_ROWS * sizeof *book->full +
                                 PATTERN_NHALF_ROWS * sizeof *book->half + ROW_ALIGNMENT);
    if (!book->memory) {
        free(book);
        return NULL;
    }
    book->full = (void *)aligned(book->memory);
    if (bragg_cpu_level() == CPU_AVX512)
        book->half = (void *)book->full[PATTERN_NKINDS_OF_ROWS];
    book->kind = kind;
    book->permutations = pattern_permutations(kind.order);
    book->users = 1;
    return book;
}

/* A book that is half full makes way for a new one, so that none fills up in the end. */
h5bragg_status pattern_book_acquire(pattern_kind kind, pattern_book **result)
{
    lock_acquire(LOCK_PATTERN_BOOKS);
    pattern_book *book = take_cached(kind, CACHE_SIZE - 1);
    if (book && (!is_wanted(book, kind) || book->nrows > PATTERN_MAX_ROWS / 2)) {
        drop_user(book);
        book = NULL;
    }
    if (!book)
        book = new_book(kind);
    if (book) {
        book->next = cache_head;
        cache_head = book;
        book->users++;
        *result = book;
    }
    lock_release(LOCK_PATTERN_BOOKS);
    return book ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void pattern_book_release(pattern_book *book)
{
    if (!book)
        return;
    lock_acquire(LOCK_PATTERN_BOOKS);
    drop_user(book);
    lock_release(LOCK_PATTERN_BOOKS);
}
