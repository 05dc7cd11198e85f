/* SPDX-License-Identifier: MIT */
/* Reads frames that are stored whole: docs/format.md, "Frame". */
#include "whole_frame.h"

#include "pixel.h"

BRAGG_INLINE void read_little_endian(const h5bragg_pixel_type type, const uint8_t *in,
                                     size_t npixels, void *pixels)
{
    const size_t nbytes = h5bragg_pixel_nbytes(type);
    for (size_t i = 0; i < npixels; i++) {
        uint32_t value = 0;
        for (size_t k = 0; k < nbytes; k++)
            value |= (uint32_t)in[i * nbytes + k] << (8 * k);
        pixel_set(pixels, type, i, (int64_t)value);
    }
}

h5bragg_status whole_frame_read(const bragg_settings *s, const frame_header *header, void *pixels)
{
    const size_t npixels = (size_t)s->ny * s->nx;
    if (bytes_left(&header->body) != npixels * h5bragg_pixel_nbytes(s->type))
        return H5BRAGG_CORRUPT;
    DISPATCH_PIXEL_TYPE(s->type, read_little_endian, header->body.at, npixels, pixels)
    return H5BRAGG_OK;
}
