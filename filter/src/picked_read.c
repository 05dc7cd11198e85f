/* SPDX-License-Identifier: MIT */
/*
 * Reads picked pixels: docs/format.md, "Picked pixels".
 *
 * For a row of macro blocks: the symbols of all tiles say which lines hold picked pixels, the
 * symbols of these lines which pixels, and those of the pixels how high they are.  Each time all
 * contexts come first, then all symbols at once.  What is listed is of any number; where that is a
 * matter of chance, four are put down and those that are none are overwritten.
 */
#include "picked_reader.h"
#include "scratch.h"

static h5bragg_status open_wide(byte_reader *body, const frame_model *model, picked_wide *w)
{
    const size_t ntx = model->noise.map->ntx;
    const size_t nlines = ntx * MACRO_EDGE * TILE_EDGE + LINES_SLACK;
    const size_t npixels = nlines * LINE_NPIXELS;
    w->lines_symbol = scratch_take_zeros(ntx, MACRO_EDGE + 1);
    w->line = scratch_take(nlines * sizeof *w->line);
    w->line_context = scratch_take(nlines);
    w->line_symbol = scratch_take(nlines);
    w->context = scratch_take(npixels);
    w->symbol = scratch_take(npixels);
    if (!w->lines_symbol || !w->line || !w->line_context || !w->line_symbol || !w->context ||
        !w->symbol)
        return H5BRAGG_NO_MEMORY;
    h5bragg_status status =
        wide_symbols_open(body, model->format_version, LINES_NCONTEXTS, &w->lines);
    if (!status)
        status = wide_symbols_open(body, model->format_version, PIXELS_NCONTEXTS, &w->pixels);
    if (!status)
        status = wide_symbols_open(body, model->format_version, HEIGHTS_NCONTEXTS, &w->heights);
    return status ? status : picked_contexts_make(model, &w->contexts);
}

h5bragg_status picked_reader_open(byte_reader *body, const frame_model *model, uint32_t npicked,
                                  picked_reader *r)
{
    const size_t npixels = model->noise.map->ntx * (size_t)(MACRO_EDGE * TILE_NPIXELS) +
                           (size_t)LINES_SLACK * LINE_NPIXELS;
    memset(r, 0, sizeof *r);
    r->model = model;
    r->nwanted = npicked;
    r->at = scratch_take(npixels * sizeof *r->at);
    r->value = scratch_take(npixels * sizeof *r->value);
    if (!r->at || !r->value)
        return H5BRAGG_NO_MEMORY;
    if (model->format_version > 1)
        return open_wide(body, model, &r->wide);
    const h5bragg_status status = symbols_open(body, 1, PICKED_SERIAL_NCONTEXTS, &r->serial.stream);
    return status ? status : picked_cells_make(model, &r->serial.cell);
}

void picked_reader_free(picked_reader *r)
{
    picked_wide *w = &r->wide;
    symbol_reader_free(&r->serial.stream);
    scratch_give(r->serial.cell);
    symbol_reader_free(&w->lines.stream);
    symbol_reader_free(&w->pixels.stream);
    symbol_reader_free(&w->heights.stream);
    picked_contexts_free(&w->contexts);
    scratch_give(w->lines_symbol);
    scratch_give(w->line);
    scratch_give(w->line_context);
    scratch_give(w->line_symbol);
    scratch_give(w->context);
    scratch_give(w->symbol);
    scratch_give(r->at);
    scratch_give(r->value);
    memset(r, 0, sizeof *r);
}

/* A row of macro blocks at work. */
typedef struct macro_row {
    const uint16_t *cell; /* of its first tile on, as all */
    const uint16_t *open;
    uint32_t ntx;
    uint32_t nx;
    uint32_t nrows;
} macro_row;

