/* SPDX-License-Identifier: MIT */
/* Dense frames -> chunk: header, frame after frame, checksum. */
#include "encode.h"

#include "encoder_hook.h"
#include "frame_encoder.h"
#include "peak_rules.h"

/* One frame with its header, sparse if that is smaller and whole if not. */
static h5bragg_status encode_frame(frame_encoder *e, const bragg_frame *frame, byte_writer *w)
{
    byte_writer body;
    h5bragg_status status = frame_record_room(frame, w, &body);
    if (status)
        return status;
    status = frame_encoder_write(e, frame, &body);
    return frame_record_write(frame, status, &body, w);
}

/* peaks, unless NULL: of one frame after the other, in lists side by side. */
static h5bragg_status encode_chunk(const bragg_settings *s, const h5bragg_geometry *geometry,
                                   const uint8_t *frames, uint8_t *out, size_t capacity,
                                   size_t *out_nbytes, peak_request *peaks)
{
    const size_t frame_nbytes = (size_t)s->ny * s->nx * h5bragg_pixel_nbytes(s->type);
    byte_writer w = {out, out + capacity, 0};
    frame_encoder e;
    h5bragg_status status = frame_encoder_make(s, geometry, &e);
    e.peaks = peaks;
    if (!status)
        chunk_header_write(s, geometry, e.source.map->nbins, &w);
    if (w.failed)
        status = H5BRAGG_BUFFER_TOO_SMALL;
    for (uint32_t k = 0; k < s->nframes && !status; k++) {
        const bragg_frame frame = {frames + k * frame_nbytes, s->type, s->ny, s->nx};
        status = encode_frame(&e, &frame, &w);
        if (peaks)
            peaks->list++;
    }
    if (!status) {
        *out_nbytes = (size_t)(w.at - out);
        chunk_header_seal(out, *out_nbytes);
    }
    frame_encoder_free(&e);
    return status;
}

size_t h5bragg_bound(h5bragg_pixel_type type, uint32_t nframes, const h5bragg_geometry *geometry)
{
    if (!geometry || nframes == 0 || geometry->ny > BRAGG_MAX_SIDE || geometry->nx > BRAGG_MAX_SIDE)
        return 0;
    const uint64_t frame =
        (uint64_t)geometry->ny * geometry->nx * h5bragg_pixel_nbytes(type) + FRAME_HEADER_NBYTES;
    if (frame > SIZE_MAX / 2 / nframes || geometry->npanels > H5BRAGG_MAX_PANELS)
        return 0;
    return chunk_header_nbytes(geometry) + (size_t)frame * nframes;
}

h5bragg_status h5bragg_encode(const void *frames, h5bragg_pixel_type type, uint32_t nframes,
                              const h5bragg_geometry *geometry, const h5bragg_params *params,
                              void *out, size_t out_capacity, size_t *out_nbytes)
{
    bragg_settings s;
    if (!frames || !geometry || !params || !out || !out_nbytes)
        return H5BRAGG_BAD_ARGUMENT;
    const h5bragg_status status = frame_settings_make(type, nframes, geometry, params, &s);
    if (status)
        return status;
    return encode_chunk(&s, geometry, frames, out, out_capacity, out_nbytes, NULL);
}

h5bragg_status h5bragg_encode_peaks(const void *frames, h5bragg_pixel_type type, uint32_t nframes,
                                    const h5bragg_geometry *geometry, const h5bragg_params *params,
                                    void *out, size_t out_capacity, size_t *out_nbytes,
                                    const h5bragg_peak_params *peaks, h5bragg_peak_list *lists)
{
    bragg_settings s;
    if (!frames || !geometry || !params || !out || !out_nbytes || !peaks || !lists)
        return H5BRAGG_BAD_ARGUMENT;
    peak_request request = {*peaks, geometry, lists, NULL, 0};
    h5bragg_status status = frame_settings_make(type, nframes, geometry, params, &s);
    if (!status)
        status = peak_params_check(peaks);
    return status ? status
                  : encode_chunk(&s, geometry, frames, out, out_capacity, out_nbytes, &request);
}

/* The geometry that settings name; a flat one is expanded into *panel. */
static h5bragg_status settings_geometry(const bragg_settings *s, h5bragg_panel *panel,
                                        h5bragg_geometry *geometry)
{
    if (!s->is_registered) {
        *geometry = (h5bragg_geometry){.ny = s->ny,
                                       .nx = s->nx,
                                       .distance_m = s->flat.distance_m,
                                       .wavelength_m = s->flat.wavelength_m,
                                       .npanels = 1,
                                       .panels = panel};
        return h5bragg_flat_panel(&s->flat, panel);
    }
    const h5bragg_geometry *found = bragg_geometry_find(s->geometry_hash);
    if (!found)
        return H5BRAGG_UNKNOWN_GEOMETRY;
    *geometry = *found;
    return found->ny == s->ny && found->nx == s->nx ? H5BRAGG_OK : H5BRAGG_BAD_SHAPE;
}

h5bragg_status bragg_encode_settings(const bragg_settings *s, const void *frames, void *out,
                                     size_t capacity, size_t *out_nbytes)
{
    h5bragg_panel panel;
    h5bragg_geometry geometry;
    const h5bragg_status status = settings_geometry(s, &panel, &geometry);
    if (status)
        return status;
    const encoder_hook hook = encoder_hook_get();
    if (hook.encode)
        return hook.encode(frames, s->type, s->nframes, &geometry, &s->params, out, capacity,
                           out_nbytes, hook.context);
    return h5bragg_encode(frames, s->type, s->nframes, &geometry, &s->params, out, capacity,
                          out_nbytes);
}

size_t bragg_settings_bound(const bragg_settings *s)
{
    h5bragg_panel panel;
    h5bragg_geometry geometry;
    if (settings_geometry(s, &panel, &geometry))
        return 0;
    return h5bragg_bound(s->type, s->nframes, &geometry);
}
