/* SPDX-License-Identifier: MIT */
/*
 * cd_values completed by the writer itself, for H5Pset_bragg(): a statically linked HDF5 cannot be
 * asked by the plugin what the dataset looks like, so there the words must be complete before.
 */
#include "settings.h"

/* As in H5Zbragg.h, which cannot be included here because it wants HDF5's headers. */
H5BRAGG_API h5bragg_status h5bragg_config_frames(uint32_t cd_values[16], h5bragg_pixel_type type,
                                                 uint32_t file_big_endian, uint32_t nframes,
                                                 uint32_t ny, uint32_t nx);

h5bragg_status h5bragg_config_frames(uint32_t cd_values[16], h5bragg_pixel_type type,
                                     uint32_t file_big_endian, uint32_t nframes, uint32_t ny,
                                     uint32_t nx)
{
    bragg_settings settings;
    if (cd_values == NULL)
        return H5BRAGG_BAD_ARGUMENT;
    if (ny != bragg_words_ny(cd_values) || nx != bragg_words_nx(cd_values) || nframes == 0 ||
        nframes > BRAGG_MAX_FRAMES)
        return H5BRAGG_BAD_SHAPE;
    if (h5bragg_pixel_nbytes(type) == 0)
        return H5BRAGG_BAD_PIXEL_TYPE;
    bragg_words_set_frames(cd_values, type, file_big_endian != 0, nframes, ny, nx);
    return bragg_settings_from_words(cd_values, &settings);
}
