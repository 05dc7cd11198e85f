/* SPDX-License-Identifier: MIT */
/*
 * Every level of vector instructions makes the same of a chunk.  The best comes first: books of
 * patterns that it has made have half rows, too.
 */
#include "fuzz_input.h"
#include "fuzz_level.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    h5bragg_info info;
    uint8_t *chunk = fuzz_sealed(data, nbytes);
    if (h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK &&
        info.frames_nbytes <= FUZZ_MOST_NBYTES) {
        const size_t frames_nbytes = (size_t)info.frames_nbytes;
        uint8_t *expected = fuzz_allocate(frames_nbytes);
        uint8_t *frames = fuzz_allocate(frames_nbytes);
        int best = CPU_NEON;
        while (!fuzz_set_level((cpu_level)best))
            best--;
        const h5bragg_status status =
            h5bragg_decode(chunk, nbytes, expected, frames_nbytes, H5BRAGG_FILL_NOISE);
        for (int level = CPU_SCALAR; level < best; level++) {
            if (!fuzz_set_level((cpu_level)level))
                continue;
            MUST(h5bragg_decode(chunk, nbytes, frames, frames_nbytes, H5BRAGG_FILL_NOISE) ==
                 status);
            MUST(status || memcmp(frames, expected, frames_nbytes) == 0);
        }
        free(expected);
        free(frames);
    }
    free(chunk);
    return 0;
}
