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

#include "pixel.h"

static h5bragg_status open_wide(byte_reader *body, const frame_model *model, picked_wide *w)
{
    const size_t ntx = model->noise.map->ntx;
    const size_t nlines = ntx * MACRO_EDGE * TILE_EDGE + LINES_SLACK;
    const size_t npixels = nlines * LINE_NPIXELS;
    w->lines_symbol = scratch_take_zeros(ntx, MACRO_EDGE + 1);
    w->line = scratch_take(nlines * sizeof *w->line);
    w->line_context = scratch_take(nlines);
    w->line_symbol = scratch_take(nlines);
    w->cell = scratch_take(npixels * sizeof *w->cell);
    w->context = scratch_take(npixels);
    w->symbol = scratch_take(npixels);
    if (!w->lines_symbol || !w->line || !w->line_context || !w->line_symbol || !w->cell ||
        !w->context || !w->symbol)
        return H5BRAGG_NO_MEMORY;
    h5bragg_status status = wide_symbols_open(body, LINES_NCONTEXTS, &w->lines);
    if (!status)
        status = wide_symbols_open(body, PIXELS_NCONTEXTS, &w->pixels);
    if (!status)
        status = wide_symbols_open(body, HEIGHTS_NCONTEXTS, &w->heights);
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
    const h5bragg_status status = symbols_open(body, PICKED_SERIAL_NCONTEXTS, &r->serial.stream);
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
    scratch_give(w->cell);
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

/* Tiles that are not open have no lines, others four. */
static int are_lines(const uint8_t *symbol, const uint16_t *open, uint32_t ntiles)
{
    uint32_t bad = 0;
    for (uint32_t t = 0; t < ntiles; t++)
        bad |= symbol[t] & (open[t] ? 0xF0u : 0xFFu);
    return bad == 0;
}

/* Which lines hold picked pixels. */
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
        if (!are_lines(symbol, tiles.open, m->ntx))
            return H5BRAGG_CORRUPT;
        w->start[row] = n;
        n += picked_lines_list(symbol, m->ntx, w->line + n, w->line_context + n);
    }
    w->start[m->nrows] = n;
    wide_symbols_get(&w->pixels, w->line_context, n, w->line_symbol);
    return H5BRAGG_OK;
}

/* Where a row of tiles is: its pixels' numbers, and what is put down for them from `to` on. */
typedef struct row_pixels {
    const uint16_t *cell;
    const uint16_t *open;
    uint32_t line_at[TILE_EDGE]; /* first pixels of its lines */
    uint32_t *at;
    uint32_t n;
} row_pixels;

/* Lists the pixels of lines `start` to `stop`; returns 0 if one cannot be picked. */
static int list_pixels(picked_wide *w, row_pixels *row, uint32_t start, uint32_t stop)
{
    const uint8_t *heights = w->contexts.heights;
    uint32_t n = row->n;
    uint32_t bad = 0;
    for (uint32_t j = start; j < stop; j++) {
        const uint32_t i = w->line[j] % TILE_EDGE;
        const uint32_t column = w->line[j] / TILE_EDGE;
        const uint32_t bits = w->line_symbol[j] + 1u;
        const uint32_t npixels = PICKED_NBITS[bits & 0xF];
        const uint16_t cell = row->cell[column];
        const uint32_t context = heights[cell] + w->line_context[j] + npixels - 1;
        const uint32_t first = row->line_at[i] + TILE_EDGE * column;
        const uint64_t cells = cell * UINT64_C(0x0001000100010001);
        bad |= bits & ~(uint32_t)(row->open[column] >> TILE_EDGE * i & 0xF);
        for (uint32_t k = 0; k < LINE_NPIXELS; k++)
            row->at[n + k] = first + PICKED_BITS[bits & 0xF][k];
        memcpy(w->cell + n, &cells, sizeof cells);
        store_u32(w->context + n, context * 0x01010101u);
        n += npixels;
    }
    row->n = n;
    return bad == 0;
}

/* Values from symbols; returns the largest. */
static int64_t set_values(picked_reader *r)
{
    picked_wide *w = &r->wide;
    int64_t most = INT64_MIN;
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t height = w->symbol[i];
        if (height >= NUMBER_DIRECT)
            height = number_of(&w->heights.stream, w->symbol[i]);
        r->value[i] = w->contexts.cell[w->cell[i]].least + (int64_t)height;
        most = r->value[i] > most ? r->value[i] : most;
    }
    return most;
}

static h5bragg_status read_wide_row(picked_reader *r, const macro_row *m)
{
    picked_wide *w = &r->wide;
    row_pixels row = {.at = r->at};
    int is_good = 1;
    const h5bragg_status status = read_lines(w, m);
    if (status)
        return status;
    for (uint32_t k = 0; k < m->nrows; k++) {
        row.cell = m->cell + (size_t)k * m->ntx;
        row.open = m->open + (size_t)k * m->ntx;
        for (uint32_t i = 0; i < TILE_EDGE; i++)
            row.line_at[i] = (TILE_EDGE * k + i) * m->nx;
        is_good &= list_pixels(w, &row, w->start[k], w->start[k + 1]);
    }
    if (!is_good)
        return H5BRAGG_CORRUPT;
    r->n = row.n;
    wide_symbols_get(&w->heights, w->context, r->n, w->symbol);
    return set_values(r) <= pixel_maximum(r->model->noise.type) ? H5BRAGG_OK : H5BRAGG_CORRUPT;
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
