/* SPDX-License-Identifier: MIT */
/*
 * Reads mask codes, and puts the codes of masked pixels back: docs/format.md, "Mask".
 *
 * Version 2 stores rectangles.  Those that a row crosses are its runs, and rows between the starts
 * and ends of rectangles have the same ones.  Version 1 stores runs themselves, where they change.
 */
#include "mask.h"

#include "mask_stream.h"
#include "scratch.h"

/* Columns of a rectangle, and one past its last row. */
typedef struct open_rectangle {
    mask_run run;
    uint32_t end;
} open_rectangle;

/* A mask being read: rows above `row` are complete. */
typedef struct mask_reader {
    const ring_map *map;
    frame_mask *mask;
    uint8_t *number;       /* version 1: nx code numbers of the row at work */
    uint8_t *below;        /* version 1: those that the row below takes over */
    int has_one_row;       /* they differ */
    open_rectangle *open;  /* version 2: of rows above, from the left */
    open_rectangle *fresh; /* those that begin in the row at work */
    open_rectangle *next;  /* room for both */
    uint32_t nopen;
    uint32_t nfresh;
    uint32_t row;
    size_t capacity; /* of mask->run */
    size_t nruns;
} mask_reader;

static h5bragg_status append_run(mask_reader *r, mask_run run)
{
    frame_mask *m = r->mask;
    if (r->nruns == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        mask_run *grown = scratch_grow(m->run, capacity * sizeof *grown);
        if (!grown)
            return H5BRAGG_NO_MEMORY;
        m->run = grown;
        r->capacity = capacity;
    }
    m->run[r->nruns++] = run;
    return H5BRAGG_OK;
}

/* Where the numbers that are like that of pixel j of the row at work end. */
static uint32_t end_of_same(const mask_reader *r, uint32_t j)
{
    const uint8_t number = r->number[j];
    const uint64_t same = number * UINT64_C(0x0101010101010101);
    uint64_t numbers = same;
    for (; r->map->nx - j >= sizeof numbers; j += (uint32_t)sizeof numbers) {
        memcpy(&numbers, r->number + j, sizeof numbers);
        if (numbers != same)
            break;
    }
    while (j < r->map->nx && r->number[j] == number)
        j++;
    return j;
}

/* The runs of the row at work, whose code numbers are complete. */
static h5bragg_status list_runs(mask_reader *r)
{
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t j = 0; j < r->map->nx && !status;) {
        const uint32_t stop = end_of_same(r, j);
        if (r->number[j])
            status = append_run(r, (mask_run){j, stop, r->number[j]});
        j = stop;
    }
    return status;
}

/* Completes the row at work and those below it, up to `row`, not included, whose runs are those
 * from number `first` on. */
static void complete_rows(mask_reader *r, size_t first, uint32_t row)
{
    frame_mask *m = r->mask;
    const mask_row runs = {(uint32_t)first, (uint32_t)(r->nruns - first)};
    uint32_t nmasked = 0;
    for (size_t k = first; k < r->nruns; k++)
        nmasked += m->run[k].stop - m->run[k].start;
    m->nmasked += nmasked * (row - r->row);
    while (r->row < row)
        m->row[r->row++] = runs;
}

/* Completes the row at work and those below it that are like it, up to `row`, not included. */
static h5bragg_status complete(mask_reader *r, uint32_t row)
{
    const size_t first = r->nruns;
    const h5bragg_status status = list_runs(r);
    complete_rows(r, first, r->has_one_row ? r->row + 1 : row);
    if (r->has_one_row)
        memcpy(r->number, r->below, r->map->nx);
    r->has_one_row = 0;
    return status;
}

/* Completes rows up to, not including, `row`. */
static h5bragg_status advance(mask_reader *r, uint32_t row)
{
    h5bragg_status status = H5BRAGG_OK;
    while (r->row < row && !status)
        status = complete(r, row);
    return status;
}

/* Gives pixels [start, stop) in scan order a code number. */
static h5bragg_status set_pixels(mask_reader *r, size_t start, size_t stop, uint8_t number,
                                 int is_one_row)
{
    const size_t nx = r->map->nx;
    if (is_one_row && start / nx != (stop - 1) / nx)
        return H5BRAGG_CORRUPT;
    while (start < stop) {
        const h5bragg_status status = advance(r, (uint32_t)(start / nx));
        if (status)
            return status;
        const size_t row_end = (start / nx + 1) * nx;
        const size_t end = stop < row_end ? stop : row_end;
        memset(r->number + start % nx, number, end - start);
        if (!is_one_row)
            memset(r->below + start % nx, number, end - start);
        start = end;
    }
    r->has_one_row |= is_one_row;
    return H5BRAGG_OK;
}

