/* SPDX-License-Identifier: MIT */
/* Ring profiles in a chunk: docs/format.md, "Profile". */
#include "profile.h"

#include <math.h>

#include "symbols.h"

enum {
    KIND_CONTEXT,
    MEAN_CONTEXT,
    STD_CONTEXT,
    LEVEL_CONTEXT,
    SPREAD_CONTEXT,
    TILT1_CONTEXT,
    TILT2_CONTEXT,
    NCONTEXTS
};

/* sqrt(|x|) in units of the profile, with the sign of x; out of range where a chunk cannot hold it.
 */
static int64_t root_code(double x)
{
    const double root = floor(sqrt(fabs(x)) / PROFILE_ROOT_UNIT + 0.5);
    if (!(root <= PROFILE_MAX_CODE))
        return INT64_MAX;
    return x < 0 ? -(int64_t)root : (int64_t)root;
}

/* What the codes of a ring say. */
static void set_statistics(ring_profile *ring, int is_azimuthal)
{
    const double root = ring->mean_code * PROFILE_ROOT_UNIT;
    const double std_root = ring->std_code * PROFILE_ROOT_UNIT;
    ring->mean = root < 0 ? -(root * root) : root * root;
    ring->std = is_azimuthal ? std_root * std_root : root > 0 ? root : 0;
}

static int32_t positive(int32_t x) { return x > 0 ? x : 0; }

/*
 * The code of a ring's mean: that of the ring before, which is stored most cheaply, if the ring is
 * empty or its mean differs from that by no more than its own standard error.
 */
static int64_t mean_code_of(const ring_background *ring, int32_t before)
{
    if (ring->npixels == 0)
        return before;
    const double root = before * PROFILE_ROOT_UNIT;
    const int is_same = before > 0 && ring->mean > 0 && fabs(ring->mean - root * root) <= ring->sem;
    return is_same ? before : root_code(ring->mean);
}

int profile_from_background(const ring_background *rings, const profile_layout *layout,
                            ring_profile *profile)
{
    int32_t mean_before = 0;
    int32_t std_before = 0;
    for (uint32_t k = 0; k < layout->nbins; k++) {
        ring_profile *p = &profile[k];
        const int64_t mean = mean_code_of(&rings[k], mean_before);
        const int64_t std = rings[k].npixels == 0 ? std_before : root_code(rings[k].std);
        if (mean == INT64_MAX || std == INT64_MAX)
            return 0;
        *p = (ring_profile){.mean_code = (int32_t)mean,
                            .std_code = layout->is_azimuthal ? (int32_t)std : 0};
        p->level = positive(p->mean_code);
        set_statistics(p, layout->is_azimuthal);
        mean_before = p->mean_code;
        std_before = p->std_code;
    }
    return 1;
}

h5bragg_status profile_write(const ring_profile *profile, const profile_layout *layout,
                             byte_writer *w)
{
    symbol_writer s = {0};
    int64_t mean = 0;
    int64_t std = 0;
    for (uint32_t k = 0; k < layout->nbins; k++) {
        const ring_profile *p = &profile[k];
        symbol_put(&s, KIND_CONTEXT, p->is_general ? 1 : 0);
        number_put(&s, MEAN_CONTEXT, zigzag(p->mean_code - mean));
        mean = p->mean_code;
        if (layout->is_azimuthal)
            number_put(&s, STD_CONTEXT, zigzag(p->std_code - std));
        std = p->std_code;
        if (p->is_general) {
            number_put(&s, TILT1_CONTEXT, zigzag(p->tilt1));
            number_put(&s, TILT2_CONTEXT, zigzag(p->tilt2));
            continue;
        }
        number_put(&s, LEVEL_CONTEXT, zigzag(p->level - positive(p->mean_code)));
        if (!layout->has_local)
            number_put(&s, SPREAD_CONTEXT, (uint64_t)p->spread);
    }
    symbols_write(&s, NCONTEXTS, SYMBOLS_NSTATES, w);
    symbol_writer_free(&s);
    return H5BRAGG_OK;
}

/* base + a signed number, within limits, or failure. */
static int32_t read_signed(symbol_reader *s, uint32_t context, int64_t base, int64_t low,
                           int64_t high, int *failed)
{
    const int64_t x = base + unzigzag(number_get(s, context));
    if (x >= low && x <= high)
        return (int32_t)x;
    *failed = 1;
    return 0;
}

static void read_pattern(symbol_reader *s, const profile_layout *layout, ring_profile *p,
                         int *failed)
{
    p->level = read_signed(s, LEVEL_CONTEXT, positive(p->mean_code), 0, PROFILE_MAX_LEVEL, failed);
    if (layout->has_local)
        return;
    const uint64_t spread = number_get(s, SPREAD_CONTEXT);
    *failed |= spread > PROFILE_MAX_SPREAD;
    p->spread = *failed ? 0 : (int32_t)spread;
}

static void read_general(symbol_reader *s, ring_profile *p, int *failed)
{
    p->tilt1 = read_signed(s, TILT1_CONTEXT, 0, -PROFILE_MAX_TILT1, PROFILE_MAX_TILT1, failed);
    p->tilt2 = read_signed(s, TILT2_CONTEXT, 0, PROFILE_MIN_TILT2, PROFILE_MAX_TILT2, failed);
}

h5bragg_status profile_read(byte_reader *r, const profile_layout *layout, ring_profile *profile)
{
    symbol_reader s = {0};
    int failed = 0;
    int32_t mean = 0;
    int32_t std = 0;
    h5bragg_status status = symbols_open(r, NCONTEXTS, &s);
    for (uint32_t k = 0; k < layout->nbins && !status; k++) {
        ring_profile *p = &profile[k];
        const uint32_t kind = symbol_get(&s, KIND_CONTEXT);
        *p = (ring_profile){.is_general = kind == 1};
        failed |= kind > 1;
        p->mean_code = mean =
            read_signed(&s, MEAN_CONTEXT, mean, -PROFILE_MAX_CODE, PROFILE_MAX_CODE, &failed);
        if (layout->is_azimuthal)
            p->std_code = std = read_signed(&s, STD_CONTEXT, std, 0, PROFILE_MAX_CODE, &failed);
        set_statistics(p, layout->is_azimuthal);
        if (p->is_general)
            read_general(&s, p, &failed);
        else
            read_pattern(&s, layout, p, &failed);
        status = failed ? H5BRAGG_CORRUPT : H5BRAGG_OK;
    }
    if (!status)
        status = symbols_close(&s);
    symbol_reader_free(&s);
    return status;
}
