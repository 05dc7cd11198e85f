/* SPDX-License-Identifier: MIT */
/* Unpacks the streams of a sparse frame: docs/format.md, "Frame". */
#include "sparse_frame.h"

#include <stdlib.h>

#include "entropy.h"

/* Most bytes a number of each stream can take: no stream of an honest chunk is longer. */
enum { PROFILE_MAX_NBYTES = 18, MASK_MAX_NBYTES = 20, PICKED_MAX_NBYTES = 10 };

static h5bragg_status read_profile(const chunk_header *chunk, frame_header *header,
                                   sparse_frame *frame)
{
    byte_reader stream;
    uint8_t *owned;
    h5bragg_status status =
        stream_read(&header->body, (size_t)chunk->nbins * PROFILE_MAX_NBYTES, &stream, &owned);
    if (!status)
        status =
            profile_read(&stream, chunk->nbins,
                         (h5bragg_error_model)chunk->settings.params.error_model, frame->profile);
    free(owned);
    return status;
}

static h5bragg_status read_mask(const chunk_header *chunk, frame_header *header,
                                sparse_frame *frame)
{
    const bragg_settings *s = &chunk->settings;
    byte_reader stream;
    uint8_t *owned;
    h5bragg_status status =
        stream_read(&header->body, (size_t)s->ny * s->nx * MASK_MAX_NBYTES, &stream, &owned);
    if (!status)
        status = mask_read(&stream, s->ny, s->nx, frame->noise.codes.n, frame->mask);
    free(owned);
    return status;
}

static h5bragg_status read_picked(const chunk_header *chunk, frame_header *header,
                                  sparse_frame *frame)
{
    const size_t max_nbytes = (size_t)header->npicked * PICKED_MAX_NBYTES;
    const size_t npixels = (size_t)chunk->settings.ny * chunk->settings.nx;
    byte_reader gaps;
    byte_reader excesses;
    uint8_t *owned_gaps = NULL;
    uint8_t *owned_excesses = NULL;
    h5bragg_status status = stream_read(&header->body, max_nbytes, &gaps, &owned_gaps);
    if (!status)
        status = stream_read(&header->body, max_nbytes, &excesses, &owned_excesses);
    if (!status)
        status =
            picked_read(&gaps, &excesses, header->npicked,
                        (header->flags & FRAME_HAS_NEGATIVE_EXCESS) != 0, npixels, &frame->picked);
    free(owned_gaps);
    free(owned_excesses);
    return status;
}

static h5bragg_status allocate(const ring_map *map, sparse_frame *frame)
{
    frame->profile = malloc(map->nbins * sizeof *frame->profile);
    frame->range = malloc((map->ncells + 1u) * sizeof *frame->range);
    frame->mask = malloc((size_t)map->ny * map->nx);
    return frame->profile && frame->range && frame->mask ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

h5bragg_status sparse_frame_read(const chunk_header *chunk, const ring_map *map,
                                 frame_header *header, sparse_frame *frame)
{
    const bragg_settings *s = &chunk->settings;
    memset(frame, 0, sizeof *frame);
    if (map->nbins != chunk->nbins)
        return H5BRAGG_CORRUPT;
    frame->noise = (noise_frame){map, &s->params, bragg_mask_codes_of(&s->params, s->type), s->type,
                                 header->flags & FRAME_IS_COUNTING};
    h5bragg_status status = allocate(map, frame);
    if (!status)
        status = read_profile(chunk, header, frame);
    if (!status) {
        noise_ranges(&frame->noise, frame->profile, frame->range);
        status = read_mask(chunk, header, frame);
    }
    if (!status)
        status = read_picked(chunk, header, frame);
    if (!status && (bytes_left(&header->body) ||
                    !picked_values_fit(&frame->picked, &frame->noise, frame->range)))
        status = H5BRAGG_CORRUPT;
    return status;
}

void sparse_frame_free(sparse_frame *frame)
{
    free(frame->profile);
    free(frame->range);
    free(frame->mask);
    picked_free(&frame->picked);
}
