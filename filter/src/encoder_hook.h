/* SPDX-License-Identifier: MIT */
/* The encoder that a process has set for the HDF5 filter, see h5bragg_set_encoder. */
#ifndef BRAGG_ENCODER_HOOK_H
#define BRAGG_ENCODER_HOOK_H

#include "h5bragg.h"

typedef struct encoder_hook {
    h5bragg_encoder *encode; /* NULL: h5bragg_encode */
    void *context;
} encoder_hook;

encoder_hook encoder_hook_get(void);

#endif
