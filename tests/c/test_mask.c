/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mask.h"

enum { NY = 97, NX = 61 };

static size_t round_trip(const int32_t *pixels)
{
    static uint8_t runs[NY * NX * 20];
    static uint8_t mask[NY * NX];
    const bragg_frame frame = {pixels, H5BRAGG_I32, NY, NX};
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    uint32_t nmasked = 0;
    uint32_t found = 0;
    byte_writer w = {runs, runs + sizeof runs, 0};
    CHECK(mask_write(&frame, &codes, &w, &nmasked) == H5BRAGG_OK);
    byte_reader r = {runs, w.at, 0};
    CHECK(mask_read(&r, NY, NX, codes.n, mask) == H5BRAGG_OK);
    for (size_t i = 0; i < NY * NX; i++) {
        CHECK(mask[i] == mask_number(&codes, pixels[i]));
        found += mask[i] != 0;
    }
    CHECK(found == nmasked);
    return (size_t)(w.at - runs);
}

int main(void)
{
    static int32_t pixels[NY * NX];
    unsigned state = 7;
    CHECK(round_trip(pixels) == 0);
    for (size_t i = 0; i < NY; i++) {
        for (size_t j = 0; j < NX; j++)
            pixels[i * NX + j] = (i >= 40 && i < 57) || (j >= 20 && j < 23) ? -1 : 5;
    }
    CHECK(round_trip(pixels) < 20); /* a cross of gaps */
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = (int32_t[]){0, -1, -2, INT32_MIN, 3}[random_bits(&state) % 5];
    round_trip(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = -2;
    CHECK(round_trip(pixels) <= 4);
    return 0;
}
