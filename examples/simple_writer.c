/* SPDX-License-Identifier: MIT */
/*
 * simple_writer.c - the few lines that make a C or C++ program write with h5bragg.
 *
 * A program that writes HDF5 files already needs what is between the two lines of dashes;
 * H5Dwrite() encodes then.  For many frames a second see detector_writer.c.
 *
 *     simple_writer FILE
 */
#include <stdio.h>
#include <string.h>

#include <H5Zbragg.h>

#define NFRAMES 3
#define NY 400
#define NX 300

/* Something to write: background, and a grid of spots that moves. */
static void fill_frame(unsigned frame, uint16_t *pixels)
{
    uint32_t random = frame + 1;
    for (unsigned k = 0; k < NY * NX; k++) {
        random = random * 1664525u + 1013904223u;
        pixels[k] = (uint16_t)((random >> 30) + (random >> 20) % 2);
        if ((k / NX + frame) % 40 == 0 && k % NX % 40 == 0)
            pixels[k] = (uint16_t)(pixels[k] + 100);
    }
}

int main(int argc, char **argv)
{
    static uint16_t frames[NFRAMES][NY * NX];
    const hsize_t size[3] = {NFRAMES, NY, NX};
    const hsize_t chunk[3] = {1, NY, NX};
    if (argc != 2) {
        fprintf(stderr, "Usage: simple_writer FILE\n");
        return 2;
    }
    for (unsigned k = 0; k < NFRAMES; k++)
        fill_frame(k, frames[k]);

    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(dcpl, 3, chunk);
    /* ------------------------------------------------------------------------------------------ */
    h5bragg_flat detector;
    memset(&detector, 0, sizeof(detector)); /* no rotations */
    detector.ny = NY;
    detector.nx = NX;
    detector.pixel_slow_m = 75e-6f;
    detector.pixel_fast_m = 75e-6f;
    detector.distance_m = 0.1f;
    detector.poni_slow_px = 201.3f; /* untilted: the beam centre */
    detector.poni_fast_px = 149.8f;
    detector.wavelength_m = 1e-10f;
    h5bragg_params params;
    h5bragg_params_init(&params);

    uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
    const h5bragg_status status = h5bragg_config_flat(&detector, &params, cd_values);
    if (status != H5BRAGG_OK) {
        fprintf(stderr, "simple_writer: %s\n", h5bragg_status_text(status));
        return 1;
    }
    if (H5Pset_bragg(dcpl, H5T_STD_U16LE, cd_values) < 0) {
        H5Eprint2(H5E_DEFAULT, stderr);
        return 1;
    }
    /* ------------------------------------------------------------------------------------------ */
    const hid_t space = H5Screate_simple(3, size, NULL);
    const hid_t file = H5Fcreate(argv[1], H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t data =
        H5Dcreate2(file, "data", H5T_STD_U16LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    herr_t written = H5Dwrite(data, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, frames);
    H5Dclose(data);
    H5Pclose(dcpl);
    H5Sclose(space);
    if (H5Fclose(file) < 0)
        written = -1;
    return written < 0 ? 1 : 0;
}
