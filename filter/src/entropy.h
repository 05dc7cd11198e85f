/* SPDX-License-Identifier: MIT */
/* Byte streams in a chunk, entropy-coded where that is smaller (docs/format.md, "Streams"). */
#ifndef BRAGG_ENTROPY_H
#define BRAGG_ENTROPY_H

#include "bytes.h"
#include "h5bragg.h"

/* Writes a stream of bytes. */
void stream_write(byte_writer *w, const uint8_t *bytes, size_t nbytes);

/*
 * Reads a stream of at most max_nbytes.  *bytes points into the chunk or to *owned, which the
 * caller frees in any case.
 */
h5bragg_status stream_read(byte_reader *r, size_t max_nbytes, byte_reader *bytes, uint8_t **owned);

#endif
