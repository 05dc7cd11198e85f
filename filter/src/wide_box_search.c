/* SPDX-License-Identifier: MIT */
/*
 * Significant tiles of frames with negative values or many counts a pixel (docs/format.md, "Kept
 * flags": the encoder's choice).
 */
#include "wide_box_search.h"
#include "scratch.h"

enum { REACH = 1, PEAK_REACH = 2 };

/* What a valid pixel is above the background of its cell; 0 for others. */
BRAGG_INLINE void fill_excess(const h5bragg_pixel_type type, const frame_source *s,
                              const double *expected, uint32_t row, double *excess)
{
    const ring_map *map = s->map;
    const size_t first = (size_t)(row / TILE_EDGE) * map->ntx;
    for (uint32_t j = 0; j < map->nx; j++) {
        const size_t tile = first + j / TILE_EDGE;
        const uint32_t p = row % TILE_EDGE * TILE_EDGE + j % TILE_EDGE;
        const uint16_t cell = map->cell[tile];
        const size_t i = (size_t)row * map->nx + j;
        const int is_free = s->plane.valid[tile] >> p & 1 && cell != BRAGG_NO_CELL &&
                            !(s->static_mask && s->static_mask[i]);
        excess[j + 1] = is_free ? (double)pixel_get(s->frame.pixels, type, i) - expected[cell] : 0;
    }
}

/* Keeps the tiles that the pixels around one touch. */
static void keep_around(frame_source *s, uint32_t row, uint32_t column, uint32_t reach)
{
    const ring_map *map = s->map;
    const uint32_t top = row > reach ? row - reach : 0;
    const uint32_t left = column > reach ? column - reach : 0;
    const uint32_t bottom = row + reach < map->ny ? row + reach : map->ny - 1;
    const uint32_t right = column + reach < map->nx ? column + reach : map->nx - 1;
    for (uint32_t i = top / TILE_EDGE; i <= bottom / TILE_EDGE; i++) {
        for (uint32_t j = left / TILE_EDGE; j <= right / TILE_EDGE; j++)
            s->kept[(size_t)i * map->ntx + j] = 1;
    }
}

/* Per cell. */
typedef struct wide_cuts {
    const double *expected;
    const double *chance;
    const double *peak;
} wide_cuts;

static void search_row(frame_source *s, const wide_cuts *cuts, uint32_t row,
                       double *const excess[3])
{
    const uint16_t *cell = s->map->cell + (size_t)(row / TILE_EDGE) * s->map->ntx;
    for (uint32_t j = 0; j < s->map->nx; j++) {
        const uint16_t c = cell[j / TILE_EDGE];
        double sum = 0;
        for (uint32_t k = 0; k < 3; k++)
            sum += excess[k][j] + excess[k][j + 1] + excess[k][j + 2];
        if (c == BRAGG_NO_CELL || !(sum > wide_box_cut(cuts->chance[c], cuts->expected[c])))
            continue;
        const int is_peak = sum > wide_box_cut(cuts->peak[c], cuts->expected[c]);
        keep_around(s, row, j, is_peak ? PEAK_REACH : REACH);
    }
}

h5bragg_status wide_box_search(frame_source *s, const frame_model *m, const double *chance,
                               const double *peak)
{
    const ring_map *map = s->map;
    const size_t width = (size_t)map->nx + 2;
    double *expected = scratch_take((map->ncells + 1u) * sizeof *expected);
    double *memory = scratch_take_zeros(3 * width, sizeof *memory);
    const wide_cuts cuts = {expected, chance, peak};
    h5bragg_status status = expected && memory ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells && !status; c++)
        expected[c] = noise_expected(&m->noise, &m->profile[map->ring[c]], c);
    for (uint32_t row = 0; row <= map->ny && !status; row++) { /* searches the row before */
        double *newest = memory + row % 3 * width;
        memset(newest, 0, width * sizeof *newest);
        if (row < map->ny) {
            DISPATCH_PIXEL_TYPE(s->frame.type, fill_excess, s, expected, row, newest)
        }
        double *const excess[3] = {memory, memory + width, memory + 2 * width};
        if (row > 0)
            search_row(s, &cuts, row - 1, excess);
    }
    scratch_give(expected);
    scratch_give(memory);
    return status;
}
