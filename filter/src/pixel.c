/* SPDX-License-Identifier: MIT */
/* Sizes of the pixel types. */
#include "pixel.h"

size_t h5bragg_pixel_nbytes(h5bragg_pixel_type type) { return pixel_nbytes(type); }
