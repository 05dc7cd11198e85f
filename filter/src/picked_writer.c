/* SPDX-License-Identifier: MIT */
/* Writes picked pixels: docs/format.md, "Picked pixels". */
#include "picked_writer.h"

#include "scratch.h"
#include "tile_sums.h" /* count_bits */

enum { MOST_BYTE = 254 };

h5bragg_status picked_writer_make(const frame_model *model, picked_writer *p)
{
    const ring_map *map = model->noise.map;
    const size_t ngroups = ring_map_ngroups(map);
    const size_t ntiles = ngroups * GROUP_NTILES;
    memset(p, 0, sizeof *p);
    p->rule = scratch_take((map->ncells + 1u) * sizeof *p->rule);
    p->above = scratch_take_zeros(ntiles, sizeof *p->above);
    p->height = scratch_take(ntiles * TILE_NPIXELS + PICKED_SLACK);
    p->large = scratch_take(ntiles * TILE_NPIXELS + BYTE_NUMBERS_SLACK);
    p->special = scratch_take(ngroups * sizeof *p->special);
    p->symbol = scratch_take_zeros(ntiles, 1);
    p->symbol_above = scratch_take_zeros(ntiles, 1);
    p->line_symbol = scratch_take(ntiles * TILE_EDGE);
    p->place = scratch_take((ntiles * TILE_NPIXELS + LINES_SLACK) * sizeof *p->place);
    p->context = scratch_take(ntiles * TILE_NPIXELS + LINES_SLACK);
    number_symbols_make(&p->numbers);
    h5bragg_status status = picked_lines_make(ntiles * TILE_EDGE, &p->line);
    if (!status)
        status = picked_contexts_make(model, &p->contexts);
    if (status || !p->rule || !p->above || !p->height || !p->large || !p->special || !p->symbol ||
        !p->symbol_above || !p->line_symbol || !p->place || !p->context)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const int64_t threshold = p->contexts.cell[c].least - 1;
        const int is_byte = threshold >= 0 && threshold <= MOST_BYTE;
        p->rule[c] = is_byte ? (uint32_t)threshold : PICK_SPECIAL | PICK_THRESHOLD;
    }
    p->rule[map->ncells] = PICK_SPECIAL | PICK_THRESHOLD;
    return H5BRAGG_OK;
}

