/* SPDX-License-Identifier: MIT */
/*
 * H5Zbragg.h - the h5bragg filter on an HDF5 property list, for C and C++ writers.
 *
 * It compiles against the caller's own HDF5.  The caller links libh5bragg, which is then the filter
 * as well: no HDF5_PLUGIN_PATH is needed.  docs/writers.md has more, examples/ whole programs.
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

/* The filter as HDF5 wants it, a const H5Z_class2_t *; never to be freed. */
H5BRAGG_API const void *h5bragg_filter_class(void);

#ifdef __cplusplus
}
#endif

/* Finds the pixel type that an HDF5 type stands for; returns whether there is one. */
static inline int h5zbragg_find_pixel_type(hid_t type, h5bragg_pixel_type *pixel_type)
{
    const int is_signed = H5Tget_sign(type) == H5T_SGN_2;
    const size_t nbytes = H5Tget_class(type) == H5T_INTEGER ? H5Tget_size(type) : 0;
    if (nbytes == 1 && !is_signed)
        *pixel_type = H5BRAGG_U8;
    else if (nbytes == 2)
        *pixel_type = is_signed ? H5BRAGG_I16 : H5BRAGG_U16;
    else if (nbytes == 4)
        *pixel_type = is_signed ? H5BRAGG_I32 : H5BRAGG_U32;
    else
        return 0;
    return 1;
}

/*
 * Completes cd_values with what the property list and the type of the dataset say.  A frame's rows
 * are those of one dimension or, of four and more dimensions, of several: modules.
 */
static inline h5bragg_status h5zbragg_complete(hid_t dcpl, hid_t type,
                                               uint32_t cd_values[H5BRAGG_CONFIG_NWORDS])
{
    hsize_t chunk[H5S_MAX_RANK];
    hsize_t nrows = 1;
    h5bragg_status status = H5BRAGG_BAD_SHAPE;
    h5bragg_pixel_type pixel_type;
    const uint32_t is_big_endian = H5Tget_order(type) == H5T_ORDER_BE;
    const int rank = H5Pget_chunk(dcpl, H5S_MAX_RANK, chunk);
    if (!h5zbragg_find_pixel_type(type, &pixel_type))
        return H5BRAGG_BAD_PIXEL_TYPE;
    for (int first = rank - 2; first >= 0 && status == H5BRAGG_BAD_SHAPE; first--) {
        hsize_t nframes = 1;
        nrows *= chunk[first];
        if (nrows > UINT32_MAX || (rank == 3 && first == 0))
            break;
        for (int k = 0; k < first && nframes <= UINT32_MAX; k++)
            nframes *= chunk[k];
        if (nframes <= UINT32_MAX)
            status = h5bragg_config_frames(cd_values, pixel_type, is_big_endian, (uint32_t)nframes,
                                           (uint32_t)nrows, (uint32_t)chunk[rank - 1]);
    }
    return status;
}

/*
 * Registers the filter of the linked library with the caller's HDF5, which then looks for no plugin
 * in HDF5_PLUGIN_PATH, and uses no other copy of it: registered geometries are known to this one
 * alone.  For programs that read, or open datasets to write on; H5Pset_bragg() calls it.  May be
 * called any number of times.  Returns a negative value on failure.
 */
static inline herr_t H5Zregister_bragg(void) { return H5Zregister(h5bragg_filter_class()); }

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
    memcpy(words, cd_values, sizeof(words));
    const h5bragg_status status = h5zbragg_complete(dcpl, type, words);
    if (status != H5BRAGG_OK) {
        H5Epush2(H5E_DEFAULT, __FILE__, "H5Pset_bragg", __LINE__, H5E_ERR_CLS, H5E_PLINE,
                 H5E_BADVALUE, "%s", h5bragg_status_text(status));
        return -1;
    }
    if (H5Zregister_bragg() < 0)
        return -1;
    return H5Pset_filter(dcpl, H5BRAGG_FILTER_ID, H5Z_FLAG_MANDATORY, H5BRAGG_CONFIG_NWORDS, words);
}

#endif
