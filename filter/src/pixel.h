/* SPDX-License-Identifier: MIT */
/*
 * Pixel types.  Stages read and write pixels through pixel_get and pixel_set with a type that is a
 * compile-time constant after inlining, so one source serves five types without a switch per
 * pixel: see DISPATCH_PIXEL_TYPE.
 */
#ifndef BRAGG_PIXEL_H
#define BRAGG_PIXEL_H

#include "h5bragg.h"

#if defined(__GNUC__)
#define BRAGG_INLINE static inline __attribute__((always_inline))
#else
#define BRAGG_INLINE static inline
#endif

/* A frame of native byte order: ny * nx pixels. */
typedef struct bragg_frame {
    const void *pixels;
    h5bragg_pixel_type type;
    uint32_t ny;
    uint32_t nx;
} bragg_frame;

/* As h5bragg_pixel_nbytes, for types that are constants. */
BRAGG_INLINE size_t pixel_nbytes(h5bragg_pixel_type type)
{
    switch (type) {
    case H5BRAGG_U8:
        return sizeof(uint8_t);
    case H5BRAGG_U16:
    case H5BRAGG_I16:
        return sizeof(uint16_t);
    case H5BRAGG_U32:
    case H5BRAGG_I32:
        return sizeof(uint32_t);
    }
    return 0;
}

BRAGG_INLINE int64_t pixel_get(const void *pixels, h5bragg_pixel_type type, size_t i)
{
    switch (type) {
    case H5BRAGG_U8:
        return ((const uint8_t *)pixels)[i];
    case H5BRAGG_U16:
        return ((const uint16_t *)pixels)[i];
    case H5BRAGG_U32:
        return ((const uint32_t *)pixels)[i];
    case H5BRAGG_I16:
        return ((const int16_t *)pixels)[i];
    case H5BRAGG_I32:
        return ((const int32_t *)pixels)[i];
    }
    return 0;
}

BRAGG_INLINE void pixel_set(void *pixels, h5bragg_pixel_type type, size_t i, int64_t value)
{
    switch (type) {
    case H5BRAGG_U8:
        ((uint8_t *)pixels)[i] = (uint8_t)value;
        break;
    case H5BRAGG_U16:
        ((uint16_t *)pixels)[i] = (uint16_t)value;
        break;
    case H5BRAGG_U32:
        ((uint32_t *)pixels)[i] = (uint32_t)value;
        break;
    case H5BRAGG_I16:
        ((int16_t *)pixels)[i] = (int16_t)value;
        break;
    case H5BRAGG_I32:
        ((int32_t *)pixels)[i] = (int32_t)value;
        break;
    }
}

/* Calls `kernel(TYPE, ...)` with TYPE a constant: the kernel must be BRAGG_INLINE. */
#define DISPATCH_PIXEL_TYPE(type, kernel, ...)                                                     \
    switch (type) {                                                                                \
    case H5BRAGG_U8:                                                                               \
        kernel(H5BRAGG_U8, __VA_ARGS__);                                                           \
        break;                                                                                     \
    case H5BRAGG_U16:                                                                              \
        kernel(H5BRAGG_U16, __VA_ARGS__);                                                          \
        break;                                                                                     \
    case H5BRAGG_U32:                                                                              \
        kernel(H5BRAGG_U32, __VA_ARGS__);                                                          \
        break;                                                                                     \
    case H5BRAGG_I16:                                                                              \
        kernel(H5BRAGG_I16, __VA_ARGS__);                                                          \
        break;                                                                                     \
    case H5BRAGG_I32:                                                                              \
        kernel(H5BRAGG_I32, __VA_ARGS__);                                                          \
        break;                                                                                     \
    }

/* Smallest and largest value of a type. */
BRAGG_INLINE int64_t pixel_minimum(h5bragg_pixel_type type)
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

BRAGG_INLINE int64_t pixel_maximum(h5bragg_pixel_type type)
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

#endif
