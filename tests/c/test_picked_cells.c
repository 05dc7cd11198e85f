/* SPDX-License-Identifier: MIT */
/* What cells and tiles mean for picked pixels: chances, contexts, and symbols that are written. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "picked.h"
#include "portable_math.h"
#include "scratch.h"

enum { MAX_NTX = 70, NCELLS = 30 };

static unsigned seed = 7;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* Contexts of cells, and of tiles that are not open. */
static void make_lines(uint32_t lines[NCELLS + 1])
{
    for (uint32_t c = 0; c <= NCELLS; c++)
        lines[c] = random_bits(&seed) << 12 ^ random_bits(&seed);
}

static void contexts_are_as_in_plain_c(void)
{
    uint32_t lines[NCELLS + 1];
    make_lines(lines);
    for (uint32_t round = 0; round < 300; round++) {
        uint16_t of_tile[MAX_NTX];
        uint16_t open[MAX_NTX];
        uint8_t above[MAX_NTX];
        uint8_t context[2][MAX_NTX] = {{0}};
        const ring_map map = {.ntx = 1 + below(MAX_NTX), .ncells = NCELLS};
        const picked_contexts contexts = {.map = &map, .lines = lines};
        for (uint32_t t = 0; t < map.ntx; t++) {
            above[t] = (uint8_t)below(16);
            open[t] = (uint16_t)(below(4) ? below(0x10000) : 0);
            of_tile[t] = (uint16_t)(open[t] || below(2) ? below(NCELLS) : BRAGG_NO_CELL);
        }
        const picked_tiles tiles = {of_tile, open, above, NULL};
        picked_lines_contexts_plain(&contexts, &tiles, context[0]);
        picked_lines_contexts(&contexts, &tiles, context[1]);
        CHECK(memcmp(context[0], context[1], sizeof context[0]) == 0);
    }
}

static void written_symbols_are_as_in_plain_c(void)
{
    uint32_t lines[NCELLS + 1];
    make_lines(lines);
    for (uint32_t round = 0; round < 300; round++) {
        uint16_t cell[MAX_NTX];
        uint16_t valid[MAX_NTX];
        uint8_t is_kept[MAX_NTX];
        uint16_t picked[MAX_NTX];
        uint8_t above[MAX_NTX];
        uint8_t symbol[2][MAX_NTX] = {{0}};
        uint16_t pair[2][MAX_NTX] = {{0}};
        const ring_map map = {.ntx = 1 + below(MAX_NTX), .ncells = NCELLS};
        const picked_contexts contexts = {.map = &map, .lines = lines};
        for (uint32_t t = 0; t < map.ntx; t++) {
            cell[t] = (uint16_t)(below(8) ? below(NCELLS) : BRAGG_NO_CELL);
            valid[t] = (uint16_t)(below(4) ? below(0x10000) : 0);
            is_kept[t] = below(4) == 0;
            picked[t] = (uint16_t)(below(0x10000) & below(0x10000) & below(0x10000));
            above[t] = (uint8_t)below(16);
        }
        const picked_row row = {cell, valid, is_kept, picked, above};
        picked_lines_symbols_plain(&contexts, &row, symbol[0], pair[0]);
        picked_lines_symbols(&contexts, &row, symbol[1], pair[1]);
        CHECK(memcmp(symbol[0], symbol[1], sizeof symbol[0]) == 0);
        CHECK(memcmp(pair[0], pair[1], sizeof pair[0]) == 0);
        for (uint32_t t = 0; t < map.ntx; t++) {
            for (uint32_t k = 0; k < TILE_EDGE; k++)
                CHECK((symbol[0][t] >> k & 1) == ((picked[t] >> LINE_NPIXELS * k & 0xF) != 0));
        }
    }
}

/* docs/format.md, "Picked pixels", word for word. */
static uint8_t plain_chance(double expected, int64_t threshold)
{
    double weight = portable_exp(-expected);
    double sum = weight;
    uint8_t level = 0;
    for (int64_t n = 1; n <= threshold; n++) {
        weight = weight * expected / (double)n;
        sum = sum + weight;
    }
    for (int j = 1; j <= 9; j++)
        level = (uint8_t)(level + (1.0 - sum < ldexp(1.0, -j)));
    return level;
}

/* The largest number that has a level, as bisection finds it, for what is expected. */
static double at_level(uint8_t level, int64_t threshold)
{
    double low = 0;
    double high = 400;
    for (double middle = 200; middle > low && middle < high; middle = 0.5 * (low + high))
        *(plain_chance(middle, threshold) >= level ? &low : &high) = middle;
    return low;
}

/* Those of many cells, most of them a few of the last bits from where the level changes. */
static void chances_are_those_of_exact_sums(void)
{
    enum { N = 21 };
    uint16_t ring[N];
    double normalisation[N];
    ring_profile profile[N];
    cell_range range[N];
    ring_map map = {.ncells = N, .nbins = N, .ring = ring, .normalisation = normalisation};
    frame_model model = {.noise = {.map = &map}, .profile = profile, .range = range};
    for (uint32_t round = 0; round < 200; round++) {
        picked_cell *cell;
        for (uint32_t c = 0; c < N; c++) {
            const int64_t high = below(round % 2 ? 64 : 6);
            double mean = at_level((uint8_t)(1 + below(9)), high);
            for (uint32_t k = below(6); k > 0; k--)
                mean = nextafter(mean, below(2) ? 1e3 : -1e3);
            mean = below(4) ? mean : below(3000) * 0.05;
            ring[c] = (uint16_t)c;
            normalisation[c] = 1;
            profile[c] = (ring_profile){.mean = below(50) ? mean : -mean};
            range[c].high = high;
        }
        CHECK(!picked_cells_make(&model, &cell));
        for (uint32_t c = 0; c < N; c++)
            CHECK(cell[c].chance == plain_chance(profile[c].mean, range[c].high));
        scratch_give(cell);
    }
}

int main(void)
{
    chances_are_those_of_exact_sums();
    contexts_are_as_in_plain_c();
    written_symbols_are_as_in_plain_c();
    return 0;
}
