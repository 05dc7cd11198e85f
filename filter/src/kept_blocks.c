/* SPDX-License-Identifier: MIT */
/* Kept blocks: docs/format.md, "Kept blocks". */
#include "kept_blocks.h"

#include <math.h>
#include <stdlib.h>

/* Pixels that expect alike are coded together. */
static int value_class(double expected)
{
    if (expected < 0.35)
        return 0;
    if (expected < 1.2)
        return 1;
    return expected < 4.0 ? 2 : 3;
}

static int64_t value_base(double expected) { return (int64_t)floor(expected + 0.5); }

static void write_blocks(const local_grid *grid, const uint8_t *kept, byte_writer *blocks)
{
    size_t next = 0;
    for (size_t k = 0; k < local_nblocks(grid); k++) {
        if (!kept[k])
            continue;
        write_varint(blocks, k - next);
        next = k + 1;
    }
}

BRAGG_INLINE void write_values(const h5bragg_pixel_type type, const bragg_frame *frame,
                               const noise_frame *noise, const double *expected,
                               const local_grid *grid, const uint8_t *kept, byte_writer *values,
                               uint32_t *npixels)
{
    const size_t total = (size_t)frame->ny * frame->nx;
    for (size_t i = 0; i < total; i++) {
        const uint16_t cell = noise->map->cell[i];
        if (cell == BRAGG_NO_CELL || !local_is_kept(grid, kept, i))
            continue;
        const int64_t value = pixel_get(frame->pixels, type, i);
        if (mask_number(&noise->codes, value))
            continue;
        const double e = expected[cell];
        write_varint(&values[value_class(e)], zigzag(value - value_base(e)));
        ++*npixels;
    }
}

void kept_write(const bragg_frame *frame, const noise_frame *noise, const double *expected,
                const local_grid *grid, const uint8_t *kept, byte_writer *blocks,
                byte_writer values[KEPT_NCLASSES], uint32_t *npixels)
{
    *npixels = 0;
    write_blocks(grid, kept, blocks);
    DISPATCH_PIXEL_TYPE(frame->type, write_values, frame, noise, expected, grid, kept, values,
                        npixels)
}

h5bragg_status kept_read_blocks(byte_reader *blocks, const local_grid *grid, uint8_t *kept)
{
    const size_t nblocks = local_nblocks(grid);
    size_t next = 0;
    memset(kept, 0, nblocks);
    while (bytes_left(blocks) > 0) {
        const uint64_t gap = read_varint(blocks);
        if (blocks->failed || gap >= nblocks - next)
            return H5BRAGG_CORRUPT;
        kept[next + gap] = 1;
        next += (size_t)gap + 1;
    }
    return H5BRAGG_OK;
}

/* A list that takes picked and kept pixels in scan order. */
typedef struct merged_list {
    picked_pixels picked;
    uint32_t capacity;
} merged_list;

static h5bragg_status merged_make(const noise_frame *noise, const local_grid *grid,
                                  const uint8_t *kept, const picked_pixels *picked,
                                  merged_list *list)
{
    size_t n = picked->n;
    memset(list, 0, sizeof *list);
    for (size_t k = 0; k < local_nblocks(grid); k++) {
        const local_block b = local_block_at(grid, k);
        n += kept[k] ? (size_t)(b.bottom - b.top) * (b.right - b.left) : 0;
    }
    const size_t npixels = (size_t)noise->map->ny * noise->map->nx;
    list->capacity = (uint32_t)(n < npixels ? n : npixels);
    list->picked.index = malloc((list->capacity + 1u) * sizeof *list->picked.index);
    list->picked.excess = malloc((list->capacity + 1u) * sizeof *list->picked.excess);
    return list->picked.index && list->picked.excess ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

static h5bragg_status merged_append(merged_list *list, size_t index, int64_t excess)
{
    picked_pixels *p = &list->picked;
    if (p->n == list->capacity)
        return H5BRAGG_CORRUPT;
    p->index[p->n] = (uint32_t)index;
    p->excess[p->n] = excess;
    p->n++;
    return H5BRAGG_OK;
}

static h5bragg_status merge_pixels(byte_reader *values, const noise_frame *noise,
                                   const double *expected, const cell_range *range,
                                   const local_grid *grid, const uint8_t *kept, const uint8_t *mask,
                                   const picked_pixels *picked, merged_list *list)
{
    const size_t npixels = (size_t)noise->map->ny * noise->map->nx;
    uint32_t k = 0;
    h5bragg_status status = H5BRAGG_OK;
    for (size_t i = 0; i < npixels && !status; i++) {
        const uint16_t cell = noise->map->cell[i];
        const int is_picked = k < picked->n && picked->index[k] == i;
        if (cell == BRAGG_NO_CELL || mask[i] || !local_is_kept(grid, kept, i)) {
            if (is_picked)
                status = merged_append(list, i, picked->excess[k++]);
            continue;
        }
        const uint64_t coded = read_varint(&values[value_class(expected[cell])]);
        if (is_picked || coded > UINT64_MAX / 4)
            return H5BRAGG_CORRUPT;
        const int64_t value = value_base(expected[cell]) + unzigzag(coded);
        status = merged_append(list, i, value - (range[cell].high + 1));
    }
    return status;
}

h5bragg_status kept_merge(byte_reader values[KEPT_NCLASSES], const noise_frame *noise,
                          const double *expected, const cell_range *range, const local_grid *grid,
                          const uint8_t *kept, const uint8_t *mask, picked_pixels *picked)
{
    merged_list list;
    h5bragg_status status = merged_make(noise, grid, kept, picked, &list);
    if (!status)
        status = merge_pixels(values, noise, expected, range, grid, kept, mask, picked, &list);
    for (int c = 0; c < KEPT_NCLASSES && !status; c++) {
        if (values[c].failed || bytes_left(&values[c]))
            status = H5BRAGG_CORRUPT;
    }
    if (status) {
        picked_free(&list.picked);
        return status;
    }
    picked_free(picked);
    *picked = list.picked;
    return H5BRAGG_OK;
}
