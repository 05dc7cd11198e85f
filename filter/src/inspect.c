/* SPDX-License-Identifier: MIT */
/* What can be known of a chunk or a frame without densifying it. */
#include "map_cache.h"
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
        info->picked_pixels += (uint64_t)frame.npicked + frame.nkept;
        info->masked_pixels += frame.nmasked;
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
    info->format_version = H5BRAGG_FORMAT_VERSION;
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

/* Copies what the caller gave room for. */
static h5bragg_status copy_sparse(const sparse_frame *frame, const frame_header *header,
                                  h5bragg_sparse *sparse)
{
    const ring_map *map = frame->noise.map;
    if (frame->picked.n > sparse->capacity ||
        (frame->picked.n && (!sparse->index || !sparse->value)))
        return H5BRAGG_BUFFER_TOO_SMALL;
    for (uint32_t k = 0; k < frame->picked.n; k++) {
        sparse->index[k] = frame->picked.index[k];
        sparse->value[k] = picked_value(&frame->picked, map, frame->range, k);
    }
    sparse->npicked = frame->picked.n;
    sparse->nmasked = header->nmasked;
    if (sparse->mask)
        memcpy(sparse->mask, frame->mask, (size_t)map->ny * map->nx);
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        if (sparse->mean)
            sparse->mean[ring] = frame->profile[ring].mean;
        if (sparse->std)
            sparse->std[ring] = frame->profile[ring].std;
    }
    return H5BRAGG_OK;
}

static h5bragg_status unpack_sparse(const chunk_header *chunk, frame_header *header,
                                    h5bragg_sparse *sparse)
{
    const ring_map *map = NULL;
    sparse_frame frame;
    h5bragg_status status = map_cache_acquire(&chunk->geometry.view, &chunk->settings.params, &map);
    if (status)
        return status;
    status = sparse_frame_read(chunk, map, header, &frame);
    if (!status)
        status = copy_sparse(&frame, header, sparse);
    sparse_frame_free(&frame);
    map_cache_release(map);
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
