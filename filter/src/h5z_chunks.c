/* SPDX-License-Identifier: MIT */
/* h5z_chunks.c - hands chunks to HDF5, for writers that are not to wait between them. */
#include "h5bragg.h"

uint32_t h5bragg_chunks_write(h5bragg_write_chunk *write, int64_t dataset, uint32_t rank,
                              const uint64_t *offset, const uint8_t *const *chunk,
                              const size_t *nbytes, uint32_t nchunks)
{
    const int64_t defaults = 0; /* H5P_DEFAULT */
    const uint32_t no_filter_left_out = 0;
    for (uint32_t k = 0; k < nchunks; k++, offset += rank) {
        if (write(dataset, defaults, no_filter_left_out, offset, nbytes[k], chunk[k]) < 0)
            return k;
    }
    return nchunks;
}
