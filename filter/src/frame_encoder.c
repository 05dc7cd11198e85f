/* SPDX-License-Identifier: MIT */
/* Dense frame -> streams: mask, radial bins, background, tiles, packing, in that order. */
#include "frame_encoder.h"

#include "frame_pack.h"
#include "map_cache.h"
#include "scratch.h"
#include "tile_choice.h"

h5bragg_status frame_settings_make(h5bragg_pixel_type type, uint32_t nframes,
                                   const h5bragg_geometry *geometry, const h5bragg_params *params,
                                   bragg_settings *s)
{
    if (nframes == 0 || nframes > BRAGG_MAX_FRAMES)
        return H5BRAGG_BAD_SHAPE;
    *s = (bragg_settings){.type = type, .nframes = nframes, .ny = geometry->ny, .nx = geometry->nx};
    h5bragg_status status = bragg_params_canonical(params, type, &s->params);
    if (!status)
        status = bragg_geometry_check(geometry);
    if (!status && !bragg_frame_fits(type, s->ny, s->nx))
        status = H5BRAGG_BAD_SHAPE;
    return status;
}

void frame_encoder_free(frame_encoder *e)
{
    map_cache_release(e->source.map);
    counts_plane_free(&e->source.plane);
    histogram_free(&e->source.counts);
    frame_model_free(&e->model);
    scratch_give(e->source.kept);
    scratch_give(e->source.calm);
    scratch_give(e->background);
}

h5bragg_status frame_encoder_make(const bragg_settings *s, const h5bragg_geometry *geometry,
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
    return status;
}

h5bragg_status frame_encoder_count(frame_encoder *e, const bragg_frame *frame)
{
    frame_source *s = &e->source;
    s->frame = *frame;
    const h5bragg_status status =
        counts_plane_make(frame, &e->model.noise.codes, s->static_mask, s->map, &s->plane);
    return status ? status : histogram_make(frame, s->static_mask, s->map, &s->plane, &s->counts);
}

h5bragg_status frame_encoder_model(frame_encoder *e)
{
    frame_model *m = &e->model;
    const h5bragg_status status =
        background_make(&e->source.counts, e->source.map, m->noise.params, e->background);
    m->noise.is_counting = !e->source.plane.has_negative;
    if (status)
        return status;
    if (!profile_from_background(e->background, &m->layout, m->noise.is_counting, m->profile))
        return FRAME_NOT_SPARSE;
    frame_fit_kinds(m);
    return H5BRAGG_OK;
}

h5bragg_status frame_encoder_choose(frame_encoder *e) { return tile_choice(&e->source, &e->model); }

/*
 * Chooses the kept tiles anew, as rings have become general.  What is listed of them is not right
 * any more, and their pixels are taken from the frame; picked pixels must be found anew.
 */
static h5bragg_status choose_again(frame_encoder *e, listed_pixels *rest, int *needs_pixels)
{
    frame_source *s = &e->source;
    if (s->listed && !e->model.layout.has_local) {
        *needs_pixels = 1;
        return H5BRAGG_OK;
    }
    if (s->listed) {
        *rest = *s->listed;
        rest->exact = NULL;
        s->listed = rest;
    }
    return tile_choice_update(s, &e->model);
}

h5bragg_status frame_encoder_pack(frame_encoder *e, byte_writer *w, int *needs_pixels)
{
    listed_pixels rest;
    int is_new = 0;
    int is_lacking = 0;
    h5bragg_status status = frame_fit_dispersion(&e->source, &e->model, &is_new);
    if (!status)
        status = frame_fit(&e->source, &e->model);
    if (!status)
        status = frame_model_complete(&e->model);
    if (!status && is_new)
        status = choose_again(e, &rest, &is_lacking);
    if (needs_pixels)
        *needs_pixels = is_lacking;
    if (!status && !is_lacking && e->peaks)
        status = peak_search(&e->source, &e->model, e->peaks);
    return status || is_lacking ? status : frame_pack(&e->source, &e->model, w);
}

h5bragg_status frame_encoder_settle(frame_encoder *e)
{
    int is_new = 0;
    const h5bragg_status status = frame_fit_dispersion(&e->source, &e->model, &is_new);
    return !status && is_new ? tile_choice_update(&e->source, &e->model) : status;
}

h5bragg_status frame_encoder_write(frame_encoder *e, const bragg_frame *frame, byte_writer *w)
{
    if (e->peaks)
        e->peaks->list->npeaks = 0;
    h5bragg_status status = frame_encoder_count(e, frame);
    if (!status)
        status = frame_encoder_model(e);
    if (!status)
        status = frame_encoder_choose(e);
    return status ? status : frame_encoder_pack(e, w, NULL);
}

static size_t frame_nbytes(const bragg_frame *frame)
{
    return (size_t)frame->ny * frame->nx * h5bragg_pixel_nbytes(frame->type);
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

h5bragg_status frame_record_room(const bragg_frame *frame, const byte_writer *w, byte_writer *body)
{
    const size_t nbytes = frame_nbytes(frame);
    if (w->failed || (size_t)(w->end - w->at) < FRAME_HEADER_NBYTES + nbytes)
        return H5BRAGG_BUFFER_TOO_SMALL;
    uint8_t *at = w->at + FRAME_HEADER_NBYTES;
    *body = (byte_writer){at, at + nbytes, 0};
    return H5BRAGG_OK;
}

h5bragg_status frame_record_write(const bragg_frame *frame, h5bragg_status status,
                                  const byte_writer *body, byte_writer *w)
{
    if (status && status != FRAME_NOT_SPARSE)
        return status;
    uint8_t *header = write_bytes(w, FRAME_HEADER_NBYTES);
    const int is_whole = status == FRAME_NOT_SPARSE || body->failed || body->at == body->end;
    if (is_whole) {
        DISPATCH_PIXEL_TYPE(frame->type, write_little_endian, frame, w->at)
    }
    const size_t nbytes = is_whole ? frame_nbytes(frame) : (size_t)(body->at - w->at);
    header[0] = is_whole ? FRAME_WHOLE : FRAME_SPARSE;
    store_u32(header + 1, (uint32_t)nbytes);
    w->at += nbytes;
    return H5BRAGG_OK;
}
