/* SPDX-License-Identifier: MIT */
/* The ring profile: what a chunk says of the background of every ring (docs/format.md, "Profile").
 */
#ifndef BRAGG_PROFILE_H
#define BRAGG_PROFILE_H

#include "background.h"
#include "bytes.h"
#include "ring_map.h"

/* Tilts are stored in these units (docs/format.md, "General noise"). */
#define PROFILE_TILT_UNIT (1.0 / 1024)
/* Means are stored as their square root, in these units. */
#define PROFILE_ROOT_UNIT (1.0 / 1024)
enum {
    PROFILE_MAX_TILT1 = 64 * 1024,
    PROFILE_MAX_TILT2 = 4 * 1024,
    PROFILE_MIN_TILT2 = -8 * 1024,
    PROFILE_MAX_CODE = 1 << 30,
    PROFILE_MAX_LEVEL = 5120,   /* of pattern rings: 25 counts */
    PROFILE_MAX_SPREAD = 40960, /* likewise, in units of a level's 1/256 */
    PROFILE_SPREAD_STEP = 64
};

typedef struct ring_profile {
    int32_t mean_code;
    int32_t std_code; /* azimuthal error model only */
    int is_general;
    int32_t level;  /* pattern rings: root of the mean of discarded pixels */
    int32_t spread; /* pattern rings without local counts */
    int32_t tilt1;  /* general rings: tilts of the noise distribution */
    int32_t tilt2;
    double mean; /* what mean_code says: background per unit of normalisation */
    double std;  /* of a pixel of unit normalisation */
} ring_profile;

/* How a profile is stored. */
typedef struct profile_layout {
    uint32_t format_version;
    const uint32_t *ntiles; /* of rings, two numbers each, as in ring_map */
    uint32_t nbins;
    int is_azimuthal;
    int has_local;
} profile_layout;

/*
 * Rounds a background to what is stored, without spread.  Rings that patterns cannot describe are
 * general: all if the frame is not counting, and those far less varied than counts are, as a
 * constant is.  Returns 0 if a ring has values that a chunk cannot hold.
 */
int profile_from_background(const ring_background *rings, const profile_layout *layout,
                            int is_counting, ring_profile *profile);

/* The step of means and levels of a pattern ring: at most the standard error of its mean. */
uint32_t profile_step(const profile_layout *layout, uint32_t ring);

/* Mean of the discarded pixels of a pattern ring, per unit of normalisation. */
static inline double profile_level_mean(const ring_profile *ring)
{
    const double y = ring->level * PROFILE_ROOT_UNIT;
    return y * y;
}

h5bragg_status profile_write(const ring_profile *profile, const profile_layout *layout,
                             byte_writer *w);

h5bragg_status profile_read(byte_reader *r, const profile_layout *layout, ring_profile *profile);

#endif
