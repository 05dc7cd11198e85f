/* SPDX-License-Identifier: MIT */
/*
 * Ready-made tiles of Poisson counts with a given sum: docs/format.md, "Pattern noise" (Patterns,
 * Permutations).
 *
 * A row holds the 64 variants for f pixels of range 0 to T with the sum S.  A book holds the rows
 * of one kind, each made when it is first asked for; threads share books.
 */
#ifndef BRAGG_PATTERNS_H
#define BRAGG_PATTERNS_H

#include <stdatomic.h>
#include <stddef.h>

#include "pixel.h"

enum {
    PATTERN_SUM_NBITS = 9,
    PATTERN_MAX_SUM = (1 << PATTERN_SUM_NBITS) - 1,
    PATTERN_MAX_THRESHOLD = 63,
    PATTERN_NVARIANTS = 64,
    PATTERN_NBYTES = 16, /* of a variant: pixels f to 15 are 0 */
    PATTERN_ROW_SHIFT = 10,
    PATTERN_ROW_NBYTES = PATTERN_NVARIANTS * PATTERN_NBYTES, /* 2 to this power */
    PATTERN_HALF_THRESHOLD = 15,                             /* up to this, two pixels fit a byte */
    PATTERN_HALF_ROW_NBYTES = PATTERN_ROW_NBYTES / 2,
    PATTERN_MAX_DISPERSION = 64,
    PATTERN_MAX_ROWS = 60 * 1024, /* of a book: with pointers and half rows 68 MiB */
    PATTERN_NKINDS_OF_ROWS = (PATTERN_MAX_THRESHOLD + 1) << PATTERN_SUM_NBITS, /* by T and S */
    PATTERN_NHALF_ROWS = (PATTERN_HALF_THRESHOLD + 1) << PATTERN_SUM_NBITS
};

/* Where the pixels of a full tile stand. */
typedef enum pattern_order {
    PATTERNS_SHUFFLED, /* anywhere */
    PATTERNS_ARRANGED  /* so that parts of the tile hold their share of its sum */
} pattern_order;

/* What the rows of a book have in common. */
typedef struct pattern_kind {
    pattern_order order;
    int dispersion;    /* -64 to 64 */
    uint32_t quarters; /* four times the q of sums whose steps the variance makes up for; 0: none */
} pattern_kind;

typedef struct pattern_book {
    /*
     * The rows of full tiles side by side, so that T * 512 + S says where one is: 0 until made, as
     * is that of the sum 0, then never changed.  The system gives the 32 MiB page by page.
     */
    uint8_t (*full)[PATTERN_ROW_NBYTES];
    /* Those of T up to 15 once more, pixel 2 i in the low and 2 i + 1 in the high half of byte i:
     * caches hold twice as many.  NULL where no kernel draws from them. */
    uint8_t (*half)[PATTERN_HALF_ROW_NBYTES];
    atomic_uchar is_made[PATTERN_NKINDS_OF_ROWS]; /* of these */
    atomic_uint run[PATTERN_MAX_THRESHOLD + 1];   /* pattern_run */
    /* Of fewer than 16 pixels, by f - 1, T and S; NULL until made, then never changed.  The system
     * gives the 4 MiB of pointers page by page: those of one f and T are a page. */
    _Atomic(const uint8_t *) rows[PATTERN_NBYTES - 1][PATTERN_NKINDS_OF_ROWS];
    pattern_kind kind;
    /* Those that suit it. */
    const uint8_t (*permutations)[PATTERN_NBYTES];
    uint32_t nrows;      /* that are made */
    uint32_t nslab_rows; /* of fewer than 16 pixels: in the slabs */
    uint32_t users;      /* the cache itself counts as one */
    struct pattern_slab *slabs;
    void *memory; /* of `full` and `half` */
    struct pattern_book *next;
} pattern_book;

/* The book of a kind; give it back with pattern_book_release. */
h5bragg_status pattern_book_acquire(pattern_kind kind, pattern_book **book);

/* NULL is allowed. */
void pattern_book_release(pattern_book *book);

/* The slow part of pattern_row. */
const uint8_t *pattern_row_make(pattern_book *book, uint32_t f, uint32_t threshold, uint32_t sum);

/*
 * The 64 variants of 16 bytes, aligned to 64 bytes, for 1 <= f <= 16, threshold <= 63 and sum <=
 * min(511, f * threshold), which the caller has checked.  They live as long as the book.  NULL if
 * there is no memory or the book is full, which no frame of a detector brings about.
 */
BRAGG_INLINE const uint8_t *pattern_row(pattern_book *book, uint32_t f, uint32_t threshold,
                                        uint32_t sum)
{
    const uint32_t at = threshold << PATTERN_SUM_NBITS | sum;
    const uint8_t *row = NULL;
    if (f < PATTERN_NBYTES)
        row = atomic_load_explicit(&book->rows[f - 1][at], memory_order_acquire);
    else if (atomic_load_explicit(&book->is_made[at], memory_order_acquire))
        row = book->full[at];
    return row ? row : pattern_row_make(book, f, threshold, sum);
}

/*
 * The longest run of sums whose rows of full tiles are made for a threshold T, in one word:
 * T << 18 | first sum << 9 | last sum.
 */
BRAGG_INLINE uint32_t pattern_run(const pattern_book *book, uint32_t threshold)
{
    return threshold << 2 * PATTERN_SUM_NBITS |
           atomic_load_explicit(&book->run[threshold], memory_order_acquire);
}

BRAGG_INLINE uint32_t pattern_run_first(uint32_t run)
{
    return run >> PATTERN_SUM_NBITS & PATTERN_MAX_SUM;
}

BRAGG_INLINE uint32_t pattern_run_last(uint32_t run) { return run & PATTERN_MAX_SUM; }

/*
 * The weights that rows and levels of one threshold are made of, process-wide.  `pixel` is w_n,
 * `sum[k][s]` is W_k(s), `squares[s]` the sum of squares expected of a full tile with the sum s,
 * 16 G / W_16(s): what the variants of dispersion 0 have on average.
 */
typedef struct pattern_weights {
    double pixel[PATTERN_MAX_THRESHOLD + 1];
    double sum[PATTERN_NBYTES + 1][PATTERN_MAX_SUM + 1];
    double squares[PATTERN_MAX_SUM + 1];
} pattern_weights;

/* NULL if there is no memory. */
const pattern_weights *pattern_weights_get(uint32_t threshold);

/* Draws the variants of a row, PATTERN_ROW_NBYTES; arguments as for pattern_row. */
void pattern_row_fill(const pattern_weights *weights, pattern_kind kind, uint32_t f,
                      uint32_t threshold, uint32_t sum, uint8_t *row);

/* Arranges the pixels of a row of full tiles. */
void pattern_row_arrange(uint8_t *row);

/* 256 permutations for an order: position p of a tile shows pixel [number][p] of the variant. */
const uint8_t (*pattern_permutations(pattern_order order))[PATTERN_NBYTES];

#endif
