/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mask.h"
#include "mask_groups.h"
#include "mask_stream.h"

/* Groups are looked for eight at a time: there are some more, and the last one is cut. */
enum { NY = 97, NX = 637, NTX = 160, NTILES = 25 * NTX };
enum { NGROUPS = (NTX + GROUP_NTILES - 1) / GROUP_NTILES, NROWS = NTILES / NTX };
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

/* Numbers of codes by pixel, of rows above the frame, too. */
static uint8_t code_number(const int32_t *pixels, const bragg_mask_codes *codes, int64_t i,
                           int64_t j)
{
    return i < 0 ? 0 : mask_number(codes, pixels[i * NX + j]);
}

/* What is found of groups of rows of tiles: their codes, and whether some row is new. */
static void find_codes(const int32_t *pixels, const bragg_mask_codes *codes, uint8_t *found)
{
    memset(found, 0, NROWS * NGROUPS);
    for (int64_t i = 0; i < NY; i++) {
        for (int64_t j = 0; j < NX; j++) {
            const uint8_t number = code_number(pixels, codes, i, j);
            uint8_t *of_group = &found[i / TILE_EDGE * NGROUPS + j / GROUP_NPIXELS];
            *of_group |= (uint8_t)(number ? 1 << (number - 1) : 0);
            if (!number != !code_number(pixels, codes, i - 1, j))
                *of_group |= GROUP_IS_NEW;
        }
    }
}

static uint8_t runs[NY * NX * 20];
static uint8_t other_runs[NY * NX * 20];

/* Masked pixels get their codes, whatever the type, and others stay as they are. */
static void codes_are_put_back(const frame_mask *mask, const int32_t *pixels,
                               const bragg_mask_codes *codes)
{
    static uint8_t frame[NY * NX * sizeof(int32_t)];
    static const h5bragg_pixel_type TYPES[] = {H5BRAGG_U8, H5BRAGG_U16, H5BRAGG_U32, H5BRAGG_I16,
                                               H5BRAGG_I32};
    for (size_t t = 0; t < sizeof TYPES / sizeof *TYPES; t++) {
        size_t nwrong = 0;
        memset(frame, 0, sizeof frame);
        mask_apply(mask, &MAP, codes, TYPES[t], 0, NY / 2, frame);
        mask_apply(mask, &MAP, codes, TYPES[t], NY / 2, NY, frame);
        for (size_t i = 0; i < (size_t)NY * NX; i++) {
            int32_t expected = 0;
            if (mask_number(codes, pixels[i]))
                pixel_set(&expected, TYPES[t], 0, pixels[i]);
            nwrong += pixel_get(frame, TYPES[t], i) != pixel_get(&expected, TYPES[t], 0);
        }
        CHECK(nwrong == 0);
    }
}

static size_t round_trip(const int32_t *pixels)
{
    static uint16_t valid[NTILES];
    static uint16_t valid_back[NTILES];
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
    for (uint32_t row = 0; row < MAP.nty; row++)
        mask_valid(&mask, &MAP, row, valid_back + row * MAP.ntx);
    CHECK(memcmp(valid_back, valid, sizeof valid) == 0);
    for (uint32_t row = 0; row < NY; row++) {
        for (uint32_t k = 0; k < mask.row[row].n; k++) {
            const mask_run run = mask.run[mask.row[row].first + k];
            for (uint32_t j = run.start; j < run.stop; j++)
                found += run.number == mask_number(&codes, pixels[row * NX + j]);
        }
    }
    CHECK(found == nmasked && found == mask.nmasked);
    codes_are_put_back(&mask, pixels, &codes);
    frame_mask_free(&mask);
    return (size_t)(w.at - runs);
}

/* Whether each pixel of a group has the code number of the pixel above. */
static int is_as_above(const int32_t *pixels, const bragg_mask_codes *codes, uint32_t row,
                       uint32_t g)
{
    for (int64_t i = TILE_EDGE * row; i < TILE_EDGE * (row + 1) && i < NY; i++) {
        for (int64_t j = GROUP_NPIXELS * g; j < GROUP_NPIXELS * (g + 1) && j < NX; j++) {
            if (code_number(pixels, codes, i, j) != code_number(pixels, codes, i - 1, j))
                return 0;
        }
    }
    return 1;
}

