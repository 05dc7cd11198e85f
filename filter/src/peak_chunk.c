/* SPDX-License-Identifier: MIT */
/*
 * Finds peaks in what a chunk has exactly: nothing else is decoded.  With local counts these are
 * kept tiles, row of tiles by row of tiles; without, picked pixels (peak_picked.c).
 */
#include "peak_chunk.h"

#include "cpu_level.h"
#include "peak_bands.h"
#include "peak_block.h"
#include "peak_picked.h"
#include "scratch.h"
#include "symbols.h"

#if defined(BRAGG_X86_64)
#include <emmintrin.h>
#endif

/* What is looked for, and where. */
typedef struct chunk_search {
    const peak_rules *rules;
    peak_bands bands;
    peak_block block;
    const uint16_t *valid; /* bits of the pixels of tiles */
    int64_t least;         /* of the pixel type */
    int64_t most;
    h5bragg_peak_list *list;
} chunk_search;

/* Whether one of sixteen bytes reaches a limit. */
static int has_high_byte(const uint8_t byte[TILE_NPIXELS], uint8_t least)
{
#if defined(BRAGG_X86_64)
    const __m128i bytes = _mm_loadu_si128((const void *)byte);
    const __m128i most = _mm_max_epu8(bytes, _mm_set1_epi8((char)least));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, most)) != 0;
#else
    uint8_t most = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        most = byte[p] > most ? byte[p] : most;
    return most >= least;
#endif
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

static void fill_bytes(const exact_tile *const tile[BLOCK_NTILES], peak_block *b)
{
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *left = tile[2 * half]->byte;
        const uint8_t *right = tile[2 * half + 1]->byte;
        for (uint32_t i = 0; i < TILE_EDGE; i += 2) {
            const uint32_t at = TILE_EDGE * i;
            const uint64_t first = load_u32(left + at) | (uint64_t)load_u32(right + at) << 32;
            const uint64_t second =
                load_u32(left + at + TILE_EDGE) | (uint64_t)load_u32(right + at + TILE_EDGE) << 32;
            peak_rows_set(b->row, TILE_EDGE * half + i, first, second);
        }
    }
}

static void fill_values(const exact_tile *const tile[BLOCK_NTILES], peak_block *b)
{
    for (uint32_t k = 0; k < BLOCK_NTILES; k++) {
        for (uint32_t left = tile[k]->valid; left; left &= left - 1) {
            const uint32_t p = lowest_bit(left);
            b->value[peak_block_place(k, p)] = exact_tile_value(tile[k], p);
        }
    }
}

/* What the chunk has exactly of the four tiles, of the numbers of peak_block_tile. */
static void fill_block(chunk_search *s, size_t number[BLOCK_NTILES], peak_block *b)
{
    static const exact_tile NOTHING = {.is_narrow = 1};
    const exact_tile *tile[BLOCK_NTILES];
    uint32_t known[BLOCK_NTILES];
    for (uint32_t k = 0; k < BLOCK_NTILES; k++) {
        const band_row row = peak_bands_place(&s->bands, b->tile_row + k / 2);
        number[k] = peak_block_tile(s->rules, b, k);
        const uint32_t n = number[k] == SIZE_MAX ? 0 : row.number[b->tile_column + k % 2];
        tile[k] = n ? &row.tile[n - 1] : &NOTHING;
        known[k] = peak_uncovered(s->rules, number[k], tile[k]->valid);
        b->is_narrow &= tile[k]->is_narrow & (known[k] == tile[k]->valid);
    }
    b->known = peak_block_pixels(known);
    if (b->is_narrow)
        fill_bytes(tile, b);
    else
        fill_values(tile, b);
}

/* What it does not have: valid pixels that are drawn. */
static void fill_drawn(const chunk_search *s, const size_t number[BLOCK_NTILES], peak_block *b)
{
    uint32_t drawn[BLOCK_NTILES];
    for (uint32_t k = 0; k < BLOCK_NTILES; k++)
        drawn[k] =
            number[k] == SIZE_MAX ? 0 : peak_uncovered(s->rules, number[k], s->valid[number[k]]);
    b->drawn = peak_block_pixels(drawn) & ~b->known;
}

