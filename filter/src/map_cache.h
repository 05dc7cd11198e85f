/* SPDX-License-Identifier: MIT */
/* Ring maps are made once per geometry and shared by all threads of a process. */
#ifndef BRAGG_MAP_CACHE_H
#define BRAGG_MAP_CACHE_H

#include "ring_map.h"

/* The map of a checked geometry and canonical parameters; give it back with map_cache_release. */
h5bragg_status map_cache_acquire(const h5bragg_geometry *geometry, const h5bragg_params *params,
                                 const ring_map **map);

void map_cache_release(const ring_map *map);

#endif
