/* SPDX-License-Identifier: MIT */
/* Peaks for people: of a frame, and of a frame of a chunk (docs/peaks.md). */
#include "frame_encoder.h"
#include "map_cache.h"
#include "peak_chunk.h"
#include "peak_rules.h"
#include "scratch.h"
#include "whole_frame.h"

/* The encoder's stages up to the choice of tiles, and then the search. */
static h5bragg_status search_frame(frame_encoder *e, const bragg_frame *frame,
                                   const peak_request *request)
{
    h5bragg_status status = frame_encoder_count(e, frame);
    if (!status)
        status = frame_encoder_model(e);
    if (status == FRAME_NOT_SPARSE)
        return H5BRAGG_OK; /* no chunk holds such a background: it is not one of counts */
    if (!status)
        status = frame_encoder_choose(e);
    if (!status)
        status = frame_encoder_settle(e);
    return status ? status : peak_search(&e->source, &e->model, request);
}

static h5bragg_status find_in_frame(const void *pixels, const bragg_settings *s,
                                    const h5bragg_geometry *geometry,
                                    const h5bragg_peak_params *peaks, h5bragg_peak_list *list)
{
    const bragg_frame frame = {pixels, s->type, s->ny, s->nx};
    const peak_request request = {*peaks, geometry, list, NULL, 0};
    frame_encoder e;
    h5bragg_status status = frame_encoder_make(s, geometry, &e);
    if (!status)
        status = search_frame(&e, &frame, &request);
    frame_encoder_free(&e);
    return status;
}

h5bragg_status h5bragg_find_peaks(const void *frame, h5bragg_pixel_type type,
                                  const h5bragg_geometry *geometry, const h5bragg_params *params,
                                  const h5bragg_peak_params *peaks, h5bragg_peak_list *list)
{
    bragg_settings s;
    if (!frame || !geometry || !params || !peaks || !list)
        return H5BRAGG_BAD_ARGUMENT;
    list->npeaks = 0;
    h5bragg_status status = frame_settings_make(type, 1, geometry, params, &s);
    if (!status)
        status = peak_params_check(peaks);
    return status ? status : find_in_frame(frame, &s, geometry, peaks, list);
}

/* A frame that is stored whole: as if it had not been stored. */
static h5bragg_status find_in_whole(const chunk_header *chunk, const frame_header *header,
                                    const uint8_t *mask, const h5bragg_peak_params *peaks,
                                    h5bragg_peak_list *list)
{
    const bragg_settings *s = &chunk->settings;
    h5bragg_geometry geometry = chunk->geometry.view;
    const size_t nbytes = (size_t)s->ny * s->nx * h5bragg_pixel_nbytes(s->type);
    if (bytes_left(&header->body) != nbytes) /* before a few bytes get room for gigabytes */
        return H5BRAGG_CORRUPT;
    geometry.mask = mask;
    void *pixels = scratch_take(nbytes);
    h5bragg_status status = pixels ? whole_frame_read(s, header, pixels) : H5BRAGG_NO_MEMORY;
    if (!status)
        status = find_in_frame(pixels, s, &geometry, peaks, list);
    scratch_give(pixels);
    return status;
}

static h5bragg_status find_in_chunk(chunk_header *chunk, uint32_t number, const uint8_t *mask,
                                    const h5bragg_peak_params *peaks, h5bragg_peak_list *list)
{
    const bragg_settings *s = &chunk->settings;
    const ring_map *map = NULL;
    frame_header header = {0};
    h5bragg_status status = number < s->nframes ? H5BRAGG_OK : H5BRAGG_BAD_ARGUMENT;
    for (uint32_t k = 0; k <= number && !status; k++)
        status = frame_header_read(&chunk->frames, (size_t)s->ny * s->nx, &header);
    if (status)
        return status;
    if (header.mode == FRAME_WHOLE)
        return find_in_whole(chunk, &header, mask, peaks, list);
    status = map_cache_acquire(&chunk->geometry.view, &s->params, &map);
    if (!status)
        status = peak_chunk_search(chunk, map, &header, mask, peaks, list);
    map_cache_release(map);
    return status;
}

h5bragg_status h5bragg_find_peaks_chunk(const void *chunk, size_t chunk_nbytes, uint32_t frame,
                                        const uint8_t *mask, const h5bragg_peak_params *peaks,
                                        h5bragg_peak_list *list)
{
    chunk_header header;
    if (!chunk || !peaks || !list)
        return H5BRAGG_BAD_ARGUMENT;
    list->npeaks = 0;
    h5bragg_status status = peak_params_check(peaks);
    if (!status)
        status = chunk_header_read(chunk, chunk_nbytes, &header);
    if (status)
        return status;
    status = find_in_chunk(&header, frame, mask, peaks, list);
    chunk_header_free(&header);
    return status;
}
