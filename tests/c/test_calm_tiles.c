/* SPDX-License-Identifier: MIT */
/* Which tiles are calm: every level says what is written here tile by tile. */
#include <string.h>

#include "calm_tiles.h"
#include "check.h"

enum { NROUNDS = 3000, NGUARDS = 8 };

/* Numbers near the limits that matter. */
static void make_tiles(unsigned *state, uint8_t *largest, uint16_t *sum, uint8_t *kept,
                       uint8_t *limit)
{
    for (uint32_t t = 0; t < RUN_NTILES; t++) {
        limit[t] = random_bits(state) % 6 ? (uint8_t)(1 + random_bits(state) % 255) : 0;
        largest[t] = (uint8_t)(limit[t] + random_bits(state) % 3 - 1);
        if (random_bits(state) % 8 == 0)
            largest[t] = BYTE_LOOKUP;
        sum[t] = (uint16_t)(PATTERN_MAX_SUM + random_bits(state) % 3 - 1);
        if (random_bits(state) % 8 == 0)
            sum[t] = UINT16_MAX;
        kept[t] = random_bits(state) % 2 ? (uint8_t)(random_bits(state) % 4) : 0;
    }
}

/* As the description of calm_tiles has it. */
static void check_tile(const tile_run *run, uint32_t t, uint8_t keeps, int is_other)
{
    const int is_free = run->kept[t] == 0;
    const int has_few = run->sum[t] <= PATTERN_MAX_SUM;
    const int is_unknown = run->largest[t] == BYTE_LOOKUP;
    const int is_low = run->largest[t] < run->limit[t];
    const int is_beyond = run->limit[t] > 0 && !is_low && !is_unknown;
    CHECK(run->calm[t] == (is_low && has_few && is_free));
    CHECK(run->is_kept[t] == (!is_free || (keeps && is_beyond)));
    CHECK(is_other == (run->limit[t] == 0 || (is_free && (is_unknown || (is_low && !has_few)))));
}

static void check_kernel(calm_kernel kernel, unsigned seed)
{
    uint8_t largest[RUN_NTILES];
    uint16_t sum[RUN_NTILES];
    uint8_t kept[RUN_NTILES];
    uint8_t limit[RUN_NTILES];
    for (uint32_t round = 0; round < NROUNDS; round++) {
        uint8_t is_kept[RUN_NTILES + NGUARDS];
        uint8_t calm[RUN_NTILES + NGUARDS];
        const uint8_t keeps = round & 1;
        const uint32_t n = round % 3 ? RUN_NTILES : 1 + round % RUN_NTILES;
        const tile_run run = {largest, sum, kept, limit, n, is_kept, calm};
        make_tiles(&seed, largest, sum, kept, limit);
        memset(is_kept, 7, sizeof is_kept);
        memset(calm, 7, sizeof calm);
        const uint64_t others = kernel(&run, keeps);
        for (uint32_t t = 0; t < n; t++)
            check_tile(&run, t, keeps, others >> t & 1);
        CHECK(n == RUN_NTILES || others >> n == 0);
        for (uint32_t t = n; t < RUN_NTILES + NGUARDS; t++)
            CHECK(is_kept[t] == 7 && calm[t] == 7);
    }
}

/* Cells of some rings from `first` on, few of them far away or blank. */
static void make_cells(unsigned *state, uint16_t first, uint32_t nnear, uint16_t *cell)
{
    for (uint32_t t = 0; t < RUN_NTILES; t++) {
        cell[t] = (uint16_t)(first + random_bits(state) % nnear);
        if (random_bits(state) % 200 == 0)
            cell[t] = random_bits(state) % 2 ? BRAGG_NO_CELL : (uint16_t)random_bits(state);
    }
}

static void check_limits(limits_kernel kernel, unsigned seed)
{
    static uint8_t below[BRAGG_NO_CELL + 1 + LIMITS_SLACK];
    for (uint32_t cell = 0; cell <= BRAGG_NO_CELL; cell++)
        below[cell] = (uint8_t)random_bits(&seed);
    for (uint32_t round = 0; round < NROUNDS; round++) {
        uint16_t cell[RUN_NTILES];
        uint8_t limit[RUN_NTILES + NGUARDS];
        const uint32_t n = round % 3 ? RUN_NTILES : 1 + round % RUN_NTILES;
        const uint16_t first = round % 7 ? (uint16_t)random_bits(&seed) : BRAGG_NO_CELL;
        make_cells(&seed, first, 1 + random_bits(&seed) % (LIMITS_SLACK + 2), cell);
        memset(limit, 7, sizeof limit);
        kernel(below, cell, n, limit);
        for (uint32_t t = 0; t < n; t++)
            CHECK(limit[t] == below[cell[t]]);
        for (uint32_t t = n; t < RUN_NTILES + NGUARDS; t++)
            CHECK(limit[t] == 7);
    }
}

int main(void)
{
    const cpu_level best = bragg_cpu_level();
    check_kernel(calm_tiles_plain, 1);
    for (int level = best == CPU_NEON ? CPU_NEON : CPU_SCALAR; level <= (int)best; level++) {
        check_kernel(calm_kernel_of((cpu_level)level), 2);
        check_limits(limits_kernel_of((cpu_level)level), 3);
    }
    return 0;
}
