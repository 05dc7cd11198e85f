/* SPDX-License-Identifier: MIT */
/* Spans of cells: what is skipped by them has none of what is looked for. */
#include <string.h>

#include "check.h"
#include "ring_map.h"

static unsigned seed = 5;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* A detector of one or two panels, with or without a gap between them. */
static ring_map *make_map(uint32_t ny, uint32_t nx, uint32_t npanels)
{
    h5bragg_panel panels[2];
    const uint32_t gap = npanels == 2 ? TILE_EDGE * below(9) : 0;
    const uint32_t middle = npanels == 2 ? TILE_EDGE * (1 + below(nx / 16)) : nx;
    for (uint32_t k = 0; k < npanels; k++) {
        const uint32_t first = k ? middle + gap : 0;
        panels[k] = (h5bragg_panel){.slow_stop = ny,
                                    .fast_start = first,
                                    .fast_stop = k || npanels == 1 ? nx : middle,
                                    .origin_m = {(float)first * 1e-4F - 0.01F, -0.007F, 0.1F},
                                    .slow_m = {0, 1e-4F, 0},
                                    .fast_m = {1e-4F, 0, 0}};
    }
    const h5bragg_geometry geometry = {.ny = ny,
                                       .nx = nx,
                                       .distance_m = 0.1F,
                                       .wavelength_m = 1e-10F,
                                       .npanels = npanels,
                                       .panels = panels};
    h5bragg_params params;
    ring_map *map;
    h5bragg_params_init(&params);
    CHECK(!ring_map_make(&geometry, &params, &map));
    return map;
}

/* The cells of a macro block, and whether one is marked, by looking at its tiles. */
static int has_marked(const ring_map *map, uint32_t row, uint32_t block, const uint8_t *marked,
                      cell_span *span)
{
    int any = 0;
    *span = (cell_span){BRAGG_NO_CELL, 0};
    for (uint32_t i = MACRO_EDGE * row; i < MACRO_EDGE * (row + 1) && i < map->nty; i++) {
        for (uint32_t j = MACRO_EDGE * block; j < MACRO_EDGE * (block + 1) && j < map->ntx; j++) {
            const uint16_t cell = map->cell[(size_t)i * map->ntx + j];
            span->least = cell < span->least ? cell : span->least;
            span->most = cell > span->most ? cell : span->most;
            any |= cell != BRAGG_NO_CELL && marked[cell];
        }
    }
    return any;
}

static uint32_t check_map(const ring_map *map)
{
    static uint8_t marked[BRAGG_MAX_CELLS];
    static uint32_t before[BRAGG_MAX_CELLS + 1];
    const uint32_t rare = 1 + below(400);
    uint32_t nskipped = 0;
    for (uint32_t c = 0; c < map->ncells; c++) {
        marked[c] = below(rare) == 0;
        before[c + 1] = before[c] + marked[c];
    }
    for (uint32_t row = 0; MACRO_EDGE * row < map->nty; row++) {
        for (uint32_t block = 0; block < ring_map_nblocks(map); block++) {
            const cell_span found = map->span[(size_t)row * ring_map_nblocks(map) + block];
            cell_span span;
            const int any = has_marked(map, row, block, marked, &span);
            CHECK(found.least == span.least && found.most == span.most);
            CHECK(!any || cell_span_has(found, before));
            nskipped += !cell_span_has(found, before);
        }
    }
    return nskipped;
}

/* What the map says of how many tiles there are. */
static void check_ntiles(const ring_map *map)
{
    static uint32_t of_cell[BRAGG_MAX_CELLS];
    static uint32_t of_ring[2 * BRAGG_MAX_CELLS];
    uint32_t most = 0;
    memset(of_cell, 0, sizeof of_cell);
    memset(of_ring, 0, sizeof of_ring);
    for (uint32_t tile = 0; tile < ring_map_ntiles(map); tile++) {
        const uint16_t cell = map->cell[tile];
        if (cell == BRAGG_NO_CELL)
            continue;
        of_ring[2u * map->ring[cell] + (tile / map->ntx + tile % map->ntx) % 2]++;
        most = ++of_cell[cell] > most ? of_cell[cell] : most;
    }
    CHECK(map->most_ntiles == most);
    CHECK(memcmp(map->ntiles, of_ring, 2 * map->nbins * sizeof *of_ring) == 0);
}

int main(void)
{
    uint32_t nskipped = 0;
    for (uint32_t round = 0; round < 60; round++) {
        ring_map *map = make_map(1 + below(300), 40 + below(300), 1 + round % 2);
        nskipped += check_map(map);
        check_ntiles(map);
        ring_map_free(map);
    }
    CHECK(nskipped > 1000);
    return 0;
}
