/* SPDX-License-Identifier: MIT */
/*
 * Finds mask codes: docs/format.md, "Mask".
 *
 * Detector gaps and bad pixels are rectangles, so rows are compared with the row above: stretches
 * that differ from it are collected, and rectangles made of them.
 */
#include "mask.h"

#include "mask_quads.h"
#include "mask_rectangles.h"
#include "scratch.h"
#include "tile_sums.h" /* count_bits */

typedef struct change_list {
    mask_change *change;
    size_t n;
    size_t capacity;
    int failed;
    uint8_t *above; /* code numbers of the row above, padded to whole quads */
    uint32_t *quad; /* first columns of tiles of the quads to look at */
    uint32_t nmasked;
} change_list;

static void add_change(change_list *c, size_t pixel, uint8_t number, int starts_row)
{
    mask_change *last = c->n ? &c->change[c->n - 1] : NULL;
    if (last && last->stop == pixel && last->number == number && !starts_row) {
        last->stop++;
        return;
    }
    if (c->n == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 1024;
        mask_change *grown = scratch_grow(c->change, capacity * sizeof *grown);
        c->failed |= grown == NULL;
        if (!grown)
            return;
        c->change = grown;
        c->capacity = capacity;
    }
    c->change[c->n++] = (mask_change){pixel, pixel + 1, number};
}

/* Pixels [j, stop) of row i, of which bits of `masked` carry a code. */
BRAGG_INLINE void collect_pixels(const h5bragg_pixel_type type, const bragg_frame *frame,
                                 const bragg_mask_codes *codes, uint32_t i, uint32_t j,
                                 uint32_t stop, uint32_t masked, change_list *c)
{
    const size_t row = (size_t)i * frame->nx;
    for (; j < stop; j++, masked >>= 1) {
        const uint8_t number =
            masked & 1 ? mask_number(codes, pixel_get(frame->pixels, type, row + j)) : 0;
        if (number == c->above[j])
            continue;
        c->above[j] = number;
        add_change(c, row + j, number, j == 0);
    }
}

/* Pixels of a quad in the frame that are not valid. */
static uint32_t count_masked(const mask_tiles *tiles, uint32_t t)
{
    const ring_map *map = tiles->map;
    uint32_t n = 0;
    if (tiles->row + 1 < map->nty && t + QUAD_NTILES < map->ntx) {
        const uint64_t masked = ~valid_of_quad(tiles->valid, map, t);
        return count_bits((uint32_t)masked) + count_bits((uint32_t)(masked >> 32));
    }
    for (uint32_t k = t; k < t + QUAD_NTILES && k < map->ntx; k++)
        n += count_bits(tile_inside(map, tiles->row, k) & ~(uint32_t)tiles->valid[k]);
    return n;
}

/* Lists the quads of a row of tiles to look at; counts masked pixels. */
static uint32_t list_quads(const mask_tiles *tiles, change_list *c)
{
    const uint32_t n = mask_quads_list(tiles, c->quad);
    for (uint32_t k = 0; k < n; k++)
        c->nmasked += count_masked(tiles, c->quad[k]);
    return mask_quads_drop(tiles, c->quad, n);
}

/* Whether 16 pixels equal 16 others. */
BRAGG_INLINE int are_equal(const uint8_t *a, const uint8_t *b, const size_t nbytes)
{
    uint64_t different = 0;
    for (size_t i = 0; i < TILE_NPIXELS * nbytes; i += sizeof different) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        different |= x ^ y;
    }
    return different == 0;
}

/* Whether those pixels of a quad in row i that are masked are as in the row above. */
BRAGG_INLINE int are_as_above(const h5bragg_pixel_type type, const bragg_frame *frame, uint32_t i,
                              uint32_t j, uint32_t masked)
{
    const size_t nbytes = type == H5BRAGG_U8                           ? 1
                          : type == H5BRAGG_U16 || type == H5BRAGG_I16 ? 2
                                                                       : 4; /* a constant */
    const size_t at = (size_t)i * frame->nx + j;
    const uint8_t *here = (const uint8_t *)frame->pixels + at * nbytes;
    if (masked == 0xFFFF)
        return are_equal(here, here - frame->nx * nbytes, nbytes);
    for (size_t k = at; masked; k++, masked >>= 1) {
        if (masked & 1 &&
            pixel_get(frame->pixels, type, k) != pixel_get(frame->pixels, type, k - frame->nx))
            return 0;
    }
    return 1;
}