/* Which lines hold picked pixels, and which ones.  Tiles that are not open are found out later. */
static h5bragg_status read_lines(picked_wide *w, const macro_row *m)
{
    uint32_t n = 0;
    memcpy(w->lines_symbol, w->lines_symbol + (size_t)MACRO_EDGE * m->ntx, m->ntx);
    for (uint32_t row = 0; row < m->nrows; row++) {
        const size_t first = (size_t)row * m->ntx;
        const uint8_t *above = w->lines_symbol + first;
        uint8_t *symbol = w->lines_symbol + first + m->ntx;
        const picked_tiles tiles = {m->cell + first, m->open + first, above};
        picked_lines_contexts(&w->contexts, &tiles, w->context);
        wide_symbols_get(&w->lines, w->context, m->ntx, symbol);
        w->start[row] = n;
        n += picked_lines_list(symbol, m->ntx, w->line + n, w->line_context + n);
    }
    w->start[m->nrows] = n;
    if (w->lines.stream.seen & ENTRY_SYMBOL & ~15u) /* some symbol was above 15 */
        return H5BRAGG_CORRUPT;
    wide_symbols_get(&w->pixels, w->line_context, n, w->line_symbol);
    return H5BRAGG_OK;
}

/* A row of tiles, and where lists go. */
typedef struct row_lists {
    const uint16_t *cell;
    const uint16_t *open;
    const picked_base *base;
    uint32_t first; /* number of its first pixel */
    uint32_t nx;
    uint32_t nlines;
    const uint16_t *line; /* these three: nlines */
    const uint8_t *line_context;
    const uint8_t *line_symbol;
    uint32_t *at; /* of pixels, with their least values and contexts of heights */
    uint32_t *value;
    uint8_t *context;
} row_lists;

enum { BAD = 0x1FF, TIGHT_SHIFT = 9 };

/* Lists the pixels of lines; returns their number.  *seen gets bits of BAD if one cannot be picked,
 * and those above if a cell is tight. */
static uint32_t list_pixels(const row_lists *row, uint32_t *seen)
{
    const uint32_t start[TILE_EDGE] = {row->first, row->first + row->nx, row->first + 2 * row->nx,
                                       row->first + 3 * row->nx};
    const uint16_t *restrict cells = row->cell;
    const uint16_t *restrict open = row->open;
    const picked_base *restrict bases = row->base;
    const uint16_t *restrict line = row->line;
    const uint8_t *restrict line_context = row->line_context;
    const uint8_t *restrict line_symbol = row->line_symbol;
    uint32_t *restrict at = row->at;
    uint32_t *restrict value = row->value;
    uint8_t *restrict context = row->context;
    uint32_t n = 0;
    uint32_t all = 0;
    for (uint32_t j = 0; j < row->nlines; j++) {
        const uint32_t i = line[j] % TILE_EDGE;
        const uint32_t column = line[j] / TILE_EDGE;
        const uint32_t bits = line_symbol[j] + 1u;
        const uint32_t npixels = PICKED_NBITS[bits & 0xF];
        const picked_base base = bases[cells[column]];
        const uint64_t leasts[2] = {base.least * UINT64_C(0x100000001),
                                    base.least * UINT64_C(0x100000001)};
        all |= bits & ~((uint32_t)open[column] >> TILE_EDGE * i & 0xF);
        all |= (uint32_t)base.is_tight << TIGHT_SHIFT;
        picked_put_bits(at + n, start[i] + TILE_EDGE * column, bits & 0xF);
        memcpy(value + n, leasts, sizeof leasts);
        store_u32(context + n, (base.context + line_context[j] + npixels - 1) * 0x01010101u);
        n += npixels;
    }
    *seen |= all;
    return n;
}

/* Whether the heights of tight cells are possible; `symbol` are those of the row. */
static int are_possible(const picked_reader *r, const row_lists *row, const uint8_t *symbol)
{
    const int64_t most = pixel_maximum(r->model->noise.type);
    for (uint32_t j = 0; j < row->nlines; j++) {
        const uint16_t cell = row->cell[row->line[j] / TILE_EDGE];
        const int64_t least = r->wide.contexts.cell[cell].least;
        for (uint32_t k = 0; k < PICKED_NBITS[row->line_symbol[j] + 1]; k++, symbol++) {
            if (row->base[cell].is_tight && least + *symbol > most)
                return 0;
        }
    }
    return 1;
}

