/* SPDX-License-Identifier: MIT */
/*
 * A few ring maps, most recently used first, keyed by everything that a map depends on.  Maps are
 * counted: one that leaves the cache lives on until its last user gives it back.
 */
#include "map_cache.h"

#include <stdlib.h>
#include <string.h>

#include "lock.h"

enum { CACHE_SIZE = 4 };

typedef struct map_key {
    uint32_t ny;
    uint32_t nx;
    float distance_m;
    uint32_t radial_bins;
    uint32_t use_polarization;
    uint32_t use_solid_angle;
    double polarization;
    uint32_t npanels;
    h5bragg_panel *panels;
} map_key;

typedef struct cached_map {
    map_key key;
    ring_map *map;
    uint32_t users; /* the cache itself counts as one */
    struct cached_map *next;
} cached_map;

static cached_map *cache_head;  /* in the cache */
static cached_map *orphan_head; /* dropped, still in use */

static int panels_equal(const h5bragg_panel *a, const h5bragg_panel *b, uint32_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0; /* eleven 4-byte members: no padding */
}

static int key_matches(const map_key *key, const h5bragg_geometry *g, const h5bragg_params *p)
{
    return key->ny == g->ny && key->nx == g->nx && key->npanels == g->npanels &&
           memcmp(&key->distance_m, &g->distance_m, sizeof g->distance_m) == 0 &&
           key->radial_bins == p->radial_bins && key->use_polarization == p->use_polarization &&
           key->use_solid_angle == p->use_solid_angle &&
           memcmp(&key->polarization, &p->polarization, sizeof p->polarization) == 0 &&
           panels_equal(key->panels, g->panels, g->npanels);
}

static void free_cached(cached_map *c)
{
    ring_map_free(c->map);
    free(c->key.panels);
    free(c);
}

static void unlink_from(cached_map **head, cached_map *c)
{
    for (cached_map **at = head; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            return;
        }
    }
}

static void drop_oldest(void)
{
    uint32_t n = 0;
    cached_map *last = NULL;
    for (cached_map *c = cache_head; c; c = c->next) {
        last = c;
        n++;
    }
    if (n < CACHE_SIZE)
        return;
    unlink_from(&cache_head, last);
    if (--last->users == 0) {
        free_cached(last);
    } else {
        last->next = orphan_head;
        orphan_head = last;
    }
}

static h5bragg_status make_cached(const h5bragg_geometry *g, const h5bragg_params *p,
                                  cached_map **result)
{
    cached_map *c = calloc(1, sizeof *c);
    if (!c)
        return H5BRAGG_NO_MEMORY;
    c->key = (map_key){g->ny,
                       g->nx,
                       g->distance_m,
                       p->radial_bins,
                       p->use_polarization,
                       p->use_solid_angle,
                       p->polarization,
                       g->npanels,
                       NULL};
    c->key.panels = malloc(g->npanels * sizeof *g->panels);
    h5bragg_status status = c->key.panels ? ring_map_make(g, p, &c->map) : H5BRAGG_NO_MEMORY;
    if (status) {
        free_cached(c);
        return status;
    }
    memcpy(c->key.panels, g->panels, g->npanels * sizeof *g->panels);
    c->users = 1;
    *result = c;
    return H5BRAGG_OK;
}

/* The lock is held while a map is made: other threads that want the same one wait for it. */
h5bragg_status map_cache_acquire(const h5bragg_geometry *geometry, const h5bragg_params *params,
                                 const ring_map **map)
{
    h5bragg_status status = H5BRAGG_OK;
    lock_acquire(LOCK_RING_MAPS);
    cached_map *found = cache_head;
    while (found && !key_matches(&found->key, geometry, params))
        found = found->next;
    if (found)
        unlink_from(&cache_head, found);
    else
        status = make_cached(geometry, params, &found);
    if (!status) {
        drop_oldest();
        found->next = cache_head;
        cache_head = found;
        found->users++;
        *map = found->map;
    }
    lock_release(LOCK_RING_MAPS);
    return status;
}

static cached_map *find_user(cached_map *head, const ring_map *map)
{
    while (head && head->map != map)
        head = head->next;
    return head;
}

void map_cache_release(const ring_map *map)
{
    if (!map)
        return;
    lock_acquire(LOCK_RING_MAPS);
    cached_map *c = find_user(cache_head, map);
    const int is_orphan = c == NULL;
    if (is_orphan)
        c = find_user(orphan_head, map);
    if (c && --c->users == 0) {
        unlink_from(&orphan_head, c);
        free_cached(c);
    }
    lock_release(LOCK_RING_MAPS);
}
