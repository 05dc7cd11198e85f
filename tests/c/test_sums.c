/* SPDX-License-Identifier: MIT */
/* How rows of tiles are sorted and their sums restored, at every level that the machine has. */
#include "check.h"
#include "sum_rules.h"
#include "sums_read_kernels.h"
#include "tile_sort.h"

#include <string.h>

enum { NCELLS = 9, MOST_TILES = 75, ROOM = 80, NGROUPS = ROOM / SUM_NLANES };

/* A row of tiles with everything that belongs to it, and room for what is made of it. */
typedef struct test_row {
    small_rule small[NCELLS];
    uint16_t cell[MOST_TILES];
    uint16_t open[MOST_TILES];
    uint8_t kind[NGROUPS * MACRO_EDGE];
    uint32_t hash[ROOM];
    uint32_t range[ROOM];
    uint32_t step[ROOM];
    uint16_t listed[NGROUPS];
    uint16_t odd[NGROUPS];
    uint8_t context[ROOM + SUM_NLANES];
    int64_t sum[ROOM];
} test_row;

static sum_row row_of(test_row *t, uint32_t ntiles)
{
    return (sum_row){ntiles,   t->small, t->cell,   t->open, t->kind, t->hash,
                     t->range, t->step,  t->listed, t->odd,  NULL};
}

/* Blank cells, cut and closed tiles, coarse and scaled blocks; in a third of the rows none. */
static void fill(test_row *t, unsigned *seed)
{
    const unsigned mess = random_bits(seed) % 3;
    memset(t, 0, sizeof *t);
    for (uint32_t c = 0; c < NCELLS; c++) {
        t->small[c] = (small_rule){(int16_t)(random_bits(seed) % 0x8000),
                                   (int16_t)(random_bits(seed) % 0x8000),
                                   (uint16_t)(1 + random_bits(seed) % 0xFFFF),
                                   (uint16_t)(random_bits(seed) % SUM_NCONTEXTS)};
        if (c % 2)
            t->small[c] = (small_rule){(int16_t)(c * 20), 511, 2, (uint16_t)c};
    }
    t->small[3].context = mess ? NOT_SMALL : 3;
    for (uint32_t k = 0; k < MOST_TILES; k++) {
        const unsigned r = mess ? random_bits(seed) % 10 : 9;
        t->cell[k] = r == 0 ? BRAGG_NO_CELL : (uint16_t)(random_bits(seed) % NCELLS);
        t->open[k] = r < 2 ? 0 : r == 2 ? (uint16_t)(random_bits(seed) | 1) : 0xFFFF;
        t->hash[k] = random_bits(seed) << 16 ^ random_bits(seed);
        t->kind[k / MACRO_EDGE] = mess ? (uint8_t)(random_bits(seed) % 12 % 4) : 0;
    }
}

static int has_bit(const uint16_t *bits, uint32_t k)
{
    return bits[k / SUM_NLANES] >> k % SUM_NLANES & 1;
}

static void check_sums(cpu_level level, unsigned seed)
{
    static test_row plain;
    static test_row other;
    uint8_t symbol[ROOM + SUM_NLANES];
    const uint32_t ntiles = 1 + seed % MOST_TILES;
    fill(&plain, &seed);
    other = plain;
    for (uint32_t k = 0; k < sizeof symbol; k++)
        symbol[k] =
            (uint8_t)(random_bits(&seed) % 30 ? random_bits(&seed) % 5 : random_bits(&seed));
    const sum_row a = row_of(&plain, ntiles);
    const sum_row b = row_of(&other, ntiles);
    const uint32_t n = SUMS_READ_KERNELS_PLAIN.list(&a, plain.context);
    CHECK(sums_read_kernels_get(level)->list(&b, other.context) == n);
    CHECK(memcmp(plain.context, other.context, n) == 0);
    CHECK(memcmp(plain.listed, other.listed, sizeof plain.listed) == 0);
    CHECK(memcmp(plain.odd, other.odd, sizeof plain.odd) == 0);
    const int32_t room = SUMS_READ_KERNELS_PLAIN.restore(&a, symbol, plain.sum);
    CHECK((sums_read_kernels_get(level)->restore(&b, symbol, other.sum) < 0) == (room < 0));
    CHECK(memcmp(plain.odd, other.odd, sizeof plain.odd) == 0);
    for (uint32_t k = 0; k < ntiles; k++) {
        const int is_listed = has_bit(plain.listed, k);
        CHECK(!is_listed || plain.range[k] == other.range[k]);
        CHECK(!is_listed || plain.step[k] == other.step[k]);
        CHECK(!is_listed || has_bit(plain.odd, k) || plain.sum[k] == other.sum[k]);
    }
}

