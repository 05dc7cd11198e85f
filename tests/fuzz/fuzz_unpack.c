/* SPDX-License-Identifier: MIT */
/* h5bragg_unpack: what it lists lies within the frame, and is what h5bragg_decode puts there. */
#include "fuzz_input.h"
#include "pixel.h"

static void compare(const h5bragg_sparse *sparse, const h5bragg_info *info, const void *frame)
{
    const uint64_t npixels = (uint64_t)info->ny * info->nx;
    MUST(sparse->npicked <= sparse->capacity);
    for (uint64_t k = 0; k < sparse->npicked; k++) {
        MUST(sparse->index[k] < npixels && (k == 0 || sparse->index[k] > sparse->index[k - 1]));
        MUST(sparse->mask[sparse->index[k]] == 0);
        MUST(pixel_get(frame, (h5bragg_pixel_type)info->pixel_type, sparse->index[k]) ==
             sparse->value[k]);
    }
}

static void unpack(const uint8_t *chunk, size_t nbytes, const h5bragg_info *info, uint32_t frame,
                   const uint8_t *frames)
{
    const size_t npixels = (size_t)info->ny * info->nx;
    const size_t pixel_nbytes = h5bragg_pixel_nbytes((h5bragg_pixel_type)info->pixel_type);
    h5bragg_sparse sparse = {
        .capacity = info->picked_pixels,
        .index = fuzz_allocate((size_t)info->picked_pixels * sizeof(uint32_t)),
        .value = fuzz_allocate((size_t)info->picked_pixels * sizeof(int64_t)),
        .mask = fuzz_allocate(npixels),
        .mean = fuzz_allocate(info->nbins * sizeof(float)),
        .std = fuzz_allocate(info->nbins * sizeof(float)),
    };
    const h5bragg_status status = h5bragg_unpack(chunk, nbytes, frame, &sparse);
    if (frames && status == H5BRAGG_OK && !sparse.is_lossless)
        compare(&sparse, info, frames + frame * npixels * pixel_nbytes);
    free(sparse.index);
    free(sparse.value);
    free(sparse.mask);
    free(sparse.mean);
    free(sparse.std);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    h5bragg_info info;
    uint8_t *chunk = fuzz_sealed(data, nbytes);
    if (h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK &&
        info.frames_nbytes <= FUZZ_MOST_NBYTES) {
        const size_t frames_nbytes = (size_t)info.frames_nbytes;
        uint8_t *frames = fuzz_allocate(frames_nbytes);
        const int is_good =
            h5bragg_decode(chunk, nbytes, frames, frames_nbytes, H5BRAGG_FILL_NOISE) == H5BRAGG_OK;
        for (uint32_t k = 0; k < info.nframes && k < 4; k++)
            unpack(chunk, nbytes, &info, k, is_good ? frames : NULL);
        free(frames);
    }
    free(chunk);
    return 0;
}
