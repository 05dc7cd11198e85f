/* SPDX-License-Identifier: MIT */
/* Shares of odd tiles are those that counting pixel by pixel gives. */
#include <stdlib.h>

#include "check.h"
#include "odd_tiles.h"

enum { MAX_NTILES = 64 * 64 };

static unsigned seed = 11;
static uint16_t valid[MAX_NTILES];
static uint8_t kept[MAX_NTILES];

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* One panel that leaves a margin without cells. */
static ring_map *make_map(uint32_t ny, uint32_t nx)
{
    h5bragg_panel panel = {.slow_start = below(3) * TILE_EDGE,
                           .slow_stop = ny - below(2) * TILE_EDGE,
                           .fast_start = below(3) * TILE_EDGE,
                           .fast_stop = nx - below(2) * TILE_EDGE,
                           .origin_m = {-0.01F, -0.007F, 0.1F},
                           .slow_m = {0, 1e-4F, 0},
                           .fast_m = {1e-4F, 0, 0}};
    const h5bragg_geometry geometry = {.ny = ny,
                                       .nx = nx,
                                       .distance_m = 0.1F,
                                       .wavelength_m = 1e-10F,
                                       .npanels = 1,
                                       .panels = &panel};
    h5bragg_params params;
    ring_map *map;
    h5bragg_params_init(&params);
    CHECK(!ring_map_make(&geometry, &params, &map));
    return map;
}

static double plain_share(const ring_map *map, uint32_t ring)
{
    double n[2] = {0, 0};
    for (uint32_t i = 0; i < map->nty; i++) {
        for (uint32_t j = 0; j < map->ntx; j++) {
            const size_t tile = (size_t)i * map->ntx + j;
            if (map->cell[tile] == BRAGG_NO_CELL || map->ring[map->cell[tile]] != ring)
                continue;
            for (uint32_t p = 0; p < TILE_NPIXELS; p++)
                n[(i + j) % 2] += !kept[tile] && valid[tile] >> p & 1;
        }
    }
    return n[0] + n[1] > 0 ? n[1] / (n[0] + n[1]) : 0.5;
}

static void check_map(const ring_map *map)
{
    uint8_t *is_wanted = calloc(map->nbins, 1);
    double *share = calloc(map->nbins, sizeof *share);
    const uint32_t rare = 1 + below(30);
    const frame_source source = {.map = map, .plane = {.valid = valid}, .kept = kept};
    CHECK(is_wanted && share && ring_map_ntiles(map) <= MAX_NTILES);
    for (size_t t = 0; t < ring_map_ntiles(map); t++) {
        const uint32_t kind = below(12);
        valid[t] = kind == 0 ? (uint16_t)random_bits(&seed) : kind == 1 ? 0 : 0xFFFF;
        kept[t] = below(10) == 0;
    }
    for (uint32_t ring = 0; ring < map->nbins; ring++)
        is_wanted[ring] = below(rare) == 0;
    CHECK(!odd_tiles_share(&source, is_wanted, share));
    for (uint32_t ring = 0; ring < map->nbins; ring++)
        CHECK(!is_wanted[ring] || share[ring] == plain_share(map, ring));
    free(is_wanted);
    free(share);
}

int main(void)
{
    for (int k = 0; k < 60; k++) {
        ring_map *map = make_map(30 + below(200), 30 + below(200));
        check_map(map);
        ring_map_free(map);
    }
    return 0;
}
