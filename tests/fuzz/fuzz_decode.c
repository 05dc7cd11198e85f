/* SPDX-License-Identifier: MIT */
/* h5bragg_decode: a chunk is refused, or every pixel of its frames is written, the same each time.
 */
#include "fuzz_input.h"

static void decode(const uint8_t *chunk, size_t nbytes, size_t out_nbytes, h5bragg_fill fill)
{
    uint8_t *first = fuzz_allocate(out_nbytes);
    uint8_t *second = fuzz_allocate(out_nbytes);
    memset(first, 0x55, out_nbytes);
    memset(second, 0xAA, out_nbytes);
    const h5bragg_status status = h5bragg_decode(chunk, nbytes, first, out_nbytes, fill);
    MUST(h5bragg_decode(chunk, nbytes, second, out_nbytes, fill) == status);
    MUST(status || memcmp(first, second, out_nbytes) == 0);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    h5bragg_info info;
    uint8_t *chunk = fuzz_sealed(data, nbytes);
    if (h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK &&
        info.frames_nbytes <= FUZZ_MOST_NBYTES) {
        decode(chunk, nbytes, (size_t)info.frames_nbytes, H5BRAGG_FILL_NOISE);
        decode(chunk, nbytes, (size_t)info.frames_nbytes, H5BRAGG_FILL_MEAN);
    }
    free(chunk);
    return 0;
}
