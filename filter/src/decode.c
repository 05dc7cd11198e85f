/* SPDX-License-Identifier: MIT */
/* Chunk -> dense frames: check, unpack, background, noise, picked and masked pixels, in that order.
 */
#include "local_counts.h"
#include "map_cache.h"
#include "noise.h"
#include "sparse_frame.h"

#include <stdlib.h>

BRAGG_INLINE void read_little_endian(const h5bragg_pixel_type type, const uint8_t *in,
                                     size_t npixels, void *pixels)
{
    const size_t nbytes = h5bragg_pixel_nbytes(type);
    for (size_t i = 0; i < npixels; i++) {
        uint32_t value = 0;
        for (size_t k = 0; k < nbytes; k++)
            value |= (uint32_t)in[i * nbytes + k] << (8 * k);
        pixel_set(pixels, type, i, (int64_t)value);
    }
}

/* A frame that was stored whole. */
static h5bragg_status decode_whole(const bragg_settings *s, const frame_header *header,
                                   void *pixels)
{
    const size_t npixels = (size_t)s->ny * s->nx;
    if (bytes_left(&header->body) != npixels * h5bragg_pixel_nbytes(s->type))
        return H5BRAGG_CORRUPT;
    DISPATCH_PIXEL_TYPE(s->type, read_little_endian, header->body.at, npixels, pixels)
    return H5BRAGG_OK;
}

/* Gives the drawn pixels of every block the block's sum. */
static h5bragg_status restore_local_counts(sparse_frame *frame, const noise_tables *tables,
                                           uint64_t seed, void *pixels)
{
    const ring_map *map = frame->noise.map;
    uint8_t *exact = malloc((size_t)map->ny * map->nx);
    if (!exact)
        return H5BRAGG_NO_MEMORY;
    local_mark_exact(map, frame->mask, &frame->picked, exact);
    const local_frame local = {&frame->noise, tables, frame->range, &frame->grid, exact, seed};
    const h5bragg_status status = local_apply(&local, frame->sums, pixels);
    free(exact);
    return status;
}

static h5bragg_status decode_sparse(const chunk_header *chunk, const ring_map *map,
                                    frame_header *header, h5bragg_fill fill, void *pixels)
{
    const size_t npixels = (size_t)map->ny * map->nx;
    noise_tables *tables = NULL;
    sparse_frame frame;
    h5bragg_status status = sparse_frame_read(chunk, map, header, &frame);
    if (!status)
        status = noise_tables_make(&frame.noise, frame.profile, frame.range, &tables);
    if (!status)
        noise_fill(tables, header->seed, fill, pixels);
    if (!status && frame.has_local && fill == H5BRAGG_FILL_NOISE)
        status = restore_local_counts(&frame, tables, header->seed, pixels);
    if (!status) {
        picked_apply(&frame.picked, &frame.noise, frame.range, pixels);
        mask_apply(frame.mask, &frame.noise.codes, frame.noise.type, npixels, pixels);
    }
    noise_tables_free(tables);
    sparse_frame_free(&frame);
    return status;
}

static h5bragg_status decode_frame(const chunk_header *chunk, const ring_map **map,
                                   byte_reader *frames, h5bragg_fill fill, void *pixels)
{
    const bragg_settings *s = &chunk->settings;
    frame_header header;
    h5bragg_status status = frame_header_read(frames, (size_t)s->ny * s->nx, &header);
    if (status)
        return status;
    if (header.mode == FRAME_WHOLE)
        return decode_whole(s, &header, pixels);
    if (!*map)
        status = map_cache_acquire(&chunk->geometry.view, &s->params, map);
    return status ? status : decode_sparse(chunk, *map, &header, fill, pixels);
}

h5bragg_status h5bragg_decode(const void *chunk, size_t chunk_nbytes, void *out, size_t out_nbytes,
                              h5bragg_fill fill)
{
    const ring_map *map = NULL;
    chunk_header header;
    if (!out || (fill != H5BRAGG_FILL_NOISE && fill != H5BRAGG_FILL_MEAN))
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = chunk_header_read(chunk, chunk_nbytes, &header);
    if (status)
        return status;
    const bragg_settings *s = &header.settings;
    const uint64_t frame_nbytes = (uint64_t)s->ny * s->nx * h5bragg_pixel_nbytes(s->type);
    byte_reader frames = header.frames;
    if (frame_nbytes * s->nframes != out_nbytes)
        status = H5BRAGG_BUFFER_TOO_SMALL;
    for (uint32_t k = 0; k < s->nframes && !status; k++) {
        uint8_t *pixels = (uint8_t *)out + k * (size_t)frame_nbytes;
        status = decode_frame(&header, &map, &frames, fill, pixels);
    }
    if (!status && bytes_left(&frames))
        status = H5BRAGG_CORRUPT;
    map_cache_release(map);
    chunk_header_free(&header);
    return status;
}
