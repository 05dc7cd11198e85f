/* SPDX-License-Identifier: MIT */
/*
 * The filter itself, as HDF5 calls it: any cd_values, any chunk or frame.  It may fail, but then
 * leaves the buffer as it was; what it decodes is as large as the cd_values say, for HDF5 may read
 * as much.
 */
#include "fuzz_input.h"
#include "hdf5_symbols.h"
#include "settings.h"

H5BRAGG_API const void *H5PLget_plugin_info(void);

static void check_size(size_t nwords, const unsigned *words, size_t nbytes)
{
    bragg_settings s;
    MUST(nwords == H5BRAGG_CONFIG_NWORDS && bragg_settings_from_words(words, &s) == H5BRAGG_OK);
    MUST((uint64_t)s.nframes * s.ny * s.nx * h5bragg_pixel_nbytes(s.type) == nbytes);
}

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
    const size_t out_nbytes = filter->filter(flags, nwords, words, r.nbytes, &capacity, &buffer);
    if (out_nbytes == 0)
        MUST(buffer == before && capacity == r.nbytes + 1);
    else if (flags == HDF5_FLAG_DECODE)
        check_size(nwords, words, out_nbytes);
    free(buffer);
    return 0;
}
