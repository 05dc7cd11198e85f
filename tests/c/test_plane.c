/* SPDX-License-Identifier: MIT */
/* The encoder's passes over the pixels, at every level that the machine has, against plain loops.
 */
#include "box_search.h"
#include "check.h"
#include "counts_plane.h"
#include "histogram.h"

#include <string.h>

enum { NCELLS = 7, NCODES = 4 };

/* A frame with everything that belongs to it; cell numbers are random. */
typedef struct test_case {
    bragg_frame frame;
    bragg_mask_codes codes;
    ring_map map;
    int64_t *pixel;       /* the frame's values */
    uint8_t *pixels;      /* and as the type has them */
    uint8_t *static_mask; /* or NULL */
    unsigned seed;
} test_case;

static void *allocate(size_t n)
{
    void *p = calloc(n + 1, 1);
    CHECK(p);
    return p;
}

/* Codes in force, from none to unusual ones. */
static bragg_mask_codes some_codes(h5bragg_pixel_type type, unsigned kind)
{
    const int64_t least = pixel_minimum(type);
    const int64_t most = pixel_maximum(type);
    const bragg_mask_codes automatic = {2, {most, most - 1}};
    const bragg_mask_codes negative = {3, {-1, -2, least}};
    switch (kind) {
    case 0:
        return least < 0 ? negative : automatic;
    case 1:
        return (bragg_mask_codes){0, {0}};
    case 2:
        return (bragg_mask_codes){2, {most - 126, least < 0 ? -127 : most}};
    default: /* zero is no code that the parameters can name, but nothing depends on that */
        return (bragg_mask_codes){1, {0}};
    }
}

static int64_t some_value(test_case *c, int is_bright, int64_t row, int64_t column)
{
    const int64_t least = pixel_minimum(c->frame.type);
    const int64_t most = pixel_maximum(c->frame.type);
    const unsigned r = random_bits(&c->seed) % 1000;
    if (c->codes.n && (row / 9 % 5 == 1 || column % 150 > 130 || r < 5))
        return c->codes.value[random_bits(&c->seed) % c->codes.n];
    if (r < 12)
        return least + (int64_t)(random_bits(&c->seed) % 4);
    if (r < 20)
        return most - (int64_t)(random_bits(&c->seed) % 200);
    if (r < 40 || is_bright)
        return random_bits(&c->seed) % (is_bright == 2 ? 20 : r % 2 ? 300 : 70) % (most + 1);
    return random_bits(&c->seed) % 3 * (random_bits(&c->seed) % 3);
}

static test_case make_case(h5bragg_pixel_type type, uint32_t ny, uint32_t nx, unsigned kind)
{
    test_case c = {.seed = 17 * ny + nx + kind + (unsigned)type,
                   .codes = some_codes(type, kind % NCODES)};
    const size_t npixels = (size_t)ny * nx;
    c.map =
        (ring_map){.ny = ny, .nx = nx, .nty = (ny + 3) / 4, .ntx = (nx + 3) / 4, .ncells = NCELLS};
    c.map.cell = allocate(ring_map_ntiles(&c.map) * sizeof *c.map.cell);
    c.map.most_ntiles = (uint32_t)ring_map_ntiles(&c.map);
    for (size_t n = 0; n < ring_map_ntiles(&c.map); n++) {
        const unsigned r = random_bits(&c.seed) % (NCELLS + 1);
        c.map.cell[n] = r == NCELLS ? BRAGG_NO_CELL : (uint16_t)r;
    }
    c.pixel = allocate(npixels * sizeof *c.pixel);
    c.pixels = allocate(npixels * h5bragg_pixel_nbytes(type));
    c.frame = (bragg_frame){c.pixels, type, ny, nx};
    c.static_mask = kind & 4 ? allocate(npixels) : NULL;
    for (size_t i = 0; i < npixels; i++) {
        c.pixel[i] = some_value(&c, (int)(kind / 8), (int64_t)(i / nx), (int64_t)(i % nx));
        pixel_set(c.pixels, type, i, c.pixel[i]);
        if (c.static_mask)
            c.static_mask[i] = i % nx > 200 || random_bits(&c.seed) % 50 == 0;
    }
    return c;
}

