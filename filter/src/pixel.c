/* SPDX-License-Identifier: MIT */
/* Sizes of the pixel types. */
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
