/* SPDX-License-Identifier: MIT */
/*
 * Decodes and encodes files, for tests of builds for other machines.  Pixels are in native order.
 *
 *     codec_tool noise CHUNK FRAMES          codec_tool mean CHUNK FRAMES
 *     codec_tool encode FRAMES CHUNK LIKE    pixel type, geometry and parameters of chunk LIKE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "h5bragg.h"
#include "test_files.h"

static void write_file(const char *name, file_bytes content)
{
    FILE *file = fopen(name, "wb");
    CHECK(file && fwrite(content.data, 1, content.nbytes, file) == content.nbytes);
    CHECK(fclose(file) == 0);
}

static h5bragg_info inspect(file_bytes chunk)
{
    h5bragg_info info;
    CHECK(h5bragg_inspect(chunk.data, chunk.nbytes, &info) == H5BRAGG_OK);
    return info;
}

static void decode(const char *source, const char *target, h5bragg_fill fill)
{
    const file_bytes chunk = read_file(source);
    const file_bytes frames = make_bytes((size_t)inspect(chunk).frames_nbytes);
    CHECK(h5bragg_decode(chunk.data, chunk.nbytes, frames.data, frames.nbytes, fill) == H5BRAGG_OK);
    write_file(target, frames);
    free(frames.data);
    free(chunk.data);
}

static void encode(const char *source, const char *target, const char *like)
{
    static h5bragg_panel panels[H5BRAGG_MAX_PANELS];
    const file_bytes model = read_file(like);
    const file_bytes frames = read_file(source);
    const h5bragg_info info = inspect(model);
    const h5bragg_geometry geometry = {
        .ny = info.ny,
        .nx = info.nx,
        .distance_m = info.distance_m,
        .wavelength_m = info.wavelength_m,
        .npanels = info.npanels,
        .panels = panels,
    };
    const h5bragg_pixel_type type = (h5bragg_pixel_type)info.pixel_type;
    CHECK(frames.nbytes == info.frames_nbytes);
    CHECK(h5bragg_inspect_panels(model.data, model.nbytes, panels, H5BRAGG_MAX_PANELS) ==
          H5BRAGG_OK);
    file_bytes chunk = make_bytes(h5bragg_bound(type, info.nframes, &geometry));
    CHECK(h5bragg_encode(frames.data, type, info.nframes, &geometry, &info.params, chunk.data,
                         chunk.nbytes, &chunk.nbytes) == H5BRAGG_OK);
    write_file(target, chunk);
    free(chunk.data);
    free(frames.data);
    free(model.data);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 4);
    if (strcmp(argv[1], "noise") == 0)
        decode(argv[2], argv[3], H5BRAGG_FILL_NOISE);
    else if (strcmp(argv[1], "mean") == 0)
        decode(argv[2], argv[3], H5BRAGG_FILL_MEAN);
    else {
        CHECK(argc == 5 && strcmp(argv[1], "encode") == 0);
        encode(argv[2], argv[3], argv[4]);
    }
    return 0;
}