/* Pixels of a tile that may be peaks. */
static uint32_t candidates_of(const chunk_search *s, const exact_tile *tile, size_t number)
{
    const peak_cell *cell = &s->rules->cell[s->rules->map->cell[number]];
    const uint32_t pixels = peak_uncovered(s->rules, number, tile->valid);
    int64_t value[TILE_NPIXELS];
    if (tile->is_narrow && cell->is_small && pixels == 0xFFFF)
        return peak_candidates_bytes(s->rules, cell, tile->byte);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++)
        value[p] = exact_tile_value(tile, p);
    return peak_candidates(s->rules, cell, pixels, value);
}

static h5bragg_status look_at_tile(chunk_search *s, const exact_tile *tile, uint32_t tile_row)
{
    const size_t number = (size_t)tile_row * s->rules->map->ntx + tile->column;
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t left = candidates_of(s, tile, number); left && !status; left &= left - 1) {
        size_t numbers[BLOCK_NTILES];
        peak_block_start(s->rules, tile_row, tile->column, lowest_bit(left), &s->block);
        fill_block(s, numbers, &s->block);
        const uint32_t nhigh = peak_block_count(s->rules, &s->block);
        if (nhigh) {
            fill_drawn(s, numbers, &s->block);
            status = peak_block_add(s->rules, &s->block, nhigh, s->list);
        }
    }
    return status;
}

enum { TILES_AT_ONCE = 64 };

/* Bits of n tiles of a row that are to be looked at: those with a high pixel, and all that are not
 * narrow. */
static uint64_t find_hot(const peak_rules *rules, const uint16_t *cell, const exact_tile *tile,
                         uint32_t n)
{
    const uint8_t *limit = rules->byte_limit;
    const uint32_t ncells = rules->map->ncells;
    uint64_t hot = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t own = cell[tile[k].column];
        const int is_high = has_high_byte(tile[k].byte, limit[own < ncells ? own : ncells]);
        hot |= (uint64_t)(is_high | !tile[k].is_narrow) << k;
    }
    return hot;
}

static h5bragg_status search_row(chunk_search *s, uint32_t tile_row)
{
    const uint16_t *cell = s->rules->map->cell + (size_t)tile_row * s->rules->map->ntx;
    const exact_row row = peak_bands_row(&s->bands, tile_row);
    h5bragg_status status = H5BRAGG_OK;
    int is_wrong = 0;
    for (uint32_t first = 0; first < row.n && !status; first += TILES_AT_ONCE) {
        const uint32_t n = row.n - first < TILES_AT_ONCE ? row.n - first : TILES_AT_ONCE;
        uint64_t left = find_hot(s->rules, cell, row.tile + first, n);
        for (; left && !status; left &= left - 1) {
            const exact_tile *tile = &row.tile[first + lowest_bit(left)];
            const uint16_t own = cell[tile->column];
            const int64_t limit = own == BRAGG_NO_CELL ? INT64_MAX : s->rules->cell[own].limit;
            if ((tile->is_narrow || has_high(s, tile, limit, &is_wrong)) && own != BRAGG_NO_CELL)
                status = look_at_tile(s, tile, tile_row);
        }
    }
    return is_wrong ? H5BRAGG_CORRUPT : status;
}

/* Rows of macro blocks are searched when the next one is there, too. */
static h5bragg_status search_rows(chunk_search *s)
{
    const ring_map *map = s->rules->map;
    const uint32_t nrows = sparse_frame_nrows(map);
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t k = 0; k <= nrows && !status; k++) {
        if (k < nrows)
            status = peak_bands_read(&s->bands);
        if (k == 0)
            continue;
        const uint32_t first = MACRO_EDGE * (k - 1);
        for (uint32_t row = first; row < first + MACRO_EDGE && row < map->nty && !status; row++)
            status = search_row(s, row);
    }
    return status;
}

static h5bragg_status search_tiles(sparse_frame *frame, const peak_rules *rules,
                                   h5bragg_peak_list *list)
{
    const ring_map *map = frame->model.noise.map;
    uint16_t *valid = scratch_take(ring_map_ntiles(map) * sizeof *valid);
    chunk_search s = {.rules = rules,
                      .list = list,
                      .valid = valid,
                      .least = pixel_minimum(frame->model.noise.type),
                      .most = pixel_maximum(frame->model.noise.type)};
    if (!valid)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t row = 0; row < map->nty; row++)
        mask_valid(&frame->mask, map, row, valid + (size_t)row * map->ntx);
    h5bragg_status status = peak_bands_make(frame, &s.bands);
    if (!status)
        status = search_rows(&s);
    peak_bands_free(&s.bands);
    scratch_give(valid);
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
