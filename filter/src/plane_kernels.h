/* SPDX-License-Identifier: MIT */
/*
 * The loops over the pixels of a frame, one set of them for each kind of processor.  plane_scalar.c
 * is the reference; the others give the same results and come from plane_simd.h, which is included
 * once for each width of vector.
 *
 * A group is 64 pixels of a row or, of four rows, 16 tiles.  Kernels work on whole groups: rows of
 * bytes have a multiple of 64 of them and are zero beyond the frame's edge.
 */
#ifndef BRAGG_PLANE_KERNELS_H
#define BRAGG_PLANE_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu_level.h"
#include "ring_map.h"
#include "settings.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define BRAGG_HAVE_X86_KERNELS 1
#else
#define BRAGG_HAVE_X86_KERNELS 0
#endif

enum {
    GROUP_NPIXELS = 64,
    MOST_SQUARES = 0xFFFF,  /* of a tile: those of patterns are fewer by far */
    BYTE_LOOKUP = 255,      /* the byte of a pixel that must be looked up in the frame */
    HISTOGRAM_NCOUNTS = 64, /* counters of a cell */
    HISTOGRAM_NDARK = 16,   /* of them kernels serve so many, which have 16 bits: */
    DARK_MAX_NTILES = 0xFFFF / TILE_NPIXELS /* of a cell before they overflow */
};

/*
 * Mask codes as kernels compare them.  Pixels are taken as unsigned numbers of their width: then
 * negative ones are just very large, and signed and unsigned types are the same.
 */
typedef struct raw_codes {
    uint32_t n;
    uint32_t code[BRAGG_MAX_MASK_VALUES];
    uint8_t least; /* no byte below carries a code */
} raw_codes;

/* What a group of one row holds; bit i is its pixel i. */
typedef struct group_bits {
    uint64_t masked; /* carries a mask code; the byte is 0 */
    uint64_t lookup; /* the byte is BYTE_LOOKUP */
} group_bits;

/* Arrays with one entry per tile, from the first tile of a row of tiles. */
typedef struct tile_outputs {
    uint16_t *sum;
    uint16_t *squares; /* at most MOST_SQUARES */
    uint8_t *largest;
    uint8_t *has_large;
} tile_outputs;

/*
 * Tiles side by side that are to be counted: value is the first byte of the first, the other arrays
 * are theirs.  Of all but the cells there is a whole number of groups.
 */
typedef struct counted_row {
    const uint8_t *value;
    size_t stride;
    uint32_t ntiles;
    const uint16_t *cell; /* a row of counters for each that occurs */
    const uint16_t *valid;
    const uint8_t *largest;
} counted_row;

/* The cells of a row by groups: those beyond the last tile are BRAGG_NO_CELL. */
typedef struct grouped_cells {
    const uint16_t *cell;
    size_t ngroups;
    uint16_t last[GROUP_NTILES]; /* of the last group, and of those behind it */
} grouped_cells;

static inline grouped_cells group_cells(const uint16_t *cell, uint32_t ntiles)
{
    grouped_cells cells = {.cell = cell, .ngroups = (ntiles + GROUP_NTILES - 1u) / GROUP_NTILES};
    const size_t first = (cells.ngroups - 1) * GROUP_NTILES;
    memset(cells.last, 0xFF, sizeof cells.last);
    memcpy(cells.last, cell + first, (ntiles - first) * sizeof *cells.last);
    return cells;
}

static inline const uint16_t *cells_of(const grouped_cells *cells, size_t group)
{
    return group + 1 < cells->ngroups ? cells->cell + group * GROUP_NTILES : cells->last;
}

/* A listed pixel: its column of tiles, its number in the tile, and its byte. */
static inline uint32_t bright_pixel(uint32_t column, uint32_t p, uint8_t byte)
{
    return column << 16 | p << 8 | byte;
}

static inline uint32_t bright_column(uint32_t pixel) { return pixel >> 16; }

static inline uint32_t bright_number(uint32_t pixel) { return pixel >> 8 & 0xFF; }

static inline uint8_t bright_byte(uint32_t pixel) { return (uint8_t)pixel; }

/*
 * Where a kernel keeps columns while it lists the pixels of so many tiles: behind these, half a
 * page of 4 KiB from where they start.  Processors tell by the last 12 bits of addresses whether a
 * load has to wait for a store of just now.
 */
enum { PAGE_NENTRIES = 1024 };

static inline size_t list_columns_at(uint32_t ntiles)
{
    return ((size_t)TILE_NPIXELS * ntiles / PAGE_NENTRIES + 1) * PAGE_NENTRIES + PAGE_NENTRIES / 2;
}

/* Entries that listing them takes: pixels, columns of half an entry, and what vectors write more.
 */
static inline size_t list_nentries(uint32_t ntiles)
{
    return list_columns_at(ntiles) + (ntiles + 1) / 2 + GROUP_NTILES;
}

/*
 * Rows of pixels of one width: where the first begins, and how far in its array, in elements, the
 * next one is.  Kernels go through them by turns, some groups of each: memory is faster when
 * several places of it are read at a time.
 */
typedef struct narrowed_rows {
    uint32_t n;
    size_t ngroups;        /* in each, and so many pixels behind them, fewer than a group's: */
    size_t nrest;          /* narrowed as if zeros followed */
    const uint8_t *pixels; /* of 8, 16 or 32 bits */
    size_t pixels_step;
    uint8_t *value; /* a byte for each of them, and for what is missing of a group */
    size_t value_step;
    group_bits *bits; /* of the groups of a row, as is found */
    size_t bits_step;
    uint8_t *found; /* bit k: pixels of the group carry code k.  Bits are added. */
    size_t found_step;
} narrowed_rows;

