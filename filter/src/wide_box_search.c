/* SPDX-License-Identifier: MIT */
/*
 * Significant tiles of frames with negative values or many counts a pixel (docs/format.md, "Kept
 * flags": the encoder's choice).
 *
 * Sums of three pixels side by side are kept of three rows; those of boxes are compared with the
 * cuts of tiles.  Loops are for vectors, and each sum is made in the same order as by kernels.
 */
#include "wide_box_search.h"

#include <math.h>

#include "cpu_level.h"
#include "scratch.h"

enum { REACH = 1, PEAK_REACH = 2, NROWS = 3 };

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

/* What a cell means. */
typedef struct wide_cell {
    double expected;
    double chance; /* boxes beyond this are significant; infinite where none can be */
    double peak;
} wide_cell;

/* Buffers of the search. */
typedef struct wide_search {
    wide_cell *cell;    /* ncells + 1, the last that of blank tiles */
    double *expected;   /* of the pixels of a row; whole tiles */
    double *excess;     /* likewise, with a column more on either side */
    double *sum[NROWS]; /* of three pixels side by side, of the row number modulo three */
    double *box;        /* of nine */
} wide_search;

static const wide_cell *cell_of(const wide_search *w, const ring_map *map, size_t tile)
{
    return &w->cell[map->cell[tile] == BRAGG_NO_CELL ? map->ncells : map->cell[tile]];
}

/* What a valid pixel is above the background of its cell; 0 for others. */
BRAGG_INLINE void fill_tile(const h5bragg_pixel_type type, const frame_source *s, uint32_t row,
                            uint32_t column, double expected, double *excess)
{
    const ring_map *map = s->map;
    const size_t tile = (size_t)(row / TILE_EDGE) * map->ntx + column;
    const uint32_t bits = (uint32_t)s->plane.valid[tile] >> TILE_EDGE * (row % TILE_EDGE);
    for (uint32_t k = 0; k < TILE_EDGE; k++) {
        const size_t i = (size_t)row * map->nx + TILE_EDGE * column + k;
        excess[k] = 0;
        if ((bits >> k & 1) && map->cell[tile] != BRAGG_NO_CELL &&
            !(s->static_mask && s->static_mask[i]))
            excess[k] = (double)pixel_get(s->frame.pixels, type, i) - expected;
    }
}

/* The tiles of a row whose bytes do not say all. */
BRAGG_INLINE void fill_odd_tiles(const h5bragg_pixel_type type, const frame_source *s, uint32_t row,
                                 const wide_search *w)
{
    const ring_map *map = s->map;
    const size_t first = (size_t)(row / TILE_EDGE) * map->ntx;
    const uint16_t *valid = s->plane.valid + first;
    const uint8_t *has_large = s->plane.has_large + first;
    for (uint32_t t = 0; t < map->ntx; t++) {
        if (valid[t] != 0xFFFF || has_large[t] || map->cell[first + t] == BRAGG_NO_CELL)
            fill_tile(type, s, row, t, w->expected[TILE_EDGE * t], w->excess + 1 + TILE_EDGE * t);
    }
}

/* Of all pixels, by their bytes. */
BRAGG_INLINE void fill_by_bytes(const uint8_t *restrict value, const double *restrict expected,
                                uint32_t n, double *restrict excess)
{
    for (uint32_t j = 0; j < n; j++)
        excess[j] = (double)(int32_t)value[j] - expected[j];
}

BRAGG_INLINE void sum_three(const double *restrict excess, uint32_t n, double *restrict sum)
{
    for (uint32_t j = 0; j < n; j++)
        sum[j] = excess[j] + excess[j + 1] + excess[j + 2];
}

BRAGG_INLINE void sum_boxes(double *const sum[NROWS], uint32_t n, double *restrict box)
{
    const double *restrict sum0 = sum[0];
    const double *restrict sum1 = sum[1];
    const double *restrict sum2 = sum[2];
    for (uint32_t j = 0; j < n; j++)
        box[j] = sum0[j] + sum1[j] + sum2[j];
}

