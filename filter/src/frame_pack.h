/* SPDX-License-Identifier: MIT */
/* The streams of a sparse frame from a finished model: docs/format.md, "Frame". */
#ifndef BRAGG_FRAME_PACK_H
#define BRAGG_FRAME_PACK_H

#include "chunk_header.h"
#include "frame_fit.h"

/*
 * Writes header and streams; w fails without room.  H5BRAGG_BUFFER_TOO_SMALL where the frame has
 * numbers that streams cannot hold.
 */
h5bragg_status frame_pack(const frame_source *source, const frame_model *model, byte_writer *w);

#endif
