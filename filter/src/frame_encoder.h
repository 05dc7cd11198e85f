/* SPDX-License-Identifier: MIT */
/* The encoder of one frame after the other, stage by stage. */
#ifndef BRAGG_FRAME_ENCODER_H
#define BRAGG_FRAME_ENCODER_H

#include "chunk_header.h"
#include "frame_fit.h"
#include "peak_search.h"

/* What a stage says when a frame has no sparse form smaller than itself: it is stored whole. */
#define FRAME_NOT_SPARSE H5BRAGG_BUFFER_TOO_SMALL

/* Checked settings for chunks of nframes frames of a geometry, with canonical parameters. */
h5bragg_status frame_settings_make(h5bragg_pixel_type type, uint32_t nframes,
                                   const h5bragg_geometry *geometry, const h5bragg_params *params,
                                   bragg_settings *settings);

/* What is made of one frame; buffers are reused for the next. */
typedef struct frame_encoder {
    frame_source source;
    frame_model model;
    ring_background *background;
    const peak_request *peaks; /* the caller's; NULL if none are wanted */
} frame_encoder;

/*
 * For frames of checked geometry and canonical parameters; the geometry's mask stays the caller's.
 * Free with frame_encoder_free, also after an error.
 */
h5bragg_status frame_encoder_make(const bragg_settings *settings, const h5bragg_geometry *geometry,
                                  frame_encoder *e);
void frame_encoder_free(frame_encoder *e);

/* The stages: pixels -> bytes and histograms; these -> background, thresholds; kept tiles. */
h5bragg_status frame_encoder_count(frame_encoder *e, const bragg_frame *frame);
h5bragg_status frame_encoder_model(frame_encoder *e);
h5bragg_status frame_encoder_choose(frame_encoder *e);

/* The final choice of tiles, for those who do not pack the frame. */
h5bragg_status frame_encoder_settle(frame_encoder *e);

/*
 * Fits what is restored and writes the streams.  *needs_pixels, unless NULL, tells that what is
 * listed of the source does not suffice, and that nothing is written.
 */
h5bragg_status frame_encoder_pack(frame_encoder *e, byte_writer *w, int *needs_pixels);

/* All of them: the sparse form of a frame; w fails if it is not smaller than the frame. */
h5bragg_status frame_encoder_write(frame_encoder *e, const bragg_frame *frame, byte_writer *w);

/*
 * Writes a frame with its header, sparse if that is smaller and whole if not.  The streams are
 * those of `body`, which stands FRAME_HEADER_NBYTES after `w`; status is how they came about.
 */
h5bragg_status frame_record_write(const bragg_frame *frame, h5bragg_status status,
                                  const byte_writer *body, byte_writer *w);

/* Room for the streams of a frame that is to be written to w; an error without it. */
h5bragg_status frame_record_room(const bragg_frame *frame, const byte_writer *w, byte_writer *body);

#endif