void picked_writer_free(picked_writer *p)
{
    picked_contexts_free(&p->contexts);
    symbol_writer_free(&p->lines);
    symbol_writer_free(&p->pixels);
    symbol_writer_free(&p->heights);
    scratch_give(p->rule);
    scratch_give(p->above);
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

/* Whether a special tile is a drawn one. */
static int is_drawn(const frame_source *s, size_t tile)
{
    return !s->kept[tile] && s->map->cell[tile] != BRAGG_NO_CELL;
}

/* The next drawn tile of those that are special, from a column on; ntx if there is none. */
static uint32_t next_special(const picked_writer *p, const frame_source *s, size_t first,
                             uint32_t column)
{
    const uint32_t ntx = s->map->ntx;
    while (column < ntx) {
        const uint32_t group = column / GROUP_NTILES;
        const uint32_t left = (uint32_t)p->special[group] >> column % GROUP_NTILES;
        if (left == 0) {
            column = (group + 1) * GROUP_NTILES;
            continue;
        }
        column += lowest_bit(left);
        if (is_drawn(s, first + column))
            return column;
        column++;
    }
    return ntx;
}

/* Bits of the pixels of a special tile that are above its threshold. */
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

/* What is listed of a row of tiles, as a kernel would find it. */
static void find_listed(picked_writer *p, const listed_pixels *listed, const pick_row *row,
                        size_t first)
{
    uint8_t *height = p->height;
    memset(p->special, 0, (row->ntx + GROUP_NTILES - 1) / GROUP_NTILES * sizeof *p->special);
    for (uint32_t t = 0; t < row->ntx; t++) {
        const uint32_t rule = p->rule[row->cell[t] < row->ncells ? row->cell[t] : row->ncells];
        const int is_special = (rule & PICK_SPECIAL) || row->kept[t] || row->has_large[t];
        const uint32_t n = count_bits(listed->above[first + t]);
        p->special[t / GROUP_NTILES] |= (uint16_t)(is_special << t % GROUP_NTILES);
        p->above[t] = is_special ? 0 : listed->above[first + t];
        memcpy(height, listed->excess + p->nlisted, is_special ? 0 : n);
        height += is_special ? 0 : n;
        p->nlisted += n;
    }
}

/* Looks at a row of tiles: sets above, height and special. */
static void find_row(picked_writer *p, const frame_source *s, uint32_t tile_row)
{
    const ring_map *map = s->map;
    const counts_plane *plane = &s->plane;
    const size_t first = (size_t)tile_row * map->ntx;
    const size_t at = (size_t)TILE_EDGE * tile_row * plane->stride;
    const pick_row row = {s->listed ? NULL : plane->value + at,
                          plane->stride,
                          map->cell + first,
                          s->kept + first,
                          plane->has_large + first,
                          map->ntx,
                          p->rule,
                          map->ncells};
    const found_row found = {p->above, p->height, p->special};
    p->nput = 0;
    if (s->listed)
        find_listed(p, s->listed, &row, first);
    else
        find_picked_kernel()(&row, &found);
    for (uint32_t t = 0; (t = next_special(p, s, first, t)) < map->ntx; t++)
        p->above[t] = bits_of_values(p, s, first + t);
}

static void make_pairs(const uint8_t *restrict context, const uint8_t *restrict symbol, uint32_t n,
                       uint16_t *restrict pair)
{
    for (uint32_t k = 0; k < n; k++)
        pair[k] = (uint16_t)(context[k] << 8 | symbol[k]);
}

/* Symbols of the lines of a row of tiles. */
static void put_lines(picked_writer *p, const frame_source *s, size_t first)
{
    const uint32_t ntx = s->map->ntx;
    uint16_t *pair = symbol_writer_room(&p->lines, ntx);
    uint8_t *above = p->symbol;
    p->symbol = p->symbol_above;
    p->symbol_above = above;
    const picked_row row = {s->map->cell + first, s->plane.valid + first, s->kept + first, p->above,
                            above};
    if (!pair)
        return;
    picked_lines_symbols(&p->contexts, &row, p->symbol, pair);
    p->lines.npairs += ntx;
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

/* Heights of listed pixels, `from` to `to`, that are bytes. */
static void put_bytes(picked_writer *p, uint32_t from, uint32_t to)
{
    put_bytes_kernel()(&p->heights, &p->numbers, p->height + p->nput, p->context + from, to - from,
                       p->large);
    p->nput += to - from;
}

/* Heights of n listed pixels. */
static void put_heights(picked_writer *p, const frame_source *s, size_t first, uint32_t n)
{
    const uint32_t ntx = s->map->ntx;
    uint32_t from = 0;
    for (uint32_t t = next_special(p, s, first, 0); t < ntx; t = next_special(p, s, first, t + 1)) {
        const int64_t least = p->contexts.cell[s->map->cell[first + t]].least;
        int64_t value[TILE_NPIXELS];
        uint32_t to = from;
        while (to < n && p->place[to] / TILE_NPIXELS < t)
            to++;
        put_bytes(p, from, to);
        frame_source_tile(s, first + t, value);
        for (; to < n && p->place[to] / TILE_NPIXELS == t; to++)
            number_put(&p->heights, p->context[to],
                       (uint64_t)(value[p->place[to] % TILE_NPIXELS] - least));
        from = to;
    }
    put_bytes(p, from, n);
}

uint32_t picked_writer_row(picked_writer *p, const frame_source *source, uint32_t tile_row)
{
    const ring_map *map = source->map;
    const size_t first = (size_t)tile_row * map->ntx;
    const picked_tiles tiles = {.cell = map->cell + first, .open = p->above};
    find_row(p, source, tile_row);
    put_lines(p, source, first);
    const uint32_t nlines = picked_lines_list(p->symbol, &tiles, map->ntx, &p->line);
    const uint32_t npixels = put_pixels(p, nlines);
    put_heights(p, source, first, npixels);
    return npixels;
}
