/* SPDX-License-Identifier: MIT */
/*
 * Decodes damaged golden chunks, named on the command line, whose checksum is right again: the
 * sanitizers see to it that nothing happens but an error.
 */
#include <stdlib.h>

#include "check.h"
#include "chunk_header.h"
#include "test_files.h"

enum { DAMAGES = 60, UNTOUCHED = 100 };

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
        h5bragg_info info;
        const file_bytes file = read_file(argv[i]);
        uint8_t *const chunk = file.data;
        const size_t nbytes = file.nbytes;
        CHECK(nbytes > UNTOUCHED && h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK);
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