static void free_case(test_case *c)
{
    free(c->map.cell);
    free(c->pixel);
    free(c->pixels);
    free(c->static_mask);
}

static int is_masked(const test_case *c, size_t i)
{
    for (uint32_t k = 0; k < c->codes.n; k++) {
        if (c->pixel[i] == c->codes.value[k])
            return 1;
    }
    return 0;
}

/* The byte that pixel (row, column) must have; 0 outside the frame. */
static uint32_t byte_of(const test_case *c, int64_t row, int64_t column)
{
    if (row < 0 || column < 0 || row >= c->frame.ny || column >= c->frame.nx)
        return 0;
    const size_t i = (size_t)row * c->frame.nx + (size_t)column;
    if (is_masked(c, i))
        return 0;
    const int is_known = c->pixel[i] >= 0 && c->pixel[i] < BYTE_LOOKUP;
    return is_known && !(c->static_mask && c->static_mask[i]) ? (uint32_t)c->pixel[i] : BYTE_LOOKUP;
}

static void check_tile(const test_case *c, const counts_plane *plane, uint32_t row, uint32_t column)
{
    const size_t n = (size_t)row * c->map.ntx + column;
    uint32_t valid = 0;
    uint32_t sum = 0;
    uint32_t squares = 0;
    uint32_t largest = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint32_t i = TILE_EDGE * row + p / TILE_EDGE;
        const uint32_t j = TILE_EDGE * column + p % TILE_EDGE;
        const uint32_t byte = byte_of(c, i, j);
        CHECK(plane->value[i * plane->stride + j] == byte);
        const int is_inside = i < c->frame.ny && j < c->frame.nx;
        if (is_inside && !is_masked(c, (size_t)i * c->frame.nx + j))
            valid |= 1u << p;
        sum += byte;
        squares += byte * byte;
        largest = byte > largest ? byte : largest;
    }
    CHECK(plane->valid[n] == valid);
    CHECK(plane->sum[n] == sum);
    CHECK(plane->squares[n] == (squares < MOST_SQUARES ? squares : MOST_SQUARES));
    CHECK(plane->largest[n] == largest);
    CHECK(plane->has_large[n] == (largest == BYTE_LOOKUP));
}

/* Which codes the pixels of a group of a row of tiles carry; zeros beyond the frame may count. */
static void check_codes(const test_case *c, uint8_t found, uint32_t tile_row, uint32_t group)
{
    const raw_codes raw = counts_plane_codes(&c->codes, c->frame.type);
    const size_t nbits = 8 * h5bragg_pixel_nbytes(c->frame.type);
    const uint32_t all = nbits < 32 ? (1u << nbits) - 1 : UINT32_MAX;
    for (uint32_t k = 0; k < raw.n; k++) {
        int is_there = 0;
        for (uint32_t p = 0; p < TILE_EDGE * GROUP_NPIXELS; p++) {
            const size_t i = TILE_EDGE * tile_row + p / GROUP_NPIXELS;
            const size_t j = GROUP_NPIXELS * group + p % GROUP_NPIXELS;
            if (i < c->frame.ny && j < c->frame.nx)
                is_there |= ((uint32_t)c->pixel[i * c->frame.nx + j] & all) == raw.code[k];
        }
        const int is_found = found >> k & 1;
        CHECK(is_found == is_there || (is_found && raw.code[k] == 0));
    }
    CHECK((found & (GROUP_IS_NEW - 1)) >> raw.n == 0);
}

