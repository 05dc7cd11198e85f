/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli) of a byte range: docs/format.md, "Checksum". */
#ifndef BRAGG_CHECKSUM_H
#define BRAGG_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over nbytes of data. */
uint32_t bragg_crc32c(uint32_t crc, const void *data, size_t nbytes);

#endif