/* Whatever is expected, up to what no pattern ring can have; bounds of contexts and steps, too. */
static void check_rules(cpu_level level, unsigned seed)
{
    enum { MOST = 70 };
    uint32_t expected[MOST] = {0};
    uint32_t plain[MOST + 1] = {0};
    uint32_t other[MOST + 1] = {0};
    const uint32_t n = seed % (MOST + 1);
    const uint32_t quarters = 1 + seed % 8;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t bits = (random_bits(&seed) << 16 ^ random_bits(&seed)) >> seed % 32;
        const uint32_t square = (bits & 0x3F) * (bits & 0x3F) * 4096 / (quarters * quarters);
        expected[k] = k % 3 == 0 ? bits : k % 3 == 1 ? square + k % 2 : SUM_EXACT_BOUND[k % 15];
        expected[k] -= k % 5 == 0 && expected[k] > 0;
    }
    sum_pattern_rules(CPU_SCALAR, expected, n, quarters, plain);
    sum_pattern_rules(level, expected, n, quarters, other);
    CHECK(memcmp(plain, other, sizeof plain) == 0);
    for (uint32_t k = 0; k < n; k++)
        CHECK(plain[k] == sum_pattern_rule(expected[k], quarters, 0));
}

enum { COARSE_NCELLS = 40, COARSE_NTX = 30, COARSE_NTY = 6, COARSE_LIMIT = 24 };

/* As docs/format.md has it. */
static int is_coarse(const frame_model *m, uint32_t row, uint32_t block)
{
    const ring_map *map = m->noise.map;
    uint64_t expected = 0;
    uint32_t ntiles = 0;
    for (uint32_t i = MACRO_EDGE * row; i < MACRO_EDGE * (row + 1) && i < map->nty; i++) {
        for (uint32_t j = MACRO_EDGE * block; j < ring_map_block_stop(map, block); j++) {
            const uint16_t cell = map->cell[i * map->ntx + j];
            if (cell == BRAGG_NO_CELL)
                continue;
            if (!m->range[cell].is_pattern)
                return 0;
            expected += m->expected[cell];
            ntiles++;
        }
    }
    return TILE_NPIXELS * expected < (uint64_t)SUM_UNITS * COARSE_LIMIT * ntiles;
}

static void find_span(ring_map *map, uint32_t row, uint32_t block)
{
    cell_span *span = &map->span[row * ring_map_nblocks(map) + block];
    *span = (cell_span){BRAGG_NO_CELL, 0};
    for (uint32_t i = MACRO_EDGE * row; i < MACRO_EDGE * (row + 1) && i < map->nty; i++) {
        for (uint32_t j = MACRO_EDGE * block; j < ring_map_block_stop(map, block); j++) {
            const uint16_t cell = map->cell[i * map->ntx + j];
            span->least = cell < span->least ? cell : span->least;
            span->most = cell > span->most ? cell : span->most;
        }
    }
}

