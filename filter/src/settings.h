/* SPDX-License-Identifier: MIT */
/*
 * Parameters as sixteen 32-bit words: the cd_values of the HDF5 filter and, the first seven of
 * them, the parameter block of a chunk (docs/format.md, "Parameter words").
 */
#ifndef BRAGG_SETTINGS_H
#define BRAGG_SETTINGS_H

#include "h5bragg.h"

enum {
    BRAGG_NPARAMETER_WORDS = 7, /* of them in a chunk */
    BRAGG_MAX_MASK_VALUES = 3,
    BRAGG_MAX_SIDE = 65535,
    BRAGG_MAX_FRAMES = 65535
};

/* The mask codes in force for one pixel type. */
typedef struct bragg_mask_codes {
    uint32_t n;
    int64_t value[BRAGG_MAX_MASK_VALUES];
} bragg_mask_codes;

/* Everything that cd_values say. */
typedef struct bragg_settings {
    h5bragg_params params;
    h5bragg_pixel_type type;
    uint32_t nframes;
    uint32_t ny;
    uint32_t nx;
    int is_registered; /* geometry is named by a hash, else flat */
    uint64_t geometry_hash;
    h5bragg_flat flat;
} bragg_settings;

/*
 * Words 0..4, and word 6 as far as parameters fill it; params must have passed
 * h5bragg_params_check for some type.
 */
void bragg_params_to_words(const h5bragg_params *params, uint32_t words[16]);

/* Words 5 and 6: what the frames of a chunk look like. What word 6 says of parameters stays. */
void bragg_words_set_frames(uint32_t words[16], h5bragg_pixel_type type, int big_endian,
                            uint32_t nframes, uint32_t ny, uint32_t nx);

/* Whether a frame has pixels, and no more than the format allows and this machine can address. */
int bragg_frame_fits(h5bragg_pixel_type type, uint32_t ny, uint32_t nx);

/*
 * Words 0..6 of a chunk back, checked: of several words that would mean the same, only those that
 * bragg_params_to_words writes are taken. Sets only params, type, nframes, ny and nx.
 */
h5bragg_status bragg_settings_from_parameter_words(const uint32_t words[7],
                                                   bragg_settings *settings);

/* All sixteen words back, checked. */
h5bragg_status bragg_settings_from_words(const uint32_t words[16], bragg_settings *settings);

/* The geometry's shape as h5bragg_config_* wrote it. */
uint32_t bragg_words_ny(const uint32_t words[7]);
uint32_t bragg_words_nx(const uint32_t words[7]);

/* cd_values for a geometry registered under a hash. */
h5bragg_status bragg_config_hash(uint64_t hash, const h5bragg_params *params, uint32_t ny,
                                 uint32_t nx, uint32_t cd_values[16]);

/* Rounds parameters to what the words can say, so that every way of encoding agrees. */
h5bragg_status bragg_params_canonical(const h5bragg_params *params, h5bragg_pixel_type type,
                                      h5bragg_params *canonical);

/* Mask codes in force for frames of a type. */
bragg_mask_codes bragg_mask_codes_of(const h5bragg_params *params, h5bragg_pixel_type type);

#endif
