/* SPDX-License-Identifier: MIT */
/*
 * Every single-byte change of a chunk is detected, or changes nothing: all of them of small golden
 * chunks, some of the others.  And every chunk that ends early is detected.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "chunk_header.h"
#include "test_files.h"

enum { SMALL_NBYTES = 600, SAMPLES = 300 };

/* A chunk, and the frames that it decodes to. */
typedef struct golden {
    file_bytes chunk;
    uint8_t *frames;
    uint8_t *room;
    size_t frames_nbytes;
} golden;

static golden open_golden(const char *name)
{
    golden g = {.chunk = read_file(name)};
    h5bragg_info info;
    CHECK(h5bragg_inspect(g.chunk.data, g.chunk.nbytes, &info) == H5BRAGG_OK);
    g.frames_nbytes = (size_t)info.frames_nbytes;
    g.frames = malloc(g.frames_nbytes);
    g.room = malloc(g.frames_nbytes);
    CHECK(g.frames && g.room);
    CHECK(h5bragg_decode(g.chunk.data, g.chunk.nbytes, g.frames, g.frames_nbytes,
                         H5BRAGG_FILL_NOISE) == H5BRAGG_OK);
    return g;
}

static void close_golden(golden *g)
{
    free(g->chunk.data);
    free(g->frames);
    free(g->room);
}

static void change(golden *g, size_t at, uint8_t flip)
{
    g->chunk.data[at] ^= flip;
    const h5bragg_status status = h5bragg_decode(g->chunk.data, g->chunk.nbytes, g->room,
                                                 g->frames_nbytes, H5BRAGG_FILL_NOISE);
    CHECK(status || memcmp(g->room, g->frames, g->frames_nbytes) == 0);
    g->chunk.data[at] ^= flip;
}

static void change_all(golden *g, size_t nbytes)
{
    for (size_t at = 0; at < nbytes; at++) {
        for (unsigned flip = 1; flip < 256; flip++)
            change(g, at, (uint8_t)flip);
    }
}

static void change_some(golden *g, unsigned *state)
{
    for (int k = 0; k < SAMPLES; k++)
        change(g, random_bits(state) % g->chunk.nbytes, (uint8_t)(1 + random_bits(state) % 255));
}

static void cut(const golden *g)
{
    const size_t step = g->chunk.nbytes < SMALL_NBYTES ? 1 : 97;
    for (size_t nbytes = 0; nbytes < g->chunk.nbytes; nbytes += step)
        CHECK(h5bragg_decode(g->chunk.data, nbytes, g->room, g->frames_nbytes,
                             H5BRAGG_FILL_NOISE) != H5BRAGG_OK);
}

int main(int argc, char **argv)
{
    unsigned state = 11;
    int nsmall = 0;
    CHECK(argc > 40);
    for (int i = 1; i < argc; i++) {
        golden g = open_golden(argv[i]);
        const int is_small = g.chunk.nbytes < SMALL_NBYTES;
        nsmall += is_small;
        /* The checksum is not of the chunk's start, where it stands itself. */
        change_all(&g, is_small ? g.chunk.nbytes : CHUNK_START_NBYTES);
        if (!is_small)
            change_some(&g, &state);
        cut(&g);
        close_golden(&g);
    }
    CHECK(nsmall > 0);
    return 0;
}
