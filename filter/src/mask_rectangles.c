/* SPDX-License-Identifier: MIT */
/*
 * Rectangles of mask codes: docs/format.md, "Mask".
 *
 * A rectangle is a stretch of one row that ever more rows have below it.  What does not change from
 * one row to the next goes on, so only changes are looked at: they end the rectangles that they
 * touch, and what is masked there, or is left of those, begins new ones.
 */
#include "mask_rectangles.h"

#include "mask_stream.h"
#include "scratch.h"

typedef struct rectangle {
    uint32_t row;
    uint32_t start; /* columns [start, stop) */
    uint32_t stop;
    uint32_t end; /* one past the last row */
    uint8_t number;
} rectangle;

typedef struct rectangle_list {
    rectangle *item; /* in scan order of their first pixels */
    size_t n;
    size_t capacity;
    int failed;
    uint8_t *number; /* nx code numbers of the row at work */
    size_t *open;    /* numbers of rectangles that the row above has, from the left */
    size_t *next;    /* those that the row at work has */
    size_t nopen;
    size_t nnext;
    uint32_t row;
} rectangle_list;

static void begin_rectangle(rectangle_list *l, uint32_t start, uint32_t stop)
{
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 1024;
        rectangle *grown = scratch_grow(l->item, capacity * sizeof *grown);
        l->failed |= grown == NULL;
        if (!grown)
            return;
        l->item = grown;
        l->capacity = capacity;
    }
    l->item[l->n] = (rectangle){l->row, start, stop, 0, l->number[start]};
    l->next[l->nnext++] = l->n++;
}

/* Where the code number changes that column j of the row at work has, or `stop`. */
static uint32_t end_of_number(const rectangle_list *l, uint32_t j, uint32_t stop)
{
    const uint8_t number = l->number[j];
    uint8_t same[8];
    memset(same, number, sizeof same);
    while (stop - j >= sizeof same && memcmp(l->number + j, same, sizeof same) == 0)
        j += (uint32_t)sizeof same;
    while (j < stop && l->number[j] == number)
        j++;
    return j;
}

/* Rectangles for what is masked in columns [start, stop). */
static void begin_rectangles(rectangle_list *l, uint32_t start, uint32_t stop)
{
    for (uint32_t j = start; j < stop && !l->failed;) {
        const uint32_t first = j;
        j = end_of_number(l, first, stop);
        if (l->number[first])
            begin_rectangle(l, first, j);
    }
}

/* Puts the changes of a row, which are n, into its code numbers. */
static void change_numbers(rectangle_list *l, const mask_change *change, size_t n)
{
    for (size_t k = 0; k < n; k++)
        memset(l->number + change[k].start, change[k].number, change[k].stop - change[k].start);
}

/*
 * Goes through open rectangles and changes from the left.  What overlaps is a stretch at whose end
 * new rectangles begin; a rectangle that no change overlaps goes on.
 */
static void next_row(rectangle_list *l, const mask_change *change, size_t n)
{
    size_t c = 0;
    change_numbers(l, change, n);
    l->nnext = 0;
    for (size_t k = 0; (k < l->nopen || c < n) && !l->failed;) {
        const uint32_t none = UINT32_MAX;
        const uint32_t open = k < l->nopen ? l->item[l->open[k]].start : none;
        const uint32_t stop = k < l->nopen ? l->item[l->open[k]].stop : none;
        const uint32_t changed = c < n ? change[c].start : none;
        if (open < changed && stop <= changed) {
            l->next[l->nnext++] = l->open[k++];
            continue;
        }
        const uint32_t start = open < changed ? open : changed;
        uint32_t end = start + 1;
        for (;;) {
            if (k < l->nopen && l->item[l->open[k]].start < end) {
                rectangle *closed = &l->item[l->open[k++]];
                closed->end = l->row;
                end = closed->stop > end ? closed->stop : end;
            } else if (c < n && change[c].start < end) {
                const uint32_t change_end = change[c++].stop;
                end = change_end > end ? change_end : end;
            } else {
                break;
            }
        }
        begin_rectangles(l, start, end);
    }
    size_t *open = l->open;
    l->open = l->next;
    l->next = open;
    l->nopen = l->nnext;
}

/* Returns how many pixels they have. */
static uint32_t write_rectangles(const rectangle_list *l, uint32_t nx, byte_writer *w)
{
    symbol_writer s = {0};
    uint32_t npixels = 0;
    size_t at = 0;
    number_put(&s, GAP_CONTEXT, l->n);
    for (size_t k = 0; k < l->n; k++) {
        const rectangle *r = &l->item[k];
        const size_t start = (size_t)r->row * nx + r->start;
        number_put(&s, GAP_CONTEXT, start - at);
        symbol_put(&s, CODE_CONTEXT, r->number);
        number_put(&s, width_context(r->number), r->stop - r->start - 1);
        number_put(&s, height_context(r->number), r->end - r->row - 1);
        npixels += (r->stop - r->start) * (r->end - r->row);
        at = start + (r->stop - r->start);
    }
    symbols_write(&s, NCONTEXTS, SYMBOLS_NSTATES, w);
    symbol_writer_free(&s);
    return npixels;
}

h5bragg_status mask_rectangles_write(const mask_change *change, size_t n, const ring_map *map,
                                     byte_writer *w, uint32_t *nmasked)
{
    const uint32_t nx = map->nx;
    rectangle_list l = {.number = scratch_take_zeros(nx, 1)};
    l.open = scratch_take(nx * sizeof *l.open);
    l.next = scratch_take(nx * sizeof *l.next);
    l.failed = !l.number || !l.open || !l.next;
    for (size_t k = 0; k < n && !l.failed;) {
        l.row = change[k].row;
        size_t stop = k;
        while (stop < n && change[stop].row == l.row)
            stop++;
        next_row(&l, change + k, stop - k);
        k = stop;
    }
    for (size_t k = 0; k < l.nopen && !l.failed; k++)
        l.item[l.open[k]].end = map->ny;
    if (!l.failed)
        *nmasked = write_rectangles(&l, nx, w);
    scratch_give(l.number);
    scratch_give(l.open);
    scratch_give(l.next);
    scratch_give(l.item);
    return l.failed ? H5BRAGG_NO_MEMORY : H5BRAGG_OK;
}
