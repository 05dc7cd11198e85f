/* SPDX-License-Identifier: MIT */
/* Writes picked pixels: docs/format.md, "Picked pixels". */
#include "picked_writer.h"

#include "scratch.h"
#include "tile_sums.h" /* count_bits */

enum { MOST_BYTE = 254 };

/* Of a cell, or ncells for blank tiles: contexts of lines as in a rule. */
static uint32_t contexts_of_lines(const picked_contexts *contexts, uint32_t cell)
{
    uint32_t rule = 0;
    for (uint32_t class = 0; class < 3; class ++)
        rule |= (contexts->lines[cell] >> 8 * class & PICK_CONTEXT) << PICK_LINES(class);
    return rule;
}

static uint32_t rule_of(const picked_contexts *contexts, uint32_t cell)
{
    const int64_t threshold = contexts->cell[cell].least - 1;
    const int is_byte = threshold >= 0 && threshold <= MOST_BYTE;
    return (is_byte ? (uint32_t)threshold : PICK_SPECIAL | PICK_THRESHOLD) |
           (uint32_t)contexts->heights[cell].context << PICK_HEIGHT_BIT |
           contexts_of_lines(contexts, cell);
}

static size_t list_room(const ring_map *map) { return (ring_map_ngroups(map) + 1) * GROUP_NTILES; }

h5bragg_status picked_writer_make(const frame_model *model, picked_writer *p)
{
    const ring_map *map = model->noise.map;
    const size_t ngroups = ring_map_ngroups(map);
    const size_t ntiles = ngroups * GROUP_NTILES;
    memset(p, 0, sizeof *p);
    p->rule = scratch_take((BRAGG_NO_CELL + 1u) * sizeof *p->rule);
    p->odd = scratch_take_zeros(ntiles, sizeof *p->odd);
    p->above = scratch_take_zeros(ntiles, sizeof *p->above);
    p->before = scratch_take((ngroups + 1) * sizeof *p->before);
    p->tiles_before = scratch_take(ngroups * sizeof *p->tiles_before);
    p->list = scratch_take(LIST_NARRAYS * list_room(map) * sizeof *p->list);
    p->height = scratch_take(ntiles * TILE_NPIXELS + PICKED_SLACK);
    p->large = scratch_take(ntiles * TILE_NPIXELS + BYTE_NUMBERS_SLACK);
    p->special = scratch_take(ngroups * sizeof *p->special);
    p->symbol = scratch_take_zeros(ntiles + PICKED_SLACK, 1);
    p->symbol_above = scratch_take_zeros(ntiles + PICKED_SLACK, 1);
    p->line_symbol = scratch_take(ntiles * TILE_EDGE);
    p->place = scratch_take((ntiles * TILE_NPIXELS + LINES_SLACK) * sizeof *p->place);
    p->context = scratch_take(ntiles * TILE_NPIXELS + LINES_SLACK);
    number_symbols_make(&p->numbers);
    h5bragg_status status = picked_lines_make(ntiles * TILE_EDGE, &p->line);
    if (!status)
        status = picked_contexts_make(model, &p->contexts);
    if (status || !p->rule || !p->odd || !p->above || !p->before || !p->tiles_before || !p->list ||
        !p->height || !p->large || !p->special || !p->symbol || !p->symbol_above ||
        !p->line_symbol || !p->place || !p->context)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++) {
        p->rule[c] = rule_of(&p->contexts, c);
        p->has_odd_cells |= p->rule[c] >> PICK_SPECIAL_BIT != 0;
    }
    p->rule[BRAGG_NO_CELL] =
        PICK_SPECIAL | PICK_THRESHOLD | contexts_of_lines(&p->contexts, map->ncells);
    return H5BRAGG_OK;
}

void picked_writer_free(picked_writer *p)
{
    picked_contexts_free(&p->contexts);
    symbol_writer_free(&p->lines);
    symbol_writer_free(&p->pixels);
    symbol_writer_free(&p->heights);
    scratch_give(p->rule);
    scratch_give(p->odd);
    scratch_give(p->above);
    scratch_give(p->before);
    scratch_give(p->tiles_before);
    scratch_give(p->list);
    scratch_give(p->height);
    scratch_give(p->large);
    scratch_give(p->special);
    scratch_give(p->symbol);
    scratch_give(p->symbol_above);
    picked_lines_free(&p->line);
    scratch_give(p->line_symbol);
    scratch_give(p->place);
    scratch_give(p->context);
    memset(p, 0, sizeof *p);
}

