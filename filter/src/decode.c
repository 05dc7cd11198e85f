/* SPDX-License-Identifier: MIT */
/* Chunk -> dense frames: check, unpack, background, then picked and masked pixels, row by row.
 */
#include "map_cache.h"
#include "tile_bytes.h"
#include "tile_fill.h"
#include "whole_frame.h"

/*
 * Returns bits above those of the type where a value is not in its range, [least, least + 2^n - 1].
 */
BRAGG_INLINE uint64_t put_exact(const h5bragg_pixel_type type, const ring_map *map, uint32_t row,
                                int64_t least, const exact_tile *tile, void *pixels)
{
    uint64_t all = 0;
    if (tile->is_narrow) {
        tile_bytes_put(type, tile->byte, tile_pixel(map, row, tile->column, 0), map->nx, pixels);
        return 0;
    }
    if (tile->valid == 0xFFFF) { /* row by row, which becomes vectors */
        for (uint32_t p = 0; p < TILE_NPIXELS; p += TILE_EDGE) {
            const size_t at = tile_pixel(map, row, tile->column, p);
            for (uint32_t k = 0; k < TILE_EDGE; k++) {
                all |= (uint64_t)tile->value[p + k] - (uint64_t)least;
                pixel_set(pixels, type, at + k, tile->value[p + k]);
            }
        }
        return all;
    }
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(tile->valid >> p & 1))
            continue;
        all |= (uint64_t)tile->value[p] - (uint64_t)least;
        pixel_set(pixels, type, tile_pixel(map, row, tile->column, p), tile->value[p]);
    }
    return all;
}

/* The exact tiles of a row of tiles; returns 0 if a value does not fit the pixel type. */
BRAGG_INLINE void place_exact(const h5bragg_pixel_type type, sparse_frame *frame, uint32_t row,
                              int *is_in_range, void *pixels)
{
    const ring_map *map = frame->model.noise.map;
    const int64_t least = pixel_minimum(type);
    const uint32_t tile_row = MACRO_EDGE * frame->macro_row + row;
    const exact_tile *tile;
    const uint32_t ntiles = sparse_frame_exact_tiles(frame, row, &tile);
    uint64_t all = 0;
    for (uint32_t k = 0; k < ntiles; k++)
        all |= put_exact(type, map, tile_row, least, &tile[k], pixels);
    *is_in_range = all <= (uint64_t)(pixel_maximum(type) - least);
}

/* Picked pixels of a row of macro blocks, but for those that were drawn with the patterns. */
BRAGG_INLINE void place_picked(const h5bragg_pixel_type type, const sparse_frame *frame,
                               void *pixels)
{
    const uint32_t *restrict at = frame->picked.at; /* which pixels cannot overwrite */
    const uint32_t *restrict value = frame->picked.value;
    const uint32_t n = frame->picked.n;
    const size_t npixels = (size_t)TILE_EDGE * MACRO_EDGE * frame->model.noise.map->nx;
    uint8_t *first =
        (uint8_t *)pixels + npixels * h5bragg_pixel_nbytes(type) * (size_t)frame->macro_row;
    for (uint32_t k = 0; k < n; k++)
        pixel_set(first, type, at[k], value[k]);
}

/* One row of macro blocks: what is drawn, then exact tiles, masked pixels, and picked ones that
 * are not drawn. */
static h5bragg_status decode_row(sparse_frame *frame, tile_fill *fill, uint32_t macro_row,
                                 void *pixels)
{
    const noise_frame *f = &frame->model.noise;
    tile_fill_aim(fill, macro_row, pixels);
    h5bragg_status status =
        sparse_frame_read_row(frame, macro_row, fill->fill == H5BRAGG_FILL_NOISE);
    if (!status)
        status = tile_fill_start(fill);
    for (uint32_t row = 0; row < frame->nrows && !status; row++) {
        const uint32_t first = TILE_EDGE * (MACRO_EDGE * macro_row + row);
        const uint32_t last = first + TILE_EDGE < f->map->ny ? first + TILE_EDGE : f->map->ny;
        int is_allowed = 1;
        status = tile_fill_row(fill, row, pixels);
        if (status)
            break;
        DISPATCH_PIXEL_TYPE(f->type, place_exact, frame, row, &is_allowed, pixels)
        status = is_allowed ? H5BRAGG_OK : H5BRAGG_CORRUPT;
        mask_apply(&frame->mask, f->map, &f->codes, f->type, first, last, pixels);
    }
    if (!status)
        DISPATCH_PIXEL_TYPE(f->type, place_picked, frame, pixels)
    return status;
}

static h5bragg_status decode_sparse(const chunk_header *chunk, const ring_map *map,
                                    frame_header *header, h5bragg_fill fill, void *pixels)
{
    sparse_frame frame;
    tile_fill tiles = {0};
    h5bragg_status status = sparse_frame_open(chunk, map, SPARSE_ALL, header, &frame);
    if (!status)
        status = tile_fill_make(&frame, fill, &tiles);
    for (uint32_t row = 0; row < sparse_frame_nrows(map) && !status; row++)
        status = decode_row(&frame, &tiles, row, pixels);
    if (!status)
        status = sparse_frame_finish(&frame, header, fill == H5BRAGG_FILL_NOISE);
    tile_fill_free(&tiles);
    sparse_frame_close(&frame);
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
        return whole_frame_read(s, &header, pixels);
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