static h5bragg_status read_runs(mask_reader *r, symbol_reader *s, uint32_t ncodes)
{
    const size_t npixels = (size_t)r->map->ny * r->map->nx;
    size_t at = 0;
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    r->number = scratch_take_zeros(r->map->nx, 1);
    r->below = scratch_take_zeros(r->map->nx, 1);
    if (!r->number || !r->below)
        return status;
    const uint64_t nruns = number_get(s, GAP_CONTEXT);
    status = nruns > npixels ? H5BRAGG_CORRUPT : H5BRAGG_OK;
    for (uint64_t k = 0; k < nruns && !status; k++) {
        const uint64_t gap = number_get(s, GAP_CONTEXT);
        const uint64_t length = number_get(s, LENGTH_CONTEXT) + 1;
        const uint32_t symbol = symbol_get(s, RUN_CODE_CONTEXT);
        const uint32_t number = symbol & NUMBERS;
        if (symbol > (ONE_ROW | NUMBERS) || number > ncodes || gap > npixels - at ||
            length > npixels - at - gap)
            return H5BRAGG_CORRUPT;
        const size_t start = at + (size_t)gap;
        at = start + (size_t)length;
        status = set_pixels(r, start, at, (uint8_t)number, (symbol & ONE_ROW) != 0);
    }
    return status ? status : advance(r, r->map->ny);
}

/*
 * Merges the rectangles that begin in the row at work into those that go on.  There are at most nx,
 * as they may not overlap.
 */
static h5bragg_status merge_fresh(mask_reader *r)
{
    uint32_t n = 0;
    uint32_t k = 0;
    uint32_t stop = 0;
    for (uint32_t i = 0; i < r->nopen || k < r->nfresh;) {
        if (i < r->nopen && r->open[i].end == r->row) {
            i++;
            continue;
        }
        const int is_fresh =
            i == r->nopen || (k < r->nfresh && r->fresh[k].run.start < r->open[i].run.start);
        const open_rectangle *next = is_fresh ? &r->fresh[k++] : &r->open[i++];
        if (next->run.start < stop)
            return H5BRAGG_CORRUPT;
        stop = next->run.stop;
        r->next[n++] = *next;
    }
    open_rectangle *open = r->open;
    r->open = r->next;
    r->next = open;
    r->nopen = n;
    r->nfresh = 0;
    return H5BRAGG_OK;
}

/* Completes rows up to, not including, `row`, where the next rectangle begins. */
static h5bragg_status go_on(mask_reader *r, uint32_t row)
{
    while (r->row < row) {
        h5bragg_status status = merge_fresh(r);
        const size_t first = r->nruns;
        uint32_t stop = row;
        for (uint32_t k = 0; k < r->nopen && !status; k++) {
            stop = r->open[k].end < stop ? r->open[k].end : stop;
            status = append_run(r, r->open[k].run);
        }
        if (status)
            return status;
        complete_rows(r, first, stop);
    }
    return H5BRAGG_OK;
}

static h5bragg_status read_rectangles(mask_reader *r, symbol_reader *s, uint32_t ncodes)
{
    const uint32_t nx = r->map->nx;
    const size_t npixels = (size_t)r->map->ny * nx;
    size_t at = 0;
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    r->open = scratch_take(nx * sizeof *r->open);
    r->fresh = scratch_take(nx * sizeof *r->fresh);
    r->next = scratch_take(nx * sizeof *r->next);
    if (!r->open || !r->fresh || !r->next)
        return status;
    const uint64_t n = number_get(s, GAP_CONTEXT);
    status = n > npixels ? H5BRAGG_CORRUPT : H5BRAGG_OK;
    for (uint64_t k = 0; k < n && !status; k++) {
        const uint64_t gap = number_get(s, GAP_CONTEXT);
        const uint32_t number = symbol_get(s, CODE_CONTEXT);
        if (number < 1 || number > ncodes || gap >= npixels - at)
            return H5BRAGG_CORRUPT;
        const uint64_t width = number_get(s, width_context(number)) + 1;
        const uint64_t height = number_get(s, height_context(number)) + 1;
        const uint32_t row = (uint32_t)((at + gap) / nx);
        const uint32_t start = (uint32_t)((at + gap) % nx);
        if (width > nx - start || height > r->map->ny - row)
            return H5BRAGG_CORRUPT;
        const uint32_t stop = start + (uint32_t)width;
        status = go_on(r, row);
        if (status)
            return status;
        r->fresh[r->nfresh++] =
            (open_rectangle){{start, stop, (uint8_t)number}, row + (uint32_t)height};
        at += (size_t)(gap + width);
    }
    return status ? status : go_on(r, r->map->ny);
}

h5bragg_status mask_read(byte_reader *in, uint32_t version, const ring_map *map, uint32_t ncodes,
                         frame_mask *mask)
{
    symbol_reader s = {0};
    mask_reader r = {.map = map, .mask = mask};
    memset(mask, 0, sizeof *mask);
    mask->row = scratch_take(map->ny * sizeof *mask->row);
    h5bragg_status status = H5BRAGG_NO_MEMORY;
    if (mask->row)
        status = symbols_open(in, version, version == 1 ? NRUN_CONTEXTS : NCONTEXTS, &s);
    if (!status)
        status = version == 1 ? read_runs(&r, &s, ncodes) : read_rectangles(&r, &s, ncodes);
    if (!status)
        status = symbols_close(&s);
    symbol_reader_free(&s);
    scratch_give(r.number);
    scratch_give(r.below);
    scratch_give(r.open);
    scratch_give(r.fresh);
    scratch_give(r.next);
    return status;
}