/* A listed group has the masked pixels that it has. */
static void check_masked(const int32_t *pixels, const bragg_mask_codes *codes, uint32_t row,
                         const mask_group *group)
{
    for (uint32_t p = 0; p < TILE_EDGE * GROUP_NPIXELS; p++) {
        const int64_t i = TILE_EDGE * row + p / GROUP_NPIXELS;
        const int64_t j = GROUP_NPIXELS * group->number + p % GROUP_NPIXELS;
        const int is_masked = i < NY && j < NX && code_number(pixels, codes, i, j);
        CHECK((group->masked[p / GROUP_NPIXELS] >> p % GROUP_NPIXELS & 1) == (uint64_t)is_masked);
    }
}

/* Groups that are not listed have nothing new. */
static void check_list(const int32_t *pixels, const bragg_mask_codes *codes,
                       const mask_tiles *tiles)
{
    mask_group group[NGROUPS];
    const uint32_t n = mask_groups_list(tiles, group);
    mask_groups_fill(tiles, group, n);
    uint32_t k = 0;
    for (uint32_t g = 0; g < NGROUPS; g++) {
        if (k < n && group[k].number == g)
            check_masked(pixels, codes, tiles->row, &group[k++]);
        else
            CHECK(is_as_above(pixels, codes, tiles->row, g));
    }
    CHECK(k == n);
}

/* The pixels, which must fit, as another type. */
static const void *as_type(const int32_t *pixels, h5bragg_pixel_type type)
{
    static int32_t other[NY * NX];
    for (size_t i = 0; i < NY * NX; i++)
        pixel_set(other, type, i, pixels[i]);
    return other;
}

/* Codes are given as I32 and found in frames of a type. */
static void check_groups(const int32_t *pixels, const bragg_mask_codes *codes,
                         h5bragg_pixel_type type)
{
    static uint16_t valid[NTILES];
    static const uint8_t none[NGROUPS];
    const bragg_frame frame = {as_type(pixels, type), type, NY, NX};
    const code_finder finder = mask_groups_finder(type, codes);
    uint8_t expected[NROWS * NGROUPS];
    uint8_t found[NROWS * NGROUPS];
    find_valid(pixels, codes, valid);
    find_codes(pixels, codes, expected);
    for (uint32_t row = 0; row < MAP.nty; row++) {
        uint8_t *of_row = found + row * NGROUPS;
        const mask_tiles tiles = {&frame,
                                  &MAP,
                                  row,
                                  valid + row * NTX,
                                  row ? valid + (row - 1) * NTX : NULL,
                                  of_row,
                                  row ? of_row - NGROUPS : none};
        mask_groups_find(&tiles, &finder, of_row);
        for (uint32_t g = 0; g + 1 < NGROUPS; g++)
            CHECK(of_row[g] == expected[row * NGROUPS + g]);
        const uint8_t last = of_row[NGROUPS - 1]; /* what is beyond the edge may be new */
        CHECK((last | GROUP_IS_NEW) == (expected[(row + 1) * NGROUPS - 1] | GROUP_IS_NEW));
        check_list(pixels, codes, &tiles);
    }
}

static void check_types(const int32_t *pixels)
{
    const bragg_mask_codes codes = {3, {-1, -2, INT32_MIN}};
    const bragg_mask_codes two = {2, {-2, -1}};
    const bragg_mask_codes byte = {2, {5, 7}};
    check_groups(pixels, &codes, H5BRAGG_I32);
    check_groups(pixels, &two, H5BRAGG_I32);
    check_groups(pixels, &two, H5BRAGG_I16);
    check_groups(pixels, &byte, H5BRAGG_U16);
    check_groups(pixels, &byte, H5BRAGG_U8);
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
    const uint32_t good[][4] = {{0, 1, 4, 96}, {0, 2, NX - 6, 0}, {5, 3, 0, 95}};
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
    check_types(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = (int32_t[]){0, -1, -2, INT32_MIN, 3}[random_bits(&state) % 5];
    round_trip(pixels);
    check_types(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] =
            i / NX % 40 < 30 || random_bits(&state) % 64 ? 7 - (int32_t)(i % NX % 2) * 8 : -2;
    damaged_masks_do_no_harm(runs, round_trip(pixels), &state);
    check_types(pixels);
    for (size_t i = 0; i < NY * NX; i++)
        pixels[i] = -2;
    CHECK(round_trip(pixels) < 40);
    return 0;
}
