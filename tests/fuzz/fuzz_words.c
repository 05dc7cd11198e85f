/* SPDX-License-Identifier: MIT */
/*
 * The filter itself, as HDF5 calls it: any cd_values, any chunk or frame.  It may fail, but then
 * leaves the buffer as it was.
 */
#include "fuzz_input.h"
#include "hdf5_symbols.h"

H5BRAGG_API const void *H5PLget_plugin_info(void);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    fuzz_reader r = {data, nbytes};
    unsigned words[H5BRAGG_CONFIG_NWORDS];
    const hdf5_filter_class *filter = H5PLget_plugin_info();
    const unsigned flags = fuzz_u8(&r) % 2 ? HDF5_FLAG_DECODE : 0;
    const size_t nwords = fuzz_u8(&r) % (H5BRAGG_CONFIG_NWORDS + 1);
    for (int k = 0; k < H5BRAGG_CONFIG_NWORDS; k++)
        words[k] = fuzz_u32(&r);
    size_t capacity = r.nbytes + 1;
    uint8_t *chunk = fuzz_sealed(r.data, r.nbytes);
    void *buffer = realloc(chunk, capacity);
    MUST(buffer);
    void *before = buffer;
    if (filter->filter(flags, nwords, words, r.nbytes, &capacity, &buffer) == 0)
        MUST(buffer == before && capacity == r.nbytes + 1);
    free(buffer);
    return 0;
}
