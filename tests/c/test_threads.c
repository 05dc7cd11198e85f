/* SPDX-License-Identifier: MIT */
/* Threads that encode and decode with more geometries than the map cache holds get the right
 * frames. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "h5bragg.h"

enum { NY = 40, NX = 50, NTHREADS = 4, NGEOMETRIES = 7, NROUNDS = 40 };

static size_t encode(uint32_t geometry, const uint32_t *frame, uint8_t *chunk, size_t capacity)
{
    const h5bragg_flat flat = {.ny = NY,
                               .nx = NX,
                               .pixel_slow_m = 1e-4f,
                               .pixel_fast_m = 1e-4f,
                               .distance_m = 0.02f + 0.01f * (float)geometry,
                               .poni_slow_px = 20};
    h5bragg_panel panel;
    h5bragg_params params;
    size_t nbytes = 0;
    h5bragg_params_init(&params);
    CHECK(h5bragg_flat_panel(&flat, &panel) == H5BRAGG_OK);
    const h5bragg_geometry g = {NY, NX, flat.distance_m, 0, 1, &panel, NULL};
    CHECK(h5bragg_encode(frame, H5BRAGG_U32, 1, &g, &params, chunk, capacity, &nbytes) ==
          H5BRAGG_OK);
    return nbytes;
}

static void *work(void *argument)
{
    unsigned state = *(const unsigned *)argument;
    uint32_t frame[NY * NX];
    uint32_t first[NY * NX];
    uint32_t again[NY * NX];
    uint8_t chunk[sizeof frame + 1000];
    for (size_t i = 0; i < NY * NX; i++)
        frame[i] = random_bits(&state) % 4;
    for (uint32_t k = 0; k < NROUNDS; k++) {
        const size_t nbytes = encode(k % NGEOMETRIES, frame, chunk, sizeof chunk);
        CHECK(!h5bragg_decode(chunk, nbytes, first, sizeof first, H5BRAGG_FILL_NOISE));
        CHECK(!h5bragg_decode(chunk, nbytes, again, sizeof again, H5BRAGG_FILL_NOISE));
        CHECK(memcmp(first, again, sizeof first) == 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread[NTHREADS];
    unsigned seed[NTHREADS];
    for (unsigned k = 0; k < NTHREADS; k++) {
        seed[k] = k;
        CHECK(pthread_create(&thread[k], NULL, work, &seed[k]) == 0);
    }
    for (unsigned k = 0; k < NTHREADS; k++)
        CHECK(pthread_join(thread[k], NULL) == 0);
    return 0;
}
