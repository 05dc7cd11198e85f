/* SPDX-License-Identifier: MIT */
/*
 * Draws coarse blocks: docs/format.md, "Pattern noise" (Coarse blocks).
 *
 * Counts are thrown without looking at how many a pixel may have, in some blocks at once.  Hardly
 * ever one gets too many, or so it seems from the least that any pixel of the block may have: then
 * they are thrown again, and looked at.
 */
#include "coarse_fill.h"

#include "noise_hash.h"
#include "sum_rules.h"

enum { COUNT_MAX = 255 };

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

/* What the numbered pixels may have; returns how many there are. */
static uint32_t list_most(const tile_fill *t, const coarse_block *b, uint8_t *most)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < b->nrows; row++) {
        for (uint32_t k = 0; k < b->ncolumns; k++) {
            const size_t at = row * b->ntx + k;
            const uint32_t f = count_pixels(b->open[at]);
            if (f)
                memset(most + n, t->threshold[b->cell[at]], f);
            n += f;
        }
    }
    return n;
}

/* Looks at what each pixel may have. */
static void fill_carefully(const tile_fill *t, uint32_t number)
{
    const sum_grid *grid = &t->frame->grid;
    const uint32_t block = grid->coarse[number];
    const coarse_block b = block_at(t, block);
    uint8_t count[BLOCK_NPIXELS] = {0};
    uint8_t most[BLOCK_NPIXELS];
    const uint32_t n = list_most(t, &b, most);
    throw_within(grid->coarse_hash[number] | 1, grid->coarse_sum[number], n, most, count);
    t->kernels->put_counts(count, grid->coarse_open + (size_t)BLOCK_NROWS * number, COUNT_MAX,
                           b.pixel, b.stride);
}

/* Some blocks whose counts are thrown together. */
typedef struct coarse_batch {
    throw_blocks thrown;
    uint32_t number[THROW_NBLOCKS]; /* in the list of coarse blocks */
    uint32_t n;
} coarse_batch;

static void add_block(const sum_grid *grid, uint32_t number, coarse_batch *batch)
{
    const uint32_t k = batch->n++;
    batch->number[k] = number;
    batch->thrown.state[k] = grid->coarse_hash[number] | 1;
    batch->thrown.n[k] = (uint32_t)grid->coarse_sum[number];
    memcpy(batch->thrown.open + BLOCK_NROWS * k, grid->coarse_open + (size_t)BLOCK_NROWS * number,
           BLOCK_NROWS * sizeof *grid->coarse_open);
}

/* Draws the blocks of a batch, and leaves it empty. */
static void fill_batch(const tile_fill *t, coarse_batch *batch)
{
    throw_blocks *thrown = &batch->thrown;
    uint8_t count[THROW_ROOM];
    for (uint32_t k = batch->n; k < THROW_NBLOCKS; k++) {
        thrown->state[k] = thrown->n[k] = 0;
        memset(thrown->open + BLOCK_NROWS * k, 0, BLOCK_NROWS * sizeof *thrown->open);
    }
    t->kernels->throw_counts(thrown, count);
    for (uint32_t k = 0; k < batch->n; k++) {
        const uint32_t block = t->frame->grid.coarse[batch->number[k]];
        uint8_t *pixels = t->strip + (size_t)MACRO_EDGE * TILE_EDGE * block;
        if (!t->kernels->put_counts(count + BLOCK_NPIXELS * k, thrown->open + BLOCK_NROWS * k,
                                    t->frame->grid.least_high[block], pixels, t->stride))
            fill_carefully(t, batch->number[k]);
    }
    batch->n = 0;
}

/* The number of the block behind those that are as this one. */
static uint32_t run_stop(const sum_grid *grid, uint32_t block, uint32_t nblocks)
{
    uint32_t stop = block + 1;
    if (grid->ncoarse == 0)
        return nblocks;
    while (stop < nblocks && grid->is_coarse[stop] == grid->is_coarse[block])
        stop++;
    return stop;
}

void coarse_fill_find_runs(tile_fill *t)
{
    const sum_grid *grid = &t->frame->grid;
    const uint32_t nblocks = ring_map_nblocks(t->frame->model.noise.map);
    const size_t block_edge = (size_t)MACRO_EDGE * TILE_EDGE;
    uint32_t stop = 0;
    t->nruns = 0;
    for (uint32_t first = 0; first < nblocks && t->nruns < COARSE_MOST_RUNS; first = stop) {
        stop = t->run_stop[t->nruns++] = run_stop(grid, first, nblocks);
        if (grid->ncoarse == 0 || !grid->is_coarse[first])
            continue;
        for (size_t k = 0; k < block_edge; k++)
            memset(t->strip + k * t->stride + block_edge * first, 0, block_edge * (stop - first));
    }
    if (stop < nblocks)
        t->nruns = 0;
}

void coarse_fill(const tile_fill *t)
{
    const sum_grid *grid = &t->frame->grid;
    coarse_batch batch;
    batch.n = 0;
    for (uint32_t k = 0; k < grid->nlisted; k++) {
        if (grid->coarse_sum[k] > COUNT_MAX)
            fill_carefully(t, k);
        else if (grid->coarse_sum[k] > 0)
            add_block(grid, k, &batch);
        if (batch.n == THROW_NBLOCKS)
            fill_batch(t, &batch);
    }
    if (batch.n > 0)
        fill_batch(t, &batch);
}