BRAGG_INLINE void add_row(const h5bragg_pixel_type type, const frame_source *s, uint32_t row,
                          const wide_search *w)
{
    const uint32_t n = TILE_EDGE * s->map->ntx;
    fill_by_bytes(s->plane.value + row * s->plane.stride, w->expected, n, w->excess + 1);
    fill_odd_tiles(type, s, row, w);
    sum_three(w->excess, n, w->sum[row % NROWS]);
}

/* Looks at the boxes around the pixels of a row, one of which is large in some tiles. */
static void search_row(frame_source *s, const wide_search *w, uint32_t row)
{
    const ring_map *map = s->map;
    const size_t first = (size_t)(row / TILE_EDGE) * map->ntx;
    for (uint32_t t = 0; t < map->ntx; t++) {
        const wide_cell *cell = cell_of(w, map, first + t);
        const double *box = w->box + TILE_EDGE * t;
        if (!((box[0] > cell->chance) | (box[1] > cell->chance) | (box[2] > cell->chance) |
              (box[3] > cell->chance)))
            continue;
        for (uint32_t j = TILE_EDGE * t; j < TILE_EDGE * (t + 1) && j < map->nx; j++) {
            if (w->box[j] > cell->chance)
                keep_around(s, row, j, w->box[j] > cell->peak ? PEAK_REACH : REACH);
        }
    }
}

static void set_expected(const ring_map *map, uint32_t tile_row, const wide_search *w)
{
    for (uint32_t t = 0; t < map->ntx; t++) {
        const wide_cell *cell = cell_of(w, map, (size_t)tile_row * map->ntx + t);
        for (uint32_t k = 0; k < TILE_EDGE; k++)
            w->expected[TILE_EDGE * t + k] = cell->expected;
    }
}

BRAGG_INLINE void search_all(const h5bragg_pixel_type type, frame_source *s, const wide_search *w)
{
    const ring_map *map = s->map;
    const uint32_t n = TILE_EDGE * map->ntx;
    for (uint32_t row = 0; row <= map->ny; row++) { /* searches the row before */
        if (row == map->ny) {
            memset(w->sum[row % NROWS], 0, n * sizeof *w->box);
        } else {
            if (row % TILE_EDGE == 0)
                set_expected(map, row / TILE_EDGE, w);
            add_row(type, s, row, w);
        }
        if (row == 0)
            continue;
        sum_boxes(w->sum, n, w->box);
        search_row(s, w, row - 1);
    }
}

static void search_plainly(frame_source *s, const wide_search *w)
{
    DISPATCH_PIXEL_TYPE(s->frame.type, search_all, s, w)
}

#if defined(BRAGG_X86_64)
/* The same in longer vectors: what is not contracted has the same result. */
__attribute__((target("avx2"))) static void search_avx2(frame_source *s, const wide_search *w)
{
    DISPATCH_PIXEL_TYPE(s->frame.type, search_all, s, w)
}
#endif

static void search(frame_source *s, const wide_search *w)
{
#if defined(BRAGG_X86_64)
    const cpu_level level = bragg_cpu_level();
    if (level == CPU_AVX2 || level == CPU_AVX512) {
        search_avx2(s, w);
        return;
    }
#endif
    search_plainly(s, w);
}

h5bragg_status wide_box_search(frame_source *s, const frame_model *m, const double *chance,
                               const double *peak)
{
    const ring_map *map = s->map;
    const size_t width = (size_t)TILE_EDGE * map->ntx + 2;
    double *memory = scratch_take_zeros((NROWS + 3) * width, sizeof *memory);
    wide_search w = {.cell = scratch_take((map->ncells + 1u) * sizeof *w.cell)};
    const h5bragg_status status = w.cell && memory ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status) {
        for (uint32_t c = 0; c < map->ncells; c++) {
            const double expected = noise_expected(&m->noise, &m->profile[map->ring[c]], c);
            w.cell[c] = (wide_cell){expected, wide_box_cut(chance[c], expected),
                                    wide_box_cut(peak[c], expected)};
        }
        w.cell[map->ncells] = (wide_cell){0, INFINITY, INFINITY};
        w.expected = memory;
        w.excess = memory + width;
        w.box = memory + 2 * width;
        for (uint32_t k = 0; k < NROWS; k++)
            w.sum[k] = memory + (3 + k) * width;
        search(s, &w);
    }
    scratch_give(w.cell);
    scratch_give(memory);
    return status;
}
