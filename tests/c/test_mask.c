/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mask.h"
#include "mask_quads.h"
#include "mask_stream.h"

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

enum { NGROUPS = (NTX + GROUP_NTILES - 1) / GROUP_NTILES, NROWS = NTILES / NTX };

/* Which codes the pixels of groups of rows of tiles carry. */
static void find_codes(const int32_t *pixels, const bragg_mask_codes *codes, uint8_t *found)
{
    memset(found, 0, NROWS * NGROUPS);
    for (uint32_t i = 0; i < NY; i++) {
        for (uint32_t j = 0; j < NX; j++) {
            const uint8_t number = mask_number(codes, pixels[i * NX + j]);
            found[i / TILE_EDGE * NGROUPS + j / GROUP_NPIXELS] |=
                (uint8_t)(number ? 1 << (number - 1) : 0);
        }
    }
}

static uint8_t runs[NY * NX * 20];
static uint8_t other_runs[NY * NX * 20];

static size_t round_trip(const int32_t *pixels)
{
    static uint16_t valid[NTILES];
    const bragg_frame frame = {pixels, H5BRAGG_I32, NY, NX};
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    uint32_t nmasked = 0;
    uint32_t found = 0;
    uint32_t other_nmasked = 0;
    uint8_t codes_found[NROWS * NGROUPS];
    byte_writer w = {runs, runs + sizeof runs, 0};
    byte_writer other = {other_runs, other_runs + sizeof other_runs, 0};
    find_valid(pixels, &codes, valid);
    find_codes(pixels, &codes, codes_found);
    const mask_source all = {&frame, &codes, valid, codes_found};
    const mask_source unknown = {&frame, &codes, valid, NULL};
    CHECK(mask_write(&all, &MAP, &w, &nmasked) == H5BRAGG_OK);
    CHECK(mask_write(&unknown, &MAP, &other, &other_nmasked) == H5BRAGG_OK);
    CHECK(nmasked == other_nmasked && w.at - runs == other.at - other_runs);
    CHECK(memcmp(runs, other_runs, (size_t)(w.at - runs)) == 0);
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
static void check_quads(const int32_t *pixels, int round)
{
    static uint16_t valid[NTILES];
    const bragg_frame frame = {pixels, H5BRAGG_I32, NY, NX};
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    uint8_t found[NROWS * NGROUPS];
    uint32_t quad[NTX / QUAD_NTILES];
    find_valid(pixels, &codes, valid);
    find_codes(pixels, &codes, found);
    for (uint32_t row = 1; row < MAP.nty; row++) {
        const uint8_t *of_row = found + row * NGROUPS;
        const mask_tiles tiles = {&frame,
                                  &MAP,
                                  row,
                                  valid + row * NTX,
                                  valid + (row - 1) * NTX,
                                  round ? of_row : NULL,
                                  of_row - NGROUPS};
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

enum { NDAMAGES = 3000 };

/* Reads a mask stream of exactly its size; the sanitizers see to it that no more is read. */
static h5bragg_status read_copy(const uint8_t *stream, size_t nbytes)
{
    uint8_t *copy = malloc(nbytes);
    CHECK(copy);
    memcpy(copy, stream, nbytes);
    byte_reader r = {copy, copy + nbytes, 0};
    frame_mask mask;
    const h5bragg_status status = mask_read(&r, 2, &MAP, 3, &mask);
    CHECK(status || mask.nmasked <= NY * NX);
    frame_mask_free(&mask);
    free(copy);
    return status;
}

/* Writes rectangles given by gap, code number, width - 1 and height - 1, and reads them. */
static h5bragg_status read_rectangles(uint32_t n, const uint32_t rectangle[][4])
{
    uint8_t stream[500];
    symbol_writer s = {0};
    number_put(&s, GAP_CONTEXT, n);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t number = rectangle[k][1];
        number_put(&s, GAP_CONTEXT, rectangle[k][0]);
        symbol_put(&s, CODE_CONTEXT, number);
        number_put(&s, width_context(number % 4), rectangle[k][2]);
        number_put(&s, height_context(number % 4), rectangle[k][3]);
    }
    byte_writer w = {stream, stream + sizeof stream, 0};
    symbols_write(&s, NCONTEXTS, SYMBOLS_NSTATES, &w);
    symbol_writer_free(&s);
    CHECK(!w.failed);
    return read_copy(stream, (size_t)(w.at - stream));
}

static void only_rectangles_side_by_side_in_the_frame_are_read(void)
{
    const uint32_t good[][4] = {{0, 1, 4, 96}, {0, 2, 55, 0}, {5, 3, 0, 95}};
    CHECK(read_rectangles(0, good) == H5BRAGG_OK);
    CHECK(read_rectangles(3, good) == H5BRAGG_OK);
    CHECK(read_rectangles(1, (const uint32_t[][4]){{0, 1, 4, 97}}) == H5BRAGG_CORRUPT);
    CHECK(read_rectangles(1, (const uint32_t[][4]){{3, 1, NX - 3, 0}}) == H5BRAGG_CORRUPT);
    CHECK(read_rectangles(1, (const uint32_t[][4]){{NY * NX, 1, 0, 0}}) == H5BRAGG_CORRUPT);
    CHECK(read_rectangles(1, (const uint32_t[][4]){{0, 4, 0, 0}}) == H5BRAGG_CORRUPT);
    const uint32_t overlapping[][4] = {{3, 1, 4, 1}, {NX - 3, 2, 3, 0}};
    CHECK(read_rectangles(2, overlapping) == H5BRAGG_CORRUPT);
    const uint32_t below[][4] = {{3, 1, 4, 1}, {2 * NX - 3, 2, 3, 0}};
    CHECK(read_rectangles(2, below) == H5BRAGG_OK);
    const uint32_t crowded[][4] = {{0, 1, NX - 1, 1}, {0, 1, NX - 1, 0}};
    CHECK(read_rectangles(2, crowded) == H5BRAGG_CORRUPT);
}

/* As `round_trip` left it. */
static void damaged_masks_do_no_harm(const uint8_t *stream, size_t nbytes, unsigned *state)
{
    uint8_t *damaged = malloc(nbytes);
    CHECK(damaged && nbytes > 2);
    for (int k = 0; k < NDAMAGES; k++) {
        memcpy(damaged, stream, nbytes);
        for (unsigned n = random_bits(state) % 3 + 1; n > 0; n--)
            damaged[2 + random_bits(state) % (nbytes - 2)] = (uint8_t)random_bits(state);
        (void)read_copy(damaged, nbytes);
    }
    free(damaged);
}

int main(void)
{
    static int32_t pixels[NY * NX];
    unsigned state = 7;
    only_rectangles_side_by_side_in_the_frame_are_read();
    CHECK(round_trip(pixels) == 1);
    for (size_t i = 0; i < NY; i++) {
        for (size_t j = 0; j < NX; j++)
            pixels[i * NX + j] = (i >= 40 && i < 57) || (j >= 20 && j < 23) ? -1 : 5;
    }
    const size_t nbytes = round_trip(pixels);
    CHECK(nbytes < 60); /* a cross of gaps */
    damaged_masks_do_no_harm(runs, nbytes, &state);
    check_quads(pixels, 0);
    check_quads(pixels, 1);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = (int32_t[]){0, -1, -2, INT32_MIN, 3}[random_bits(&state) % 5];
    round_trip(pixels);
    check_quads(pixels, 0);
    check_quads(pixels, 1);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] =
            i / NX % 40 < 30 || random_bits(&state) % 64 ? 7 - (int32_t)(i % NX % 2) * 8 : -2;
    damaged_masks_do_no_harm(runs, round_trip(pixels), &state);
    check_quads(pixels, 0);
    check_quads(pixels, 1);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = -2;
    CHECK(round_trip(pixels) < 40);
    return 0;
}
