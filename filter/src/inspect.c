/* SPDX-License-Identifier: MIT */
/* What can be known of a chunk or a frame without densifying it. */
#include <stdlib.h>

#include "map_cache.h"
#include "scratch.h"
#include "sparse_frame.h"

static h5bragg_status count_frames(const chunk_header *header, h5bragg_info *info)
{
    byte_reader frames = header->frames;
    for (uint32_t k = 0; k < info->nframes; k++) {
        frame_header frame;
        const size_t npixels = (size_t)info->ny * info->nx;
        const h5bragg_status status = frame_header_read(&frames, npixels, &frame);
        if (status)
            return status;
        info->sparse_frames += frame.mode == FRAME_SPARSE;
        info->lossless_frames += frame.mode == FRAME_WHOLE;
        info->picked_pixels += (uint64_t)frame.sparse.npicked + frame.sparse.nexact;
        info->masked_pixels += frame.sparse.nmasked;
    }
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_inspect(const void *chunk, size_t chunk_nbytes, h5bragg_info *info)
{
    chunk_header header;
    if (!info)
        return H5BRAGG_BAD_ARGUMENT;
    memset(info, 0, sizeof *info);
    h5bragg_status status = chunk_header_read(chunk, chunk_nbytes, &header);
    if (status)
        return status;
    const bragg_settings *s = &header.settings;
    info->format_version = header.version;
    info->nframes = s->nframes;
    info->ny = s->ny;
    info->nx = s->nx;
    info->pixel_type = s->type;
    info->nbins = header.nbins;
    info->npanels = header.geometry.view.npanels;
    info->wavelength_m = header.geometry.view.wavelength_m;
    info->distance_m = header.geometry.view.distance_m;
    info->chunk_nbytes = chunk_nbytes;
    info->frames_nbytes = (uint64_t)s->ny * s->nx * h5bragg_pixel_nbytes(s->type) * s->nframes;
    info->params = s->params;
    status = count_frames(&header, info);
    chunk_header_free(&header);
    return status;
}

h5bragg_status h5bragg_inspect_panels(const void *chunk, size_t chunk_nbytes, h5bragg_panel *panels,
                                      uint32_t capacity)
{
    chunk_header header;
    if (!panels)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = chunk_header_read(chunk, chunk_nbytes, &header);
    if (status)
        return status;
    const h5bragg_geometry *g = &header.geometry.view;
    if (g->npanels > capacity)
        status = H5BRAGG_BUFFER_TOO_SMALL;
    else
        memcpy(panels, g->panels, g->npanels * sizeof *panels);
    chunk_header_free(&header);
    return status;
}

/* A pixel that is stored exactly. */
typedef struct stored_pixel {
    uint32_t index;
    int64_t value;
} stored_pixel;

typedef struct stored_list {
    stored_pixel *pixel;
    size_t n;
} stored_list;

static int by_index(const void *a, const void *b)
{
    const uint32_t x = ((const stored_pixel *)a)->index;
    const uint32_t y = ((const stored_pixel *)b)->index;
    return (x > y) - (x < y);
}

/* Exact tiles of one row of tiles; no more than the frame's header says. */
static h5bragg_status list_row(sparse_frame *frame, uint32_t row, size_t capacity,
                               stored_list *list)
{
    const ring_map *map = frame->model.noise.map;
    const uint32_t tile_row = MACRO_EDGE * frame->macro_row + row;
    const exact_tile *tile;
    const uint32_t ntiles = sparse_frame_exact_tiles(frame, row, &tile);
    for (const exact_tile *end = tile + ntiles; tile < end; tile++) {
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            if (!(tile->valid >> p & 1))
                continue;
            if (list->n == capacity)
                return H5BRAGG_CORRUPT;
            const size_t i = tile_pixel(map, tile_row, tile->column, p);
            list->pixel[list->n++] = (stored_pixel){(uint32_t)i, exact_tile_value(tile, p)};
        }
    }
    return H5BRAGG_OK;
}

/* Picked pixels of a row of macro blocks, likewise. */
static h5bragg_status list_picked(const sparse_frame *frame, size_t capacity, stored_list *list)
{
    const picked_reader *picked = &frame->picked;
    const uint32_t first = TILE_EDGE * MACRO_EDGE * frame->macro_row * frame->model.noise.map->nx;
    if (picked->n > capacity - list->n)
        return H5BRAGG_CORRUPT;
    for (uint32_t k = 0; k < picked->n; k++)
        list->pixel[list->n++] =
            (stored_pixel){first + picked->at[k], picked_reader_value(picked, k)};
    return H5BRAGG_OK;
}

