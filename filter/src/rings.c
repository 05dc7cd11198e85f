/* SPDX-License-Identifier: MIT */
/* Rings for people: the background of one frame, and the ring map, as public arrays. */
#include <math.h>
#include <stdlib.h>

#include "background.h"
#include "geometry.h"
#include "map_cache.h"

/* The map of public arguments; parameters are made canonical for the pixel type. */
static h5bragg_status acquire_map(const h5bragg_geometry *geometry, const h5bragg_params *params,
                                  h5bragg_pixel_type type, h5bragg_params *canonical,
                                  const ring_map **map)
{
    if (!params)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = bragg_geometry_check(geometry);
    if (!status)
        status = bragg_params_canonical(params, type, canonical);
    return status ? status : map_cache_acquire(geometry, canonical, map);
}

/* As acquire_map where there are no pixels: mask codes do not matter then. */
static h5bragg_status acquire_untyped_map(const h5bragg_geometry *geometry,
                                          const h5bragg_params *params, const ring_map **map)
{
    h5bragg_params canonical;
    if (!params)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_params untyped = *params;
    untyped.auto_mask_codes = 1;
    return acquire_map(geometry, &untyped, H5BRAGG_U32, &canonical, map);
}

uint32_t h5bragg_nbins(const h5bragg_geometry *geometry, const h5bragg_params *params)
{
    const ring_map *map = NULL;
    if (acquire_untyped_map(geometry, params, &map))
        return 0;
    const uint32_t nbins = map->nbins;
    map_cache_release(map);
    return nbins;
}

static h5bragg_ring describe_ring(const ring_map *map, const ring_background *background,
                                  uint32_t ring, double distance_m)
{
    const double sine = 0.5 * (map->scatter_min + (ring + 0.5) * map->scatter_width);
    const double two_theta = 2.0 * asin(sine < 1.0 ? sine : 1.0);
    const h5bragg_ring described = {
        .radius_m = two_theta < 1.57 ? distance_m * tan(two_theta) : INFINITY,
        .two_theta_rad = two_theta,
        .mean = background->mean,
        .std = background->std,
        .sem = background->sem,
        .count = background->count,
        .npixels = background->npixels,
    };
    return described;
}

/* Background of all rings of a map. */
static h5bragg_status find_background(const bragg_frame *frame, const h5bragg_params *params,
                                      const uint8_t *static_mask, const ring_map *map,
                                      ring_background *background)
{
    const bragg_mask_codes codes = bragg_mask_codes_of(params, frame->type);
    counts_plane plane = {0};
    histogram h = {0};
    h5bragg_status status = counts_plane_make(frame, &codes, static_mask, map, &plane);
    if (!status)
        status = histogram_make(frame, static_mask, map, &plane, &h);
    if (!status)
        status = background_make(&h, map, params, background);
    histogram_free(&h);
    counts_plane_free(&plane);
    return status;
}

h5bragg_status h5bragg_background(const void *frame, h5bragg_pixel_type type,
                                  const h5bragg_geometry *geometry, const h5bragg_params *params,
                                  h5bragg_ring *rings, uint32_t nrings)
{
    const ring_map *map = NULL;
    ring_background *background = NULL;
    h5bragg_params canonical;
    if (!frame || !rings)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = acquire_map(geometry, params, type, &canonical, &map);
    if (status)
        return status;
    const bragg_frame pixels = {frame, type, geometry->ny, geometry->nx};
    background = malloc(map->nbins * sizeof *background);
    if (!background)
        status = H5BRAGG_NO_MEMORY;
    else if (nrings != map->nbins)
        status = H5BRAGG_BUFFER_TOO_SMALL;
    if (!status)
        status = find_background(&pixels, &canonical, geometry->mask, map, background);
    for (uint32_t ring = 0; ring < nrings && !status; ring++)
        rings[ring] = describe_ring(map, &background[ring], ring, geometry->distance_m);
    free(background);
    map_cache_release(map);
    return status;
}

h5bragg_status h5bragg_map_pixels(const h5bragg_geometry *geometry, const h5bragg_params *params,
                                  uint16_t *ring, float *normalisation)
{
    const ring_map *map = NULL;
    const h5bragg_status status = acquire_untyped_map(geometry, params, &map);
    if (status)
        return status;
    const size_t npixels = (size_t)map->ny * map->nx;
    for (size_t i = 0; i < npixels; i++) {
        const size_t tile = i / map->nx / TILE_EDGE * map->ntx + i % map->nx / TILE_EDGE;
        const uint16_t cell = map->cell[tile];
        const int is_off = cell == BRAGG_NO_CELL;
        if (ring)
            ring[i] = is_off ? UINT16_MAX : map->ring[cell];
        if (normalisation)
            normalisation[i] = is_off ? 0.0f : (float)map->normalisation[cell];
    }
    map_cache_release(map);
    return H5BRAGG_OK;
}
