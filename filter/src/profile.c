/* SPDX-License-Identifier: MIT */
/*
 * Ring profiles in a chunk: docs/format.md, "Profile".
 *
 * The root of a mean m of n Poisson counts has the standard error sqrt(m / n) / (2 sqrt(m)), or
 * 1 / (2 sqrt(n)), whatever m is: with n = 16 pixels a tile that is 128 units of 1/1024 over the
 * root of the number of tiles.  Means and levels are stored in steps no wider than that.
 */
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

enum { SQUARED_STEP_OF_ONE_TILE = 128 * 128 };
/* Rings whose means are that close, in their standard errors, share one. */
static const double SHARED_SIGMA = 2.0;

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

uint32_t profile_step(const profile_layout *layout, uint32_t ring)
{
    const uint64_t ntiles = (uint64_t)layout->ntiles[2 * ring] + layout->ntiles[2 * ring + 1];
    const uint64_t square = SQUARED_STEP_OF_ONE_TILE / (ntiles ? ntiles : 1);
    return layout->format_version == 1 || square == 0 ? 1 : (uint32_t)sqrt((double)square);
}

/*
 * Background is smooth: rings from `first` on, up to the one returned, share a mean, that of all
 * their pixels, from which none differs by more than twice its own standard error.
 */
static uint32_t end_of_shared(const ring_background *rings, uint32_t first, uint32_t nbins,
                              double *mean)
{
    double low = rings[first].mean - SHARED_SIGMA * rings[first].sem;
    double high = rings[first].mean + SHARED_SIGMA * rings[first].sem;
    double npixels = rings[first].npixels;
    double sum = rings[first].mean * npixels;
    *mean = rings[first].mean;
    for (uint32_t k = first + 1; k < nbins; k++) {
        const ring_background *ring = &rings[k];
        if (ring->npixels == 0)
            continue;
        low = fmax(low, ring->mean - SHARED_SIGMA * ring->sem);
        high = fmin(high, ring->mean + SHARED_SIGMA * ring->sem);
        sum += ring->mean * ring->npixels;
        npixels += ring->npixels;
        if (!(sum / npixels >= low && sum / npixels <= high))
            return k;
        *mean = sum / npixels;
    }
    return nbins;
}

/* The code next to `code` that is whole steps from that of the ring before and of no other sign. */
static int64_t whole_steps(int64_t code, int64_t before, int64_t step)
{
    const int64_t rounded =
        before + step * (int64_t)floor((double)(code - before) / (double)step + 0.5);
    return code >= 0 && rounded < 0 ? rounded + step : rounded;
}

int profile_from_background(const ring_background *rings, const profile_layout *layout,
                            int is_counting, ring_profile *profile)
{
    int64_t mean = 0;
    int64_t std = 0;
    double shared = 0;
    uint32_t end = 0;
    for (uint32_t k = 0; k < layout->nbins; k++) {
        const ring_background *ring = &rings[k];
        ring_profile *p = &profile[k];
        const int is_even = layout->is_azimuthal && ring->std * ring->std < 0.5 * ring->mean;
        if (k == end && ring->npixels)
            end = end_of_shared(rings, k, layout->nbins, &shared);
        else if (k == end)
            end++;
        const int64_t code = ring->npixels == 0 ? mean : root_code(shared);
        std = ring->npixels == 0 ? std : root_code(ring->std);
        if (code == INT64_MAX || std == INT64_MAX)
            return 0;
        *p = (ring_profile){.is_general = !is_counting || is_even};
        mean = p->is_general ? code : whole_steps(code, mean, profile_step(layout, k));
        p->mean_code = (int32_t)mean;
        p->std_code = layout->is_azimuthal ? (int32_t)std : 0;
        p->level = positive(p->mean_code);
        set_statistics(p, layout->is_azimuthal);
    }
    return 1;
}