/* Whether some pixel of a group in the frame is masked and that above is not, or the reverse. */
static int has_new_row(const test_case *c, uint32_t tile_row, uint32_t group)
{
    for (uint32_t p = 0; p < TILE_EDGE * GROUP_NPIXELS; p++) {
        const size_t i = TILE_EDGE * tile_row + p / GROUP_NPIXELS;
        const size_t j = GROUP_NPIXELS * group + p % GROUP_NPIXELS;
        if (i >= c->frame.ny || j >= c->frame.nx)
            continue;
        const int is_masked_above = i > 0 && is_masked(c, (i - 1) * c->frame.nx + j);
        if (is_masked(c, i * c->frame.nx + j) != is_masked_above)
            return 1;
    }
    return 0;
}

/* Rows and columns beyond the frame's edge may count. */
static void check_is_new(const test_case *c, uint8_t found, uint32_t tile_row, uint32_t group)
{
    const int is_new = (found & GROUP_IS_NEW) != 0;
    const int is_whole =
        TILE_EDGE * (tile_row + 1) <= c->frame.ny && GROUP_NPIXELS * (group + 1) <= c->frame.nx;
    const int expected = has_new_row(c, tile_row, group);
    CHECK(is_new == expected || (is_new && !is_whole));
}

static void check_plane(const test_case *c, const counts_plane *plane)
{
    uint64_t total = 0;
    int has_negative = 0;
    for (size_t i = 0; i < (size_t)c->frame.ny * c->frame.nx; i++) {
        if (is_masked(c, i))
            continue;
        total += (uint32_t)c->pixel[i];
        has_negative |= c->pixel[i] < 0;
    }
    CHECK(plane->total == total);
    CHECK(plane->has_negative == has_negative);
    for (uint32_t row = 0; row < c->map.nty; row++) {
        const size_t ngroups = ring_map_ngroups(&c->map);
        for (uint32_t g = 0; g < ngroups; g++) {
            check_codes(c, plane->codes[row * ngroups + g], row, g);
            check_is_new(c, plane->codes[row * ngroups + g], row, g);
        }
        for (uint32_t column = 0; column < c->map.ntx; column++)
            check_tile(c, plane, row, column);
    }
}

/* Every pixel that must be counted is taken off; nothing may be left. */
static void check_histogram(const test_case *c, histogram *h)
{
    uint32_t at[NCELLS];
    memcpy(at, h->overflow_start, sizeof at);
    for (size_t place = 0; place < ring_map_ntiles(&c->map) * TILE_NPIXELS; place++) {
        const size_t n = place / TILE_NPIXELS;
        const uint32_t p = place % TILE_NPIXELS;
        const uint32_t tile_row = (uint32_t)(n / c->map.ntx);
        const uint32_t column = (uint32_t)(n % c->map.ntx);
        const uint16_t cell = c->map.cell[n];
        if (cell == BRAGG_NO_CELL || !(tile_inside(&c->map, tile_row, column) >> p & 1))
            continue;
        const size_t i = tile_pixel(&c->map, tile_row, column, p);
        if (is_masked(c, i) || (c->static_mask && c->static_mask[i]))
            continue;
        const int64_t value = c->pixel[i];
        if (value >= 0 && value < HISTOGRAM_NCOUNTS)
            h->count[(size_t)cell * HISTOGRAM_NCOUNTS + (size_t)value]--;
        else
            CHECK(h->overflow[at[cell]++] + h->value_offset == value);
    }
    for (size_t k = 0; k < (size_t)NCELLS * HISTOGRAM_NCOUNTS; k++)
        CHECK(h->count[k] == 0);
    CHECK(h->overflow_start[0] == 0);
    for (uint32_t cell = 0; cell < NCELLS; cell++)
        CHECK(at[cell] == h->overflow_start[cell + 1]);
}

static void check_histograms(const test_case *c, const counts_plane *plane, histogram *h)
{
    CHECK(!histogram_make(&c->frame, c->static_mask, &c->map, plane, h));
    CHECK(h->has_negative == plane->has_negative);
    check_histogram(c, h);
}

