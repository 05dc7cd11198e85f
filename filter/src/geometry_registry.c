/* SPDX-License-Identifier: MIT */
/*
 * Geometries that do not fit into cd_values, named in this process by a hash of their contents.
 * Entries are never removed: a filter of any HDF5 library in the process may still need them.
 */
#include <stdlib.h>

#include "checksum.h"
#include "geometry.h"
#include "lock.h"
#include "settings.h"

typedef struct registry_entry {
    struct registry_entry *next;
    uint64_t hash;
    bragg_owned_geometry geometry;
} registry_entry;

static registry_entry *registry_head;

static size_t mask_nbytes(const h5bragg_geometry *g) { return g->mask ? (size_t)g->ny * g->nx : 0; }

/* Two checksums of the serialised geometry and mask make 64 bits. */
static h5bragg_status geometry_hash(const h5bragg_geometry *g, uint64_t *hash)
{
    const size_t nbytes = 4 + BRAGG_GEOMETRY_NBYTES + (size_t)g->npanels * BRAGG_PANEL_NBYTES;
    uint8_t *bytes = malloc(nbytes);
    if (!bytes)
        return H5BRAGG_NO_MEMORY;
    byte_writer w = {bytes, bytes + nbytes, 0};
    write_u32(&w, g->ny | g->nx << 16);
    bragg_geometry_write(g, &w);
    const uint32_t low = bragg_crc32c(bragg_crc32c(0, bytes, nbytes), g->mask, mask_nbytes(g));
    const uint32_t high = bragg_crc32c(bragg_crc32c(low, g->mask, mask_nbytes(g)), bytes, nbytes);
    *hash = low | (uint64_t)high << 32;
    free(bytes);
    return H5BRAGG_OK;
}

static const registry_entry *find_locked(uint64_t hash)
{
    for (const registry_entry *e = registry_head; e; e = e->next) {
        if (e->hash == hash)
            return e;
    }
    return NULL;
}

const h5bragg_geometry *bragg_geometry_find(uint64_t hash)
{
    lock_acquire(LOCK_GEOMETRIES);
    const registry_entry *e = find_locked(hash);
    lock_release(LOCK_GEOMETRIES);
    return e ? &e->geometry.view : NULL;
}

static h5bragg_status register_geometry(const h5bragg_geometry *g, uint64_t hash)
{
    registry_entry *entry = NULL;
    h5bragg_status status = H5BRAGG_OK;
    lock_acquire(LOCK_GEOMETRIES);
    if (find_locked(hash))
        goto done;
    entry = malloc(sizeof *entry);
    if (!entry) {
        status = H5BRAGG_NO_MEMORY;
        goto done;
    }
    status = bragg_geometry_copy(g, &entry->geometry);
    if (status) {
        free(entry);
        goto done;
    }
    entry->hash = hash;
    entry->next = registry_head;
    registry_head = entry;
done:
    lock_release(LOCK_GEOMETRIES);
    return status;
}

h5bragg_status h5bragg_config_registered(const h5bragg_geometry *geometry,
                                         const h5bragg_params *params, uint32_t cd_values[16])
{
    uint64_t hash = 0;
    if (!cd_values)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = bragg_geometry_check(geometry);
    if (!status)
        status = geometry_hash(geometry, &hash);
    if (!status)
        status = bragg_config_hash(hash, params, geometry->ny, geometry->nx, cd_values);
    return status ? status : register_geometry(geometry, hash);
}
