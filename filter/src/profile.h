/* SPDX-License-Identifier: MIT */
/* The ring profile: what a chunk says of the background of every ring (docs/format.md, "Profile").
 */
#ifndef BRAGG_PROFILE_H
#define BRAGG_PROFILE_H

#include "background.h"
#include "bytes.h"

/* Tilts are stored in these units (docs/format.md, "Noise"). */
#define PROFILE_TILT_UNIT (1.0 / 1024)
enum { PROFILE_MAX_TILT1 = 64 * 1024, PROFILE_MAX_TILT2 = 4 * 1024, PROFILE_MIN_TILT2 = -8 * 1024 };

typedef struct ring_profile {
    float mean;    /* background per unit of normalisation */
    float std;     /* azimuthal error model: as measured; else sqrt(mean) */
    int32_t tilt1; /* tilts of the noise distribution that match it to the discarded pixels */
    int32_t tilt2;
} ring_profile;

/*
 * Rounds a background to what is stored; tilts are zero.  Returns 0 if a ring has values that a
 * chunk cannot hold.
 */
int profile_from_background(const ring_background *rings, uint32_t nbins, h5bragg_error_model model,
                            ring_profile *profile);

void profile_write(const ring_profile *profile, uint32_t nbins, h5bragg_error_model model,
                   byte_writer *w);

h5bragg_status profile_read(byte_reader *r, uint32_t nbins, h5bragg_error_model model,
                            ring_profile *profile);

#endif
