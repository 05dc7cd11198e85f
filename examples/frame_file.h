/* SPDX-License-Identifier: MIT */
/*
 * frame_file.h - an HDF5 file of encoded frames that others read while it grows (SWMR).
 *
 * Readers open it under its final name as soon as frame_file_create() has returned, and see the
 * frames that frame_file_publish() has published, whole and in order.  If writing fails the file
 * stays valid and holds those frames.
 *
 * A file belongs to one thread at a time: HDF5 does not write in parallel, and built without
 * thread safety it does not even count handles in parallel.
 */
#ifndef FRAME_FILE_H
#define FRAME_FILE_H

#include <hdf5.h>

#include "simulated_detector.h"

typedef struct frame_file {
    hid_t file;
    hid_t data;
    hsize_t nframes;  /* in the file */
    int has_started;  /* a batch whose frames readers must not see yet */
    char reason[256]; /* why the last call failed */
} frame_file;

/*
 * Each returns 0, or -1 with self->reason.  frame_file_create() creates a file, which must not
 * exist, for frames of a detector that are encoded with parameters; a file that it fails to set up
 * it removes.
 */
int frame_file_create(frame_file *self, const char *path, const detector *source,
                      const h5bragg_params *params);
/* Appends the chunk of the next frame. */
int frame_file_append(frame_file *self, const void *chunk, size_t chunk_nbytes);
/* Lets readers see what was appended. */
int frame_file_publish(frame_file *self);
int frame_file_close(frame_file *self);

#endif
