/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* link */

#include "frame_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <H5Zbragg.h>

/*
 * The innermost entry of HDF5's error stack is the cause; the others tell the way to it.  Where the
 * operating system has refused something, HDF5 tells much and quotes it.
 */
static herr_t keep_cause(unsigned depth, const H5E_error2_t *error, void *file)
{
    static const char quote[] = "error message = '";
    frame_file *self = file;
    const char *start = strstr(error->desc, quote);
    start = start == NULL ? error->desc : start + strlen(quote);
    if (depth == 0)
        snprintf(self->reason, sizeof(self->reason), "%.*s", (int)strcspn(start, "'\n"), start);
    return 0;
}

/* Keeps the first reason: what fails afterwards fails because of it. */
static herr_t keep_reason(hid_t stack, void *file)
{
    frame_file *self = file;
    return self->reason[0] ? 0 : H5Ewalk2(stack, H5E_WALK_UPWARD, keep_cause, self);
}

/*
 * HDF5 calls keep_reason() as soon as one of its functions fails, in place of printing; the next
 * call would clear the stack.  Each thread has a stack of its own.
 */
static void watch_errors(frame_file *self) { H5Eset_auto2(H5E_DEFAULT, keep_reason, self); }

static herr_t put_text(hid_t object, const char *name, const char *text)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1); /* some readers want the room for the NUL */
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const herr_t status = H5Awrite(attribute, type, text);
    H5Aclose(attribute);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

static hid_t make_group(hid_t parent, const char *name, const char *nexus_class)
{
    const hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    return put_text(group, "NX_class", nexus_class) < 0 ? H5I_INVALID_HID : group;
}

static herr_t put_number(hid_t group, const char *name, double value, const char *units)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t number =
        H5Dcreate2(group, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    herr_t status = H5Dwrite(number, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value);
    if (status >= 0)
        status = put_text(number, "units", units);
    H5Dclose(number);
    H5Sclose(space);
    return status;
}

/*
 * What NXmx has of beam and detector.  A barrel needs an NXdetector_module for each panel besides:
 * docs/geometry.md.  Once readers may look nothing new can be created, so all of it comes first.
 */
static int put_metadata(hid_t entry)
{
    const hid_t instrument = make_group(entry, "instrument", "NXinstrument");
    const hid_t beam = make_group(instrument, "beam", "NXbeam");
    const hid_t module = make_group(instrument, "detector", "NXdetector");
    return put_number(beam, "incident_wavelength", WAVELENGTH_M * 1e10, "angstrom") >= 0 &&
           put_number(module, "distance", DISTANCE_M, "m") >= 0 &&
           put_number(module, "x_pixel_size", PIXEL_M, "m") >= 0 &&
           put_number(module, "y_pixel_size", PIXEL_M, "m") >= 0 &&
           put_number(module, "beam_center_x", 0.5 * DETECTOR_NX, "pixel") >= 0 &&
           put_number(module, "beam_center_y", 0.5 * DETECTOR_NY, "pixel") >= 0;
}

/* A stack of frames that can grow, one frame a chunk. */
static hid_t make_data(frame_file *self, hid_t group, const detector *source,
                       const h5bragg_params *params)
{
    const hsize_t size[3] = {0, DETECTOR_NY, DETECTOR_NX};
    const hsize_t most[3] = {H5S_UNLIMITED, DETECTOR_NY, DETECTOR_NX};
    const hsize_t chunk[3] = {1, DETECTOR_NY, DETECTOR_NX};
    uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
    hid_t data = H5I_INVALID_HID;
    const hid_t space = H5Screate_simple(3, size, most);
    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(dcpl, 3, chunk);
    const h5bragg_status status = detector_config(source, params, cd_values);
    if (status != H5BRAGG_OK)
        snprintf(self->reason, sizeof(self->reason), "%s", h5bragg_status_text(status));
    else if (H5Pset_bragg(dcpl, H5T_STD_U16LE, cd_values) < 0)
        keep_reason(H5E_DEFAULT, self);
    else
        data = H5Dcreate2(group, "data", H5T_STD_U16LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    H5Pclose(dcpl);
    H5Sclose(space);
    return data;
}

static int fill_file(frame_file *self, const detector *source, const h5bragg_params *params)
{
    const hid_t entry = make_group(self->file, "entry", "NXentry");
    if (!put_metadata(entry))
        return -1;
    const hid_t group = make_group(entry, "data", "NXdata");
    if (put_text(group, "signal", "data") < 0)
        return -1;
    self->data = make_data(self, group, source, params);
    /* From here on others may read: h5py.File(path, swmr=True). */
    return self->data < 0 || H5Fstart_swmr_write(self->file) < 0 ? -1 : 0;
}

/*
 * Puts the file under its final name, unless there is one of that name.  Readers that wait for it
 * find it when it is ready, not before: while HDF5 creates it they would disturb it with their
 * locks.
 */
static int give_name(frame_file *self, const char *part, const char *path)
{
    if (link(part, path) == 0 && unlink(part) == 0)
        return 0;
    snprintf(self->reason, sizeof(self->reason), "%s", strerror(errno));
    return -1;
}

int frame_file_create(frame_file *self, const char *path, const detector *source,
                      const h5bragg_params *params)
{
    char part[PATH_MAX];
    memset(self, 0, sizeof(*self));
    watch_errors(self);
    const hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    /* SWMR wants the format of HDF5 1.10; H5F_LIBVER_LATEST might be too new for the readers. */
    H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_LATEST);
    /* Closing the file closes all groups and datasets in it, so that nobody has to keep them. */
    H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);
    snprintf(part, sizeof(part), "%s.part", path);
    self->file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    H5Pclose(fapl);
    if (self->file < 0)
        return -1;
    if (fill_file(self, source, params) == 0 && give_name(self, part, path) == 0)
        return 0;
    H5Fclose(self->file);
    remove(part);
    return -1;
}

static herr_t set_nframes(frame_file *self, hsize_t nframes)
{
    const hsize_t size[3] = {nframes, DETECTOR_NY, DETECTOR_NX};
    return H5Dset_extent(self->data, size);
}

int frame_file_append(frame_file *self, const void *chunk, size_t chunk_nbytes)
{
    const hsize_t offset[3] = {self->nframes, 0, 0};
    watch_errors(self);
    /* Readers would see a longer dataset before the chunk that belongs there: an empty frame. */
    if (!self->has_started && H5Odisable_mdc_flushes(self->data) < 0)
        return -1;
    self->has_started = 1;
    if (set_nframes(self, self->nframes + 1) < 0)
        return -1;
    /* A filter mask of 0: no filter was left out. */
    if (H5Dwrite_chunk(self->data, H5P_DEFAULT, 0, offset, chunk_nbytes, chunk) < 0) {
        set_nframes(self, self->nframes);
        return -1;
    }
    self->nframes++;
    return 0;
}

int frame_file_publish(frame_file *self)
{
    watch_errors(self);
    if (!self->has_started)
        return 0;
    self->has_started = 0;
    return H5Oenable_mdc_flushes(self->data) < 0 || H5Dflush(self->data) < 0 ? -1 : 0;
}

int frame_file_close(frame_file *self)
{
    const int published = frame_file_publish(self);
    return H5Fclose(self->file) < 0 ? -1 : published;
}
