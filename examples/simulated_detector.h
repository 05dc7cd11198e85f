/* SPDX-License-Identifier: MIT */
/*
 * simulated_detector.h - a detector that counts Poisson background and Bragg spots.
 *
 * It stands for the interface of a real one: what a writer needs of it is its geometry, and frame
 * after frame.
 */
#ifndef SIMULATED_DETECTOR_H
#define SIMULATED_DETECTOR_H

#include <stdint.h>

#include <h5bragg.h>

/* Eight panels of 256 x 512 pixels, four rows of two, with gaps between them. */
#define PANEL_ROWS 4
#define PANEL_COLUMNS 2
#define PANEL_NY 256
#define PANEL_NX 512
#define GAP_NY 36
#define GAP_NX 12
#define DETECTOR_NY (PANEL_ROWS * PANEL_NY + (PANEL_ROWS - 1) * GAP_NY)
#define DETECTOR_NX (PANEL_COLUMNS * PANEL_NX + (PANEL_COLUMNS - 1) * GAP_NX)
#define DETECTOR_NPIXELS ((size_t)DETECTOR_NY * DETECTOR_NX)

#define PIXEL_M 75e-6f
#define DISTANCE_M 0.15f
#define WAVELENGTH_M 1e-10f

/* geometry.panels points into the detector itself: it must not be copied. */
typedef struct detector {
    h5bragg_flat flat;
    h5bragg_panel panels[PANEL_ROWS * PANEL_COLUMNS];
    h5bragg_geometry geometry; /* for h5bragg_encode() */
    int is_flat;
    uint16_t *backgrounds; /* a few frames without spots */
} detector;

/*
 * Makes a detector whose panels all lie in one plane, or one whose rows of panels stand around the
 * sample like the staves of a barrel.  Returns 0, or -1 if there is no memory.
 */
int detector_make(detector *self, int is_flat);
void detector_free(detector *self);

/* The cd_values of its datasets: a flat detector fits in them, the barrel is registered. */
h5bragg_status detector_config(const detector *self, const h5bragg_params *params,
                               uint32_t cd_values[H5BRAGG_CONFIG_NWORDS]);

/* Reads frame `number` out into DETECTOR_NPIXELS pixels.  The same number is the same frame. */
void detector_read(const detector *self, uint64_t number, uint16_t *frame);

#endif
