/* SPDX-License-Identifier: MIT */
/*
 * A weak reflection need not have a single pixel above the threshold, but its pixels together stand
 * out of the background.  The sum of a 3 x 3 box around every pixel is compared with the largest
 * one that is still chance; where it is larger, the tiles that the box touches are stored exactly
 * (docs/format.md, "Kept flags").  Peaks have wings: where the sum is far larger, so are the tiles
 * that one pixel around the box touches.
 *
 * Kernels leave a bit a column of pixels; whether a tile is touched follows from the bits of three
 * rows of tiles and of neighbouring columns, many tiles at a time and without branches: where
 * something is found is a matter of chance.
 */
#include "box_search.h"

#include <string.h>

#include "cpu_level.h"
#include "scratch.h"

enum {
    COLUMNS = 8, /* of a byte of bits, which are two tiles */
    NARRAYS = 5, /* of bits, of a row */
    SLACK = 64,  /* bytes before and after them, which are 0 */
    VECTOR = 32  /* bytes: loops go through whole vectors */
};

/* Bytes that the bits of a row have. */
static size_t count_bytes(const ring_map *map)
{
    return ring_map_ngroups(map) * GROUP_NPIXELS / COLUMNS;
}

h5bragg_status box_search_make(const counts_plane *plane, const ring_map *map, const uint32_t *word,
                               box_search *s)
{
    const size_t nbytes = count_bytes(map) + SLACK;
    const size_t nothers = ring_map_ngroups(map) * GROUP_NTILES;
    *s = (box_search){.plane = plane, .map = map, .word = word};
    s->memory =
        scratch_take_zeros(SLACK + (BOX_NROWS * NARRAYS + 2) * nbytes + BOX_NROWS * nothers, 1);
    if (!s->memory)
        return H5BRAGG_NO_MEMORY;
    uint8_t *at = s->memory + SLACK;
    uint8_t *other = at + (BOX_NROWS * NARRAYS + 2) * nbytes;
    for (uint32_t k = 0; k < BOX_NROWS; k++) {
        s->hits[k] = (box_hits){at,
                                at + nbytes,
                                at + 2 * nbytes,
                                at + 3 * nbytes,
                                at + 4 * nbytes,
                                other + k * nothers};
        at += NARRAYS * nbytes;
    }
    s->touching = at;
    s->near = at + nbytes;
    return H5BRAGG_OK;
}

void box_search_free(box_search *s)
{
    scratch_give(s->memory);
    *s = (box_search){0};
}

/* Boxes are not centred beyond the frame's edge: there is nothing in these columns. */
static void clear_beyond(const ring_map *map, uint8_t *bits)
{
    const size_t first = map->nx / COLUMNS;
    const size_t n = count_bytes(map);
    if (first == n)
        return;
    bits[first] &= (uint8_t)((1u << map->nx % COLUMNS) - 1);
    memset(bits + first + 1, 0, n - first - 1);
}

/* Hits of a row of tiles; none below the frame. */
static void look_at_row(box_search *s, uint32_t row)
{
    const ring_map *map = s->map;
    const box_hits *hits = &s->hits[row % BOX_NROWS];
    if (row >= map->nty) {
        memset(hits->first, 0, count_bytes(map));
        memset(hits->upper, 0, count_bytes(map));
        return;
    }
    const uint32_t nleft = map->ny - TILE_EDGE * row;
    const boxed_row boxed = {.value = s->plane->value + (size_t)row * TILE_EDGE * s->plane->stride,
                             .stride = s->plane->stride,
                             .nrows = nleft < TILE_EDGE ? nleft : TILE_EDGE,
                             .ntiles = map->ntx,
                             .cell = map->cell + (size_t)row * map->ntx,
                             .word = s->word};
    s->plane->kernels->box(&boxed, hits);
    clear_beyond(map, hits->some);
    clear_beyond(map, hits->first);
    clear_beyond(map, hits->last);
    clear_beyond(map, hits->upper);
    clear_beyond(map, hits->lower);
}

/* What reaches a row of tiles from it, and from those above and below.  Loops for vectors. */
BRAGG_INLINE void join_three(const uint8_t *restrict above, const uint8_t *restrict here,
                             const uint8_t *restrict below, size_t n, uint8_t *restrict joined)
{
    for (size_t k = 0; k < n; k++)
        joined[k] = above[k] | here[k] | below[k];
}

BRAGG_INLINE void join(const uint8_t *restrict more, size_t n, uint8_t *restrict joined)
{
    for (size_t k = 0; k < n; k++)
        joined[k] |= more[k];
}

/* Two tiles have pixels 0 to 3 and 4 to 7 of a byte; a box reaches one pixel beyond its middle. */
BRAGG_INLINE void keep_reached(const uint8_t *restrict touching, const uint8_t *restrict near,
                               size_t n, uint8_t *restrict kept)
{
    for (size_t k = 0; k < n; k++) {
        const uint8_t *t = touching + k;
        const uint8_t *p = near + k;
        const uint8_t touch0 = (t[0] & 0x1F) | (t[-1] & 0x80);
        const uint8_t touch1 = (t[0] & 0xF8) | (t[1] & 0x01);
        const uint8_t near0 = (p[0] & 0x3F) | (p[-1] & 0xC0);
        const uint8_t near1 = (p[0] & 0xFC) | (p[1] & 0x03);
        kept[2 * k] = (uint8_t)((touch0 ? BOX_TOUCHES : 0) | (near0 ? BOX_IS_NEAR : 0));
        kept[2 * k + 1] = (uint8_t)((touch1 ? BOX_TOUCHES : 0) | (near1 ? BOX_IS_NEAR : 0));
    }
}

BRAGG_INLINE void keep_row(const box_search *s, uint32_t row, uint8_t *kept)
{
    const box_hits *above = &s->hits[(row + 2) % BOX_NROWS];
    const box_hits *here = &s->hits[row % BOX_NROWS];
    const box_hits *below = &s->hits[(row + 1) % BOX_NROWS];
    const size_t n = (count_bytes(s->map) + VECTOR - 1) / VECTOR * VECTOR;
    join_three(above->last, here->some, below->first, n, s->touching);
    join_three(above->lower, here->upper, below->upper, n, s->near);
    join(here->lower, n, s->near);
    keep_reached(s->touching, s->near, n, kept);
}

static void keep_plainly(const box_search *s, uint32_t row, uint8_t *kept)
{
    keep_row(s, row, kept);
}

#if defined(BRAGG_X86_64)
/* The same in longer vectors. */
__attribute__((target("avx2"))) static void keep_avx2(const box_search *s, uint32_t row,
                                                      uint8_t *kept)
{
    keep_row(s, row, kept);
}
#endif

static void keep(const box_search *s, uint32_t row, uint8_t *kept)
{
#if BRAGG_HAVE_X86_KERNELS
    if (s->plane->kernels == &plane_avx2 || s->plane->kernels == &plane_avx512) {
        keep_avx2(s, row, kept);
        return;
    }
#endif
    keep_plainly(s, row, kept);
}

const uint8_t *box_search_row(box_search *s, uint32_t row, uint8_t *kept)
{
    if (row == 0)
        look_at_row(s, 0);
    look_at_row(s, row + 1);
    keep(s, row, kept);
    return s->hits[row % BOX_NROWS].other;
}
