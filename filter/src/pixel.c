/* SPDX-License-Identifier: MIT */
/* Sizes and ranges of the pixel types. */
#include "pixel.h"

size_t h5bragg_pixel_nbytes(h5bragg_pixel_type type)
{
    switch (type) {
    case H5BRAGG_U8:
        return 1;
    case H5BRAGG_U16:
    case H5BRAGG_I16:
        return 2;
    case H5BRAGG_U32:
    case H5BRAGG_I32:
        return 4;
    }
    return 0;
}

int64_t pixel_minimum(h5bragg_pixel_type type)
{
    switch (type) {
    case H5BRAGG_I16:
        return INT16_MIN;
    case H5BRAGG_I32:
        return INT32_MIN;
    default:
        return 0;
    }
}

int64_t pixel_maximum(h5bragg_pixel_type type)
{
    switch (type) {
    case H5BRAGG_U8:
        return UINT8_MAX;
    case H5BRAGG_U16:
        return UINT16_MAX;
    case H5BRAGG_U32:
        return UINT32_MAX;
    case H5BRAGG_I16:
        return INT16_MAX;
    case H5BRAGG_I32:
        return INT32_MAX;
    }
    return 0;
}
