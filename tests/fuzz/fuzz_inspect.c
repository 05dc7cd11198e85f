/* SPDX-License-Identifier: MIT */
/* h5bragg_inspect, of the bytes as they are and with a right checksum: what it tells is possible.
 */
#include "fuzz_input.h"

static void inspect(const uint8_t *chunk, size_t nbytes)
{
    static h5bragg_panel panels[H5BRAGG_MAX_PANELS];
    h5bragg_info info;
    const h5bragg_status status = h5bragg_inspect(chunk, nbytes, &info);
    MUST(h5bragg_status_text(status)[0] != '\0');
    if (status)
        return;
    const size_t pixel_nbytes = h5bragg_pixel_nbytes((h5bragg_pixel_type)info.pixel_type);
    const uint64_t npixels = (uint64_t)info.ny * info.nx * info.nframes;
    MUST(pixel_nbytes > 0 && npixels > 0 && info.frames_nbytes == npixels * pixel_nbytes);
    MUST(info.sparse_frames + info.lossless_frames == info.nframes);
    MUST(info.picked_pixels + info.masked_pixels <= npixels);
    MUST(info.chunk_nbytes == nbytes);
    MUST(info.npanels > 0 && info.npanels <= H5BRAGG_MAX_PANELS);
    MUST(h5bragg_params_check(&info.params, (h5bragg_pixel_type)info.pixel_type) == H5BRAGG_OK);
    MUST(h5bragg_inspect_panels(chunk, nbytes, panels, H5BRAGG_MAX_PANELS) == H5BRAGG_OK);
    for (uint32_t k = 0; k < info.npanels; k++)
        MUST(panels[k].slow_start < panels[k].slow_stop && panels[k].slow_stop <= info.ny &&
             panels[k].fast_start < panels[k].fast_stop && panels[k].fast_stop <= info.nx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    uint8_t *chunk = fuzz_sealed(data, nbytes);
    inspect(data, nbytes);
    inspect(chunk, nbytes);
    free(chunk);
    return 0;
}
