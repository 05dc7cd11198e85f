/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "geometry.h"
#include "settings.h"

static const h5bragg_flat FLAT = {.ny = 100,
                                  .nx = 200,
                                  .pixel_slow_m = 1e-4f,
                                  .pixel_fast_m = 1e-4f,
                                  .distance_m = 0.1f,
                                  .poni_slow_px = 50,
                                  .poni_fast_px = 100,
                                  .wavelength_m = 1e-10f,
                                  .rot1 = 0.1f};

static void check_round_trip(void)
{
    uint32_t words[16];
    bragg_settings s;
    h5bragg_params params;
    h5bragg_params_init(&params);
    params.snr_pick = 3.25;
    params.polarization = -0.5;
    params.auto_mask_codes = 0;
    params.n_mask_codes = 2;
    params.mask_codes[0] = 65535;
    params.mask_codes[1] = 65500;
    CHECK(h5bragg_config_flat(&FLAT, &params, words) == H5BRAGG_OK);
    CHECK(bragg_settings_from_words(words, &s) == H5BRAGG_BAD_CONFIG); /* type not yet known */
    bragg_words_set_frames(words, H5BRAGG_U16, 1, 3, 100, 200);
    CHECK(bragg_settings_from_words(words, &s) == H5BRAGG_OK);
    CHECK(s.nframes == 3 && s.ny == 100 && s.nx == 200 && s.params.file_big_endian);
    CHECK(s.params.snr_pick == 3.25 && s.flat.rot1 == FLAT.rot1);
    CHECK(s.params.n_mask_codes == 2 && s.params.mask_codes[0] == 65535);
    CHECK(s.params.mask_codes[1] == 65500);
    bragg_words_set_frames(words, H5BRAGG_U32, 0, 1, 100, 200);
    CHECK(bragg_settings_from_words(words, &s) == H5BRAGG_BAD_MASK_CODE);
}

/* No change of any word may crash or give parameters that fail their own check. */
static void check_damage(void)
{
    unsigned state = 3;
    uint32_t good[16];
    h5bragg_params params;
    h5bragg_params_init(&params);
    CHECK(h5bragg_config_flat(&FLAT, &params, good) == H5BRAGG_OK);
    bragg_words_set_frames(good, H5BRAGG_I32, 0, 1, 100, 200);
    for (int k = 0; k < 20000; k++) {
        uint32_t words[16];
        bragg_settings s;
        memcpy(words, good, sizeof words);
        words[random_bits(&state) % 16] ^= 1u << random_bits(&state) % 32;
        if (bragg_settings_from_words(words, &s) == H5BRAGG_OK)
            CHECK(h5bragg_params_check(&s.params, s.type) == H5BRAGG_OK);
    }
}

static void check_geometry_refusals(void)
{
    h5bragg_panel panels[2];
    h5bragg_params params;
    uint32_t words[16];
    h5bragg_params_init(&params);
    CHECK(h5bragg_flat_panel(&FLAT, &panels[0]) == H5BRAGG_OK);
    panels[1] = panels[0];
    h5bragg_geometry g = {100, 200, 0.1f, 0, 2, panels, NULL};
    CHECK(h5bragg_config_registered(&g, &params, words) == H5BRAGG_BAD_GEOMETRY); /* overlap */
    panels[0].fast_stop = panels[1].fast_start = 90;
    CHECK(h5bragg_config_registered(&g, &params, words) == H5BRAGG_OK);
    CHECK(bragg_geometry_find(words[7] | (uint64_t)words[8] << 32) != NULL);
    CHECK(bragg_geometry_find(12345) == NULL);
    panels[1].fast_stop = 201;
    CHECK(h5bragg_config_registered(&g, &params, words) == H5BRAGG_BAD_GEOMETRY);
    h5bragg_flat flat = FLAT;
    flat.distance_m = 0;
    CHECK(h5bragg_config_flat(&flat, &params, words) == H5BRAGG_BAD_GEOMETRY);
    params.snr_pick = 0;
    CHECK(h5bragg_config_flat(&FLAT, &params, words) == H5BRAGG_BAD_PARAMETER);
}

int main(void)
{
    check_round_trip();
    check_damage();
    check_geometry_refusals();
    return 0;
}
