/* SPDX-License-Identifier: MIT */
/* Dense frames -> chunk: frame, mask, radial bins, background, picking, packing, in that order. */
#include "encode.h"

#include <stdlib.h>

#include "checksum.h"
#include "chunk_header.h"
#include "entropy.h"
#include "local_stage.h"
#include "map_cache.h"
#include "noise_fit.h"
#include "picking.h"

/* What a stage says when a frame has no sparse form smaller than itself: it is stored whole. */
static const h5bragg_status NOT_SPARSE = H5BRAGG_BUFFER_TOO_SMALL;

/* The streams of a sparse frame, in the order in which they are stored. */
enum { PROFILE, MASK, GAPS, EXCESSES, LOCAL, NSTREAMS = LOCAL + LOCAL_NSTREAMS };

/* Buffers for the streams of one frame, reused for all frames of a chunk. */
typedef struct frame_streams {
    size_t n;        /* without local counts only LOCAL of them */
    uint8_t *memory; /* n parts */
    byte_writer writer[NSTREAMS];
} frame_streams;

/* What is made of one frame. */
typedef struct frame_encoder {
    const h5bragg_geometry *geometry;
    noise_frame noise;
    ring_background *background;
    ring_profile *profile;
    cell_range *range;
    frame_streams streams;
    int has_local;
    local_stage local;
} frame_encoder;

static void encoder_free(frame_encoder *e)
{
    map_cache_release(e->noise.map);
    free(e->background);
    free(e->profile);
    free(e->range);
    free(e->streams.memory);
    local_stage_free(&e->local);
}

/* A sparse frame is only wanted if it is smaller than the frame, so no stream needs more room. */
static h5bragg_status encoder_make(const bragg_settings *s, const h5bragg_geometry *geometry,
                                   size_t frame_nbytes, frame_encoder *e)
{
    memset(e, 0, sizeof *e);
    e->geometry = geometry;
    const h5bragg_status status = map_cache_acquire(geometry, &s->params, &e->noise.map);
    if (status)
        return status;
    const ring_map *map = e->noise.map;
    e->noise.params = &s->params;
    e->noise.codes = bragg_mask_codes_of(&s->params, s->type);
    e->noise.type = s->type;
    e->background = malloc(map->nbins * sizeof *e->background);
    e->profile = malloc(map->nbins * sizeof *e->profile);
    e->range = malloc((map->ncells + 1u) * sizeof *e->range);
    e->has_local = s->params.local_counts > 0;
    e->streams.n = e->has_local ? NSTREAMS : LOCAL;
    e->streams.memory =
        frame_nbytes > SIZE_MAX / NSTREAMS ? NULL : malloc(e->streams.n * frame_nbytes);
    h5bragg_status made = H5BRAGG_NO_MEMORY;
    if (e->background && e->profile && e->range && e->streams.memory)
        made = e->has_local ? local_stage_make(map, s->params.local_counts, &e->local) : H5BRAGG_OK;
    if (made)
        encoder_free(e);
    return made;
}

static void streams_reset(frame_streams *s, size_t frame_nbytes)
{
    for (size_t k = 0; k < s->n; k++) {
        uint8_t *start = s->memory + k * frame_nbytes;
        s->writer[k] = (byte_writer){start, start + frame_nbytes, 0};
    }
}

/* What has been written to stream k. */
static byte_reader stream_content(const frame_streams *s, size_t k, size_t frame_nbytes)
{
    const uint8_t *start = s->memory + k * frame_nbytes;
    return (byte_reader){start, s->writer[k].at, 0};
}

/* Tilts from the pixels that are discarded: with local counts not those of kept blocks. */
static h5bragg_status fit_noise(frame_encoder *e, const bragg_frame *frame, const histogram *h)
{
    const ring_map *map = e->noise.map;
    if (!e->has_local)
        return noise_fit(&e->noise, h, e->range, NULL, e->profile);
    histogram discarded = {0};
    h5bragg_status status =
        local_find_kept(&e->local, frame, &e->noise, e->profile, e->geometry->mask);
    if (!status)
        status = histogram_make(frame, &e->noise.codes, e->local.excluded, map, &discarded);
    if (!status)
        status = local_variance(&e->local, frame, &e->noise, e->range);
    if (!status)
        status = noise_fit(&e->noise, &discarded, e->range, e->local.variance, e->profile);
    histogram_free(&discarded);
    return status;
}

