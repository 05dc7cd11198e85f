/* SPDX-License-Identifier: MIT */
/* Encoding with the filter's cd_values; the rest is public, in h5bragg.h. */
#ifndef BRAGG_ENCODE_H
#define BRAGG_ENCODE_H

#include "settings.h"

/* As h5bragg_encode, with everything taken from settings; finds a registered geometry. */
h5bragg_status bragg_encode_settings(const bragg_settings *settings, const void *frames, void *out,
                                     size_t capacity, size_t *out_nbytes);

/* As h5bragg_bound; 0 if the geometry is unknown or the size overflows. */
size_t bragg_settings_bound(const bragg_settings *settings);

#endif
