/* SPDX-License-Identifier: MIT */
/*
 * Which pattern each tile of a row gets: docs/format.md, "Pattern noise" (Levels, Drawing), in
 * plain C, which is the reference, and with AVX2 and AVX-512.
 */
#ifndef BRAGG_PATTERN_CHOICE_H
#define BRAGG_PATTERN_CHOICE_H

#include "cpu_level.h"
#include "levels.h"
#include "lines_ahead.h"
#include "ring_map.h"

/* In place of what is known of a cell of a pattern ring: it is of a general one. */
static const uint32_t CHOICE_NO_PATTERN = 0x80000000u;

/* Numbers that a cell may have, with that of blank tiles. */
enum { CHOICE_NCELLS = BRAGG_NO_CELL + 1 };

/* What a frame's cells say. */
typedef struct pattern_cells {
    pattern_book *book;
    /* Per cell, with room for CHOICE_NCELLS: kernels look up closed tiles as well, though what
     * there is for these means nothing.  pattern_run of its threshold as it was some time ago;
     * kernels bring it up to date where they meet sums that were missing. */
    uint32_t *run;
    /* Per cell, without local counts, in even and odd places of the board: T * LEVEL_NLEVELS * 256
     * plus the level in units of 1/256.  With room likewise. */
    uint32_t (*level)[2];
} pattern_cells;

/* A row of tiles.  Tiles that get no pattern get the empty one and any permutation. */
typedef struct choice_row {
    uint32_t ntx;
    uint32_t is_odd; /* the board's place of the first tile */
    const uint16_t *cell;
    const uint16_t *open;     /* pixels that are drawn */
    const uint32_t *hash;     /* H of the tiles */
    uint64_t more_seed;       /* without local counts: H' is the hash with this seed */
    uint32_t first_number;    /* likewise: of the first tile */
    const int64_t *sum;       /* with local counts */
    const uint8_t *is_coarse; /* likewise, per macro block, and zeros for MACRO_EDGE more */
    lines_ahead *ahead;       /* asked for meanwhile; NULL: nothing is */
    uint32_t *variant;        /* out: where in the rows of full tiles, in units of 2 bytes */
    uint8_t *permutation;
    uint32_t *cut; /* with local counts: tiles of which only some pixels are drawn */
    uint32_t ncut;
    int has_general; /* out: some drawn tile is of a general ring */
} choice_row;

/* Both return 0 if there is no memory for a row of the book. */
typedef int choose_function(const pattern_cells *cells, choice_row *row);

typedef struct choice_kernels {
    choose_function *by_level; /* the sum is drawn from the level of the cell */
    choose_function *by_sum;   /* whole tiles get their sum; others are listed in row->cut */
} choice_kernels;

const choice_kernels *choice_kernels_get(cpu_level level);

extern const choice_kernels CHOICE_KERNELS_SCALAR;
#if defined(BRAGG_X86_64)
extern const choice_kernels CHOICE_KERNELS_AVX512;
choose_function choice_by_level_avx2;
choose_function choice_by_sum_avx2;
#endif

/* As choose_function, in plain C, of the tiles from `first` on: they add to ncut and has_general.
 */
int choice_by_level_from(const pattern_cells *cells, choice_row *row, uint32_t first);
int choice_by_sum_from(const pattern_cells *cells, choice_row *row, uint32_t first);

_Static_assert(PATTERN_ROW_NBYTES == 1 << PATTERN_ROW_SHIFT, "kernels shift");

enum { CHOICE_VARIANT_SHIFT = 17, CHOICE_PERMUTATION_SHIFT = 24 };

/* Makes sure that a row of full tiles is there, by T * 512 + S; 0 if there is no memory for it. */
BRAGG_INLINE int choice_has_row(pattern_book *book, uint32_t at)
{
    return pattern_row(book, PATTERN_NBYTES, at >> PATTERN_SUM_NBITS, at & PATTERN_MAX_SUM) != NULL;
}

/* T * 512 + S, T being that of a run. */
BRAGG_INLINE uint32_t choice_at(uint32_t run, int64_t sum)
{
    return run >> 2 * PATTERN_SUM_NBITS << PATTERN_SUM_NBITS | (uint32_t)sum;
}

/* What number of byte in its row a tile's variant begins at. */
BRAGG_INLINE uint32_t choice_variant(uint32_t hash)
{
    return PATTERN_NBYTES * (hash >> CHOICE_VARIANT_SHIFT & (PATTERN_NVARIANTS - 1));
}

/* Gives a tile the pattern of T * 512 + S, which is made. */
BRAGG_INLINE void choice_put_made(choice_row *r, uint32_t k, uint32_t at)
{
    const uint32_t hash = r->hash[k];
    r->variant[k] = (at * PATTERN_ROW_NBYTES + choice_variant(hash)) / 2;
    r->permutation[k] = (uint8_t)(hash >> CHOICE_PERMUTATION_SHIFT);
}

/* Likewise one that may not be; returns 0 if there is no memory. */
BRAGG_INLINE int choice_put(const pattern_cells *cells, choice_row *r, uint32_t k, uint32_t at)
{
    choice_put_made(r, k, at);
    return choice_has_row(cells->book, at);
}

/* How many thresholds are <= r16, from one on; that of the largest sum is above all. */
typedef uint32_t count_reached_function(const uint32_t *threshold, uint32_t r16);

/*
 * Tiles that the guide is not sure of, as level_draw does them: n of those from `first` on, with
 * their places in the guides.  They are one in a hundred, which no branch foresees, and their
 * thresholds are hardly ever in a cache: as nothing here waits for those of the tile before, some
 * are fetched at once.  Returns 0 if there is no memory.
 */
BRAGG_INLINE int choice_draw_unsure(count_reached_function *count_reached,
                                    const pattern_cells *cells, choice_row *r, uint32_t first,
                                    const uint32_t *place, const uint32_t *tile, uint32_t n)
{
    const level_tables tables = level_tables_get();
    int has_all = 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t number = place[tile[i]] >> LEVEL_GUIDE_SHIFT;
        const uint32_t k = first + tile[i];
        const uint32_t r16 = r->hash[k] & 0xFFFF;
        const uint32_t at = tables.guide[number][r16 >> LEVEL_GUIDE_SHIFT] & LEVEL_GUIDE_AT;
        const uint32_t *threshold = tables.table[number].threshold + (at & PATTERN_MAX_SUM);
        has_all &= choice_put(cells, r, k, at + count_reached(threshold, r16));
    }
    return has_all;
}

/* As choice_has_row, for the sums of tiles, given by bits from tile `first` on, that were not in
 * the runs of their cells. */
int choice_rows_make(const pattern_cells *cells, const choice_row *row, uint32_t first,
                     uint32_t tiles);

#endif
