/* SPDX-License-Identifier: MIT */
/* One round of work that touches all that a process shares, and checks what comes out: for tests
 * that do so in many threads and processes. */
#ifndef BRAGG_USE_EVERYTHING_H
#define BRAGG_USE_EVERYTHING_H

#include <string.h>

#include "check.h"
#include "h5bragg.h"

enum { NY = 64, NX = 64, NGEOMETRIES = 7 };

static inline h5bragg_panel any_panel(unsigned number, float *distance_m)
{
    const h5bragg_flat flat = {.ny = NY,
                               .nx = NX,
                               .pixel_slow_m = 1e-4f,
                               .pixel_fast_m = 1e-4f,
                               .distance_m = 0.02f + 0.01f * (float)(number % NGEOMETRIES),
                               .poni_slow_px = 20};
    h5bragg_panel panel;
    CHECK(h5bragg_flat_panel(&flat, &panel) == H5BRAGG_OK);
    *distance_m = flat.distance_m;
    return panel;
}

static inline void check_parts(const uint8_t *chunk, size_t nbytes, const uint16_t *frame)
{
    static const h5bragg_sparse nothing;
    h5bragg_info info;
    uint32_t index[NY * NX];
    int64_t value[NY * NX];
    CHECK(h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK);
    CHECK(info.ny == NY && info.nx == NX && info.chunk_nbytes == nbytes);
    h5bragg_sparse sparse = nothing;
    sparse.capacity = NY * NX;
    sparse.index = index;
    sparse.value = value;
    CHECK(h5bragg_unpack(chunk, nbytes, 0, &sparse) == H5BRAGG_OK);
    for (size_t k = 0; k < sparse.npicked; k++)
        CHECK(value[k] == frame[index[k]]);
}

/* More geometries than the map cache holds, and thresholds, so that what is kept is made anew. */
static inline void use_everything(unsigned *state)
{
    uint16_t frame[NY * NX];
    uint16_t first[NY * NX];
    uint16_t again[NY * NX];
    uint8_t chunk[sizeof frame + 1000];
    uint32_t words[16];
    size_t nbytes = 0;
    h5bragg_params params;
    h5bragg_params_init(&params);
    params.snr_pick = 2.0 + random_bits(state) % 8;
    params.local_counts = random_bits(state) % 2 ? 4 : 0;
    const unsigned level = 1 + random_bits(state) % 12;
    for (size_t i = 0; i < NY * NX; i++)
        frame[i] = (uint16_t)(random_bits(state) % level);
    h5bragg_geometry g = {NY, NX, 0, 0, 1, NULL, NULL};
    const h5bragg_panel panel = any_panel(random_bits(state), &g.distance_m);
    g.panels = &panel;
    CHECK(h5bragg_config_registered(&g, &params, words) == H5BRAGG_OK);
    CHECK(!h5bragg_encode(frame, H5BRAGG_U16, 1, &g, &params, chunk, sizeof chunk, &nbytes));
    check_parts(chunk, nbytes, frame);
    CHECK(!h5bragg_decode(chunk, nbytes, first, sizeof first, H5BRAGG_FILL_NOISE));
    CHECK(!h5bragg_decode(chunk, nbytes, again, sizeof again, H5BRAGG_FILL_MEAN));
    CHECK(!h5bragg_decode(chunk, nbytes, again, sizeof again, H5BRAGG_FILL_NOISE));
    CHECK(memcmp(first, again, sizeof first) == 0);
}

#endif
