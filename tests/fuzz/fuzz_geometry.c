/* SPDX-License-Identifier: MIT */
/*
 * Geometries of any numbers: refused, or every pixel gets a ring and a normalisation; and the ways
 * in which a flat detector becomes a panel and cd_values.
 */
#include <math.h>

#include "fuzz_input.h"

enum { MOST_PANELS = 6, MOST_SIDE = 300 };

static h5bragg_panel read_panel(fuzz_reader *r)
{
    h5bragg_panel panel;
    uint32_t *const sides[] = {&panel.slow_start, &panel.slow_stop, &panel.fast_start,
                               &panel.fast_stop};
    for (int k = 0; k < 4; k++)
        *sides[k] = fuzz_u8(r) * 2;
    for (int k = 0; k < 3; k++) {
        panel.origin_m[k] = fuzz_float(r);
        panel.slow_m[k] = fuzz_float(r);
        panel.fast_m[k] = fuzz_float(r);
    }
    return panel;
}

static void map_pixels(const h5bragg_geometry *geometry, const h5bragg_params *params)
{
    const size_t npixels = (size_t)geometry->ny * geometry->nx;
    uint16_t *ring = fuzz_allocate(npixels * sizeof *ring);
    float *normalisation = fuzz_allocate(npixels * sizeof *normalisation);
    const uint32_t nbins = h5bragg_nbins(geometry, params);
    if (h5bragg_map_pixels(geometry, params, ring, normalisation) == H5BRAGG_OK)
        for (size_t k = 0; k < npixels; k++)
            MUST(ring[k] == 65535 ||
                 (ring[k] < nbins && isfinite(normalisation[k]) && normalisation[k] > 0));
    free(ring);
    free(normalisation);
}

static void try_flat(fuzz_reader *r, const h5bragg_params *params)
{
    h5bragg_panel panel;
    uint32_t words[H5BRAGG_CONFIG_NWORDS];
    const h5bragg_flat flat = {
        .ny = fuzz_u32(r) % MOST_SIDE,
        .nx = fuzz_u32(r) % MOST_SIDE,
        .pixel_slow_m = fuzz_float(r),
        .pixel_fast_m = fuzz_float(r),
        .distance_m = fuzz_float(r),
        .poni_slow_px = fuzz_float(r),
        .poni_fast_px = fuzz_float(r),
        .wavelength_m = fuzz_float(r),
        .rot1 = fuzz_float(r),
        .rot2 = fuzz_float(r),
        .rot3 = fuzz_float(r),
    };
    (void)h5bragg_config_flat(&flat, params, words);
    if (h5bragg_flat_panel(&flat, &panel))
        return;
    const h5bragg_geometry geometry = {
        .ny = flat.ny,
        .nx = flat.nx,
        .distance_m = flat.distance_m,
        .wavelength_m = flat.wavelength_m,
        .npanels = 1,
        .panels = &panel,
    };
    map_pixels(&geometry, params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    fuzz_reader r = {data, nbytes};
    h5bragg_panel panels[MOST_PANELS];
    h5bragg_params params;
    h5bragg_params_init(&params);
    params.radial_bins = fuzz_u8(&r);
    params.use_polarization = fuzz_u8(&r) % 2;
    params.use_solid_angle = fuzz_u8(&r) % 2;
    h5bragg_geometry geometry = {
        .ny = fuzz_u32(&r) % MOST_SIDE,
        .nx = fuzz_u32(&r) % MOST_SIDE,
        .distance_m = fuzz_float(&r),
        .wavelength_m = fuzz_float(&r),
        .npanels = fuzz_u8(&r) % (MOST_PANELS + 1),
        .panels = panels,
    };
    for (uint32_t k = 0; k < geometry.npanels; k++)
        panels[k] = read_panel(&r);
    map_pixels(&geometry, &params);
    try_flat(&r, &params);
    return 0;
}