void picked_writer_finish(picked_writer *p, byte_writer *out)
{
    symbols_write(&p->lines, LINES_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
    symbols_write(&p->pixels, PIXELS_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
    symbols_write(&p->heights, HEIGHTS_NCONTEXTS, SYMBOLS_WIDE_NSTATES, out);
}

/* Whether a tile is drawn, but bytes do not tell which of its pixels are picked. */
static int is_odd(const picked_writer *p, const frame_source *s, size_t tile)
{
    const uint16_t cell = s->map->cell[tile];
    return cell != BRAGG_NO_CELL && !s->kept[tile] &&
           (s->plane.has_large[tile] || p->rule[cell] >> PICK_SPECIAL_BIT);
}

/* The next of these tiles in a row, from a column on; ntx if there is none. */
static uint32_t next_odd(const picked_writer *p, const frame_source *s, size_t first,
                         uint32_t column)
{
    enum { AT_ONCE = sizeof(uint64_t) };
    const uint32_t ntx = s->map->ntx;
    while (column < ntx) {
        const uint8_t *has_large = s->plane.has_large + first + column;
        if (!p->has_odd_cells && column + AT_ONCE <= ntx && load_u64(has_large) == 0)
            column += AT_ONCE;
        else if (!is_odd(p, s, first + column))
            column++;
        else
            break;
    }
    return column < ntx ? column : ntx;
}

/* Bits of the pixels of an odd tile that are above its threshold. */
static uint16_t bits_of_values(const picked_writer *p, const frame_source *s, size_t tile)
{
    const int64_t least = p->contexts.cell[s->map->cell[tile]].least;
    int64_t value[TILE_NPIXELS];
    uint32_t bits = 0;
    frame_source_tile(s, tile, value);
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        bits |= (uint32_t)(value[k] >= least) << k;
    return (uint16_t)(bits & s->plane.valid[tile]);
}

/* Finds what is picked in the odd tiles of a row. */
static void find_odd(picked_writer *p, const frame_source *s, size_t first)
{
    const uint32_t ntx = s->map->ntx;
    for (uint32_t t = next_odd(p, s, first, 0); t < ntx; t = next_odd(p, s, first, t + 1))
        p->odd[t] = bits_of_values(p, s, first + t);
}

/* What is listed of a row of tiles, as a kernel would find it. */
static void find_listed(picked_writer *p, const listed_pixels *listed, const pick_row *row,
                        size_t first)
{
    uint32_t npixels = 0;
    memset(p->special, 0, (row->ntx + GROUP_NTILES - 1) / GROUP_NTILES * sizeof *p->special);
    for (uint32_t t = 0; t < row->ntx; t++) {
        const uint32_t rule = p->rule[row->cell[t]];
        const int is_special = rule >> PICK_SPECIAL_BIT || row->kept[t] || row->has_large[t];
        const uint32_t n = count_bits(listed->above[first + t]);
        if (t % GROUP_NTILES == 0)
            p->before[t / GROUP_NTILES] = npixels;
        p->special[t / GROUP_NTILES] |= (uint16_t)(is_special << t % GROUP_NTILES);
        p->above[t] = is_special ? row->odd[t] : listed->above[first + t];
        memcpy(p->height + npixels, listed->excess + p->nlisted, is_special ? 0 : n);
        npixels += count_bits(p->above[t]);
        p->nlisted += n;
    }
}

static void make_pairs(const uint8_t *restrict context, const uint8_t *restrict symbol, uint32_t n,
                       uint16_t *restrict pair)
{
    for (uint32_t k = 0; k < n; k++)
        pair[k] = (uint16_t)(context[k] << 8 | symbol[k]);
}

/* Symbols of the lines of a row of tiles. */
static void put_lines(picked_writer *p, const pick_row *row)
{
    const picked_row lines = {row->cell, row->valid, row->kept, p->above, p->symbol_above};
    uint16_t *pair = symbol_writer_room(&p->lines, row->ntx);
    if (!pair)
        return;
    picked_lines_symbols(&p->contexts, &lines, p->symbol, pair);
    p->lines.npairs += row->ntx;
}

/* Symbols of the pixels of n lines; lists the pixels, and returns their number. */
static uint32_t put_pixels(picked_writer *p, uint32_t n)
{
    const picked_places places = {0, LINE_NPIXELS, TILE_NPIXELS};
    const picked_pixels to = {p->place, NULL, NULL, p->context};
    const uint8_t *restrict bits = p->line.pixels;
    uint8_t *restrict symbol = p->line_symbol;
    uint16_t *pair = symbol_writer_room(&p->pixels, n);
    uint32_t seen = 0;
    if (!pair)
        return 0;
    for (uint32_t j = 0; j < n; j++)
        symbol[j] = (uint8_t)(bits[j] - 1);
    make_pairs(p->line.context, symbol, n, pair);
    p->pixels.npairs += n;
    return picked_pixels_list(p->contexts.heights, &places, &p->line, symbol, n, &to, &seen);
}

/* Finds what is picked in a row, then puts one thing after the other; returns the number of pixels.
 */
static uint32_t put_step_by_step(picked_writer *p, const frame_source *s, const pick_row *row,
                                 const found_row *found, size_t first)
{
    const picked_tiles tiles = {.cell = row->cell, .open = p->above};
    if (s->listed)
        find_listed(p, s->listed, row, first);
    else
        find_picked_kernel()(row, found);
    put_lines(p, row);
    return put_pixels(p, picked_lines_list(p->symbol, &tiles, row->ntx, &p->line));
}

/* The same at one go. */
static uint32_t put_at_once(picked_writer *p, put_row_function *kernel, const pick_row *row,
                            const found_row *found)
{
    uint16_t *tile_pair = symbol_writer_room(&p->lines, row->ntx + PICKED_SLACK);
    uint16_t *line_pair =
        symbol_writer_room(&p->pixels, (size_t)row->ntx * TILE_EDGE + PICKED_SLACK);
    const put_row put = {p->symbol_above, p->symbol,       tile_pair, line_pair,
                         p->context,      p->tiles_before, p->list,   list_room(p->contexts.map)};
    if (!tile_pair || !line_pair)
        return 0;
    const put_counts n = kernel(row, found, &put);
    p->lines.npairs += row->ntx;
    p->pixels.npairs += n.nlines;
    return n.npixels;
}

/* Heights of pixels, `from` to `to`, that are bytes. */
static void put_bytes(picked_writer *p, uint32_t from, uint32_t to)
{
    put_bytes_kernel()(&p->heights, &p->numbers, p->height + from, p->context + from, to - from,
                       p->large);
}

/* Where a tile stands in the list. */
static uint32_t listed_at(const picked_writer *p, uint32_t column)
{
    uint32_t at = p->tiles_before[column / GROUP_NTILES];
    for (uint32_t t = column / GROUP_NTILES * GROUP_NTILES; t < column; t++)
        at += p->symbol[t] != 0;
    return at;
}

/* The number of the first picked pixel of a tile. */
static uint32_t first_pixel(const picked_writer *p, uint32_t column)
{
    const uint32_t at = p->has_list ? listed_at(p, column) : column;
    uint32_t n = p->before[at / GROUP_NTILES];
    for (uint32_t k = at / GROUP_NTILES * GROUP_NTILES; k < at; k++)
        n += count_bits(p->above[k]);
    return n;
}

/* Heights of an odd tile, of which the first pixel is given; returns the first of the next tile. */
static uint32_t put_odd(picked_writer *p, const frame_source *s, size_t tile, uint16_t bits,
                        uint32_t first)
{
    const int64_t least = p->contexts.cell[s->map->cell[tile]].least;
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    for (uint32_t left = bits; left; left &= left - 1)
        number_put(&p->heights, p->context[first++], (uint64_t)(value[lowest_bit(left)] - least));
    return first;
}

/* Heights of n pixels of a row; no tile of it is odd any more. */
static void put_heights(picked_writer *p, const frame_source *s, size_t first, uint32_t n)
{
    const uint32_t ntx = s->map->ntx;
    uint32_t from = 0;
    for (uint32_t t = next_odd(p, s, first, 0); t < ntx; t = next_odd(p, s, first, t + 1)) {
        const uint32_t to = first_pixel(p, t);
        put_bytes(p, from, to);
        from = put_odd(p, s, first + t, p->odd[t], to);
        p->odd[t] = 0;
    }
    put_bytes(p, from, n);
}

/* The symbols of the row at work become those above. */
static void swap_symbols(picked_writer *p)
{
    uint8_t *above = p->symbol;
    p->symbol = p->symbol_above;
    p->symbol_above = above;
}

uint32_t picked_writer_row(picked_writer *p, const frame_source *s, uint32_t tile_row)
{
    const counts_plane *plane = &s->plane;
    const size_t first = (size_t)tile_row * s->map->ntx;
    const size_t at = (size_t)TILE_EDGE * tile_row * plane->stride;
    const pick_row row = {s->listed ? NULL : plane->value + at,
                          plane->stride,
                          s->map->cell + first,
                          plane->valid + first,
                          s->kept + first,
                          plane->has_large + first,
                          p->odd,
                          s->map->ntx,
                          p->rule};
    const found_row found = {p->above, p->before, p->height, p->special};
    put_row_function *kernel = s->listed ? NULL : put_row_kernel();
    find_odd(p, s, first);
    p->has_list = kernel != NULL;
    const uint32_t n =
        kernel ? put_at_once(p, kernel, &row, &found) : put_step_by_step(p, s, &row, &found, first);
    if (!p->lines.failed && !p->pixels.failed)
        put_heights(p, s, first, n);
    swap_symbols(p);
    return n;
}
