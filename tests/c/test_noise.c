/* SPDX-License-Identifier: MIT */
/* Tiles of general rings are the same whether they are drawn as small numbers or one by one. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "noise.h"

enum { NCELLS = 40, NTILES = 30000, MOST_EASY = 4096 };

static unsigned seed = 3;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* A frame whose cells are rings of 0.02 to 120 counts, with all sorts of tilts. */
typedef struct test_frame {
    ring_map map;
    uint16_t ring[NCELLS];
    double normalisation[NCELLS];
    uint32_t first_cell[NCELLS + 1];
    ring_profile profile[NCELLS];
    cell_range range[NCELLS];
    h5bragg_params params;
    noise_frame noise;
    noise_tables *tables;
} test_frame;

static void make_frame(test_frame *f, const bragg_mask_codes *codes, int is_counting)
{
    memset(f, 0, sizeof *f);
    f->map.ncells = f->map.nbins = NCELLS;
    f->map.ring = f->ring;
    f->map.normalisation = f->map.root = f->normalisation; /* all are 1 */
    f->map.first_cell = f->first_cell;
    h5bragg_params_init(&f->params);
    f->params.snr_pick = 1.0 + below(8) / 2.0;
    f->params.local_counts = below(2) ? 4 : 0;
    f->noise = (noise_frame){.map = &f->map,
                             .params = &f->params,
                             .codes = *codes,
                             .type = H5BRAGG_I32,
                             .is_counting = is_counting};
    for (uint32_t c = 0; c < NCELLS; c++) {
        const double mean = 0.02 * exp(c * log(6000.0) / NCELLS);
        f->ring[c] = (uint16_t)c;
        f->normalisation[c] = 1.0;
        f->first_cell[c + 1] = c + 1;
        f->profile[c] = (ring_profile){.is_general = 1,
                                       .mean = mean,
                                       .std = sqrt(mean),
                                       .tilt1 = (int32_t)below(2000) - 1000,
                                       .tilt2 = (int32_t)below(600) - 400};
    }
    CHECK(!noise_ranges(&f->noise, f->profile, f->range));
    CHECK(!noise_tables_make(&f->noise, f->profile, f->range, &f->tables));
}

/* Any tile of a cell; its sum may be one that no tile of it has. */
static noise_tile make_tile(const cell_range *range, uint32_t cell)
{
    noise_tile tile = {.number = random_bits(&seed),
                       .hash = random_bits(&seed) << 16 ^ random_bits(&seed),
                       .cell = cell,
                       .valid = (uint16_t)(below(3) ? 0xFFFF : random_bits(&seed)),
                       .has_sum = below(4) != 0};
    const uint32_t most = TILE_NPIXELS * (range->nvalues - 1) * (uint32_t)range->step;
    const uint32_t sum = below(4) ? most / 4 + below(most / 4 + 1) : below(most + 1);
    tile.sum = below(100) ? sum : (int64_t)random_bits(&seed) << below(30);
    memset(tile.value, 0x5A, sizeof tile.value);
    return tile;
}

/* Returns how many tiles do not have a sum that is easily reached: it takes few of the tries. */
static uint32_t check_tiles(test_frame *f)
{
    uint32_t nmissed = 0;
    for (uint32_t k = 0; k < NTILES; k++) {
        const uint32_t cell = below(NCELLS);
        const uint64_t of_frame = (uint64_t)random_bits(&seed) << 32 | random_bits(&seed);
        noise_tile tile = make_tile(&f->range[cell], cell);
        noise_tile plain = tile;
        noise_draw_tile(f->tables, of_frame, &tile);
        noise_draw_tile_plain(f->tables, of_frame, &plain);
        CHECK(memcmp(tile.value, plain.value, sizeof tile.value) == 0);
        int64_t sum = 0;
        uint32_t n = 0;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            const int is_valid = tile.valid >> p & 1;
            CHECK(is_valid || tile.value[p] == 0);
            CHECK(!is_valid ||
                  (tile.value[p] >= f->range[cell].low && tile.value[p] <= f->range[cell].high));
            sum += is_valid ? tile.value[p] - f->range[cell].low : 0;
            n += (uint32_t)is_valid;
        }
        const int64_t most = n * (f->range[cell].high - f->range[cell].low);
        const int is_easy = tile.has_sum && 2 * tile.sum <= most && most <= MOST_EASY;
        nmissed += is_easy && sum != tile.sum;
    }
    return nmissed;
}

int main(void)
{
    static test_frame f;
    const bragg_mask_codes none = {0};
    const bragg_mask_codes some = {.n = 2, .value = {3, 40}};
    for (uint32_t round = 0; round < 6; round++) {
        make_frame(&f, round % 3 == 2 ? &some : &none, round % 2 == 0);
        const uint32_t nmissed = check_tiles(&f);
        CHECK(f.noise.codes.n || nmissed == 0);
        noise_tables_free(f.tables);
    }
    return 0;
}
