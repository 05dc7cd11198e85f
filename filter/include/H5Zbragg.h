/* SPDX-License-Identifier: MIT */
/*
 * H5Zbragg.h - the h5bragg filter on an HDF5 property list, for C and C++ writers.
 *
 * It compiles against the caller's own HDF5, which finds the plugin through HDF5_PLUGIN_PATH or
 * H5PLappend(); the caller links libh5bragg for the functions of h5bragg.h.
 *
 *     const h5bragg_flat detector = {...};
 *     const hsize_t chunk[3] = {1, detector.ny, detector.nx};
 *     h5bragg_params params;
 *     uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
 *     h5bragg_params_init(&params);
 *     h5bragg_config_flat(&detector, &params, cd_values);
 *     H5Pset_chunk(dcpl, 3, chunk);
 *     H5Pset_bragg(dcpl, H5T_STD_U16LE, cd_values);
 */
#ifndef H5ZBRAGG_H
#define H5ZBRAGG_H

#include <string.h>

#include <hdf5.h>

#include "h5bragg.h"

#if H5_VERSION_LE(1, 9, 999)
#error "h5bragg writes with HDF5 1.10 or newer"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Completes cd_values with what the chunks hold: pixels of one type, in the byte order of the HDF5
 * file type, nframes frames of ny rows of nx pixels.  H5Pset_bragg() calls it.  Fails with
 * H5BRAGG_BAD_SHAPE if ny and nx are not those of the geometry in cd_values.
 */
H5BRAGG_API h5bragg_status h5bragg_config_frames(uint32_t cd_values[16], h5bragg_pixel_type type,
                                                 uint32_t file_big_endian, uint32_t nframes,
                                                 uint32_t ny, uint32_t nx);

#ifdef __cplusplus
}
#endif

/* Pixel type of an HDF5 type; one that h5bragg_config_frames() refuses if there is none. */
static inline h5bragg_pixel_type h5zbragg_pixel_type(hid_t type)
{
    const int is_signed = H5Tget_sign(type) == H5T_SGN_2;
    const size_t nbytes = H5Tget_class(type) == H5T_INTEGER ? H5Tget_size(type) : 0;
    if (nbytes == 1 && !is_signed)
        return H5BRAGG_U8;
    if (nbytes == 2)
        return is_signed ? H5BRAGG_I16 : H5BRAGG_U16;
    if (nbytes == 4)
        return is_signed ? H5BRAGG_I32 : H5BRAGG_U32;
    return (h5bragg_pixel_type)0xFF;
}

/*
 * Adds the filter to a dataset creation property list on which H5Pset_chunk() was called.  type is
 * the type of the dataset in the file; cd_values come from h5bragg_config_flat() or
 * h5bragg_config_registered().  Chunks hold whole frames: (n, ny, nx), or of a stack of modules
 * (n, modules, rows, nx) with modules * rows = ny, all modules of the dataset.  h5bragg must be the
 * first filter of the list.  It is mandatory: a frame that cannot be encoded makes the write fail.
 * Returns a negative value on failure, with the reason on HDF5's error stack (H5Eprint2).
 */
static inline herr_t H5Pset_bragg(hid_t dcpl, hid_t type,
                                  const uint32_t cd_values[H5BRAGG_CONFIG_NWORDS])
{
    uint32_t words[H5BRAGG_CONFIG_NWORDS];
    hsize_t chunk[H5S_MAX_RANK];
    const int rank = H5Pget_chunk(dcpl, H5S_MAX_RANK, chunk);
    const uint32_t is_big_endian = H5Tget_order(type) == H5T_ORDER_BE;
    const h5bragg_pixel_type pixel_type = h5zbragg_pixel_type(type);
    h5bragg_status status = H5BRAGG_BAD_SHAPE;
    memcpy(words, cd_values, sizeof(words));
    /* A frame's rows are those of one dimension or, of four and more, of several: modules. */
    hsize_t nrows = 1;
    for (int first = rank - 2; first >= 0 && status == H5BRAGG_BAD_SHAPE; first--) {
        hsize_t nframes = 1;
        nrows *= chunk[first];
        if (nrows > UINT32_MAX || (rank == 3 && first == 0))
            break;
        for (int k = 0; k < first && nframes <= UINT32_MAX; k++)
            nframes *= chunk[k];
        if (nframes <= UINT32_MAX)
            status = h5bragg_config_frames(words, pixel_type, is_big_endian, (uint32_t)nframes,
                                           (uint32_t)nrows, (uint32_t)chunk[rank - 1]);
    }
    if (status != H5BRAGG_OK) {
        H5Epush2(H5E_DEFAULT, __FILE__, "H5Pset_bragg", __LINE__, H5E_ERR_CLS, H5E_PLINE,
                 H5E_BADVALUE, "%s", h5bragg_status_text(status));
        return -1;
    }
    return H5Pset_filter(dcpl, H5BRAGG_FILTER_ID, H5Z_FLAG_MANDATORY, H5BRAGG_CONFIG_NWORDS, words);
}

#endif