/* How many steps a level is off; the lowest level, 0, need not be whole steps off. */
static int64_t whole_number(int32_t x, int32_t step)
{
    return x < 0 ? -(int64_t)((-x + step - 1) / step) : x / step;
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
        const int32_t step = p->is_general ? 1 : (int32_t)profile_step(layout, k);
        number_put(&s, MEAN_CONTEXT, zigzag((p->mean_code - mean) / step));
        mean = p->mean_code;
        if (layout->is_azimuthal)
            number_put(&s, STD_CONTEXT, zigzag(p->std_code - std));
        std = p->std_code;
        if (p->is_general) {
            number_put(&s, TILT1_CONTEXT, zigzag(p->tilt1));
            number_put(&s, TILT2_CONTEXT, zigzag(p->tilt2));
            continue;
        }
        number_put(&s, LEVEL_CONTEXT,
                   zigzag(whole_number(p->level - positive(p->mean_code), step)));
        if (!layout->has_local)
            number_put(&s, SPREAD_CONTEXT, (uint64_t)p->spread / PROFILE_SPREAD_STEP);
    }
    symbols_write(&s, NCONTEXTS, SYMBOLS_NSTATES, w);
    symbol_writer_free(&s);
    return H5BRAGG_OK;
}

static int32_t within(int64_t x, int64_t low, int64_t high, int *failed)
{
    if (x >= low && x <= high)
        return (int32_t)x;
    *failed = 1;
    return 0;
}

/* A signed number within limits, or failure. */
static int32_t read_signed(symbol_reader *s, uint32_t context, int64_t low, int64_t high,
                           int *failed)
{
    return within(unzigzag(number_get(s, context)), low, high, failed);
}

static void read_pattern(symbol_reader *s, const profile_layout *layout, int64_t step,
                         ring_profile *p, int *failed)
{
    const int is_first = layout->format_version == 1;
    const int64_t level = positive(p->mean_code) + step * unzigzag(number_get(s, LEVEL_CONTEXT));
    p->level = within(level < 0 && !is_first ? 0 : level, 0, PROFILE_MAX_LEVEL, failed);
    if (layout->has_local)
        return;
    const uint64_t spread = number_get(s, SPREAD_CONTEXT) * (is_first ? 1 : PROFILE_SPREAD_STEP);
    *failed |= spread > PROFILE_MAX_SPREAD;
    p->spread = *failed ? 0 : (int32_t)spread;
}

static void read_general(symbol_reader *s, ring_profile *p, int *failed)
{
    p->tilt1 = read_signed(s, TILT1_CONTEXT, -PROFILE_MAX_TILT1, PROFILE_MAX_TILT1, failed);
    p->tilt2 = read_signed(s, TILT2_CONTEXT, PROFILE_MIN_TILT2, PROFILE_MAX_TILT2, failed);
}

h5bragg_status profile_read(byte_reader *r, const profile_layout *layout, ring_profile *profile)
{
    symbol_reader s = {0};
    int failed = 0;
    int32_t mean = 0;
    int32_t std = 0;
    h5bragg_status status = symbols_open(r, layout->format_version, NCONTEXTS, &s);
    for (uint32_t k = 0; k < layout->nbins && !status; k++) {
        ring_profile *p = &profile[k];
        const uint32_t kind = symbol_get(&s, KIND_CONTEXT);
        *p = (ring_profile){.is_general = kind == 1};
        failed |= kind > 1;
        const int64_t step = p->is_general ? 1 : profile_step(layout, k);
        const int64_t code = mean + step * unzigzag(number_get(&s, MEAN_CONTEXT));
        p->mean_code = mean = within(code, -PROFILE_MAX_CODE, PROFILE_MAX_CODE, &failed);
        if (layout->is_azimuthal)
            p->std_code = std =
                within(std + unzigzag(number_get(&s, STD_CONTEXT)), 0, PROFILE_MAX_CODE, &failed);
        set_statistics(p, layout->is_azimuthal);
        if (p->is_general)
            read_general(&s, p, &failed);
        else
            read_pattern(&s, layout, step, p, &failed);
        status = failed ? H5BRAGG_CORRUPT : H5BRAGG_OK;
    }
    if (!status)
        status = symbols_close(&s);
    symbol_reader_free(&s);
    return status;
}
