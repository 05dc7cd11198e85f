/* SPDX-License-Identifier: MIT */
/*
 * Round trip: any frame with any parameters is refused or encoded; then every level of vector
 * instructions writes the same chunk, which fits the bound and decodes to frames whose masked and
 * exact pixels are those that went in.
 */
#include "fuzz_input.h"
#include "fuzz_level.h"

enum { MOST_SIDE = 90 };

static h5bragg_params read_params(fuzz_reader *r)
{
    static const double STEPS[] = {0.25, 1, 1.5, 4};
    static const uint32_t LIMITS[] = {0, 8, 24, 64};
    h5bragg_params params;
    h5bragg_params_init(&params);
    params.snr_pick = fuzz_u8(r) / 16.0;
    params.snr_clip = fuzz_u8(r) / 32.0;
    params.cycles = fuzz_u8(r) % 8;
    params.error_model = fuzz_u8(r) % 4;
    params.radial_bins = fuzz_u8(r);
    params.local_counts = fuzz_u8(r) % 2 ? 4 : 0;
    params.local_step = STEPS[fuzz_u8(r) % 4];
    params.local_significance = fuzz_u8(r) / 16.0;
    params.coarse_limit = LIMITS[fuzz_u8(r) % 4];
    params.use_polarization = fuzz_u8(r) % 2;
    params.use_solid_angle = fuzz_u8(r) % 2;
    params.seed = fuzz_u8(r);
    return params;
}

/* Pixels of a spread of 2^shift above `base`, with some of any value among them. */
static void read_frame(fuzz_reader *r, h5bragg_pixel_type type, size_t npixels, uint8_t *frame)
{
    const size_t nbytes = h5bragg_pixel_nbytes(type);
    const uint32_t base = fuzz_u8(r) % 4 ? fuzz_u8(r) : fuzz_u32(r);
    const uint32_t spread = 1u << fuzz_u8(r) % 9;
    uint32_t state = fuzz_u32(r);
    const int is_high_first = *(const uint8_t *)&(const uint16_t){0x100};
    for (size_t k = 0; k < npixels; k++) {
        state = state * 1664525u + 1013904223u;
        uint32_t value = base + (state >> 16) % spread;
        if (state >> 28 == 7 && r->nbytes)
            value = fuzz_u8(r) % 2 ? fuzz_u32(r) : 0u - fuzz_u8(r);
        memcpy(frame + k * nbytes, (const uint8_t *)&value + (is_high_first ? 4 - nbytes : 0),
               nbytes);
    }
}

static void check_exact(const uint8_t *frame, const uint8_t *restored, size_t npixels,
                        size_t pixel_nbytes, const uint8_t *chunk, size_t nbytes)
{
    h5bragg_info info;
    MUST(h5bragg_inspect(chunk, nbytes, &info) == H5BRAGG_OK);
    h5bragg_sparse sparse = {
        .capacity = info.picked_pixels,
        .index = fuzz_allocate((size_t)info.picked_pixels * sizeof(uint32_t)),
        .value = fuzz_allocate((size_t)info.picked_pixels * sizeof(int64_t)),
        .mask = fuzz_allocate(npixels),
    };
    MUST(h5bragg_unpack(chunk, nbytes, 0, &sparse) == H5BRAGG_OK);
    for (uint64_t k = 0; k < sparse.npicked; k++)
        MUST(memcmp(frame + sparse.index[k] * pixel_nbytes,
                    restored + sparse.index[k] * pixel_nbytes, pixel_nbytes) == 0);
    for (size_t k = 0; k < npixels; k++)
        MUST(!(sparse.mask[k] || sparse.is_lossless) ||
             memcmp(frame + k * pixel_nbytes, restored + k * pixel_nbytes, pixel_nbytes) == 0);
    free(sparse.index);
    free(sparse.value);
    free(sparse.mask);
}

static void round_trip(const uint8_t *frame, h5bragg_pixel_type type,
                       const h5bragg_geometry *geometry, const h5bragg_params *params)
{
    const size_t npixels = (size_t)geometry->ny * geometry->nx;
    const size_t frame_nbytes = npixels * h5bragg_pixel_nbytes(type);
    const size_t capacity = h5bragg_bound(type, 1, geometry);
    size_t nbytes = 0;
    uint8_t *chunk = fuzz_allocate(capacity);
    uint8_t *restored = fuzz_allocate(frame_nbytes);
    fuzz_set_level(CPU_SCALAR);
    const h5bragg_status status =
        h5bragg_encode(frame, type, 1, geometry, params, chunk, capacity, &nbytes);
    MUST(status || nbytes <= capacity);
    uint8_t *again = fuzz_allocate(capacity);
    for (int level = CPU_SSE4; level <= CPU_NEON; level++) {
        size_t used = 0;
        if (!fuzz_set_level((cpu_level)level))
            continue;
        MUST(h5bragg_encode(frame, type, 1, geometry, params, again, capacity, &used) == status);
        MUST(status || (used == nbytes && memcmp(again, chunk, nbytes) == 0));
    }
    if (!status) {
        MUST(h5bragg_decode(chunk, nbytes, restored, frame_nbytes, H5BRAGG_FILL_NOISE) ==
             H5BRAGG_OK);
        check_exact(frame, restored, npixels, h5bragg_pixel_nbytes(type), chunk, nbytes);
    }
    free(again);
    free(chunk);
    free(restored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    fuzz_reader r = {data, nbytes};
    const h5bragg_params params = read_params(&r);
    const h5bragg_pixel_type type = (h5bragg_pixel_type)(fuzz_u8(&r) % 5);
    const h5bragg_flat flat = {
        .ny = fuzz_u8(&r) % MOST_SIDE + 1,
        .nx = fuzz_u8(&r) % MOST_SIDE + 1,
        .pixel_slow_m = 1e-4f,
        .pixel_fast_m = 1e-4f,
        .distance_m = 0.02f,
        .poni_slow_px = (float)fuzz_u8(&r),
        .poni_fast_px = (float)fuzz_u8(&r),
        .rot1 = (float)fuzz_u8(&r) / 400,
    };
    h5bragg_panel panel;
    if (h5bragg_flat_panel(&flat, &panel))
        return 0;
    const h5bragg_geometry geometry = {
        .ny = flat.ny,
        .nx = flat.nx,
        .distance_m = flat.distance_m,
        .npanels = 1,
        .panels = &panel,
    };
    const size_t npixels = (size_t)flat.ny * flat.nx;
    uint8_t *frame = fuzz_allocate(npixels * h5bragg_pixel_nbytes(type));
    read_frame(&r, type, npixels, frame);
    round_trip(frame, type, &geometry, &params);
    free(frame);
    return 0;
}
