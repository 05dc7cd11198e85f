/* SPDX-License-Identifier: MIT */
/*
 * plugin_host.c - a program that knows HDF5 and nothing of h5bragg; test_plugin_hosts.py links it
 * in several ways.
 *
 *     plugin_host LIBRARY read FILE OUT
 *     plugin_host LIBRARY write FILE IN ROWS COLUMNS ID WORD...
 *
 * Frames are uint16, in the dataset "data".  Unless LIBRARY is "-", the filter in it is registered
 * first, as a program does that does not want HDF5 to look for it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hdf5.h>

#define MAX_NPIXELS (1 << 20)
#define MAX_NWORDS 16

static uint16_t pixels[MAX_NPIXELS];

static int register_filter(const char *library)
{
    const void *(*get_info)(void);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, "H5PLget_plugin_info") : NULL;
    memcpy(&get_info, &symbol, sizeof(symbol));
    return symbol != NULL && H5Zregister(get_info()) >= 0;
}

static int read_frames(const char *path, const char *out)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t data = H5Dopen2(file, "data", H5P_DEFAULT);
    const hid_t space = H5Dget_space(data);
    const size_t npixels = (size_t)H5Sget_simple_extent_npoints(space);
    if (data < 0 || npixels > MAX_NPIXELS ||
        H5Dread(data, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels) < 0)
        return 0;
    FILE *stream = fopen(out, "wb");
    if (stream == NULL || fwrite(pixels, sizeof(*pixels), npixels, stream) != npixels)
        return 0;
    H5Sclose(space);
    H5Dclose(data);
    return fclose(stream) == 0 && H5Fclose(file) >= 0;
}

static int write_frame(const char *path, const char *in, const hsize_t size[2], int id,
                       size_t nwords, const unsigned words[])
{
    const size_t npixels = (size_t)(size[0] * size[1]);
    FILE *stream = fopen(in, "rb");
    if (stream == NULL || npixels > MAX_NPIXELS ||
        fread(pixels, sizeof(*pixels), npixels, stream) != npixels)
        return 0;
    fclose(stream);
    const hid_t space = H5Screate_simple(2, size, NULL);
    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Pset_chunk(dcpl, 2, size);
    if (H5Pset_filter(dcpl, id, H5Z_FLAG_MANDATORY, nwords, words) < 0)
        return 0;
    const hid_t data =
        H5Dcreate2(file, "data", H5T_STD_U16LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    /* The filter runs when the chunk leaves HDF5's cache. */
    const int is_written =
        H5Dwrite(data, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels) >= 0 &&
        H5Dclose(data) >= 0;
    H5Pclose(dcpl);
    H5Sclose(space);
    return is_written && H5Fclose(file) >= 0;
}

int main(int argc, char **argv)
{
    unsigned words[MAX_NWORDS];
    if (argc < 5 || argc > 8 + MAX_NWORDS)
        return 2;
    H5dont_atexit(); /* after a failed write HDF5 would try it again, and crash */
    if (strcmp(argv[1], "-") != 0 && !register_filter(argv[1]))
        return 3;
    if (strcmp(argv[2], "read") == 0)
        return read_frames(argv[3], argv[4]) ? 0 : 4;
    if (argc < 8)
        return 2;
    const hsize_t size[2] = {strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10)};
    const size_t nwords = (size_t)argc - 8;
    for (size_t k = 0; k < nwords; k++)
        words[k] = (unsigned)strtoul(argv[8 + k], NULL, 10);
    return write_frame(argv[3], argv[4], size, atoi(argv[7]), nwords, words) ? 0 : 5;
}
