/* SPDX-License-Identifier: MIT */
/* Unpacks the streams of a sparse frame: docs/format.md, "Frame". */
#include "sparse_frame.h"

#include <stdlib.h>

#include "entropy.h"

/* Most bytes a number of each stream can take: no stream of an honest chunk is longer. */
enum { PROFILE_MAX_NBYTES = 18, MASK_MAX_NBYTES = 20, NUMBER_MAX_NBYTES = 10 };

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
    const size_t max_nbytes = (size_t)header->npicked * NUMBER_MAX_NBYTES;
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

static h5bragg_status read_kept_blocks(frame_header *header, sparse_frame *frame)
{
    byte_reader stream;
    uint8_t *owned;
    frame->kept = malloc(local_nblocks(&frame->grid));
    if (!frame->kept)
        return H5BRAGG_NO_MEMORY;
    h5bragg_status status = stream_read(
        &header->body, local_nblocks(&frame->grid) * NUMBER_MAX_NBYTES, &stream, &owned);
    if (!status)
        status = kept_read_blocks(&stream, &frame->grid, frame->kept);
    free(owned);
    return status;
}

static h5bragg_status merge_kept(frame_header *header, sparse_frame *frame,
                                 byte_reader values[KEPT_NCLASSES])
{
    const noise_frame *noise = &frame->noise;
    const uint32_t npicked = frame->picked.n;
    double *expected = malloc((noise->map->ncells + 1u) * sizeof *expected);
    if (!expected)
        return H5BRAGG_NO_MEMORY;
    noise_expected_all(noise, frame->profile, expected);
    const h5bragg_status status = kept_merge(values, noise, expected, frame->range, &frame->grid,
                                             frame->kept, frame->mask, &frame->picked);
    free(expected);
    if (!status && frame->picked.n - npicked != header->nkept)
        return H5BRAGG_CORRUPT;
    return status;
}

/* Kept blocks, merged into the picked pixels, and the sums, for local_apply to read. */
static h5bragg_status read_local(const chunk_header *chunk, frame_header *header,
                                 sparse_frame *frame)
{
    const bragg_settings *s = &chunk->settings;
    const size_t max_values = (size_t)header->nkept * NUMBER_MAX_NBYTES;
    byte_reader values[KEPT_NCLASSES];
    uint8_t *owned[KEPT_NCLASSES] = {NULL};
    frame->has_local = s->params.local_counts > 0;
    if (!frame->has_local)
        return H5BRAGG_OK;
    frame->grid = local_grid_of(s->params.local_counts, s->ny, s->nx);
    h5bragg_status status = read_kept_blocks(header, frame);
    for (int c = 0; c < KEPT_NCLASSES && !status; c++)
        status = stream_read(&header->body, max_values, &values[c], &owned[c]);
    if (!status)
        status = merge_kept(header, frame, values);
    for (int c = 0; c < KEPT_NCLASSES; c++)
        free(owned[c]);
    const size_t max_sums = local_nblocks(&frame->grid) * NUMBER_MAX_NBYTES;
    for (int c = 0; c < LOCAL_NCLASSES && !status; c++)
        status = stream_read(&header->body, max_sums, &frame->sums[c], &frame->owned_sums[c]);
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
    if (!status)
        status = read_local(chunk, header, frame);
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
    free(frame->kept);
    for (int c = 0; c < LOCAL_NCLASSES; c++)
        free(frame->owned_sums[c]);
    picked_free(&frame->picked);
}
