/* SPDX-License-Identifier: MIT */
/*
 * H5Zbragg.h - the h5bragg filter on an HDF5 property list, for C and C++ writers.
 *
 * Header only: it compiles against the caller's own HDF5, which finds the plugin through
 * HDF5_PLUGIN_PATH or H5PLappend().
 *
 *     h5bragg_flat detector = {...};
 *     h5bragg_params params;
 *     uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
 *     const hsize_t chunk[3] = {1, detector.ny, detector.nx};
 *     h5bragg_params_init(&params);
 *     h5bragg_config_flat(&detector, &params, cd_values);
 *     H5Pset_chunk(dcpl, 3, chunk);
 *     H5Pset_bragg(dcpl, cd_values);
 */
#ifndef H5ZBRAGG_H
#define H5ZBRAGG_H

#include <hdf5.h>

#include "h5bragg.h"

#if H5_VERSION_LE(1, 9, 999)
#error "h5bragg writes with HDF5 1.10 or newer"
#endif

/*
 * Adds the filter to a dataset creation property list.  cd_values come from h5bragg_config_flat()
 * or h5bragg_config_registered(); H5Dcreate() completes them with the pixel type and the number of
 * frames a chunk.  Call it before any other H5Pset_...() that adds a filter: h5bragg must be the
 * first.  The filter is mandatory, so that a frame which cannot be encoded makes H5Dwrite() fail.
 * Returns a negative value on failure, also if HDF5 does not find the plugin.
 */
static inline herr_t H5Pset_bragg(hid_t dcpl, const uint32_t cd_values[H5BRAGG_CONFIG_NWORDS])
{
    return H5Pset_filter(dcpl, H5BRAGG_FILTER_ID, H5Z_FLAG_MANDATORY, H5BRAGG_CONFIG_NWORDS,
                         cd_values);
}

#endif
