/* SPDX-License-Identifier: MIT */
/* Frames that are stored whole (docs/format.md, "Frame"). */
#ifndef BRAGG_WHOLE_FRAME_H
#define BRAGG_WHOLE_FRAME_H

#include "chunk_header.h"

/* The pixels of such a frame, ny * nx of native byte order. */
h5bragg_status whole_frame_read(const bragg_settings *settings, const frame_header *header,
                                void *pixels);

#endif