void frame_mask_free(frame_mask *mask)
{
    scratch_give(mask->row);
    scratch_give(mask->run);
    memset(mask, 0, sizeof *mask);
}

/* Marks the pixels of a run as masked in a row of tiles, in `nrows` rows of pixels from `row` on.
 */
static void clear_valid(const mask_run *run, uint32_t row, uint32_t nrows, uint16_t *tiles)
{
    const uint32_t rows = (0x1111u & ((1u << TILE_EDGE * nrows) - 1)) << TILE_EDGE * row;
    const uint32_t first = run->start / TILE_EDGE;
    const uint32_t last = (run->stop - 1) / TILE_EDGE;
    const uint32_t from_start = 0xFu << run->start % TILE_EDGE & 0xFu;
    const uint32_t to_stop = 0xFu >> (TILE_EDGE - 1 - (run->stop - 1) % TILE_EDGE);
    if (first == last) {
        tiles[first] = (uint16_t)(tiles[first] & ~((from_start & to_stop) * rows));
        return;
    }
    tiles[first] = (uint16_t)(tiles[first] & ~(from_start * rows));
    for (uint32_t t = first + 1; t < last; t++)
        tiles[t] = (uint16_t)(tiles[t] & ~(0xFu * rows));
    tiles[last] = (uint16_t)(tiles[last] & ~(to_stop * rows));
}

void mask_valid(const frame_mask *mask, const ring_map *map, uint32_t tile_row, uint16_t *valid)
{
    const mask_row *row = mask->row + (size_t)TILE_EDGE * tile_row;
    const uint32_t nleft = map->ny - TILE_EDGE * tile_row;
    const uint32_t nrows = nleft < TILE_EDGE ? nleft : TILE_EDGE;
    memset(valid, 0xFF, map->ntx * sizeof *valid);
    for (uint32_t column = nrows < TILE_EDGE ? 0 : map->ntx - 1; column < map->ntx; column++)
        valid[column] = tile_inside(map, tile_row, column);
    for (uint32_t i = 0, n = 1; i < nrows; i += n, n = 1) {
        while (i + n < nrows && row[i + n].first == row[i].first && row[i + n].n == row[i].n)
            n++;
        for (uint32_t k = 0; k < row[i].n; k++)
            clear_valid(&mask->run[row[i].first + k], i, n, valid);
    }
}

enum { BLOCK_NBYTES = 16, NBLOCKS = 16 };

/* Repeats what stands in a block: some blocks first, then all that is there again and again. */
BRAGG_INLINE void fill_blocks(uint8_t *to, size_t nbytes, const uint8_t block[BLOCK_NBYTES])
{
    size_t n = 0;
    for (; n + BLOCK_NBYTES <= nbytes && n < BLOCK_NBYTES * NBLOCKS; n += BLOCK_NBYTES)
        memcpy(to + n, block, BLOCK_NBYTES);
    for (; nbytes - n >= n; n *= 2)
        memcpy(to + n, to, n);
    if (n >= BLOCK_NBYTES * NBLOCKS)
        memcpy(to + n, to, nbytes - n);
    else
        memcpy(to + nbytes - BLOCK_NBYTES, block, BLOCK_NBYTES);
}

BRAGG_INLINE void apply_run(const h5bragg_pixel_type type, uint8_t *to, size_t n, int64_t value)
{
    uint8_t block[BLOCK_NBYTES];
    const size_t nbytes = n * pixel_nbytes(type);
    if (nbytes < BLOCK_NBYTES) {
        for (size_t j = 0; j < n; j++)
            pixel_set(to, type, j, value);
        return;
    }
    for (size_t j = 0; j < BLOCK_NBYTES / pixel_nbytes(type); j++)
        pixel_set(block, type, j, value);
    fill_blocks(to, nbytes, block);
}

BRAGG_INLINE void apply_runs(const h5bragg_pixel_type type, const frame_mask *mask,
                             const ring_map *map, const bragg_mask_codes *codes, uint32_t first,
                             uint32_t last, void *pixels)
{
    for (uint32_t row = first; row < last; row++) {
        const mask_row runs = mask->row[row];
        uint8_t *to = (uint8_t *)pixels + (size_t)row * map->nx * pixel_nbytes(type);
        for (uint32_t k = runs.first; k < runs.first + runs.n; k++) {
            const mask_run run = mask->run[k];
            apply_run(type, to + run.start * pixel_nbytes(type), run.stop - run.start,
                      codes->value[run.number - 1]);
        }
    }
}

void mask_apply(const frame_mask *mask, const ring_map *map, const bragg_mask_codes *codes,
                h5bragg_pixel_type type, uint32_t first, uint32_t last, void *pixels)
{
    DISPATCH_PIXEL_TYPE(type, apply_runs, mask, map, codes, first, last, pixels)
}
