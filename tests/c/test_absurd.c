/* SPDX-License-Identifier: MIT */
/*
 * Chunks whose headers ask for more than there can be, with a right checksum: a few bytes of
 * damage, or somebody's intent.  Each is refused, and none gets memory for what it asks.
 */
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "chunk_header.h"

enum { NY = 40, NX = 48, CAPACITY = 8192, MOST_KIB = 64 << 10 };
/* Where numbers of a chunk with one panel stand: docs/format.md. */
enum {
    SHAPE_AT = 40,
    TYPE_AT = 44,
    NFRAMES_AT = 46,
    NPANELS_AT = 56,
    NBINS_AT = 104,
    MODE_AT = 108
};
enum { BODY_AT = MODE_AT + 1, NPICKED_AT = BODY_AT + 14, NEXACT_AT = NPICKED_AT + 4 };

typedef struct absurdity {
    const char *name;
    size_t at;
    uint32_t value; /* four bytes of the chunk */
    h5bragg_status expected;
} absurdity;

static const absurdity ABSURDITIES[] = {
    {"frame of 8 GiB", SHAPE_AT, 0xFFFFFFFF, H5BRAGG_CORRUPT},
    {"frame without rows", SHAPE_AT, (uint32_t)NX << 16, H5BRAGG_CORRUPT},
    {"frame smaller than its panel", SHAPE_AT, (NY - 1) | (uint32_t)NX << 16, H5BRAGG_CORRUPT},
    {"no frames", TYPE_AT, H5BRAGG_U16 | 46u << 9, H5BRAGG_CORRUPT},
    {"65535 frames", TYPE_AT, H5BRAGG_U16 | 46u << 9 | 0xFFFF0000, H5BRAGG_TRUNCATED},
    {"pixels of no type", TYPE_AT, 17 | 1u << 16, H5BRAGG_CORRUPT},
    {"no panels", NPANELS_AT, 0, H5BRAGG_CORRUPT},
    {"panels beyond the chunk's end", NPANELS_AT, 1024, H5BRAGG_TRUNCATED},
    {"panels beyond all memory", NPANELS_AT, 0xFFFFFFFF, H5BRAGG_TRUNCATED},
    {"no rings", NBINS_AT, 0, H5BRAGG_CORRUPT},
    {"too many rings", NBINS_AT, 4097, H5BRAGG_CORRUPT},
    {"frame beyond the chunk's end", BODY_AT, 0xFFFFFFFF, H5BRAGG_TRUNCATED},
    {"more picked pixels than pixels", NPICKED_AT, NY *NX + 1, H5BRAGG_CORRUPT},
    {"pixels that overflow", NEXACT_AT, 0xFFFFFFFF, H5BRAGG_CORRUPT},
};

static size_t make_chunk(uint8_t *chunk)
{
    uint16_t frame[NY * NX];
    unsigned state = 3;
    size_t nbytes = 0;
    h5bragg_panel panel;
    h5bragg_params params;
    const h5bragg_flat flat = {.ny = NY,
                               .nx = NX,
                               .pixel_slow_m = 1e-4f,
                               .pixel_fast_m = 1e-4f,
                               .distance_m = 0.02f,
                               .poni_slow_px = 20,
                               .poni_fast_px = 21};
    h5bragg_params_init(&params);
    for (size_t i = 0; i < NY * NX; i++)
        frame[i] = (uint16_t)(random_bits(&state) % 4);
    CHECK(h5bragg_flat_panel(&flat, &panel) == H5BRAGG_OK);
    const h5bragg_geometry g = {NY, NX, flat.distance_m, 0, 1, &panel, NULL};
    CHECK(h5bragg_encode(frame, H5BRAGG_U16, 1, &g, &params, chunk, CAPACITY, &nbytes) ==
          H5BRAGG_OK);
    return nbytes;
}

static void check(const absurdity *a, uint8_t *chunk, size_t nbytes)
{
    uint16_t frame[NY * NX];
    uint32_t index[NY * NX];
    int64_t value[NY * NX];
    h5bragg_info info;
    h5bragg_sparse sparse = {.capacity = NY * NX, .index = index, .value = value};
    store_u32(chunk + a->at, a->value);
    chunk_header_seal(chunk, nbytes);
    const h5bragg_status inspected = h5bragg_inspect(chunk, nbytes, &info);
    if (inspected != a->expected)
        fprintf(stderr, "%s: %s\n", a->name, h5bragg_status_text(inspected));
    CHECK(inspected == a->expected);
    CHECK(h5bragg_decode(chunk, nbytes, frame, sizeof frame, H5BRAGG_FILL_NOISE) != H5BRAGG_OK);
    /* It looks at no frame behind the one that it is asked for. */
    CHECK(h5bragg_unpack(chunk, nbytes, 0, &sparse) != H5BRAGG_OK || a->at == TYPE_AT);
}

static long peak_kib(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_maxrss;
}

int main(void)
{
    uint8_t good[CAPACITY];
    uint8_t chunk[CAPACITY];
    uint16_t frame[NY * NX];
    const size_t nbytes = make_chunk(good);
    CHECK(load_u32(good + SHAPE_AT) == (NY | (uint32_t)NX << 16) &&
          load_u32(good + NPANELS_AT) == 1);
    CHECK(good[NFRAMES_AT] == 1 && good[MODE_AT] == FRAME_SPARSE);
    CHECK(load_u32(good + BODY_AT) == nbytes - BODY_AT - 4);
    const long before = peak_kib();
    for (size_t k = 0; k < sizeof ABSURDITIES / sizeof *ABSURDITIES; k++) {
        memcpy(chunk, good, nbytes);
        check(&ABSURDITIES[k], chunk, nbytes);
    }
    CHECK(peak_kib() - before < MOST_KIB);
    CHECK(h5bragg_decode(good, nbytes, frame, sizeof frame, H5BRAGG_FILL_NOISE) == H5BRAGG_OK);
    return 0;
}