/* Pixels of row i that are not valid, of a quad. */
BRAGG_INLINE uint32_t masked_of_row(const uint16_t *valid, const ring_map *map, uint32_t t,
                                    uint32_t i)
{
    return masked_rows(valid_of_quad(valid, map, t)) >> 16 * (i % TILE_EDGE) & 0xFFFF;
}

/*
 * What is masked as in the row above, by equal pixels, need not be looked at.  `above` is what is
 * valid in the row of tiles of the row above.
 */
BRAGG_INLINE void collect_row(const h5bragg_pixel_type type, const bragg_frame *frame,
                              const bragg_mask_codes *codes, const uint16_t *valid,
                              const uint16_t *above, const ring_map *map, uint32_t i,
                              uint32_t nquads, change_list *c)
{
    for (uint32_t k = 0; k < nquads; k++) {
        const uint32_t j = TILE_EDGE * c->quad[k];
        const uint32_t stop = frame->nx - j < TILE_NPIXELS ? frame->nx : j + TILE_NPIXELS;
        const uint32_t inside = (1u << (stop - j)) - 1;
        const uint32_t masked = masked_of_row(valid, map, c->quad[k], i) & inside;
        const uint32_t before = i == 0 ? 0 : masked_of_row(above, map, c->quad[k], i - 1) & inside;
        if (masked != before || (masked && !are_as_above(type, frame, i, j, masked)))
            collect_pixels(type, frame, codes, i, j, stop, masked, c);
    }
}

BRAGG_INLINE void collect_rows(const h5bragg_pixel_type type, const mask_source *source,
                               const ring_map *map, change_list *c)
{
    const bragg_frame *frame = source->frame;
    const uint16_t *valid = source->valid;
    const uint16_t *above = valid;
    const uint8_t *found = source->found;
    const uint8_t *found_above = found;
    const size_t ngroups = ring_map_ngroups(map);
    for (uint32_t tile_row = 0; tile_row < map->nty; tile_row++, valid += map->ntx) {
        const uint32_t first = TILE_EDGE * tile_row;
        const uint32_t last = frame->ny - first < TILE_EDGE ? frame->ny : first + TILE_EDGE;
        const mask_tiles tiles = {frame, map, tile_row, valid, above, found, found_above};
        const uint32_t nquads = list_quads(&tiles, c);
        for (uint32_t i = first; i < last && nquads; i++) {
            collect_row(type, frame, source->codes, valid, above, map, i, nquads, c);
            above = valid;
        }
        above = valid;
        found_above = found;
        found = found ? found + ngroups : NULL;
    }
}

h5bragg_status mask_write(const mask_source *source, const ring_map *map, byte_writer *w,
                          uint32_t *nmasked)
{
    const bragg_frame *frame = source->frame;
    change_list c = {.above = scratch_take_zeros((size_t)map->ntx * TILE_EDGE + TILE_NPIXELS, 1)};
    c.quad = scratch_take((map->ntx / QUAD_NTILES + 1u) * sizeof *c.quad);
    c.failed = !c.above || !c.quad;
    if (!c.failed) {
        DISPATCH_PIXEL_TYPE(frame->type, collect_rows, source, map, &c)
    }
    h5bragg_status status = c.failed ? H5BRAGG_NO_MEMORY : H5BRAGG_OK;
    if (!status)
        status = mask_rectangles_write(c.change, c.n, frame->ny, frame->nx, w);
    *nmasked = c.nmasked;
    scratch_give(c.above);
    scratch_give(c.quad);
    scratch_give(c.change);
    return status;
}
