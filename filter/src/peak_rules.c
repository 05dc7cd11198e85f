/* SPDX-License-Identifier: MIT */
/*
 * Rules of peaks from the background (docs/peaks.md, "What is a peak").
 *
 * The largest pixel of a peak is above the same quantile as that which pixels are picked by, at the
 * peaks' own snr_pick, so that it is no matter of chance; others are above as many sigma.  Both are
 * integers of a cell, so that nobody's rounding matters.
 */
#include "peak_rules.h"

#include <math.h>

#include "scratch.h"

static const double LEAST_SNR = 1.0 / 512;
static const double MOST_SNR = 127.0;
enum { MOST_CONNECTED = 24, BYTE_ANY = 255 };

void h5bragg_peak_params_init(h5bragg_peak_params *peaks)
{
    if (peaks)
        *peaks = (h5bragg_peak_params){.snr_pick = 4.0, .patch = 5, .connected = 2};
}

h5bragg_status peak_params_check(const h5bragg_peak_params *peaks)
{
    const int is_usable = peaks->snr_pick >= LEAST_SNR && peaks->snr_pick <= MOST_SNR &&
                          (peaks->patch == 3 || peaks->patch == 5) &&
                          peaks->connected <= MOST_CONNECTED &&
                          peaks->connected < peaks->patch * peaks->patch;
    return is_usable ? H5BRAGG_OK : H5BRAGG_BAD_PEAK_PARAMETER;
}

void peak_rules_free(peak_rules *rules)
{
    scratch_give(rules->cell);
    scratch_give(rules->byte_limit);
    scratch_give(rules->byte_beside);
    memset(rules, 0, sizeof *rules);
}

/* The least byte of a high pixel; bytes of 255 may stand for any value. */
static uint8_t byte_limit_of(int64_t limit)
{
    return (uint8_t)(limit < 0 ? 0 : limit + 1 < BYTE_ANY ? limit + 1 : BYTE_ANY);
}

static int is_byte_limit(int64_t limit) { return limit >= 0 && limit < BYTE_ANY; }

static void set_cell(const frame_model *m, double snr_pick, uint32_t cell, peak_rules *rules)
{
    const noise_frame *f = &m->noise;
    const ring_profile *ring = &m->profile[f->map->ring[cell]];
    const double expected = noise_expected(f, ring, cell);
    const double sigma = noise_sigma(f, ring, cell);
    const int64_t limit = noise_threshold_at(f, expected, sigma, snr_pick, 1);
    const int64_t beside = noise_threshold_at(f, expected, sigma, snr_pick, 0);
    const int64_t stored = rules->has_local ? INT64_MIN : noise_threshold(f, ring, cell);
    const int64_t whole = (int64_t)floor(expected);
    rules->cell[cell] = (peak_cell){
        .limit = limit,
        .beside = beside,
        .stored = stored,
        .whole_expected = whole,
        .expected = expected,
        .variance = sigma * sigma,
        .is_small = is_byte_limit(limit) && is_byte_limit(beside) && is_byte_limit(whole) &&
                    (rules->has_local || is_byte_limit(stored)),
    };
    rules->byte_limit[cell] = byte_limit_of(limit);
    rules->byte_beside[cell] = byte_limit_of(beside);
}

h5bragg_status peak_rules_make(const frame_model *m, const h5bragg_geometry *geometry,
                               const uint8_t *mask, const h5bragg_peak_params *peaks,
                               peak_rules *rules)
{
    const ring_map *map = m->noise.map;
    *rules = (peak_rules){.map = map,
                          .geometry = geometry,
                          .mask = mask,
                          .reach = peaks->patch / 2,
                          .connected = peaks->connected,
                          .has_local = m->layout.has_local};
    if (peaks->snr_pick < m->noise.params->snr_pick)
        return H5BRAGG_PEAKS_NOT_STORED;
    rules->cell = scratch_take((map->ncells + 1u) * sizeof *rules->cell);
    rules->byte_limit = scratch_take(map->ncells + 1u);
    rules->byte_beside = scratch_take(map->ncells + 1u);
    if (!rules->cell || !rules->byte_limit || !rules->byte_beside)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        set_cell(m, peaks->snr_pick, c, rules);
    rules->byte_limit[map->ncells] = rules->byte_beside[map->ncells] = BYTE_ANY;
    rules->cell[map->ncells] = (peak_cell){.is_small = 1};
    return H5BRAGG_OK;
}
