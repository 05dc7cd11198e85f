/* SPDX-License-Identifier: MIT */
/* Picked pixels: docs/format.md, "Picked pixels". */
#include "picking.h"

#include <stdlib.h>

/* A list that grows; n stays below 2^32 because a frame does. */
typedef struct picked_list {
    picked_pixels *picked;
    size_t capacity;
    int failed;
} picked_list;

static int list_grow(picked_list *list)
{
    const size_t capacity = list->capacity ? 2 * list->capacity : 16384;
    uint32_t *index = realloc(list->picked->index, capacity * sizeof *index);
    if (index)
        list->picked->index = index;
    int64_t *excess = realloc(list->picked->excess, capacity * sizeof *excess);
    if (excess)
        list->picked->excess = excess;
    list->failed = !index || !excess;
    list->capacity = list->failed ? list->capacity : capacity;
    return !list->failed;
}

static void list_append(picked_list *list, size_t index, int64_t excess)
{
    picked_pixels *p = list->picked;
    if (p->n == list->capacity && !list_grow(list))
        return;
    p->index[p->n] = (uint32_t)index;
    p->excess[p->n] = excess;
    p->has_negative |= excess < 0;
    p->n++;
}

BRAGG_INLINE void select_pixels(const h5bragg_pixel_type type, const bragg_frame *frame,
                                const noise_frame *noise, const cell_range *range,
                                const uint8_t *static_mask, picked_list *list)
{
    const size_t npixels = (size_t)frame->ny * frame->nx;
    for (size_t i = 0; i < npixels && !list->failed; i++) {
        const uint16_t cell = noise->map->cell[i];
        const int64_t value = pixel_get(frame->pixels, type, i);
        const int is_free = cell != BRAGG_NO_CELL && !(static_mask && static_mask[i]);
        if (is_free && value >= range[cell].low && value <= range[cell].high)
            continue;
        if (mask_number(&noise->codes, value))
            continue;
        list_append(list, i, value - (cell == BRAGG_NO_CELL ? 0 : range[cell].high + 1));
    }
}

h5bragg_status picked_select(const bragg_frame *frame, const noise_frame *noise,
                             const cell_range *range, const uint8_t *static_mask,
                             picked_pixels *picked)
{
    picked_list list = {picked, 0, 0};
    memset(picked, 0, sizeof *picked);
    DISPATCH_PIXEL_TYPE(frame->type, select_pixels, frame, noise, range, static_mask, &list)
    return list.failed ? H5BRAGG_NO_MEMORY : H5BRAGG_OK;
}

void picked_free(picked_pixels *picked)
{
    free(picked->index);
    free(picked->excess);
    memset(picked, 0, sizeof *picked);
}

void picked_write(const picked_pixels *picked, byte_writer *gaps, byte_writer *excesses)
{
    uint32_t next = 0;
    for (uint32_t k = 0; k < picked->n; k++) {
        const int64_t excess = picked->excess[k];
        write_varint(gaps, picked->index[k] - next);
        write_varint(excesses, picked->has_negative ? zigzag(excess) : (uint64_t)excess);
        next = picked->index[k] + 1;
    }
}

h5bragg_status picked_read(byte_reader *gaps, byte_reader *excesses, uint32_t n, int has_negative,
                           size_t npixels, picked_pixels *picked)
{
    memset(picked, 0, sizeof *picked);
    if (n > bytes_left(gaps) || n > bytes_left(excesses))
        return H5BRAGG_CORRUPT;
    picked->index = malloc((n + 1u) * sizeof *picked->index);
    picked->excess = malloc((n + 1u) * sizeof *picked->excess);
    if (!picked->index || !picked->excess)
        return H5BRAGG_NO_MEMORY;
    size_t next = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint64_t gap = read_varint(gaps);
        const uint64_t excess = read_varint(excesses);
        if (gap >= npixels - next || excess > UINT64_MAX / 4)
            return H5BRAGG_CORRUPT;
        picked->index[k] = (uint32_t)(next + gap);
        picked->excess[k] = has_negative ? unzigzag(excess) : (int64_t)excess;
        next += (size_t)gap + 1;
    }
    picked->n = n;
    picked->has_negative = has_negative;
    if (gaps->failed || excesses->failed || bytes_left(gaps) || bytes_left(excesses))
        return H5BRAGG_CORRUPT;
    return H5BRAGG_OK;
}

int picked_values_fit(const picked_pixels *picked, const noise_frame *noise,
                      const cell_range *range)
{
    const int64_t low = pixel_minimum(noise->type);
    const int64_t high = pixel_maximum(noise->type);
    for (uint32_t k = 0; k < picked->n; k++) {
        const int64_t value = picked_value(picked, noise->map, range, k);
        if (value < low || value > high)
            return 0;
    }
    return 1;
}

BRAGG_INLINE void place_pixels(const h5bragg_pixel_type type, const picked_pixels *picked,
                               const ring_map *map, const cell_range *range, void *pixels)
{
    for (uint32_t k = 0; k < picked->n; k++)
        pixel_set(pixels, type, picked->index[k], picked_value(picked, map, range, k));
}

void picked_apply(const picked_pixels *picked, const noise_frame *noise, const cell_range *range,
                  void *pixels)
{
    DISPATCH_PIXEL_TYPE(noise->type, place_pixels, picked, noise->map, range, pixels)
}
