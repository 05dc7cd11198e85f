/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in what a chunk has exactly: nothing else is decoded.  With local counts these are
 * kept tiles, row of tiles by row of tiles; without, picked pixels (peak_picked.c).
 */
#include "peak_chunk.h"

#include "peak_bands.h"
#include "peak_picked.h"
#include "peak_window.h"

/* What is looked for, and the rows around the one at work. */
typedef struct chunk_search {
    const peak_rules *rules;
    peak_window window;
    exact_row row[WINDOW_NTILES];
    uint32_t next[WINDOW_NTILES]; /* of a row: the first tile that may touch the one at work */
    uint32_t tile_row;
    const uint16_t *valid; /* bits of the pixels of tiles */
    int64_t least;         /* of the pixel type */
    int64_t most;
    h5bragg_peak_list *list;
} chunk_search;

/*
 * Whether a byte is above a limit.  Bytes as 16-bit numbers: adding 0x7FFF - limit carries into the
 * top bit of those that are.
 */
static int has_high_byte(const exact_tile *tile, int64_t limit)
{
    const uint64_t ones = 0x0001000100010001u;
    const uint64_t bytes = 0xFF * ones;
    uint64_t half[2];
    uint64_t sums = 0;
    if (limit < 0 || limit >= UINT8_MAX)
        return limit < 0;
    const uint64_t more = (0x7FFF - (uint64_t)limit) * ones;
    memcpy(half, tile->byte, sizeof half);
    for (uint32_t k = 0; k < 2; k++)
        sums |= ((half[k] & bytes) + more) | ((half[k] >> 8 & bytes) + more);
    return (sums & 0x8000 * ones) != 0;
}

/* Whether a pixel is high; a value that the pixel type does not have is *wrong. */
static int has_high(const chunk_search *s, const exact_tile *tile, int64_t limit, int *wrong)
{
    int64_t smallest = INT64_MAX;
    int64_t largest = INT64_MIN;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const int is_valid = tile->valid >> p & 1;
        smallest = is_valid && tile->value[p] < smallest ? tile->value[p] : smallest;
        largest = is_valid && tile->value[p] > largest ? tile->value[p] : largest;
    }
    *wrong |= tile->valid && (smallest < s->least || largest > s->most);
    return largest > limit;
}

/* Puts a tile in of which some pixels are usable. */
static void put_some(chunk_search *s, const exact_tile *tile, uint32_t k, uint32_t usable)
{
    const window_part rows = WINDOW_PART[k / WINDOW_NTILES];
    const window_part columns = WINDOW_PART[k % WINDOW_NTILES];
    for (uint32_t i = 0; i < rows.n; i++) {
        for (uint32_t j = 0; j < columns.n; j++) {
            const uint32_t p = TILE_EDGE * (rows.first + i) + columns.first + j;
            if (usable >> p & 1)
                peak_window_put(&s->window, s->window.cell[k],
                                WINDOW_EDGE * (rows.at + i) + columns.at + j,
                                exact_tile_value(tile, p));
        }
    }
}

/* n pixels side by side of a tile all of whose pixels are usable. */
BRAGG_INLINE void put_row(chunk_search *s, const exact_tile *tile, const peak_cell *cell,
                          uint32_t p, uint32_t at, uint32_t n)
{
    int64_t value[TILE_EDGE];
    if (!tile->is_narrow) {
        peak_window_put_row(&s->window, cell, at, n, tile->value + p);
        return;
    }
    for (uint32_t k = 0; k < n; k++)
        value[k] = tile->byte[p + k];
    peak_window_put_row(&s->window, cell, at, n, value);
}

/* Puts a tile in as place k of the window. */
static void put_tile(chunk_search *s, const exact_tile *tile, uint32_t k)
{
    const window_part rows = WINDOW_PART[k / WINDOW_NTILES];
    const window_part columns = WINDOW_PART[k % WINDOW_NTILES];
    const uint32_t usable =
        peak_window_usable(s->rules, &s->window, k / WINDOW_NTILES, k % WINDOW_NTILES, tile->valid);
    if (usable != 0xFFFF) {
        if (usable)
            put_some(s, tile, k, usable);
        return;
    }
    const peak_cell *cell = s->window.cell[k];
    for (uint32_t i = 0; i < rows.n; i++) {
        const uint32_t p = TILE_EDGE * (rows.first + i) + columns.first;
        const uint32_t at = WINDOW_EDGE * (rows.at + i) + columns.at;
        if (columns.n == TILE_EDGE)
            put_row(s, tile, cell, p, at, TILE_EDGE);
        else
            put_row(s, tile, cell, p, at, WINDOW_MARGIN);
    }
}