/* Every level lists the pixels that portable C lists, also where a row ends early. */
static void check_list(const test_case *c, const counts_plane *plane)
{
    const uint32_t ntx = c->map.ntx;
    const size_t nentries = list_nentries(ntx);
    uint32_t *pixel = allocate(nentries * sizeof *pixel);
    uint32_t *expected = allocate(nentries * sizeof *expected);
    for (uint32_t tile_row = 0; tile_row < c->map.nty; tile_row++) {
        const counted_row row = {.value = plane->value + TILE_EDGE * tile_row * plane->stride,
                                 .stride = plane->stride,
                                 .ntiles = ntx - tile_row % ntx,
                                 .largest = plane->largest + (size_t)tile_row * ntx};
        const size_t n = plane_scalar_list(&row, expected);
        CHECK(plane->kernels->list(&row, pixel) == n);
        CHECK(memcmp(pixel, expected, n * sizeof *pixel) == 0);
    }
    free(pixel);
    free(expected);
}

/* The tiles that the pixels around one touch. */
static void mark_around(const test_case *c, int64_t i, int64_t j, int64_t reach, uint8_t mark,
                        uint8_t *kept)
{
    for (int64_t row = i - reach; row <= i + reach; row++) {
        for (int64_t column = j - reach; column <= j + reach; column++) {
            if (row >= 0 && column >= 0 && row < c->frame.ny && column < c->frame.nx)
                kept[(size_t)(row / 4) * c->map.ntx + (size_t)(column / 4)] |= mark;
        }
    }
}

static void search_plainly(const test_case *c, const uint32_t *word, uint8_t *kept)
{
    for (int64_t i = 0; i < c->frame.ny; i++) {
        for (int64_t j = 0; j < c->frame.nx; j++) {
            const uint16_t cell = c->map.cell[(size_t)(i / 4) * c->map.ntx + (size_t)(j / 4)];
            uint32_t sum = 0;
            for (int64_t k = 0; k < 9; k++)
                sum += byte_of(c, i + k / 3 - 1, j + k % 3 - 1);
            if (cell == BRAGG_NO_CELL || sum <= box_chance(word[cell]))
                continue;
            mark_around(c, i, j, 1, BOX_TOUCHES, kept);
            if (sum > box_peak(word[cell]))
                mark_around(c, i, j, 2, BOX_IS_NEAR, kept);
        }
    }
}

static void check_box_search(const test_case *c, const counts_plane *plane)
{
    const uint16_t chances[][NCELLS] = {{9, 14, 20, 25, BOX_NEVER, 253, 60},
                                        {9, 14, 20, 25, BOX_NEVER, 300, 2294},
                                        {0, 2295, 254, 255, 700, 40, 11},
                                        {246, 247, 248, 240, BOX_NEVER, 239, 253}};
    const size_t ntiles = ring_map_ntiles(&c->map);
    const uint32_t ntx = c->map.ntx;
    uint8_t *kept = allocate(ring_map_ngroups(&c->map) * GROUP_NTILES + BOX_SLACK);
    uint8_t *expected = allocate(ntiles);
    for (size_t k = 0; k < sizeof chances / sizeof *chances; k++) {
        static uint32_t words[BRAGG_NO_CELL + 1];
        box_search search;
        words[BRAGG_NO_CELL] = box_word(BOX_NEVER, BOX_MOST_PEAK, 77);
        for (size_t cell = 0; cell < NCELLS; cell++) {
            const uint32_t chance = chances[k][cell];
            const uint32_t more = chance + (uint32_t)(cell % 3) * 7u;
            const uint32_t peak = more < BOX_MOST_PEAK ? more : BOX_MOST_PEAK;
            words[cell] = box_word(chance, peak, (uint8_t)~cell);
            CHECK(box_chance(words[cell]) == chance);
            CHECK(box_peak(words[cell]) == (peak > chance ? peak : chance));
        }
        memset(expected, 0, ntiles);
        search_plainly(c, words, expected);
        CHECK(!box_search_make(plane, &c->map, words, &search));
        for (uint32_t row = 0; row < c->map.nty; row++) {
            const uint8_t *other = box_search_row(&search, row, kept);
            CHECK(memcmp(kept, expected + (size_t)row * ntx, ntx) == 0);
            for (uint32_t t = 0; t < ntx; t++)
                CHECK(other[t] == box_other(words[c->map.cell[(size_t)row * ntx + t]]));
        }
        box_search_free(&search);
    }
    free(kept);
    free(expected);
}

