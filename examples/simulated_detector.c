/* SPDX-License-Identifier: MIT */
#include "simulated_detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Eigers and h5bragg mean by the largest value of the type: no pixel here. */
#define GAP_CODE UINT16_MAX
#define NBACKGROUNDS 4
#define NSPOTS 300

/* A small generator of random numbers (splitmix64). */
static uint64_t draw_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Evenly from 0 up to, not including, 1. */
static double draw_even(uint64_t *state) { return (double)(draw_bits(state) >> 11) * 0x1p-53; }

/* How many even numbers can be multiplied before the product is below exp(-mean). */
static uint16_t draw_poisson(uint64_t *state, double exp_minus_mean)
{
    uint16_t count = 0;
    for (double p = draw_even(state); p > exp_minus_mean; p *= draw_even(state))
        count++;
    return count;
}

static int is_in_gap(uint32_t slow, uint32_t fast)
{
    return slow % (PANEL_NY + GAP_NY) >= PANEL_NY || fast % (PANEL_NX + GAP_NX) >= PANEL_NX;
}

/*
 * A panel of the barrel.  Its middle lies DISTANCE_M from the barrel's axis, which is horizontal
 * and goes through the sample; the row is turned about the axis until it faces it.
 */
static h5bragg_panel barrel_panel(uint32_t row, uint32_t column)
{
    const uint32_t slow = row * (PANEL_NY + GAP_NY);
    const uint32_t fast = column * (PANEL_NX + GAP_NX);
    const float along_slow_m = ((float)slow + 0.5f * PANEL_NY - 0.5f * DETECTOR_NY) * PIXEL_M;
    const float along_fast_m = ((float)fast + 0.5f * PANEL_NX - 0.5f * DETECTOR_NX) * PIXEL_M;
    const float angle = along_slow_m / DISTANCE_M;
    const float middle_m[3] = {along_fast_m, DISTANCE_M * sinf(angle), DISTANCE_M * cosf(angle)};
    h5bragg_panel panel = {.slow_start = slow,
                           .slow_stop = slow + PANEL_NY,
                           .fast_start = fast,
                           .fast_stop = fast + PANEL_NX,
                           .slow_m = {0, PIXEL_M * cosf(angle), -PIXEL_M * sinf(angle)},
                           .fast_m = {PIXEL_M, 0, 0}};
    for (int k = 0; k < 3; k++)
        panel.origin_m[k] =
            middle_m[k] - 0.5f * PANEL_NY * panel.slow_m[k] - 0.5f * PANEL_NX * panel.fast_m[k];
    return panel;
}

/* The untilted detector, with the beam in its middle. */
static const h5bragg_flat FLAT = {.ny = DETECTOR_NY,
                                  .nx = DETECTOR_NX,
                                  .pixel_slow_m = PIXEL_M,
                                  .pixel_fast_m = PIXEL_M,
                                  .distance_m = DISTANCE_M,
                                  .poni_slow_px = 0.5f * DETECTOR_NY,
                                  .poni_fast_px = 0.5f * DETECTOR_NX,
                                  .wavelength_m = WAVELENGTH_M};

static void make_geometry(detector *self)
{
    uint32_t npanels = 0;
    if (self->is_flat)
        h5bragg_flat_panel(&self->flat, &self->panels[npanels++]);
    else
        for (; npanels < PANEL_ROWS * PANEL_COLUMNS; npanels++)
            self->panels[npanels] = barrel_panel(npanels / PANEL_COLUMNS, npanels % PANEL_COLUMNS);
    self->geometry = (h5bragg_geometry){.ny = DETECTOR_NY,
                                        .nx = DETECTOR_NX,
                                        .distance_m = DISTANCE_M,
                                        .wavelength_m = WAVELENGTH_M,
                                        .npanels = npanels,
                                        .panels = self->panels};
}

/* Mean background at pixel (slow, fast) of a panel: it falls with the scattering angle. */
static double mean_background(const h5bragg_panel *panel, uint32_t slow, uint32_t fast)
{
    const float i = (float)(slow - panel->slow_start) + 0.5f;
    const float j = (float)(fast - panel->fast_start) + 0.5f;
    double m[3];
    for (int k = 0; k < 3; k++)
        m[k] = panel->origin_m[k] + i * panel->slow_m[k] + j * panel->fast_m[k];
    const double tan2_2theta = (m[0] * m[0] + m[1] * m[1]) / (m[2] * m[2]);
    return 0.3 + 3.0 * exp(-25 * tan2_2theta);
}

static void draw_backgrounds(detector *self, const h5bragg_panel *panel, uint64_t *state)
{
    for (uint32_t slow = panel->slow_start; slow < panel->slow_stop; slow++) {
        for (uint32_t fast = panel->fast_start; fast < panel->fast_stop; fast++) {
            if (is_in_gap(slow, fast))
                continue;
            const double exp_minus_mean = exp(-mean_background(panel, slow, fast));
            uint16_t *pixel = self->backgrounds + (size_t)slow * DETECTOR_NX + fast;
            for (int k = 0; k < NBACKGROUNDS; k++, pixel += DETECTOR_NPIXELS)
                *pixel = draw_poisson(state, exp_minus_mean);
        }
    }
}

/* The simulation must not limit the frame rate, so backgrounds are drawn beforehand. */
static int make_backgrounds(detector *self)
{
    uint64_t state = 1;
    self->backgrounds = malloc(NBACKGROUNDS * DETECTOR_NPIXELS * sizeof(uint16_t));
    if (self->backgrounds == NULL)
        return -1;
    for (size_t k = 0; k < NBACKGROUNDS * DETECTOR_NPIXELS; k++)
        self->backgrounds[k] = GAP_CODE;
    for (uint32_t panel = 0; panel < self->geometry.npanels; panel++)
        draw_backgrounds(self, &self->panels[panel], &state);
    return 0;
}

int detector_make(detector *self, int is_flat)
{
    self->flat = FLAT;
    self->is_flat = is_flat;
    make_geometry(self);
    return make_backgrounds(self);
}

void detector_free(detector *self) { free(self->backgrounds); }

h5bragg_status detector_config(const detector *self, const h5bragg_params *params,
                               uint32_t cd_values[H5BRAGG_CONFIG_NWORDS])
{
    return self->is_flat ? h5bragg_config_flat(&self->flat, params, cd_values)
                         : h5bragg_config_registered(&self->geometry, params, cd_values);
}

/* Adds a spot of 5 x 5 pixels. */
static void add_spot(uint64_t *state, uint16_t *frame)
{
    const uint64_t slow = 2 + draw_bits(state) % (DETECTOR_NY - 4);
    const uint64_t fast = 2 + draw_bits(state) % (DETECTOR_NX - 4);
    const double peak = exp(7 * draw_even(state));
    for (int i = -2; i <= 2; i++) {
        for (int j = -2; j <= 2; j++) {
            uint16_t *pixel = &frame[(slow + (uint64_t)i) * DETECTOR_NX + fast + (uint64_t)j];
            if (*pixel != GAP_CODE)
                *pixel = (uint16_t)(*pixel + peak * exp(-0.7 * (i * i + j * j)));
        }
    }
}

void detector_read(const detector *self, uint64_t number, uint16_t *frame)
{
    uint64_t state = ~number;
    memcpy(frame, self->backgrounds + number % NBACKGROUNDS * DETECTOR_NPIXELS,
           DETECTOR_NPIXELS * sizeof(uint16_t));
    for (int spot = 0; spot < NSPOTS; spot++)
        add_spot(&state, frame);
}
