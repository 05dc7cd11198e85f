/* SPDX-License-Identifier: MIT */
/*
 * Decodes damaged golden chunks, named on the command line, whose checksum is right again: the
 * sanitizers see to it that nothing happens but an error.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "chunk_header.h"

enum { DAMAGES = 60, UNTOUCHED = 100 };

/* A whole file; *nbytes receives its size. */
static uint8_t *read_file(const char *name, size_t *nbytes)
{
    FILE *file = fopen(name, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    const long size = ftell(file);
    CHECK(size > UNTOUCHED);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size);
    CHECK(bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    *nbytes = (size_t)size;
    return bytes;
}

static void damage(const uint8_t *chunk, size_t nbytes, unsigned *state, void *pixels,
                   size_t pixels_nbytes)
{
    uint8_t *copy = malloc(nbytes);
    CHECK(copy);
    for (int k = 0; k < DAMAGES; k++) {
        memcpy(copy, chunk, nbytes);
        for (unsigned n = random_bits(state) % 6 + 1; n > 0; n--)
            copy[UNTOUCHED + random_bits(state) % (nbytes - UNTOUCHED)] =
                (uint8_t)random_bits(state);
        chunk_header_seal(copy, nbytes);
        (void)h5bragg_decode(copy, nbytes, pixels, pixels_nbytes,
                             k % 4 ? H5BRAGG_FILL_NOISE : H5BRAGG_FILL_MEAN);
    }
    free(copy);
}

int main(int argc, char **argv)
{
    unsigned state = 5;
    CHECK(argc > 40);
    for (int i = 1; i < argc; i++) {
        size_t nbytes;
        h5bragg_info info;
        uint8_t *chunk = read_file(argv[i], &nbytes);
        CHECK(h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK);
        const size_t pixels_nbytes = (size_t)info.frames_nbytes;
        void *pixels = malloc(pixels_nbytes);
        CHECK(pixels);
        CHECK(h5bragg_decode(chunk, nbytes, pixels, pixels_nbytes, H5BRAGG_FILL_NOISE) ==
              H5BRAGG_OK);
        damage(chunk, nbytes, &state, pixels, pixels_nbytes);
        free(pixels);
        free(chunk);
    }
    return 0;
}
