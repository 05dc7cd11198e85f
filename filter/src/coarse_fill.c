/* SPDX-License-Identifier: MIT */
/*
 * Draws coarse blocks: docs/format.md, "Pattern noise" (Coarse blocks).
 *
 * Counts are thrown without looking at how many a pixel may have.  Hardly ever one gets too many:
 * then they are thrown again, and looked at.
 */
#include "coarse_fill.h"

#include "noise_hash.h"
#include "sum_rules.h"

enum { BLOCK_NPIXELS = MACRO_EDGE * MACRO_EDGE * TILE_NPIXELS, COUNT_MAX = 255 };

/* Where the tiles of a block are. */
typedef struct coarse_block {
    const uint16_t *open; /* of its first tile, as all */
    const uint16_t *cell;
    uint8_t *pixel; /* in the strip */
    size_t ntx;     /* from row to row of tiles */
    size_t stride;  /* from row to row of pixels */
    uint32_t nrows; /* of tiles */
    uint32_t ncolumns;
} coarse_block;

static coarse_block block_at(const tile_fill *t, uint32_t block)
{
    const sparse_frame *f = t->frame;
    const ring_map *map = f->model.noise.map;
    const uint32_t first = MACRO_EDGE * block;
    const uint32_t nleft = map->ntx - first;
    return (coarse_block){.open = f->open + first,
                          .cell = map->cell + (size_t)MACRO_EDGE * f->macro_row * map->ntx + first,
                          .pixel = t->strip + (size_t)TILE_EDGE * first,
                          .ntx = map->ntx,
                          .stride = t->stride,
                          .nrows = f->nrows,
                          .ncolumns = nleft < MACRO_EDGE ? nleft : MACRO_EDGE};
}

/* Counts the open pixels, and finds the least of what they may have. */
static void look_at_block(const tile_fill *t, const coarse_block *b, uint32_t *n, uint32_t *least)
{
    *n = 0;
    *least = COUNT_MAX;
    for (uint32_t row = 0; row < b->nrows; row++) {
        for (uint32_t k = 0; k < b->ncolumns; k++) {
            const uint32_t open = b->open[row * b->ntx + k];
            if (open == 0)
                continue;
            const uint32_t most = t->threshold[b->cell[row * b->ntx + k]];
            *n += count_pixels(open);
            *least = most < *least ? most : *least;
        }
    }
}

/* Throws counts at n pixels; one that has what it may have passes a count on. */
static void throw_within(uint32_t state, int64_t sum, uint32_t n, const uint8_t *most,
                         uint8_t *count)
{
    for (; sum > 0; sum--) {
        uint32_t k = (uint32_t)((uint64_t)next_bits(&state) * n >> 32);
        while (count[k] == most[k])
            k = k + 1 < n ? k + 1 : 0;
        count[k]++;
    }
}

/* What the numbered pixels may have. */
static void list_most(const tile_fill *t, const coarse_block *b, uint8_t *most)
{
    for (uint32_t row = 0; row < b->nrows; row++) {
        for (uint32_t k = 0; k < b->ncolumns; k++) {
            const size_t at = row * b->ntx + k;
            const uint32_t f = count_pixels(b->open[at]);
            if (f)
                memset(most, t->threshold[b->cell[at]], f);
            most += f;
        }
    }
}

/* Puts counts of a tile where its open pixels are; returns those behind. */
BRAGG_INLINE const uint8_t *put_tile(uint8_t *pixel, size_t stride, uint16_t open,
                                     const uint8_t *count)
{
    for (uint32_t row = 0; row < TILE_EDGE; row++, pixel += stride) {
        if (open == 0xFFFF) {
            memcpy(pixel, count, TILE_EDGE);
            count += TILE_EDGE;
            continue;
        }
        for (uint32_t k = 0; k < TILE_EDGE; k++) {
            if (open >> (TILE_EDGE * row + k) & 1)
                pixel[k] = *count++;
        }
    }
    return count;
}

static void put_counts(const coarse_block *b, const uint8_t *count)
{
    for (uint32_t row = 0; row < b->nrows; row++) {
        uint8_t *pixel = b->pixel + row * TILE_EDGE * b->stride;
        for (uint32_t k = 0; k < b->ncolumns; k++)
            count = put_tile(pixel + (size_t)TILE_EDGE * k, b->stride, b->open[row * b->ntx + k],
                             count);
    }
}

/* Likewise those of a block all of whose pixels are open. */
static void put_whole(const coarse_block *b, const uint8_t *count)
{
    for (uint32_t row = 0; row < MACRO_EDGE * TILE_EDGE; row++) {
        const uint8_t *from =
            count + row / TILE_EDGE * (MACRO_EDGE * TILE_NPIXELS) + row % TILE_EDGE * TILE_EDGE;
        for (uint32_t k = 0; k < MACRO_EDGE; k++)
            memcpy(b->pixel + row * b->stride + TILE_EDGE * k, from + TILE_NPIXELS * k, TILE_EDGE);
    }
}

void coarse_fill(const tile_fill *t, uint32_t block)
{
    const sum_grid *grid = &t->frame->grid;
    const uint32_t state = t->frame->hash[MACRO_EDGE * block] | 1;
    const int64_t sum = grid->coarse_sum[block];
    const int is_whole = sum_grid_is_whole(grid, block);
    const coarse_block b = block_at(t, block);
    uint8_t count[BLOCK_NPIXELS];
    uint32_t n = BLOCK_NPIXELS;
    uint32_t least = grid->least_high[block];
    if (!is_whole)
        look_at_block(t, &b, &n, &least);
    if (n == 0 || sum == 0) /* the sum of a block without open pixels is nothing */
        return;
    if (sum > COUNT_MAX || !t->kernels->throw_counts(state, (uint32_t)sum, n, least, count)) {
        uint8_t most[BLOCK_NPIXELS];
        memset(count, 0, sizeof count);
        list_most(t, &b, most);
        throw_within(state, sum, n, most, count);
    }
    if (is_whole)
        put_whole(&b, count);
    else
        put_counts(&b, count);
}
