/* SPDX-License-Identifier: MIT */
#include <math.h>

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

/* What parameters say in word 6 outlives whatever is said of the frames. */
static void check_local_counts(void)
{
    static const uint32_t LIMITS[] = {0, 8, 24, 64};
    uint32_t words[16];
    bragg_settings s;
    h5bragg_params params;
    h5bragg_params_init(&params);
    CHECK(params.snr_pick == 4 && params.local_counts == 4 && params.local_step == 1.5);
    CHECK(params.local_significance == 2.875 && params.coarse_limit == 24);
    for (uint32_t k = 0; k < 128; k++) {
        const uint32_t quarters = k % 16 + 1;
        params.local_counts = k % 2 ? 4 : 0;
        params.local_step = quarters / 4.0;
        params.local_significance = k ? k / 16.0 : 1.0 / 16 + 1e-9; /* this is rounded */
        params.coarse_limit = LIMITS[k % 4];
        CHECK(h5bragg_config_flat(&FLAT, &params, words) == H5BRAGG_OK);
        bragg_words_set_frames(words, H5BRAGG_I32, 1, 65535, 100, 200);
        bragg_words_set_frames(words, H5BRAGG_U16, 0, 7, 100, 200);
        CHECK(bragg_settings_from_words(words, &s) == H5BRAGG_OK);
        CHECK(s.type == H5BRAGG_U16 && s.nframes == 7 && !s.params.file_big_endian);
        CHECK(s.params.local_counts == params.local_counts);
        CHECK(s.params.local_step == params.local_step);
        CHECK(s.params.local_significance == (k ? k : 1) / 16.0);
        CHECK(s.params.coarse_limit == params.coarse_limit);
        /* Where docs/format.md wants them. */
        CHECK(words[0] >> 16 == 0xB501 && (words[0] >> 6 & 3) == k % 4);
        CHECK((words[2] >> 16 & 0xF) == params.local_counts);
        CHECK((words[2] >> 20 & 0xF) == quarters - 1);
        CHECK((words[6] >> 9 & 0x7F) == (k ? k : 1));
    }
}

static int is_refused(h5bragg_params params)
{
    uint32_t words[16];
    return h5bragg_params_check(&params, H5BRAGG_U16) == H5BRAGG_BAD_PARAMETER &&
           h5bragg_config_flat(&FLAT, &params, words) == H5BRAGG_BAD_PARAMETER;
}

static void check_bad_local_counts(void)
{
    static const double STEPS[] = {0, 0.125, 0.3, 4.125, 4.25, -1, NAN, INFINITY, 1e300};
    static const double SIGNIFICANCES[] = {0, 0.06, 7.95, 8, -3, NAN, INFINITY, 1e300};
    static const uint32_t LIMITS[] = {1, 7, 16, 25, 65, UINT32_MAX};
    h5bragg_params good;
    h5bragg_params_init(&good);
    CHECK(h5bragg_params_check(&good, H5BRAGG_U16) == H5BRAGG_OK);
    h5bragg_params bad = good;
    for (bad.local_counts = 1; bad.local_counts < 20; bad.local_counts++)
        CHECK(bad.local_counts == 4 || is_refused(bad));
    bad = good;
    for (size_t k = 0; k < sizeof STEPS / sizeof *STEPS; k++) {
        bad.local_step = STEPS[k];
        CHECK(is_refused(bad));
    }
    bad = good;
    for (size_t k = 0; k < sizeof SIGNIFICANCES / sizeof *SIGNIFICANCES; k++) {
        bad.local_significance = SIGNIFICANCES[k];
        CHECK(is_refused(bad));
    }
    bad = good;
    for (size_t k = 0; k < sizeof LIMITS / sizeof *LIMITS; k++) {
        bad.coarse_limit = LIMITS[k];
        CHECK(is_refused(bad));
    }
}

