/* SPDX-License-Identifier: MIT */
/* Dense frames -> chunk: frame, mask, radial bins, background, tiles, packing, in that order. */
#include "encode.h"

#include "chunk_header.h"
#include "frame_pack.h"
#include "map_cache.h"
#include "scratch.h"
#include "tile_choice.h"

/* What a stage says when a frame has no sparse form smaller than itself: it is stored whole. */
static const h5bragg_status NOT_SPARSE = H5BRAGG_BUFFER_TOO_SMALL;

/* What is made of one frame; buffers are reused for all frames of a chunk. */
typedef struct frame_encoder {
    frame_source source;
    frame_model model;
    ring_background *background;
} frame_encoder;

static void encoder_free(frame_encoder *e)
{
    map_cache_release(e->source.map);
    counts_plane_free(&e->source.plane);
    histogram_free(&e->source.counts);
    frame_model_free(&e->model);
    scratch_give(e->source.kept);
    scratch_give(e->source.calm);
    scratch_give(e->background);
}

static h5bragg_status encoder_make(const bragg_settings *s, const h5bragg_geometry *geometry,
                                   frame_encoder *e)
{
    memset(e, 0, sizeof *e);
    e->source.static_mask = geometry->mask;
    h5bragg_status status = map_cache_acquire(geometry, &s->params, &e->source.map);
    if (status)
        return status;
    status =
        frame_model_make(e->source.map, &s->params, s->type, H5BRAGG_FORMAT_VERSION, &e->model);
    e->source.kept = scratch_take(ring_map_ntiles(e->source.map));
    e->source.calm = scratch_take(ring_map_ntiles(e->source.map));
    e->background = scratch_take(e->source.map->nbins * sizeof *e->background);
    if (!status && (!e->source.kept || !e->source.calm || !e->background))
        status = H5BRAGG_NO_MEMORY;
    if (status)
        encoder_free(e);
    return status;
}

/* The sparse form of a frame; w fails if it is not smaller than the frame. */
static h5bragg_status encode_sparse(frame_encoder *e, const bragg_frame *frame, byte_writer *w)
{
    frame_source *s = &e->source;
    frame_model *m = &e->model;
    s->frame = *frame;
    h5bragg_status status =
        counts_plane_make(frame, &m->noise.codes, s->static_mask, s->map, &s->plane);
    if (!status)
        status = histogram_make(frame, s->static_mask, s->map, &s->plane, &s->counts);
    if (!status)
        status = background_make(&s->counts, s->map, m->noise.params, e->background);
    m->noise.is_counting = !s->plane.has_negative;
    if (!status &&
        !profile_from_background(e->background, &m->layout, m->noise.is_counting, m->profile))
        status = NOT_SPARSE;
    int has_new_ranges = 0;
    if (!status)
        status = frame_fit_kinds(m);
    if (!status)
        status = tile_choice(s, m);
    if (!status)
        status = frame_fit(s, m, &has_new_ranges);
    if (!status)
        status = frame_model_complete(m);
    if (!status && has_new_ranges)
        status = tile_choice_update(s, m);
    return status ? status : frame_pack(s, m, w);
}

BRAGG_INLINE void write_little_endian(const h5bragg_pixel_type type, const bragg_frame *frame,
                                      uint8_t *out)
{
    const size_t npixels = (size_t)frame->ny * frame->nx;
    const size_t nbytes = h5bragg_pixel_nbytes(type);
    for (size_t i = 0; i < npixels; i++) {
        const uint64_t value = (uint64_t)pixel_get(frame->pixels, type, i);
        for (size_t k = 0; k < nbytes; k++)
            out[i * nbytes + k] = (uint8_t)(value >> (8 * k));
    }
}

/* One frame with its header, sparse if that is smaller and whole if not. */
static h5bragg_status encode_frame(frame_encoder *e, const bragg_frame *frame, size_t frame_nbytes,
                                   byte_writer *w)
{
    uint8_t *header = write_bytes(w, FRAME_HEADER_NBYTES);
    if (!header || (size_t)(w->end - w->at) < frame_nbytes)
        return H5BRAGG_BUFFER_TOO_SMALL;
    byte_writer body = {w->at, w->at + frame_nbytes, 0};
    const h5bragg_status status = encode_sparse(e, frame, &body);
    if (status && status != NOT_SPARSE)
        return status;
    const int is_whole = status == NOT_SPARSE || body.failed || body.at == body.end;
    if (is_whole) {
        DISPATCH_PIXEL_TYPE(frame->type, write_little_endian, frame, w->at)
    }
    const size_t nbytes = is_whole ? frame_nbytes : (size_t)(body.at - w->at);
    header[0] = is_whole ? FRAME_WHOLE : FRAME_SPARSE;
    store_u32(header + 1, (uint32_t)nbytes);
    w->at += nbytes;
    return H5BRAGG_OK;
}

static h5bragg_status encode_chunk(const bragg_settings *s, const h5bragg_geometry *geometry,
                                   const uint8_t *frames, uint8_t *out, size_t capacity,
                                   size_t *out_nbytes)
{
    const size_t frame_nbytes = (size_t)s->ny * s->nx * h5bragg_pixel_nbytes(s->type);
    byte_writer w = {out, out + capacity, 0};
    frame_encoder e;
    if (frame_nbytes > UINT32_MAX)
        return H5BRAGG_BAD_SHAPE;
    h5bragg_status status = encoder_make(s, geometry, &e);
    if (status)
        return status;
    chunk_header_write(s, geometry, e.source.map->nbins, &w);
    if (w.failed)
        status = H5BRAGG_BUFFER_TOO_SMALL;
    for (uint32_t k = 0; k < s->nframes && !status; k++) {
        const bragg_frame frame = {frames + k * frame_nbytes, s->type, s->ny, s->nx};
        status = encode_frame(&e, &frame, frame_nbytes, &w);
    }
    if (!status) {
        *out_nbytes = (size_t)(w.at - out);
        chunk_header_seal(out, *out_nbytes);
    }
    encoder_free(&e);
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
    bragg_settings s = {.type = type, .nframes = nframes};
    if (!frames || !geometry || !params || !out || !out_nbytes)
        return H5BRAGG_BAD_ARGUMENT;
    if (nframes == 0 || nframes > BRAGG_MAX_FRAMES)
        return H5BRAGG_BAD_SHAPE;
    s.ny = geometry->ny;
    s.nx = geometry->nx;
    h5bragg_status status = bragg_params_canonical(params, type, &s.params);
    if (!status)
        status = bragg_geometry_check(geometry);
    if (status)
        return status;
    return encode_chunk(&s, geometry, frames, out, out_capacity, out_nbytes);
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
