/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mask.h"
#include "mask_quads.h"

enum { NY = 97, NX = 61, NTX = 16, NTILES = 25 * NTX };
static const ring_map MAP = {.ny = NY, .nx = NX, .nty = 25, .ntx = NTX};

/* Which pixels of the tiles carry no code. */
static void find_valid(const int32_t *pixels, const bragg_mask_codes *codes, uint16_t *valid)
{
    for (uint32_t t = 0; t < NTILES; t++) {
        const uint16_t inside = tile_inside(&MAP, t / NTX, t % NTX);
        valid[t] = 0;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            if (inside >> p & 1 &&
                !mask_number(codes, pixels[tile_pixel(&MAP, t / NTX, t % NTX, p)]))
                valid[t] |= (uint16_t)(1u << p);
        }
    }
}

static size_t round_trip(const int32_t *pixels)
{
    static uint8_t runs[NY * NX * 20];
    static uint16_t valid[NTILES];
    const bragg_frame frame = {pixels, H5BRAGG_I32, NY, NX};
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    uint32_t nmasked = 0;
    uint32_t found = 0;
    byte_writer w = {runs, runs + sizeof runs, 0};
    find_valid(pixels, &codes, valid);
    CHECK(mask_write(&frame, &codes, valid, &MAP, &w, &nmasked) == H5BRAGG_OK);
    byte_reader r = {runs, w.at, 0};
    frame_mask mask;
    CHECK(mask_read(&r, 2, &MAP, codes.n, &mask) == H5BRAGG_OK);
    CHECK(memcmp(mask.valid, valid, sizeof valid) == 0);
    for (uint32_t row = 0; row < NY; row++) {
        for (uint32_t k = mask.row_start[row]; k < mask.row_start[row + 1]; k++) {
            for (uint32_t j = mask.run[k].start; j < mask.run[k].stop; j++)
                found += mask.run[k].number == mask_number(&codes, pixels[row * NX + j]);
        }
    }
    CHECK(found == nmasked && found == mask.nmasked);
    frame_mask_free(&mask);
    return (size_t)(w.at - runs);
}

/* Whether a row of a quad has the masked pixels of the row above, by their values. */
static int is_as_above(const int32_t *pixels, uint32_t i, uint32_t first)
{
    for (uint32_t j = first; j < first + TILE_NPIXELS && j < NX; j++) {
        const int32_t here = pixels[i * NX + j];
        const int32_t above = pixels[(i - 1) * NX + j];
        if ((here < 0 || above < 0) && here != above)
            return 0;
    }
    return 1;
}

/* Quads that are not listed have nothing masked in them or above, or nothing new. */
static void check_quads(const int32_t *pixels)
{
    static uint16_t valid[NTILES];
    const bragg_frame frame = {pixels, H5BRAGG_I32, NY, NX};
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    uint32_t quad[NTX / QUAD_NTILES];
    find_valid(pixels, &codes, valid);
    for (uint32_t row = 1; row < MAP.nty; row++) {
        const mask_tiles tiles = {&frame, &MAP, row, valid + row * NTX, valid + (row - 1) * NTX};
        const uint32_t n = mask_quads_drop(&tiles, quad, mask_quads_list(&tiles, quad));
        uint32_t k = 0;
        for (uint32_t t = 0; t < NTX; t += QUAD_NTILES) {
            if (k < n && quad[k] == t) {
                k++;
                continue;
            }
            for (uint32_t i = TILE_EDGE * row; i < TILE_EDGE * (row + 1) && i < NY; i++)
                CHECK(is_as_above(pixels, i, TILE_EDGE * t));
        }
        CHECK(k == n);
    }
}

int main(void)
{
    static int32_t pixels[NY * NX];
    unsigned state = 7;
    CHECK(round_trip(pixels) < 40); /* nothing but the coder's own bytes */
    for (size_t i = 0; i < NY; i++) {
        for (size_t j = 0; j < NX; j++)
            pixels[i * NX + j] = (i >= 40 && i < 57) || (j >= 20 && j < 23) ? -1 : 5;
    }
    CHECK(round_trip(pixels) < 120); /* a cross of gaps */
    check_quads(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = (int32_t[]){0, -1, -2, INT32_MIN, 3}[random_bits(&state) % 5];
    round_trip(pixels);
    check_quads(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] =
            i / NX % 40 < 30 || random_bits(&state) % 64 ? 7 - (int32_t)(i % NX % 2) * 8 : -2;
    round_trip(pixels);
    check_quads(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = -2;
    CHECK(round_trip(pixels) < 60);
    return 0;
}