/*
 * Puts in what there is of those of the three tiles of a row around a column that are needed;
 * returns those that there are not.
 */
static uint32_t put_needed(chunk_search *s, uint32_t down, uint32_t column, uint32_t needs)
{
    const exact_row row = s->row[down];
    while (s->next[down] < row.n && row.tile[s->next[down]].column + 1 < column)
        s->next[down]++;
    for (uint32_t k = s->next[down]; k < row.n && row.tile[k].column <= column + 1; k++) {
        const uint32_t place = WINDOW_NTILES * down + row.tile[k].column + 1 - column;
        if (needs >> place & 1)
            put_tile(s, &row.tile[k], place);
        needs &= ~(1u << place);
    }
    return needs;
}

/* A tile of the window that is not stored exactly. */
static void put_absent(chunk_search *s, uint32_t column, uint32_t place)
{
    const size_t row = s->tile_row + place / WINDOW_NTILES - (size_t)1;
    const size_t tile = row * s->rules->map->ntx + column + place % WINDOW_NTILES - 1;
    if (peak_window_usable(s->rules, &s->window, place / WINDOW_NTILES, place % WINDOW_NTILES, 1))
        peak_window_put_drawn(s->rules, &s->window, place, s->valid[tile]);
}

static h5bragg_status look_at_tile(chunk_search *s, const exact_tile *tile)
{
    const uint32_t column = tile->column;
    peak_window_start(s->rules, s->tile_row, column, &s->window);
    put_tile(s, tile, WINDOW_OWN);
    const uint64_t candidates = peak_window_candidates(s->rules, &s->window);
    uint32_t needs = peak_window_needs(s->rules, candidates);
    for (uint32_t down = 0; down < WINDOW_NTILES; down++) {
        if (needs >> (WINDOW_NTILES * down) & 7)
            needs = put_needed(s, down, column, needs);
    }
    for (; needs; needs &= needs - 1)
        put_absent(s, column, lowest_bit(needs));
    return peak_window_find(s->rules, &s->window, candidates, s->list);
}

static h5bragg_status search_row(chunk_search *s, const peak_bands *bands, uint32_t tile_row)
{
    const uint16_t *cell = s->rules->map->cell + (size_t)tile_row * s->rules->map->ntx;
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
        const int64_t limit = of == BRAGG_NO_CELL ? INT64_MAX : s->rules->cell[of].limit;
        const int may_be =
            tile->is_narrow ? has_high_byte(tile, limit) : has_high(s, tile, limit, &is_wrong);
        if (may_be)
            status = look_at_tile(s, tile);
    }
    return is_wrong ? H5BRAGG_CORRUPT : status;
}

/* Rows of macro blocks are searched when the next one is there, too. */
static h5bragg_status search_rows(chunk_search *s, peak_bands *bands)
{
    const ring_map *map = s->rules->map;
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

static h5bragg_status search_tiles(sparse_frame *frame, const peak_rules *rules,
                                   h5bragg_peak_list *list)
{
    peak_bands bands;
    chunk_search s = {.rules = rules,
                      .list = list,
                      .valid = frame->mask.valid,
                      .least = pixel_minimum(frame->model.noise.type),
                      .most = pixel_maximum(frame->model.noise.type)};
    h5bragg_status status = peak_bands_make(frame, &bands);
    if (!status)
        status = search_rows(&s, &bands);
    peak_bands_free(&bands);
    return status;
}

h5bragg_status peak_chunk_search(const chunk_header *chunk, const ring_map *map,
                                 frame_header *header, const uint8_t *mask,
                                 const h5bragg_peak_params *peaks, h5bragg_peak_list *list)
{
    sparse_frame frame;
    peak_rules rules = {0};
    h5bragg_status status = sparse_frame_open(chunk, map, SPARSE_EXACT, header, &frame);
    if (!status)
        status = peak_rules_make(&frame.model, &chunk->geometry.view, mask, peaks, &rules);
    if (!status)
        status = rules.has_local ? search_tiles(&frame, &rules, list)
                                 : peak_picked_search(&frame, &rules, list);
    if (!status)
        status = sparse_frame_finish(&frame, header, 0);
    peak_rules_free(&rules);
    sparse_frame_close(&frame);
    return status;
}