/* Few cells are dark enough, or many, and blocks have few cells each; some have blank tiles. */
static void check_coarse(unsigned seed)
{
    const h5bragg_params params = {.coarse_limit = COARSE_LIMIT};
    const uint32_t rare = 1 + random_bits(&seed) % COARSE_NCELLS;
    uint16_t cell[COARSE_NTX * COARSE_NTY];
    cell_span span[COARSE_NTX * COARSE_NTY];
    cell_range range[COARSE_NCELLS];
    uint64_t expected[COARSE_NCELLS];
    sum_grid grid;
    ring_map map = {.nty = 1 + random_bits(&seed) % COARSE_NTY,
                    .ntx = 1 + random_bits(&seed) % COARSE_NTX,
                    .ncells = COARSE_NCELLS,
                    .cell = cell,
                    .span = span};
    frame_model model = {
        .noise = {.map = &map, .params = &params}, .range = range, .expected = expected};
    for (uint32_t c = 0; c < COARSE_NCELLS; c++) {
        const uint32_t most = SUM_UNITS * COARSE_LIMIT / TILE_NPIXELS;
        const int is_low = random_bits(&seed) % rare == 0;
        range[c] = (cell_range){.high = 5, .is_pattern = random_bits(&seed) % 20 != 0};
        expected[c] = is_low ? random_bits(&seed) % most : most + random_bits(&seed) % 20;
    }
    const uint32_t first = random_bits(&seed) % COARSE_NCELLS;
    for (uint32_t k = 0; k < map.nty * map.ntx; k++) {
        const uint32_t block = k % map.ntx / MACRO_EDGE + k / map.ntx / MACRO_EDGE;
        cell[k] = random_bits(&seed) % 200
                      ? (uint16_t)((first + 3 * block + random_bits(&seed) % 2) % COARSE_NCELLS)
                      : BRAGG_NO_CELL;
    }
    CHECK(!sum_grid_make(&model, &grid));
    for (uint32_t row = 0; row < (map.nty + MACRO_EDGE - 1) / MACRO_EDGE; row++) {
        for (uint32_t block = 0; block < grid.nblocks; block++)
            find_span(&map, row, block);
        sum_grid_start_row(&grid, row, NULL, NULL);
        for (uint32_t block = 0; block < grid.nblocks; block++)
            CHECK(grid.is_coarse[block] == is_coarse(&model, row, block));
    }
    sum_grid_free(&grid);
}

/* Against one tile at a time. */
static void check_sorting(unsigned seed)
{
    static test_row row;
    uint8_t symbol[NGROUPS * MACRO_EDGE] = {0};
    uint16_t valid[MOST_TILES];
    uint16_t open[MOST_TILES];
    uint16_t exact[NGROUPS];
    const uint32_t ntiles = 1 + seed % MOST_TILES;
    int is_allowed = 1;
    fill(&row, &seed);
    for (uint32_t k = 0; k < MOST_TILES; k++)
        valid[k] = random_bits(&seed) % 3 ? 0xFFFF : (uint16_t)(random_bits(&seed) % 3);
    for (uint32_t quad = 0; quad < (ntiles + QUAD_NTILES - 1) / QUAD_NTILES; quad++)
        symbol[quad] = random_bits(&seed) % 8 ? 0 : (uint8_t)(random_bits(&seed) % 16);
    const tile_flags flags = {ntiles, symbol, row.cell, valid};
    const int result = tiles_sort(&flags, open, exact);
    for (uint32_t k = 0; k < sizeof symbol * QUAD_NTILES; k++) {
        const int is_kept = symbol[k / QUAD_NTILES] >> k % QUAD_NTILES & 1;
        const int is_blank = k < ntiles && row.cell[k] == BRAGG_NO_CELL;
        is_allowed &= !is_kept || (k < ntiles && !is_blank);
        if (k >= ntiles)
            continue;
        CHECK(open[k] == (is_kept || is_blank ? 0 : valid[k]));
        CHECK((exact[k / GROUP_NTILES] >> k % GROUP_NTILES & 1) ==
              ((is_kept || is_blank) && valid[k]));
    }
    CHECK(result == is_allowed);
}

int main(void)
{
    for (unsigned seed = 0; seed < 3000; seed++) {
        check_sorting(seed);
        check_coarse(seed);
        for (int level = CPU_SCALAR; level <= (int)bragg_cpu_level(); level++) {
            check_sums((cpu_level)level, seed);
            check_rules((cpu_level)level, seed);
        }
    }
    return 0;
}
