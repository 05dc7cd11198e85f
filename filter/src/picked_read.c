/* SPDX-License-Identifier: MIT */
/*
 * Reads picked pixels: docs/format.md, "Picked pixels".
 *
 * For a row of macro blocks: the symbols of all tiles say which lines hold picked pixels, the
 * symbols of these lines which pixels, and those of the pixels how high they are.  Each time all
 * contexts come first, then all symbols at once.
 */
#include "byte_lanes.h"
#include "cpu_level.h"
#include "picked_reader.h"
#include "scratch.h"

static h5bragg_status open_wide(byte_reader *body, const frame_model *model, picked_wide *w)
{
    const size_t ntx = model->noise.map->ntx;
    const size_t nlines = ntx * MACRO_EDGE * TILE_EDGE + LINES_SLACK;
    const size_t npixels = nlines * LINE_NPIXELS;
    w->lines_symbol = scratch_take_zeros(ntx, MACRO_EDGE + 1);
    w->line_symbol = scratch_take(nlines);
    w->context = scratch_take(npixels);
    w->symbol = scratch_take(npixels);
    if (picked_lines_make(nlines, &w->line) || !w->lines_symbol || !w->line_symbol || !w->context ||
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

/* Room for the pixels of a row of macro blocks. */
static size_t room_of(const frame_model *model)
{
    return model->noise.map->ntx * (size_t)(MACRO_EDGE * TILE_NPIXELS) +
           (size_t)LINES_SLACK * LINE_NPIXELS;
}

h5bragg_status picked_reader_want_cells(picked_reader *r)
{
    if (r->model->format_version > 1 && !r->cell)
        r->cell = scratch_take(room_of(r->model) * sizeof *r->cell);
    return r->model->format_version == 1 || r->cell ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

/* Where fewer pixels are picked than one in so many, it is faster to put them into the frame one by
 * one. */
enum { DRAWN_ONE_IN = 24 };

h5bragg_status picked_reader_draw(picked_reader *r)
{
    if (r->nwanted == 0) /* perhaps it was not opened: there are local counts */
        return H5BRAGG_OK;
    const frame_model *model = r->model;
    const size_t npixels = ring_map_ntiles(model->noise.map) * TILE_NPIXELS;
    if (r->nwanted < npixels / DRAWN_ONE_IN || model->format_version == 1 || model->tables ||
        h5bragg_pixel_nbytes(model->noise.type) == 1)
        return H5BRAGG_OK;
    return picked_drawn_make(&r->wide.contexts, &r->drawn);
}

void picked_reader_ask_for(picked_reader *r, lines_ahead *ahead) { r->ahead = ahead; }

h5bragg_status picked_reader_open(byte_reader *body, const frame_model *model, uint32_t npicked,
                                  picked_reader *r)
{
    const size_t npixels = room_of(model);
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
    picked_lines_free(&w->line);
    scratch_give(w->line_symbol);
    scratch_give(w->context);
    scratch_give(w->symbol);
    scratch_give(r->at);
    scratch_give(r->value);
    scratch_give(r->cell);
    picked_drawn_free(&r->drawn);
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

/* Which lines hold picked pixels, and which ones, as they are drawn if is_drawn.  Tiles that are
 * not open are found out later. */
BRAGG_INLINE h5bragg_status read_lines(const int is_drawn, picked_wide *w, const macro_row *m,
                                       lines_ahead *ahead)
{
    uint32_t n = 0;
    memcpy(w->lines_symbol, w->lines_symbol + (size_t)MACRO_EDGE * m->ntx, m->ntx);
    for (uint32_t row = 0; row < m->nrows; row++) {
        const size_t first = (size_t)row * m->ntx;
        const uint8_t *above = w->lines_symbol + first;
        uint8_t *symbol = w->lines_symbol + first + m->ntx;
        const picked_tiles tiles = {m->cell + first, m->open + first, above, ahead};
        picked_lines_contexts(&w->contexts, &tiles, w->context);
        wide_symbols_get(&w->lines, w->context, m->ntx, symbol);
        const picked_lines to = picked_lines_from(&w->line, n);
        const drawn_row drawn = {.tiles = &tiles, .ntiles = m->ntx, .symbol = symbol};
        w->start[row] = n;
        n += is_drawn ? drawn_lines(&drawn, to.context)
                      : picked_lines_list(symbol, &tiles, m->ntx, &to);
    }
    w->start[m->nrows] = n;
    if (w->lines.stream.seen & ENTRY_SYMBOL & ~15u) /* some symbol was above 15 */
        return H5BRAGG_CORRUPT;
    wide_symbols_get(&w->pixels, w->line.context, n, w->line_symbol);
    return H5BRAGG_OK;
}

/* Whether the heights of tight cells are possible, in the lines of a row of macro blocks. */
static int are_possible(const picked_wide *w, uint32_t nlines, int64_t most)
{
    const uint8_t *symbol = w->symbol;
    for (uint32_t j = 0; j < nlines; j++) {
        const uint16_t cell = w->line.cell[j];
        const int64_t least = w->contexts.cell[cell].least;
        for (uint32_t k = 0; k < PICKED_NBITS[w->line_symbol[j] + 1]; k++, symbol++) {
            if (w->contexts.heights[cell].is_tight && least + *symbol > most)
                return 0;
        }
    }
    return 1;
}

/* Adds height number i, which has raw bits; returns 0 if the value is too large. */
static int add_large(picked_reader *r, uint32_t i)
{
    picked_wide *w = &r->wide;
    const uint64_t height = number_of(&w->heights.stream, w->symbol[i]);
    r->value[i] -= w->symbol[i];
    const int is_good =
        picked_reader_value(r, i) + (int64_t)height <= pixel_maximum(r->model->noise.type);
    r->value[i] += (uint32_t)height;
    return is_good;
}

/* Makes values of least values; returns 0 if one is too large. */
static int add_heights_plain(picked_reader *r)
{
    const uint64_t not_direct = 0x0101010101010101u * (256u - NUMBER_DIRECT);
    uint32_t *restrict value = r->value;
    const uint8_t *restrict symbol = r->wide.symbol;
    const uint32_t n = r->n;
    int is_good = 1;
    for (uint32_t k = 0; k < n; k++)
        value[k] += symbol[k];
    for (uint32_t k = 0; k < n; k += 8) {
        const uint64_t inside = n - k < 8 ? ((uint64_t)1 << 8 * (n - k)) - 1 : UINT64_MAX;
        uint64_t large = load_u64(symbol + k) & inside & not_direct;
        while (large) {
            const uint32_t byte = lowest_bit(large) / 8;
            is_good &= add_large(r, k + byte);
            large &= ~((uint64_t)0xFF << 8 * byte);
        }
    }
    return is_good;
}

#if defined(BRAGG_X86_64)
enum { LANES = 16 };

/* Some heights of which one is not a byte. */
static int add_some(picked_reader *r, uint32_t first, uint32_t n)
{
    int is_good = 1;
    for (uint32_t k = first; k < first + n; k++) {
        r->value[k] += r->wide.symbol[k];
        if (r->wide.symbol[k] >= NUMBER_DIRECT)
            is_good &= add_large(r, k);
    }
    return is_good;
}

/* Of values there is room for LINES_SLACK more. */
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi2,popcnt"))) static int
add_heights_avx512(picked_reader *r)
{
    const h5bragg_pixel_type type = r->model->noise.type;
    const uint32_t sign = pixel_minimum(type) < 0 ? 0x80000000u : 0; /* makes all unsigned */
    const __m512i signs = _mm512_set1_epi32((int)sign);
    const __m512i most = _mm512_set1_epi32((int)((uint32_t)pixel_maximum(type) ^ sign));
    symbol_reader *s = &r->wide.heights.stream;
    uint32_t is_wrong = 0;
    for (uint32_t k = 0; k < r->n; k += LANES) {
        const uint32_t n = r->n - k < LANES ? r->n - k : LANES;
        const __mmask16 inside = (__mmask16)((1u << n) - 1);
        const __m128i symbols = _mm_maskz_loadu_epi8(inside, r->wide.symbol + k);
        if (has_larger(symbols)) {
            is_wrong |= !add_some(r, k, n);
            continue;
        }
        const __m512i heights = _mm512_cvtepu8_epi32(bytes_of(s, symbols));
        const __m512i value = _mm512_loadu_si512(r->value + k);
        is_wrong |= _mm512_mask_cmpgt_epu32_mask(inside, _mm512_xor_si512(value, signs),
                                                 _mm512_sub_epi32(most, heights));
        _mm512_storeu_si512(r->value + k, _mm512_add_epi32(value, heights));
    }
    return is_wrong == 0;
}
#endif

static int add_heights(picked_reader *r)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return add_heights_avx512(r);
#endif
    return add_heights_plain(r);
}

static h5bragg_status read_wide_row(picked_reader *r, const macro_row *m)
{
    picked_wide *w = &r->wide;
    uint32_t seen = 0;
    const h5bragg_status status = read_lines(0, w, m, r->ahead);
    if (status)
        return status;
    for (uint32_t k = 0; k < m->nrows; k++) {
        const picked_lines lines = picked_lines_from(&w->line, w->start[k]);
        const picked_places places = {TILE_EDGE * k * m->nx, m->nx, TILE_EDGE};
        const picked_pixels to = {r->at + r->n, r->value + r->n, r->cell ? r->cell + r->n : NULL,
                                  w->context + r->n};
        r->n +=
            picked_pixels_list(w->contexts.heights, &places, &lines, w->line_symbol + w->start[k],
                               w->start[k + 1] - w->start[k], &to, &seen);
    }
    if (seen & SEEN_IMPOSSIBLE)
        return H5BRAGG_CORRUPT;
    wide_symbols_get(&w->heights, w->context, r->n, w->symbol);
    if (seen >> SEEN_TIGHT_SHIFT &&
        !are_possible(w, w->start[m->nrows], pixel_maximum(r->model->noise.type)))
        return H5BRAGG_CORRUPT;
    return add_heights(r) ? H5BRAGG_OK : H5BRAGG_CORRUPT;
}

/* As read_wide_row; the pixels that are left to be put into the frame are few. */
static h5bragg_status read_drawn_row(picked_reader *r, const macro_row *m)
{
    picked_wide *w = &r->wide;
    drawn_large large = {r->at, r->value, 0};
    uint32_t n = 0;
    int is_impossible = 0;
    const h5bragg_status status = read_lines(1, w, m, r->ahead);
    if (status || w->pixels.stream.seen & ENTRY_SYMBOL & ~15u)
        return H5BRAGG_CORRUPT;
    for (uint32_t row = 0; row < m->nrows; row++) {
        const size_t first = (size_t)row * m->ntx;
        const picked_tiles tiles = {
            .cell = m->cell + first, .open = m->open + first, .ahead = r->ahead};
        const drawn_row drawn = {row, &tiles, m->ntx, w->lines_symbol + first + m->ntx,
                                 w->line_symbol + w->start[row]};
        n = drawn_list(&r->drawn, &drawn, n, w->context, &is_impossible);
    }
    if (is_impossible)
        return H5BRAGG_CORRUPT;
    wide_symbols_get(&w->heights, w->context, n, w->symbol);
    if (!drawn_add(&r->drawn, &w->heights.stream, w->symbol, n, pixel_maximum(r->model->noise.type),
                   &large))
        return H5BRAGG_CORRUPT;
    drawn_find_places(&r->drawn, m->nx, &large);
    r->n = large.n;
    r->nread += n - large.n;
    return H5BRAGG_OK;
}

h5bragg_status picked_reader_row(picked_reader *r, uint32_t macro_row_number, uint32_t nrows,
                                 const uint16_t *open)
{
    const ring_map *map = r->model->noise.map;
    const macro_row m = {map->cell + (size_t)MACRO_EDGE * macro_row_number * map->ntx, open,
                         map->ntx, map->nx, nrows};
    const uint32_t edge = MACRO_EDGE * TILE_EDGE;
    r->n = 0;
    r->is_drawn = r->drawn.base && map->ny / edge > macro_row_number;
    const h5bragg_status status = r->model->format_version == 1
                                      ? picked_serial_row(r, macro_row_number, nrows, open)
                                  : r->is_drawn ? read_drawn_row(r, &m)
                                                : read_wide_row(r, &m);
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
