/* SPDX-License-Identifier: MIT */
/* Encode and decode through the public functions, and decode damaged chunks whose checksum is
 * right. */
#include "check.h"
#include "chunk_header.h"

enum { NY = 60, NX = 80, NFRAMES = 2 };
static const h5bragg_flat FLAT = {.ny = NY,
                                  .nx = NX,
                                  .pixel_slow_m = 1e-4f,
                                  .pixel_fast_m = 1e-4f,
                                  .distance_m = 0.02f,
                                  .poni_slow_px = 20,
                                  .poni_fast_px = 41};

/* How far a pixel is from the centre of the rings, along the axis where that is more. */
static int distance(size_t pixel)
{
    const int slow = abs((int)(pixel / NX % NY) - 20);
    const int fast = abs((int)(pixel % NX) - 41);
    return slow > fast ? slow : fast;
}

/* Sums of bits: binomial counts of mean `bits` or, if that is negative, of some that grow outwards
 * beyond what patterns have. */
static void simulate(uint16_t *frames, int bits)
{
    unsigned state = 5;
    for (size_t i = 0; i < NFRAMES * NY * NX; i++) {
        frames[i] = 0;
        for (int k = bits < 0 ? 4 * distance(i) : 2 * bits; k > 0; k--)
            frames[i] = (uint16_t)(frames[i] + random_bits(&state) % 2);
        if (random_bits(&state) % 100 == 0)
            frames[i] = (uint16_t)(random_bits(&state) % 65536);
        if (i / NX % NY / 4 == 3)
            frames[i] = UINT16_MAX;
    }
}

static size_t encode(const uint16_t *frames, uint32_t local_counts, double snr_pick, uint8_t *chunk,
                     size_t capacity)
{
    h5bragg_panel panel;
    h5bragg_params params;
    size_t nbytes = 0;
    h5bragg_params_init(&params);
    params.local_counts = local_counts;
    params.snr_pick = snr_pick;
    CHECK(h5bragg_flat_panel(&FLAT, &panel) == H5BRAGG_OK);
    const h5bragg_geometry g = {NY, NX, FLAT.distance_m, 0, 1, &panel, NULL};
    CHECK(h5bragg_bound(H5BRAGG_U16, NFRAMES, &g) <= capacity);
    CHECK(h5bragg_encode(frames, H5BRAGG_U16, NFRAMES, &g, &params, chunk, capacity, &nbytes) ==
          H5BRAGG_OK);
    CHECK(h5bragg_encode(frames, H5BRAGG_U16, NFRAMES, &g, &params, chunk, 100, &nbytes) ==
          H5BRAGG_BUFFER_TOO_SMALL);
    CHECK(h5bragg_encode(frames, H5BRAGG_U16, NFRAMES, &g, &params, chunk, capacity, &nbytes) ==
          H5BRAGG_OK);
    return nbytes;
}

/* The decoder must survive what a checksum cannot exclude: a forger computes it too. */
static void damage(const uint8_t *chunk, size_t nbytes, uint16_t *restored)
{
    unsigned state = 11;
    uint8_t *copy = malloc(nbytes);
    CHECK(copy);
    for (int k = 0; k < 4000; k++) {
        memcpy(copy, chunk, nbytes);
        const size_t reach = k % 2 ? nbytes : 400;
        for (unsigned n = random_bits(&state) % 3 + 1; n > 0; n--)
            copy[CHUNK_START_NBYTES + random_bits(&state) % (reach - CHUNK_START_NBYTES)] =
                (uint8_t)random_bits(&state);
        chunk_header_seal(copy, nbytes);
        h5bragg_info info;
        if (h5bragg_inspect(copy, nbytes, &info) == H5BRAGG_OK &&
            info.frames_nbytes == sizeof(uint16_t) * NFRAMES * NY * NX)
            (void)h5bragg_decode(copy, nbytes, restored, (size_t)info.frames_nbytes,
                                 k / 2 % 2 ? H5BRAGG_FILL_MEAN : H5BRAGG_FILL_NOISE);
    }
    free(copy);
}

/* What is stored exactly is in the frames; returns the number of pixels. */
static size_t check_stored(const uint8_t *chunk, size_t nbytes, const uint16_t *restored)
{
    static uint32_t index[NY * NX];
    static int64_t value[NY * NX];
    size_t n = 0;
    for (uint32_t frame = 0; frame < NFRAMES; frame++) {
        h5bragg_sparse sparse = {.capacity = NY * NX, .index = index, .value = value};
        CHECK(h5bragg_unpack(chunk, nbytes, frame, &sparse) == H5BRAGG_OK && !sparse.is_lossless);
        for (size_t k = 0; k < sparse.npicked; k++)
            CHECK(restored[(size_t)frame * NY * NX + index[k]] == value[k]);
        n += (size_t)sparse.npicked;
    }
    return n;
}

/* So many are picked that they may be drawn with the patterns; some rings may be general. */
static void many_picked_pixels_come_back(uint16_t *frames, uint16_t *restored, uint8_t *chunk,
                                         size_t capacity)
{
    const size_t npixels = NFRAMES * NY * NX;
    for (int bits = -1; bits < 5; bits++) {
        if (bits == 0)
            continue;
        simulate(frames, bits);
        const size_t nbytes = encode(frames, 0, 0.5, chunk, capacity);
        CHECK(h5bragg_decode(chunk, nbytes, restored, npixels * sizeof *restored,
                             H5BRAGG_FILL_NOISE) == H5BRAGG_OK);
        CHECK(check_stored(chunk, nbytes, restored) > npixels / 8);
        damage(chunk, nbytes, restored);
    }
}

int main(void)
{
    static uint16_t frames[NFRAMES * NY * NX];
    static uint16_t restored[NFRAMES * NY * NX];
    static uint8_t chunk[sizeof frames + 1000];
    for (int run = 0; run < 8; run++) {
        simulate(frames, run / 2);
        const size_t nbytes = encode(frames, run % 2 ? 4 : 0, 4, chunk, sizeof chunk);
        CHECK(h5bragg_decode(chunk, nbytes, restored, sizeof restored, H5BRAGG_FILL_NOISE) ==
              H5BRAGG_OK);
        for (size_t i = 0; i < NFRAMES * NY * NX; i++)
            CHECK(frames[i] < 200 || frames[i] == restored[i]);
        CHECK(h5bragg_decode(chunk, nbytes, restored, sizeof restored - 1, H5BRAGG_FILL_NOISE) ==
              H5BRAGG_BUFFER_TOO_SMALL);
        damage(chunk, nbytes, restored);
    }
    CHECK(h5bragg_decode(NULL, 0, restored, 1, H5BRAGG_FILL_NOISE) == H5BRAGG_NOT_A_CHUNK);
    many_picked_pixels_come_back(frames, restored, chunk, sizeof chunk);
    return 0;
}