enum { SYMBOLS_AT_ONCE = 8 };

/* Adds heights that have raw bits; returns 0 if a value is too large. */
static int add_large(picked_reader *r, uint32_t start, uint32_t stop)
{
    picked_wide *w = &r->wide;
    const int64_t most = pixel_maximum(r->model->noise.type);
    int is_good = 1;
    for (uint32_t k = start; k < stop; k++) {
        if (w->symbol[k] < NUMBER_DIRECT)
            continue;
        const uint64_t height = number_of(&w->heights.stream, w->symbol[k]);
        r->value[k] -= w->symbol[k];
        is_good &= picked_reader_value(r, k) + (int64_t)height <= most;
        r->value[k] += (uint32_t)height;
    }
    return is_good;
}

/* Makes values of least values; returns 0 if one is too large. */
static int add_heights(picked_reader *r)
{
    uint32_t *restrict value = r->value;
    const uint8_t *restrict symbol = r->wide.symbol;
    const uint32_t n = r->n;
    int is_good = 1;
    for (uint32_t k = 0; k < n; k++)
        value[k] += symbol[k];
    for (uint32_t k = 0; k < n; k += SYMBOLS_AT_ONCE) {
        const uint32_t stop = n - k < SYMBOLS_AT_ONCE ? n : k + SYMBOLS_AT_ONCE;
        uint64_t eight;
        memcpy(&eight, symbol + k, sizeof eight); /* anything behind the last */
        if (eight & 0xF0F0F0F0F0F0F0F0u)
            is_good &= add_large(r, k, stop);
    }
    return is_good;
}

static h5bragg_status read_wide_row(picked_reader *r, const macro_row *m)
{
    picked_wide *w = &r->wide;
    row_lists row[MACRO_EDGE];
    uint32_t seen = 0;
    const h5bragg_status status = read_lines(w, m);
    if (status)
        return status;
    uint32_t start[MACRO_EDGE];
    for (uint32_t k = 0; k < m->nrows; k++) {
        row[k] = (row_lists){m->cell + (size_t)k * m->ntx,
                             m->open + (size_t)k * m->ntx,
                             w->contexts.heights,
                             TILE_EDGE * k * m->nx,
                             m->nx,
                             w->start[k + 1] - w->start[k],
                             w->line + w->start[k],
                             w->line_context + w->start[k],
                             w->line_symbol + w->start[k],
                             r->at + r->n,
                             r->value + r->n,
                             w->context + r->n};
        start[k] = r->n;
        r->n += list_pixels(&row[k], &seen);
    }
    if (seen & BAD)
        return H5BRAGG_CORRUPT;
    wide_symbols_get(&w->heights, w->context, r->n, w->symbol);
    for (uint32_t k = 0; seen >> TIGHT_SHIFT && k < m->nrows; k++) {
        if (!are_possible(r, &row[k], w->symbol + start[k]))
            return H5BRAGG_CORRUPT;
    }
    return add_heights(r) ? H5BRAGG_OK : H5BRAGG_CORRUPT;
}

h5bragg_status picked_reader_row(picked_reader *r, uint32_t macro_row_number, uint32_t nrows,
                                 const uint16_t *open)
{
    const ring_map *map = r->model->noise.map;
    const macro_row m = {map->cell + (size_t)MACRO_EDGE * macro_row_number * map->ntx, open,
                         map->ntx, map->nx, nrows};
    r->n = 0;
    const h5bragg_status status = r->model->format_version > 1
                                      ? read_wide_row(r, &m)
                                      : picked_serial_row(r, macro_row_number, nrows, open);
    r->nread += r->n;
    return status;
}

h5bragg_status picked_reader_close(const picked_reader *r)
{
    if (r->nread != r->nwanted)
        return H5BRAGG_CORRUPT;
    if (r->model->format_version == 1)
        return symbols_close(&r->serial.stream);
    h5bragg_status status = wide_symbols_close(&r->wide.lines);
    if (!status)
        status = wide_symbols_close(&r->wide.pixels);
    return status ? status : wide_symbols_close(&r->wide.heights);
}
