/* SPDX-License-Identifier: MIT */
/* Per-cell histograms of a frame in one pass. */
#include "histogram.h"

#include <stdlib.h>

/* A pixel whose value has no counter, in scan order. */
typedef struct overflow_pixel {
    uint32_t value;
    uint32_t cell;
} overflow_pixel;

typedef struct overflow_list {
    overflow_pixel *pixel;
    size_t n;
    size_t capacity;
    int failed;
} overflow_list;

static void overflow_append(overflow_list *list, uint32_t value, uint32_t cell)
{
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 4096;
        overflow_pixel *grown = realloc(list->pixel, capacity * sizeof *grown);
        if (!grown) {
            list->failed = 1;
            return;
        }
        list->pixel = grown;
        list->capacity = capacity;
    }
    list->pixel[list->n++] = (overflow_pixel){value, cell};
}

BRAGG_INLINE void count_pixels(const h5bragg_pixel_type type, const bragg_frame *frame,
                               const bragg_mask_codes *codes, const uint8_t *static_mask,
                               const ring_map *map, histogram *h, overflow_list *list)
{
    const size_t npixels = (size_t)frame->ny * frame->nx;
    for (size_t i = 0; i < npixels && !list->failed; i++) {
        const uint16_t cell = map->cell[i];
        const int64_t value = pixel_get(frame->pixels, type, i);
        if (cell == BRAGG_NO_CELL || (static_mask && static_mask[i]))
            continue;
        if (mask_number(codes, value))
            continue;
        if (value >= 0 && value < HISTOGRAM_NCOUNTS) {
            h->count[(size_t)cell * HISTOGRAM_NCOUNTS + (size_t)value]++;
            continue;
        }
        h->has_negative |= value < 0;
        overflow_append(list, (uint32_t)(value - h->value_offset), cell);
    }
}

/* Counting sort of the overflow list by cell. */
static h5bragg_status sort_overflow(histogram *h, const overflow_list *list)
{
    h->overflow = malloc((list->n + 1) * sizeof *h->overflow);
    if (!h->overflow)
        return H5BRAGG_NO_MEMORY;
    for (size_t k = 0; k < list->n; k++)
        h->overflow_start[list->pixel[k].cell + 1]++;
    for (uint32_t c = 0; c < h->ncells; c++)
        h->overflow_start[c + 1] += h->overflow_start[c];
    for (size_t k = list->n; k-- > 0;)
        h->overflow[--h->overflow_start[list->pixel[k].cell + 1]] = list->pixel[k].value;
    /* Each start has moved down to where its cell begins, one entry too high up. */
    memmove(h->overflow_start, h->overflow_start + 1, h->ncells * sizeof *h->overflow_start);
    h->overflow_start[h->ncells] = (uint32_t)list->n;
    return H5BRAGG_OK;
}

h5bragg_status histogram_make(const bragg_frame *frame, const bragg_mask_codes *codes,
                              const uint8_t *static_mask, const ring_map *map, histogram *h)
{
    overflow_list list = {0};
    memset(h, 0, sizeof *h);
    h->ncells = map->ncells;
    h->value_offset = pixel_minimum(frame->type);
    h->count = calloc((size_t)map->ncells * HISTOGRAM_NCOUNTS + 1, sizeof *h->count);
    h->overflow_start = calloc(map->ncells + 2u, sizeof *h->overflow_start);
    if (!h->count || !h->overflow_start)
        return H5BRAGG_NO_MEMORY;
    DISPATCH_PIXEL_TYPE(frame->type, count_pixels, frame, codes, static_mask, map, h, &list)
    const h5bragg_status status = list.failed ? H5BRAGG_NO_MEMORY : sort_overflow(h, &list);
    free(list.pixel);
    return status;
}

void histogram_free(histogram *h)
{
    free(h->count);
    free(h->overflow_start);
    free(h->overflow);
    memset(h, 0, sizeof *h);
}

value_sums histogram_sums(const histogram *h, uint32_t cell, int64_t low, int64_t high)
{
    value_sums s = {0, 0, 0};
    const uint32_t *count = h->count + (size_t)cell * HISTOGRAM_NCOUNTS;
    const int64_t first = low > 0 ? low : 0;
    const int64_t last = high < HISTOGRAM_NCOUNTS ? high : HISTOGRAM_NCOUNTS - 1;
    for (int64_t v = first; v <= last; v++) {
        const double n = count[v];
        s.n += n;
        s.sum += n * (double)v;
        s.sum_squares += n * (double)v * (double)v;
    }
    for (uint32_t k = h->overflow_start[cell]; k < h->overflow_start[cell + 1]; k++) {
        const int64_t v = h->value_offset + (int64_t)h->overflow[k];
        if (v < low || v > high)
            continue;
        s.n += 1.0;
        s.sum += (double)v;
        s.sum_squares += (double)v * (double)v;
    }
    return s;
}