static h5bragg_status list_stored(sparse_frame *frame, frame_header *header, size_t capacity,
                                  stored_list *list)
{
    h5bragg_status status = H5BRAGG_OK;
    for (uint32_t k = 0; k < sparse_frame_nrows(frame->model.noise.map) && !status; k++) {
        status = sparse_frame_read_row(frame, k, 0);
        for (uint32_t row = 0; row < frame->nrows && !status; row++)
            status = list_row(frame, row, capacity, list);
        if (!status)
            status = list_picked(frame, capacity, list);
    }
    if (!status)
        status = sparse_frame_finish(frame, header, 0);
    if (!status)
        qsort(list->pixel, list->n, sizeof *list->pixel, by_index);
    return status;
}

static void copy_mask(const frame_mask *mask, const ring_map *map, uint8_t *out)
{
    memset(out, 0, (size_t)map->ny * map->nx);
    for (uint32_t row = 0; row < map->ny; row++) {
        for (uint32_t k = 0; k < mask->row[row].n; k++) {
            const mask_run *run = &mask->run[mask->row[row].first + k];
            memset(out + (size_t)row * map->nx + run->start, run->number, run->stop - run->start);
        }
    }
}

/* Copies what the caller gave room for. */
static void copy_sparse(const sparse_frame *frame, const stored_list *list, h5bragg_sparse *sparse)
{
    const frame_model *model = &frame->model;
    for (size_t k = 0; k < list->n; k++) {
        sparse->index[k] = list->pixel[k].index;
        sparse->value[k] = list->pixel[k].value;
    }
    sparse->npicked = list->n;
    sparse->nmasked = frame->mask.nmasked;
    if (sparse->mask)
        copy_mask(&frame->mask, model->noise.map, sparse->mask);
    for (uint32_t ring = 0; ring < model->layout.nbins; ring++) {
        if (sparse->mean)
            sparse->mean[ring] = (float)model->profile[ring].mean;
        if (sparse->std)
            sparse->std[ring] = (float)model->profile[ring].std;
    }
}

static h5bragg_status unpack_sparse(const chunk_header *chunk, frame_header *header,
                                    h5bragg_sparse *sparse)
{
    const ring_map *map = NULL;
    sparse_frame frame;
    const size_t nstored = (size_t)header->sparse.npicked + header->sparse.nexact;
    if (nstored > sparse->capacity || (nstored && (!sparse->index || !sparse->value)))
        return H5BRAGG_BUFFER_TOO_SMALL;
    stored_list list = {scratch_take((nstored + 1) * sizeof *list.pixel), 0};
    if (!list.pixel)
        return H5BRAGG_NO_MEMORY;
    h5bragg_status status = map_cache_acquire(&chunk->geometry.view, &chunk->settings.params, &map);
    if (!status) {
        status = sparse_frame_open(chunk, map, SPARSE_ALL, header, &frame);
        if (!status)
            status = list_stored(&frame, header, nstored, &list);
        if (!status)
            copy_sparse(&frame, &list, sparse);
        sparse_frame_close(&frame);
    }
    map_cache_release(map);
    scratch_give(list.pixel);
    return status;
}

h5bragg_status h5bragg_unpack(const void *chunk, size_t chunk_nbytes, uint32_t frame,
                              h5bragg_sparse *sparse)
{
    chunk_header header;
    frame_header found = {0};
    if (!sparse)
        return H5BRAGG_BAD_ARGUMENT;
    sparse->npicked = sparse->nmasked = sparse->is_lossless = 0;
    h5bragg_status status = chunk_header_read(chunk, chunk_nbytes, &header);
    if (status)
        return status;
    const size_t npixels = (size_t)header.settings.ny * header.settings.nx;
    if (frame >= header.settings.nframes)
        status = H5BRAGG_BAD_ARGUMENT;
    for (uint32_t k = 0; k <= frame && !status; k++)
        status = frame_header_read(&header.frames, npixels, &found);
    if (!status && found.mode == FRAME_WHOLE)
        sparse->is_lossless = 1;
    else if (!status)
        status = unpack_sparse(&header, &found, sparse);
    chunk_header_free(&header);
    return status;
}