typedef void (*narrow_kernel)(const narrowed_rows *rows, const raw_codes *codes);

enum { NARROW_AT_ONCE = 2 /* groups of a row, before it is the next one's turn */ };

/*
 * What the sum of a box, nine bytes, means in a tile: the largest that is still chance; beyond what
 * it is a peak, at least as much; and eight bits for other uses.  All in one word, as looking up
 * what tiles have is what costs time: the low bytes of both, then the others, and the rest of both.
 */
enum { BOX_NEVER = 0xFFF /* no sum is beyond that */, BOX_MOST_PEAK = 0x7FF };

/* Of words with cuts of 255 or more, but where no box is beyond chance: bytes do not serve. */
static const uint32_t BOX_IS_WIDE = 0x80000000u;

static inline uint32_t box_word(uint32_t chance, uint32_t peak, uint8_t other)
{
    const int is_wide = chance != BOX_NEVER && (chance >= 0xFF || peak >= 0xFF);
    return (chance & 0xFF) | (peak & 0xFF) << 8 | (uint32_t)other << 16 | (chance & 0xF00) << 16 |
           (peak & 0x700) << 20 | (is_wide ? BOX_IS_WIDE : 0);
}

static inline uint32_t box_chance(uint32_t word) { return (word & 0xFF) | (word >> 16 & 0xF00); }

/* Peaks are beyond chance in any case. */
static inline uint32_t box_peak(uint32_t word)
{
    const uint32_t peak = (word >> 8 & 0xFF) | (word >> 20 & 0x700);
    return peak > box_chance(word) ? peak : box_chance(word);
}

static inline uint8_t box_other(uint32_t word) { return (uint8_t)(word >> 16); }

/* A row of tiles whose boxes are looked at.  Reads one byte beyond groups on every side. */
typedef struct boxed_row {
    const uint8_t *value; /* the first byte */
    size_t stride;
    uint32_t nrows; /* of pixels, in the frame */
    uint32_t ntiles;
    const uint16_t *cell; /* of the tiles */
    const uint32_t *word; /* of cells, and of BRAGG_NO_CELL */
} boxed_row;

/*
 * What is found of the columns of a row of tiles: bit j % 8 of byte j / 8 is column j, for whole
 * groups.  Columns beyond the last tile have nothing.
 */
typedef struct box_hits {
    uint8_t *some;  /* boxes around some of the four pixels are beyond chance: */
    uint8_t *first; /* that of the first, */
    uint8_t *last;  /* and of the fourth */
    uint8_t *upper; /* the first or second are peaks, */
    uint8_t *lower; /* and the third or fourth */
    uint8_t *other; /* the other bits of the tiles' words: a byte a tile, for whole groups */
} box_hits;

typedef struct plane_kernels {
    narrow_kernel narrow8;
    narrow_kernel narrow16;
    narrow_kernel narrow32;

    /* Sums over the bytes of 16 * ngroups tiles; returns the sum of them all. */
    uint64_t (*describe)(const uint8_t *value, size_t stride, size_t ngroups,
                         const tile_outputs *out);

    /*
     * Adds the valid pixels whose byte is below HISTOGRAM_NDARK to the counters of their cells:
     * rows of HISTOGRAM_NDARK, aligned to 32 bytes.  Those of BRAGG_NO_CELL may get anything.
     */
    void (*count)(const counted_row *row, uint16_t *counter);

    /*
     * Lists the others of the row's ntiles tiles as bright_pixel has them, in the order of tiles
     * and of their pixels; returns their number.  Writes any of list_nentries of them.
     */
    size_t (*list)(const counted_row *row, uint32_t *pixel);

    /* Compares the sums over the 3 x 3 bytes around pixels with their tiles' words. */
    void (*box)(const boxed_row *row, const box_hits *hits);
} plane_kernels;

extern const plane_kernels plane_scalar;
#if BRAGG_HAVE_X86_KERNELS
extern const plane_kernels plane_sse4;
extern const plane_kernels plane_avx2;
extern const plane_kernels plane_avx512;
#endif

/* Asks for memory that is to be read soon. */
static inline void ask_for(const void *memory)
{
#if defined(__GNUC__)
    __builtin_prefetch(memory);
#else
    (void)memory;
#endif
}

/*
 * Asks for a group of the next row of tiles, for passes over bytes that have long left the nearer
 * caches: the processor's own prefetching begins anew with every row of pixels.  A whole row is
 * too much for the first cache, which has counters to hold.
 */
static inline void ask_for_next_group(const uint8_t *value, size_t stride)
{
#if defined(__GNUC__)
    for (size_t i = TILE_EDGE; i < 2 * TILE_EDGE; i++)
        __builtin_prefetch(value + i * stride, 0, 2);
#else
    (void)value, (void)stride;
#endif
}

/* Pixels of a tile that are not valid, by their bits. */
static inline uint32_t count_invalid(uint16_t valid)
{
    uint32_t n = valid ^ 0xFFFFu; /* its bits are counted two, four, ... at a time */
    n = (n & 0x5555) + (n >> 1 & 0x5555);
    n = (n & 0x3333) + (n >> 2 & 0x3333);
    n = (n & 0x0F0F) + (n >> 4 & 0x0F0F);
    return (n & 0xFF) + (n >> 8);
}

/* As plane_kernels has it, in portable C. */
size_t plane_scalar_list(const counted_row *row, uint32_t *pixel);

/* The kernels of a level; those of plane_scalar.c where there are no others. */
const plane_kernels *plane_kernels_of(cpu_level level);

#endif
