/* SPDX-License-Identifier: MIT */
/* What stands before the pixels in a chunk and in each of its frames (docs/format.md, "Chunk"). */
#ifndef BRAGG_CHUNK_HEADER_H
#define BRAGG_CHUNK_HEADER_H

#include "geometry.h"
#include "settings.h"

enum {
    CHUNK_START_NBYTES = 20, /* magic, version, size, checksum */
    FRAME_HEADER_NBYTES = 5,
    FRAME_WHOLE = 0,
    FRAME_SPARSE = 1,
    FRAME_IS_COUNTING = 1,
    FRAME_MAX_DISPERSION = 64
};

/* Header of a chunk that was read. */
typedef struct chunk_header {
    uint32_t version;        /* of the format */
    bragg_settings settings; /* parameters, pixel type, frames and shape */
    bragg_owned_geometry geometry;
    uint32_t nbins;
    byte_reader frames; /* at the first frame */
} chunk_header;

/* What stands before the streams of a sparse frame. */
typedef struct sparse_header {
    uint8_t flags;
    int dispersion;
    uint64_t seed;
    uint32_t npicked;
    uint32_t nexact; /* valid pixels of kept and blank tiles */
    uint32_t nmasked;
} sparse_header;

/* Header of one frame that was read. */
typedef struct frame_header {
    uint8_t mode;
    sparse_header sparse;
    byte_reader body; /* pixels of a whole frame, or streams */
} frame_header;

/* Size of everything before the first frame. */
size_t chunk_header_nbytes(const h5bragg_geometry *geometry);

/* Writes it; size and checksum are set by chunk_header_seal. */
void chunk_header_write(const bragg_settings *settings, const h5bragg_geometry *geometry,
                        uint32_t nbins, byte_writer *w);

/* Completes a chunk of nbytes. */
void chunk_header_seal(uint8_t *chunk, size_t nbytes);

/* Checks magic, version, size and checksum and reads the header.  Free with chunk_header_free. */
h5bragg_status chunk_header_read(const void *chunk, size_t nbytes, chunk_header *header);

void chunk_header_free(chunk_header *header);

void frame_header_write_sparse(byte_writer *w, const sparse_header *header);

/* Reads one frame's header and moves on to the next frame. */
h5bragg_status frame_header_read(byte_reader *frames, size_t npixels, frame_header *frame);

#endif