/* The background of the frame and what is discarded under it. */
static h5bragg_status model_frame(frame_encoder *e, const bragg_frame *frame)
{
    const ring_map *map = e->noise.map;
    const h5bragg_params *params = e->noise.params;
    const h5bragg_error_model model = (h5bragg_error_model)params->error_model;
    histogram h;
    h5bragg_status status = histogram_make(frame, &e->noise.codes, e->geometry->mask, map, &h);
    if (!status)
        status = background_make(&h, map, params, e->background);
    if (!status) {
        e->noise.is_counting = !h.has_negative;
        if (!profile_from_background(e->background, map->nbins, model, e->profile))
            status = NOT_SPARSE;
    }
    if (!status) {
        noise_ranges(&e->noise, e->profile, e->range);
        status = fit_noise(e, frame, &h);
    }
    histogram_free(&h);
    return status;
}

/* The same frame and seed parameter give the same noise; different frames different noise. */
static uint64_t frame_seed(uint32_t seed, byte_reader gaps, byte_reader excesses)
{
    uint8_t start[4];
    store_u32(start, seed);
    const uint32_t low = bragg_crc32c(bragg_crc32c(0, start, 4), gaps.at, bytes_left(&gaps));
    const uint32_t high =
        bragg_crc32c(bragg_crc32c(low, start, 4), excesses.at, bytes_left(&excesses));
    return low | (uint64_t)high << 32;
}

/* Local counts, if wanted, and then all streams behind each other; a failed one fails w. */
static h5bragg_status pack_frame(frame_encoder *e, const bragg_frame *frame, size_t frame_nbytes,
                                 const picked_pixels *picked, uint32_t nmasked, byte_writer *w)
{
    frame_streams *s = &e->streams;
    uint32_t nkept = 0;
    const uint64_t seed = frame_seed(e->noise.params->seed, stream_content(s, GAPS, frame_nbytes),
                                     stream_content(s, EXCESSES, frame_nbytes));
    if (e->has_local) {
        const h5bragg_status status = local_pack(&e->local, frame, &e->noise, e->profile, e->range,
                                                 picked, seed, &s->writer[LOCAL], &nkept);
        if (status)
            return status;
    }
    const uint8_t flags = (uint8_t)((e->noise.is_counting ? FRAME_IS_COUNTING : 0) |
                                    (picked->has_negative ? FRAME_HAS_NEGATIVE_EXCESS : 0));
    frame_header_write_sparse(w, flags, seed, picked->n, nkept, nmasked);
    for (size_t k = 0; k < s->n && !w->failed; k++) {
        const byte_reader content = stream_content(s, k, frame_nbytes);
        stream_write(w, content.at, bytes_left(&content));
        w->failed |= s->writer[k].failed;
    }
    return H5BRAGG_OK;
}

/* The sparse form of a frame; w fails if it is not smaller than the frame. */
static h5bragg_status encode_sparse(frame_encoder *e, const bragg_frame *frame, size_t frame_nbytes,
                                    byte_writer *w)
{
    const h5bragg_error_model model = (h5bragg_error_model)e->noise.params->error_model;
    frame_streams *s = &e->streams;
    picked_pixels picked = {0};
    uint32_t nmasked = 0;
    streams_reset(s, frame_nbytes);
    h5bragg_status status = model_frame(e, frame);
    if (!status)
        status = picked_select(frame, &e->noise, e->range, e->geometry->mask, &picked);
    if (!status && e->has_local)
        local_drop_kept(&e->local, e->noise.map, &picked);
    if (!status)
        status = mask_write(frame, &e->noise.codes, &s->writer[MASK], &nmasked);
    if (!status) {
        profile_write(e->profile, e->noise.map->nbins, model, &s->writer[PROFILE]);
        picked_write(&picked, &s->writer[GAPS], &s->writer[EXCESSES]);
        status = pack_frame(e, frame, frame_nbytes, &picked, nmasked, w);
    }
    picked_free(&picked);
    if (status == NOT_SPARSE) {
        w->failed = 1;
        status = H5BRAGG_OK;
    }
    return status;
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
    const h5bragg_status status = encode_sparse(e, frame, frame_nbytes, &body);
    if (status)
        return status;
    const int is_whole = body.failed || body.at == body.end;
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
    h5bragg_status status = encoder_make(s, geometry, frame_nbytes, &e);
    if (status)
        return status;
    chunk_header_write(s, geometry, e.noise.map->nbins, &w);
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
