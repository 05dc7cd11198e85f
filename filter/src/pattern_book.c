/* SPDX-License-Identifier: MIT */
/* Books of patterns: a row is made when it is first asked for, and kept; threads share books. */
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "patterns.h"

enum { ROW_ALIGNMENT = 64, SLAB_NROWS = 64, CACHE_SIZE = 8 };

struct pattern_slab {
    struct pattern_slab *next;
    uint8_t bytes[SLAB_NROWS * PATTERN_ROW_NBYTES + ROW_ALIGNMENT];
};

static pattern_book *cache_head; /* most recently used first, guarded as new rows are */

static void free_book(pattern_book *book)
{
    while (book->slabs) {
        struct pattern_slab *slab = book->slabs;
        book->slabs = slab->next;
        free(slab);
    }
    free(book);
}

/* Room for one more row, or NULL. */
static uint8_t *new_row(pattern_book *book)
{
    if (book->nrows == PATTERN_MAX_ROWS)
        return NULL;
    if (book->nrows % SLAB_NROWS == 0) {
        struct pattern_slab *slab = malloc(sizeof *slab);
        if (!slab)
            return NULL;
        slab->next = book->slabs;
        book->slabs = slab;
    }
    uint8_t *bytes = book->slabs->bytes;
    bytes += (ROW_ALIGNMENT - (uintptr_t)bytes % ROW_ALIGNMENT) % ROW_ALIGNMENT;
    return bytes + (book->nrows++ % SLAB_NROWS) * PATTERN_ROW_NBYTES;
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
    _Atomic(const uint8_t *) *slot = &book->rows[f - 1][threshold][sum];
    lock_acquire(LOCK_PATTERN_BOOKS);
    const uint8_t *row = atomic_load_explicit(slot, memory_order_relaxed);
    if (!row) {
        uint8_t *room = new_row(book);
        if (room) {
            memcpy(room, made, sizeof made);
            atomic_store_explicit(slot, room, memory_order_release);
        }
        row = room;
    }
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

/* A book that is half full makes way for a new one, so that none fills up in the end. */
h5bragg_status pattern_book_acquire(pattern_kind kind, pattern_book **result)
{
    lock_acquire(LOCK_PATTERN_BOOKS);
    pattern_book *book = take_cached(kind, CACHE_SIZE - 1);
    if (book && (!is_wanted(book, kind) || book->nrows > PATTERN_MAX_ROWS / 2)) {
        drop_user(book);
        book = NULL;
    }
    if (!book && (book = calloc(1, sizeof *book))) {
        book->kind = kind;
        book->permutations = pattern_permutations(kind.order);
        book->users = 1;
    }
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
