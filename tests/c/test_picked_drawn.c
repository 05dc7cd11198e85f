/* SPDX-License-Identifier: MIT */
/* Picked pixels as patterns are drawn: kernels list what plain C does. */
#include <string.h>

#include "check.h"
#include "picked_drawn.h"

enum { MAX_NTX = 70, NCELLS = 40, NROUNDS = 1000, GROUPS_NTX = MAX_NTX + DRAWN_NTILES };
enum { MAX_NPIXELS = MACRO_EDGE * GROUPS_NTX * TILE_NPIXELS, ROOM = MAX_NPIXELS + DRAWN_SLACK };
enum { RAW_NBYTES = 4 * MAX_NPIXELS };

static unsigned seed = 3;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* What is listed: by a kernel, or in plain C. */
typedef struct lists {
    picked_drawn drawn;
    uint8_t line_context[TILE_EDGE * MAX_NTX + DRAWN_SLACK];
    uint8_t context[ROOM];
    uint32_t number[MAX_NPIXELS];
    uint32_t value[MAX_NPIXELS];
} lists;

static lists both[2];

/* Least values are those of pattern rings. */
static void make_lists(const ring_map *map)
{
    static picked_base base[BRAGG_NO_CELL + 1];
    const picked_contexts contexts = {.map = map, .heights = base};
    for (uint32_t c = 0; c < NCELLS; c++)
        base[c] = (picked_base){1 + below(64), (uint16_t)(7 * below(4)), 0};
    for (int k = 0; k < 2; k++)
        CHECK(!picked_drawn_make(&contexts, &both[k].drawn));
    memcpy(both[1].drawn.base, both[0].drawn.base, NCELLS * sizeof *both[0].drawn.base);
}

/* Lists a row of tiles, in which a pixel is now and then impossible; returns the number of all. */
static uint32_t list_row(uint32_t row, uint32_t ntx, uint32_t first, int *is_impossible)
{
    uint8_t symbol[MAX_NTX];
    uint8_t line_symbol[TILE_EDGE * MAX_NTX + DRAWN_SLACK];
    uint16_t cell[MAX_NTX];
    uint16_t open[MAX_NTX];
    const uint32_t rare = below(4);
    for (uint32_t t = 0; t < ntx; t++) {
        symbol[t] = (uint8_t)(below(1 + rare) ? 0 : below(16));
        cell[t] = symbol[t] || below(9) ? (uint16_t)below(NCELLS) : BRAGG_NO_CELL;
        open[t] = (uint16_t)(below(50) ? 0xFFFF : random_bits(&seed));
    }
    for (uint32_t j = 0; j < TILE_EDGE * ntx; j++)
        line_symbol[j] = (uint8_t)(below(900) ? below(15) : 15);
    const picked_tiles tiles = {.cell = cell, .open = open};
    const drawn_row in = {row, &tiles, ntx, symbol, line_symbol};
    const uint32_t nlines = drawn_lines_plain(&in, both[0].line_context);
    CHECK(drawn_lines(&in, both[1].line_context) == nlines);
    CHECK(memcmp(both[0].line_context, both[1].line_context, nlines) == 0);
    int is_wrong[2] = {0};
    const uint32_t n = drawn_list_plain(&both[0].drawn, &in, first, both[0].context, &is_wrong[0]);
    CHECK(drawn_list(&both[1].drawn, &in, first, both[1].context, &is_wrong[1]) == n);
    CHECK(is_wrong[0] == is_wrong[1]);
    *is_impossible |= is_wrong[0];
    return n;
}

static void check_lists(uint32_t n)
{
    const picked_drawn *a = &both[0].drawn;
    const picked_drawn *b = &both[1].drawn;
    const size_t ngroups = (size_t)MACRO_EDGE * a->ngroups;
    CHECK(memcmp(a->pixels, b->pixels, ngroups * DRAWN_NTILES * sizeof *a->pixels) == 0);
    CHECK(memcmp(a->start, b->start, ngroups * sizeof *a->start) == 0);
    CHECK(memcmp(a->value, b->value, n) == 0);
    CHECK(memcmp(both[0].context, both[1].context, n) == 0);
}

/* Heights of which few or many have raw bits, and some are too large. */
static void check_heights(uint32_t n)
{
    static uint8_t symbol[ROOM];
    static uint8_t raw[RAW_NBYTES + 8];
    static const uint32_t rare[] = {2, 100, 1000, 100000};
    const uint32_t one_in = rare[below(4)];
    const int64_t most = below(2) ? 65535 : UINT8_MAX + below(20000);
    symbol_reader heights[2] = {{.raw = raw, .raw_nbytes = RAW_NBYTES}, {0}};
    drawn_large large[2] = {{both[0].number, both[0].value, 0}, {both[1].number, both[1].value, 0}};
    for (uint32_t k = 0; k < n; k++)
        symbol[k] = (uint8_t)below(below(one_in) ? 16 : below(9) ? 33 : 60);
    for (uint32_t k = 0; k < RAW_NBYTES; k++)
        raw[k] = (uint8_t)random_bits(&seed);
    heights[1] = heights[0];
    const int is_good = drawn_add_plain(&both[0].drawn, &heights[0], symbol, n, most, &large[0]);
    CHECK(drawn_add(&both[1].drawn, &heights[1], symbol, n, most, &large[1]) == is_good);
    CHECK(heights[0].bit_at == heights[1].bit_at && large[0].n == large[1].n);
    CHECK(memcmp(both[0].drawn.value, both[1].drawn.value, n) == 0);
    CHECK(memcmp(both[0].number, both[1].number, large[0].n * sizeof *both[0].number) == 0);
    CHECK(memcmp(both[0].value, both[1].value, large[0].n * sizeof *both[0].value) == 0);
}

/* Every pixel is large once. */
static void check_places(uint32_t n, uint32_t nx)
{
    const picked_drawn *d = &both[0].drawn;
    const drawn_large large = {both[0].number, both[0].value, n};
    const uint32_t row_ntiles = d->ngroups * DRAWN_NTILES;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        large.number[i] = i;
    drawn_find_places(d, nx, &large);
    for (uint32_t t = 0; t < MACRO_EDGE * row_ntiles; t++) {
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            if (!(d->pixels[t] >> p & 1))
                continue;
            const uint32_t y = TILE_EDGE * (t / row_ntiles) + p / TILE_EDGE;
            const uint32_t x = TILE_EDGE * (t % row_ntiles) + p % TILE_EDGE;
            CHECK(k < n && large.number[k++] == y * nx + x);
        }
    }
    CHECK(k == n);
}

static void lists_are_those_of_plain_c(void)
{
    int is_impossible[2] = {0};
    for (uint32_t round = 0; round < NROUNDS; round++) {
        const uint32_t ntx = 1 + below(MAX_NTX);
        const ring_map map = {.ntx = ntx, .ncells = NCELLS};
        int is_wrong = 0;
        uint32_t n = 0;
        make_lists(&map);
        for (uint32_t row = 0; row < MACRO_EDGE; row++)
            n = list_row(row, ntx, n, &is_wrong);
        is_impossible[is_wrong] = 1;
        check_lists(n);
        check_heights(n);
        check_places(n, TILE_EDGE * ntx);
        picked_drawn_free(&both[0].drawn);
        picked_drawn_free(&both[1].drawn);
    }
    CHECK(is_impossible[0] && is_impossible[1]);
}

int main(void)
{
    lists_are_those_of_plain_c();
    return 0;
}