/* Buffers are used again from kind to kind, so what one frame leaves must not reach the next. */
static void test_shape(cpu_level level, uint32_t ny, uint32_t nx)
{
    counts_plane plane = {.kernels = plane_kernels_of(level)};
    histogram h = {0};
    for (int type = H5BRAGG_U8; type <= H5BRAGG_I32; type++) {
        for (unsigned kind = 0; kind < 24; kind++) {
            test_case c = make_case((h5bragg_pixel_type)type, ny, nx, kind);
            CHECK(!counts_plane_make(&c.frame, &c.codes, c.static_mask, &c.map, &plane));
            CHECK(plane.kernels == plane_kernels_of(level));
            check_plane(&c, &plane);
            check_list(&c, &plane);
            check_histograms(&c, &plane, &h);
            check_box_search(&c, &plane);
            free_case(&c);
        }
    }
    counts_plane_free(&plane);
    histogram_free(&h);
}

/* One cell with more pixels than any narrow counter holds, and no ring at all. */
static void test_large_cell(cpu_level level, uint32_t ny, uint32_t nx)
{
    const uint32_t npixels = ny * nx;
    counts_plane plane = {.kernels = plane_kernels_of(level)};
    histogram h = {0};
    ring_map map = {.ny = ny, .nx = nx, .nty = ny / 4, .ntx = nx / 4, .ncells = 1};
    map.most_ntiles = (uint32_t)ring_map_ntiles(&map);
    map.cell = allocate(map.most_ntiles * sizeof *map.cell);
    uint16_t *pixels = allocate(npixels * sizeof *pixels);
    const bragg_frame frame = {pixels, H5BRAGG_U16, ny, nx};
    const bragg_mask_codes codes = {0, {0}};
    for (uint32_t i = 0; i < npixels / 4; i++)
        pixels[4 * i] = 15;
    CHECK(!counts_plane_make(&frame, &codes, NULL, &map, &plane));
    CHECK(!histogram_make(&frame, NULL, &map, &plane, &h));
    CHECK(h.count[0] == npixels / 4 * 3 && h.count[15] == npixels / 4);
    value_sums s;
    histogram_sums(&h, 0, 0, 15, &s);
    CHECK(s.n == npixels && s.sum == npixels / 4 * 15);
    memset(map.cell, 0xFF, ring_map_ntiles(&map) * sizeof *map.cell);
    map.ncells = 0;
    CHECK(!histogram_make(&frame, NULL, &map, &plane, &h));
    CHECK(h.overflow_start[0] == 0);
    free(map.cell);
    free(pixels);
    counts_plane_free(&plane);
    histogram_free(&h);
}

int main(void)
{
    static const uint32_t SHAPES[][2] = {{1, 1},  {3, 5},    {4, 64},    {37, 50}, {8, 65},
                                         {8, 56}, {12, 121}, {130, 259}, {9, 2100}};
    const cpu_level best = bragg_cpu_level();
    for (int level = best == CPU_NEON ? CPU_NEON : CPU_SCALAR; level <= (int)best; level++) {
        for (size_t k = 0; k < sizeof SHAPES / sizeof *SHAPES; k++)
            test_shape((cpu_level)level, SHAPES[k][0], SHAPES[k][1]);
        test_large_cell((cpu_level)level, 400, 400);
        test_large_cell((cpu_level)level, 8, 4 * (2 * DARK_MAX_NTILES + 33));
    }
    return 0;
}