/* A word changed in bits that mean nothing under the others, and what refuses it. */
static void check_canonical_words(void)
{
    static const struct {
        int word;
        uint32_t bits;
    } CHANGES[] = {
        {0, 1u << 16}, /* layout 0 */
        {2, 1u << 24}, /* type of positive mask codes, and there is none */
        {3, 1u},       /* polarization, not corrected for */
        {3, 5u << 16}, /* a mask code where codes are automatic */
        {2, 1u << 16}, /* local counts 5 */
        {6, 46u << 9}, /* significance 0 */
        {6, 1u << 7},  /* pixel type */
    };
    uint32_t good[16];
    bragg_settings s;
    h5bragg_params params;
    h5bragg_params_init(&params);
    params.use_polarization = 0;
    CHECK(h5bragg_config_flat(&FLAT, &params, good) == H5BRAGG_OK);
    bragg_words_set_frames(good, H5BRAGG_U8, 0, 1, 100, 200);
    CHECK(bragg_settings_from_parameter_words(good, &s) == H5BRAGG_OK);
    for (size_t k = 0; k < sizeof CHANGES / sizeof *CHANGES; k++) {
        uint32_t words[16];
        memcpy(words, good, sizeof words);
        words[CHANGES[k].word] ^= CHANGES[k].bits;
        CHECK(bragg_settings_from_words(words, &s) != H5BRAGG_OK);
    }
    /* In cd_values alone a geometry may be registered, and then nothing follows its hash. */
    good[0] |= 1u << 5;
    CHECK(bragg_settings_from_parameter_words(good, &s) == H5BRAGG_BAD_CONFIG);
    CHECK(bragg_settings_from_words(good, &s) == H5BRAGG_BAD_CONFIG);
    memset(good + 9, 0, 7 * sizeof *good);
    CHECK(bragg_settings_from_words(good, &s) == H5BRAGG_OK && s.is_registered);
}

/* No change of any word may crash, give parameters that fail their own check, or mean nothing. */
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
        if (bragg_settings_from_words(words, &s) != H5BRAGG_OK)
            continue;
        uint32_t again[16] = {0};
        CHECK(h5bragg_params_check(&s.params, s.type) == H5BRAGG_OK);
        bragg_params_to_words(&s.params, again);
        bragg_words_set_frames(again, s.type, s.params.file_big_endian != 0, s.nframes, s.ny, s.nx);
        CHECK(memcmp(again, words, BRAGG_NPARAMETER_WORDS * sizeof *again) == 0);
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

/* docs/limits.md, "Sizes". */
static void check_largest_frames(void)
{
    static const uint8_t pixel = 0;
    uint8_t chunk[200];
    size_t nbytes;
    h5bragg_params params;
    h5bragg_panel panel;
    h5bragg_flat flat = FLAT;
    h5bragg_params_init(&params);
    CHECK(bragg_frame_fits(H5BRAGG_U32, 32767, 32768) == (sizeof(size_t) > 4));
    CHECK(bragg_frame_fits(H5BRAGG_U32, 8191, 8192));
    CHECK(!bragg_frame_fits(H5BRAGG_U32, 32768, 32768));
    CHECK(!bragg_frame_fits(H5BRAGG_U16, 65535, 65535));
    CHECK(bragg_frame_fits(H5BRAGG_U8, 65535, 65535) == (sizeof(size_t) > 4));
    CHECK(!bragg_frame_fits(H5BRAGG_U8, 0, 1) && !bragg_frame_fits(H5BRAGG_U8, 1, 0));
    flat.ny = 65536;
    CHECK(h5bragg_flat_panel(&flat, &panel) == H5BRAGG_BAD_SHAPE);
    flat.ny = flat.nx = 1;
    CHECK(h5bragg_flat_panel(&flat, &panel) == H5BRAGG_OK);
    const h5bragg_geometry g = {1, 1, flat.distance_m, 0, 1, &panel, NULL};
    for (uint32_t nframes = 0; nframes <= 65536; nframes += 65536)
        CHECK(h5bragg_encode(&pixel, H5BRAGG_U8, nframes, &g, &params, chunk, sizeof chunk,
                             &nbytes) == H5BRAGG_BAD_SHAPE);
}

int main(void)
{
    check_round_trip();
    check_local_counts();
    check_bad_local_counts();
    check_canonical_words();
    check_damage();
    check_geometry_refusals();
    check_largest_frames();
    return 0;
}
