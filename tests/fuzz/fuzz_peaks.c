/* SPDX-License-Identifier: MIT */
/*
 * Peaks of any bytes: nothing bad happens, and where the frames can be decoded the peaks can be
 * found, at pixels that hold what they say.
 */
#include "fuzz_input.h"
#include "h5bragg_peaks.h"
#include "pixel.h"

static void compare(const h5bragg_peak_list *list, const h5bragg_info *info, const void *frame)
{
    for (uint64_t k = 0; k < list->npeaks; k++) {
        const h5bragg_peak *peak = &list->peak[k];
        MUST(peak->slow < info->ny && peak->fast < info->nx);
        MUST(pixel_get(frame, (h5bragg_pixel_type)info->pixel_type,
                       (size_t)peak->slow * info->nx + peak->fast) == peak->maximum);
        MUST(peak->nhigh >= 1 && peak->nhigh <= peak->npixels && peak->npixels <= 25);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    h5bragg_info info;
    h5bragg_peak_list list = {0};
    uint8_t *chunk = fuzz_sealed(data, nbytes);
    if (h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK &&
        info.frames_nbytes <= FUZZ_MOST_NBYTES) {
        const size_t frames_nbytes = (size_t)info.frames_nbytes;
        uint8_t *frames = fuzz_allocate(frames_nbytes);
        const h5bragg_peak_params peaks = {.snr_pick = info.params.snr_pick, .patch = 5};
        const int is_good =
            h5bragg_decode(chunk, nbytes, frames, frames_nbytes, H5BRAGG_FILL_NOISE) == H5BRAGG_OK;
        for (uint32_t k = 0; k < info.nframes && k < 4; k++) {
            const h5bragg_status status =
                h5bragg_find_peaks_chunk(chunk, nbytes, k, NULL, &peaks, &list);
            MUST(!is_good || status == H5BRAGG_OK);
            if (is_good)
                compare(&list, &info, frames + k * (frames_nbytes / info.nframes));
        }
        free(frames);
    }
    h5bragg_peak_list_free(&list);
    free(chunk);
    return 0;
}
