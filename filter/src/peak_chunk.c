/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in what a chunk has exactly, row of tiles by row of tiles: nothing else is decoded.
 */
#include "peak_chunk.h"

#include "peak_bands.h"
#include "peak_window.h"

/* What is looked for, and the rows around the one at work. */
typedef struct chunk_search {
    peak_rules rules;
    peak_window window;
    exact_row row[WINDOW_NTILES];
    uint32_t next[WINDOW_NTILES]; /* of a row: the first tile that may touch the one at work */
    uint32_t tile_row;
    int64_t least; /* of the pixel type */
    int64_t most;
    h5bragg_peak_list *list;
} chunk_search;

static uint8_t largest_byte(const exact_tile *tile)
{
    uint8_t largest = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        largest = tile->byte[p] > largest ? tile->byte[p] : largest;
    return largest;
}

/* Whether a pixel is high; a value that the pixel type does not have is *wrong. */
static int has_high(const chunk_search *s, const exact_tile *tile, int64_t limit, int *wrong)
{
    int is_high = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(tile->valid >> p & 1))
            continue;
        is_high |= tile->value[p] > limit;
        *wrong |= tile->value[p] < s->least || tile->value[p] > s->most;
    }
    return is_high;
}

static void put_tile(chunk_search *s, const exact_tile *tile, uint32_t down, uint32_t right)
{
    const window_part rows = WINDOW_PART[down];
    const window_part columns = WINDOW_PART[right];
    const uint32_t usable = peak_window_usable(&s->rules, &s->window, down, right, tile->valid);
    const peak_cell *cell = s->window.cell[WINDOW_NTILES * down + right];
    for (uint32_t i = 0; i < rows.n && usable; i++) {
        for (uint32_t j = 0; j < columns.n; j++) {
            const uint32_t p = TILE_EDGE * (rows.first + i) + columns.first + j;
            if (usable >> p & 1)
                peak_window_put(&s->window, cell, WINDOW_EDGE * (rows.at + i) + columns.at + j,
                                exact_tile_value(tile, p));
        }
    }
}

/* Puts in what there is of the three tiles of a row around a column. */
static void put_row(chunk_search *s, uint32_t down, uint32_t column)
{
    const exact_row row = s->row[down];
    while (s->next[down] < row.n && row.tile[s->next[down]].column + 1 < column)
        s->next[down]++;
    for (uint32_t k = s->next[down]; k < row.n && row.tile[k].column <= column + 1; k++)
        put_tile(s, &row.tile[k], down, row.tile[k].column + 1 - column);
}

static h5bragg_status look_at_tile(chunk_search *s, uint32_t column)
{
    peak_window_start(&s->rules, s->tile_row, column, &s->window);
    for (uint32_t down = 0; down < WINDOW_NTILES; down++)
        put_row(s, down, column);
    return peak_window_find(&s->rules, &s->window, s->list);
}

static h5bragg_status search_row(chunk_search *s, const peak_bands *bands, uint32_t tile_row)
{
    const uint16_t *cell = s->rules.map->cell + (size_t)tile_row * s->rules.map->ntx;
    h5bragg_status status = H5BRAGG_OK;
    int is_wrong = 0;
    s->tile_row = tile_row;
    for (uint32_t down = 0; down < WINDOW_NTILES; down++) {
        s->row[down] = peak_bands_row(bands, tile_row + down - 1);
        s->next[down] = 0;
    }
    const exact_row row = s->row[1];
    for (uint32_t k = 0; k < row.n && !status; k++) {
        const exact_tile *tile = &row.tile[k];
        const uint16_t of = cell[tile->column];
        const int64_t limit = of == BRAGG_NO_CELL ? INT64_MAX : s->rules.cell[of].limit;
        const int may_be = tile->is_narrow ? of != BRAGG_NO_CELL && largest_byte(tile) > limit
                                           : has_high(s, tile, limit, &is_wrong);
        if (may_be)
            status = look_at_tile(s, tile->column);
    }
    return is_wrong ? H5BRAGG_CORRUPT : status;
}

/* Rows of macro blocks are searched when the next one is there, too. */
static h5bragg_status search_rows(chunk_search *s, peak_bands *bands)
{
    const ring_map *map = s->rules.map;
    const uint32_t nrows = sparse_frame_nrows(map);
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t k = 0; k <= nrows && !status; k++) {
        if (k < nrows)
            status = peak_bands_read(bands);
        if (k == 0)
            continue;
        const uint32_t first = MACRO_EDGE * (k - 1);
        for (uint32_t row = first; row < first + MACRO_EDGE && row < map->nty && !status; row++)
            status = search_row(s, bands, row);
    }
    return status;
}

h5bragg_status peak_chunk_search(const chunk_header *chunk, const ring_map *map,
                                 frame_header *header, const uint8_t *mask,
                                 const h5bragg_peak_params *peaks, h5bragg_peak_list *list)
{
    sparse_frame frame;
    peak_bands bands = {0};
    chunk_search s = {.list = list,
                      .least = pixel_minimum(chunk->settings.type),
                      .most = pixel_maximum(chunk->settings.type)};
    h5bragg_status status = sparse_frame_open(chunk, map, SPARSE_EXACT, header, &frame);
    if (!status)
        status = peak_rules_make(&frame.model, &chunk->geometry.view, mask, peaks, &s.rules);
    if (!status)
        status = peak_bands_make(&frame, &bands);
    if (!status)
        status = search_rows(&s, &bands);
    if (!status)
        status = sparse_frame_finish(&frame, header, 0);
    peak_bands_free(&bands);
    peak_rules_free(&s.rules);
    sparse_frame_close(&frame);
    return status;
}
