/* SPDX-License-Identifier: MIT */
/*
 * Runs of mask codes: docs/format.md, "Mask".
 *
 * Detector gaps are rectangles, so a row is coded as what differs from the row above it: a run is a
 * stretch of pixels in scan order that all take one new code.  A gap costs two runs, not two a row.
 */
#include "mask.h"

#include <stdlib.h>

/* A run being collected: pixels [start, stop) become `number`. */
typedef struct mask_run {
    size_t start;
    size_t stop;
    uint8_t number;
} mask_run;

static void write_run(byte_writer *w, const mask_run *run, size_t *previous_stop)
{
    if (run->stop == run->start)
        return;
    write_varint(w, run->start - *previous_stop);
    write_varint(w, (run->stop - run->start) << 2 | run->number);
    *previous_stop = run->stop;
}

BRAGG_INLINE void collect_runs(const h5bragg_pixel_type type, const bragg_frame *frame,
                               const bragg_mask_codes *codes, byte_writer *w, uint8_t *above,
                               uint32_t *nmasked)
{
    mask_run run = {0, 0, 0};
    size_t previous_stop = 0;
    for (uint32_t row = 0; row < frame->ny; row++) {
        for (uint32_t j = 0; j < frame->nx; j++) {
            const size_t i = (size_t)row * frame->nx + j;
            const uint8_t number = mask_number(codes, pixel_get(frame->pixels, type, i));
            *nmasked += number != 0;
            if (number == above[j])
                continue;
            above[j] = number;
            if (run.stop == i && run.number == number && run.stop > run.start) {
                run.stop++;
                continue;
            }
            write_run(w, &run, &previous_stop);
            run = (mask_run){i, i + 1, number};
        }
    }
    write_run(w, &run, &previous_stop);
}

h5bragg_status mask_write(const bragg_frame *frame, const bragg_mask_codes *codes, byte_writer *w,
                          uint32_t *nmasked)
{
    uint8_t *above = calloc(frame->nx, 1);
    if (!above)
        return H5BRAGG_NO_MEMORY;
    *nmasked = 0;
    DISPATCH_PIXEL_TYPE(frame->type, collect_runs, frame, codes, w, above, nmasked)
    free(above);
    return w->failed ? H5BRAGG_BUFFER_TOO_SMALL : H5BRAGG_OK;
}

/* Rows before `row` are complete; fills it from the row above. */
static void copy_row_above(uint8_t *mask, size_t row, size_t nx)
{
    if (row > 0)
        memcpy(mask + row * nx, mask + (row - 1) * nx, nx);
}

h5bragg_status mask_read(byte_reader *r, uint32_t ny, uint32_t nx, uint32_t ncodes, uint8_t *mask)
{
    const size_t npixels = (size_t)ny * nx;
    size_t next_row = 1; /* first row not yet copied from above */
    size_t at = 0;
    memset(mask, 0, nx);
    while (bytes_left(r) > 0) {
        const uint64_t gap = read_varint(r);
        const uint64_t coded = read_varint(r);
        const uint64_t length = coded >> 2;
        const uint8_t number = coded & 3;
        if (r->failed || number > ncodes || length == 0 || gap > npixels - at ||
            length > npixels - at - gap)
            return H5BRAGG_CORRUPT;
        size_t start = at + (size_t)gap;
        at = start + (size_t)length;
        while (start < at) {
            for (; next_row <= start / nx; next_row++)
                copy_row_above(mask, next_row, nx);
            const size_t row_end = (start / nx + 1) * nx;
            const size_t stop = at < row_end ? at : row_end;
            memset(mask + start, number, stop - start);
            start = stop;
        }
    }
    for (; next_row < ny; next_row++)
        copy_row_above(mask, next_row, nx);
    return H5BRAGG_OK;
}

BRAGG_INLINE void apply_codes(const h5bragg_pixel_type type, const uint8_t *mask,
                              const bragg_mask_codes *codes, size_t npixels, void *pixels)
{
    for (size_t i = 0; i < npixels; i++) {
        if (mask[i])
            pixel_set(pixels, type, i, codes->value[mask[i] - 1]);
    }
}

void mask_apply(const uint8_t *mask, const bragg_mask_codes *codes, h5bragg_pixel_type type,
                size_t npixels, void *pixels)
{
    DISPATCH_PIXEL_TYPE(type, apply_codes, mask, codes, npixels, pixels)
}
