/* SPDX-License-Identifier: MIT */
/* Ring profiles in a chunk: docs/format.md, "Profile". */
#include "profile.h"

#include <math.h>

/* No ring of counts comes near this; it keeps pixel arithmetic within 64 bits. */
static const double MAX_STATISTIC = 1e12;

static float model_std(float mean) { return mean > 0 ? (float)sqrt((double)mean) : 0.0f; }

int profile_from_background(const ring_background *rings, uint32_t nbins, h5bragg_error_model model,
                            ring_profile *profile)
{
    int is_storable = 1;
    for (uint32_t k = 0; k < nbins; k++) {
        const float mean = (float)rings[k].mean;
        const float std = model == H5BRAGG_AZIMUTHAL ? (float)rings[k].std : model_std(mean);
        profile[k] = (ring_profile){mean, std, 0, 0};
        is_storable &= mean >= -MAX_STATISTIC && mean <= MAX_STATISTIC && std <= MAX_STATISTIC;
    }
    return is_storable;
}

void profile_write(const ring_profile *profile, uint32_t nbins, h5bragg_error_model model,
                   byte_writer *w)
{
    for (uint32_t k = 0; k < nbins; k++)
        write_f32(w, profile[k].mean);
    for (uint32_t k = 0; k < nbins && model == H5BRAGG_AZIMUTHAL; k++)
        write_f32(w, profile[k].std);
    for (uint32_t k = 0; k < nbins; k++)
        write_varint(w, zigzag(profile[k].tilt1));
    for (uint32_t k = 0; k < nbins; k++)
        write_varint(w, zigzag(profile[k].tilt2));
}

/* One tilt within its limits, or failure. */
static int32_t read_tilt(byte_reader *r, int32_t low, int32_t high)
{
    const int64_t tilt = unzigzag(read_varint(r));
    if (tilt < low || tilt > high) {
        r->failed = 1;
        return 0;
    }
    return (int32_t)tilt;
}

/* A ring's mean or std: finite, and of a size that pixel arithmetic holds. */
static float read_statistic(byte_reader *r, double low)
{
    const float x = read_f32(r);
    if (!(x >= low && x <= MAX_STATISTIC)) {
        r->failed = 1;
        return 0;
    }
    return x;
}

h5bragg_status profile_read(byte_reader *r, uint32_t nbins, h5bragg_error_model model,
                            ring_profile *profile)
{
    for (uint32_t k = 0; k < nbins; k++)
        profile[k].mean = read_statistic(r, -MAX_STATISTIC);
    for (uint32_t k = 0; k < nbins; k++)
        profile[k].std =
            model == H5BRAGG_AZIMUTHAL ? read_statistic(r, 0) : model_std(profile[k].mean);
    for (uint32_t k = 0; k < nbins; k++)
        profile[k].tilt1 = read_tilt(r, -PROFILE_MAX_TILT1, PROFILE_MAX_TILT1);
    for (uint32_t k = 0; k < nbins; k++)
        profile[k].tilt2 = read_tilt(r, PROFILE_MIN_TILT2, PROFILE_MAX_TILT2);
    return r->failed || bytes_left(r) ? H5BRAGG_CORRUPT : H5BRAGG_OK;
}
