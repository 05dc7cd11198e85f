/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share.  A fault is a signal: the sanitizers', or that of MUST.
 *
 * Changed chunks get a right checksum first, else none would come further than that.
 */
#ifndef BRAGG_FUZZ_INPUT_H
#define BRAGG_FUZZ_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chunk_header.h"
#include "h5bragg.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { FUZZ_MOST_NBYTES = 4 << 20 }; /* of decoded frames: larger ones only take longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static inline void *fuzz_allocate(size_t nbytes)
{
    void *memory = malloc(nbytes ? nbytes : 1);
    MUST(memory);
    return memory;
}

/* A copy of a chunk with its size and checksum made right; for the caller to free. */
static inline uint8_t *fuzz_sealed(const uint8_t *data, size_t nbytes)
{
    uint8_t *chunk = fuzz_allocate(nbytes);
    if (nbytes)
        memcpy(chunk, data, nbytes);
    if (nbytes >= CHUNK_START_NBYTES)
        chunk_header_seal(chunk, nbytes);
    return chunk;
}

/* Reads numbers off the input; when it ends, zeros. */
typedef struct fuzz_reader {
    const uint8_t *data;
    size_t nbytes;
} fuzz_reader;

static inline uint32_t fuzz_u8(fuzz_reader *r)
{
    if (r->nbytes == 0)
        return 0;
    r->nbytes--;
    return *r->data++;
}

static inline uint32_t fuzz_u32(fuzz_reader *r)
{
    uint32_t value = 0;
    for (int k = 0; k < 4; k++)
        value |= fuzz_u8(r) << 8 * k;
    return value;
}

static inline float fuzz_float(fuzz_reader *r)
{
    const uint32_t bits = fuzz_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
