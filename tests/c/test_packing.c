/* SPDX-License-Identifier: MIT */
/* The kernels that write streams give what plain C gives. */
#include <stdlib.h>
#include <string.h>

#include "byte_numbers.h"
#include "check.h"
#include "sums_write_kernels.h"
#include "symbol_counts.h"

enum { MAX_NTX = 80, NCELLS = 40, NROUNDS = 300, NPAIRS = 3000, NCONTEXTS = 3 };

static unsigned seed = 1;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* Frequencies of a context, with the sum 2048; of few symbols, or one. */
static void make_frequencies(uint16_t *frequency, uint8_t *symbol, uint32_t nsymbols)
{
    uint32_t left = SYMBOLS_TOTAL;
    memset(frequency, 0, 256 * sizeof *frequency);
    for (uint32_t k = 0; k < nsymbols; k++) {
        const uint32_t most = left - (nsymbols - 1 - k);
        const uint32_t f = k + 1 < nsymbols ? 1 + below(most) : left;
        symbol[k] = (uint8_t)(3 * k);
        frequency[symbol[k]] = (uint16_t)f;
        left -= f;
    }
}

static void wide_streams_are_coded_as_in_plain_c(void)
{
    static coding_tables tables;
    static uint16_t pair[2][NPAIRS];
    for (uint32_t round = 0; round < NROUNDS; round++) {
        uint16_t frequency[256];
        uint8_t symbol[NCONTEXTS][64];
        uint32_t nsymbols[NCONTEXTS];
        uint32_t state[2][SYMBOLS_WIDE_NSTATES];
        for (uint32_t c = 0; c < NCONTEXTS; c++) {
            nsymbols[c] = 1 + below(c == 0 ? 3 : 64);
            make_frequencies(frequency, symbol[c], nsymbols[c]);
            coding_tables_set(&tables, c, frequency, 256);
        }
        const uint32_t n = below(round < 100 ? 100 : NPAIRS);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t c = below(NCONTEXTS);
            pair[0][k] = pair[1][k] = (uint16_t)(c << 8 | symbol[c][below(nsymbols[c])]);
        }
        const uint16_t *plain =
            pairs_code_plain(&tables, pair[0], n, state[0], SYMBOLS_WIDE_NSTATES);
        const uint16_t *fast = pairs_code(&tables, pair[1], n, state[1], SYMBOLS_WIDE_NSTATES);
        const size_t nwords = (size_t)(pair[0] + n - plain);
        CHECK((size_t)(pair[1] + n - fast) == nwords);
        CHECK(memcmp(plain, fast, nwords * sizeof *plain) == 0);
        CHECK(memcmp(state[0], state[1], sizeof state[0]) == 0);
    }
}

/* Long streams of which a few pairs make up all, much or little, also of one pair, and short ones.
 */
static void symbols_are_counted_as_in_plain_c(void)
{
    enum { MOST = 100000, NFEW = 6, NROUNDS_OF_COUNTS = 60 };
    static symbol_counts plain;
    static symbol_counts fast;
    static uint16_t pair[MOST];
    for (uint32_t round = 0; round < NROUNDS_OF_COUNTS; round++) {
        const uint32_t ncontexts = 1 + below(32);
        const uint32_t nsymbols = 1 + below(round % 3 ? 20 : 256);
        const uint32_t n = round % 2 ? below(MOST) : MOST - below(3000);
        const uint32_t nfew = 1 + below(NFEW);
        const uint32_t share = below(5);
        uint16_t few[NFEW];
        for (uint32_t k = 0; k < nfew; k++)
            few[k] = (uint16_t)(below(ncontexts) << 8 | below(nsymbols));
        for (uint32_t k = 0; k < n; k++)
            pair[k] = below(4) < share ? few[below(nfew)]
                                       : (uint16_t)(below(ncontexts) << 8 | below(nsymbols));
        symbols_count_plain(&plain, pair, n, ncontexts, nsymbols);
        symbols_count(&fast, pair, n, ncontexts, nsymbols);
        uint32_t ncounted = 0;
        for (uint32_t c = 0; c < ncontexts; c++) {
            const uint32_t first = c << 8;
            CHECK(memcmp(plain.count[0] + first, fast.count[0] + first, 4 * nsymbols) == 0);
            for (uint32_t symbol = 0; symbol < nsymbols; symbol++)
                ncounted += fast.count[0][first + symbol];
        }
        CHECK(ncounted == n);
    }
}

/* Rows of tiles with all that sums are made from; arrays have room for them alone. */
typedef struct test_rows {
    uint16_t *cell;
    uint16_t *open;
    uint16_t *sum;
    uint32_t *hash;
    uint32_t *rule[2];
} test_rows;

static void *allocate(size_t nbytes)
{
    void *p = malloc(nbytes);
    CHECK(p);
    return p;
}

static test_rows make_rows(uint32_t ntiles)
{
    test_rows rows = {
        allocate(ntiles * sizeof *rows.cell),
        allocate(ntiles * sizeof *rows.open),
        allocate(ntiles * sizeof *rows.sum),
        allocate(ntiles * sizeof *rows.hash),
        {allocate(ntiles * sizeof **rows.rule), allocate(ntiles * sizeof **rows.rule)}};
    for (uint32_t t = 0; t < ntiles; t++) {
        rows.cell[t] = (uint16_t)below(NCELLS);
        rows.open[t] = (uint16_t)(below(8) ? 0xFFFF : below(2) ? 0 : below(0x10000));
        rows.sum[t] = (uint16_t)(below(50)  ? below(100)
                                 : below(2) ? below(0x10000)
                                            : SUM_ELSEWHERE);
        rows.hash[t] = random_bits(&seed) << 12 ^ random_bits(&seed);
    }
    return rows;
}

static void free_rows(test_rows *rows)
{
    free(rows->cell);
    free(rows->open);
    free(rows->sum);
    free(rows->hash);
    free(rows->rule[0]);
    free(rows->rule[1]);
}

/* Twice, as raw bits go on where those before ended. */
static void byte_numbers_are_put_as_in_plain_c(void)
{
    enum { MOST = 300 };
    number_symbols numbers;
    number_symbols_make(&numbers);
    for (uint32_t round = 0; round < NROUNDS; round++) {
        symbol_writer writer[2] = {{0}};
        uint8_t number[MOST];
        uint8_t context[MOST];
        uint8_t large[MOST + BYTE_NUMBERS_SLACK];
        const uint32_t rare = 1 + below(20);
        for (uint32_t part = 0; part < 2; part++) {
            const uint32_t n = below(MOST + 1);
            for (uint32_t k = 0; k < n; k++) {
                number[k] = (uint8_t)below(below(rare) ? NUMBER_DIRECT + 1 : 256);
                context[k] = (uint8_t)below(28);
            }
            put_bytes_plain(&writer[0], &numbers, number, context, n, large);
            put_bytes_kernel()(&writer[1], &numbers, number, context, n, large);
        }
        CHECK(writer[0].npairs == writer[1].npairs && !writer[0].failed && !writer[1].failed);
        CHECK(writer[0].npairs == 0 || memcmp(writer[0].pair, writer[1].pair,
                                              writer[0].npairs * sizeof *writer[0].pair) == 0);
        CHECK(8 * writer[0].raw_nbytes + writer[0].buffer_nbits ==
              8 * writer[1].raw_nbytes + writer[1].buffer_nbits);
        for (uint32_t k = 0; k < 2; k++) { /* whole bytes */
            fast_writer f;
            CHECK(fast_writer_open(&f, &writer[k], 0, 0));
            fast_writer_close(&f, &writer[k]);
        }
        CHECK(writer[0].raw_nbytes == writer[1].raw_nbytes);
        CHECK(writer[0].raw_nbytes == 0 ||
              memcmp(writer[0].raw, writer[1].raw, writer[0].raw_nbytes) == 0);
        CHECK(writer[0].buffer == writer[1].buffer);
        symbol_writer_free(&writer[0]);
        symbol_writer_free(&writer[1]);
    }
}

static void sums_are_put_as_in_plain_c(void)
{
    const sums_write_kernels *fast = sums_write_kernels_get(bragg_cpu_level());
    uint32_t nput[2] = {0, 0}; /* of groups without odd tiles, and of others */
    for (uint32_t round = 0; round < NROUNDS; round++) {
        plain_cell plain[NCELLS];
        int8_t scale[MAX_NTX / MACRO_EDGE];
        const uint32_t ntx = 1 + below(MAX_NTX);
        const uint32_t nrows = 1 + below(4);
        test_rows rows = make_rows(nrows * ntx);
        for (uint32_t c = 0; c < NCELLS; c++) {
            const uint32_t step = 1 + below(below(2) ? 20 : PLAIN_MOST_STEP);
            plain[c].rule = below(below(9) ? 100 : PLAIN_MOST_SUM + 1) | step << PLAIN_STEP_SHIFT |
                            below(21) << PLAIN_CONTEXT_SHIFT;
            plain[c].rule |= below(200) ? 0 : PLAIN_NOT;
            plain[c].expected = below(40) ? below(below(2) ? SUM_UNITS * 2 : SUM_UNITS * 400 + 1)
                                          : PLAIN_IS_GENERAL;
        }
        for (uint32_t b = 0; b < MAX_NTX / MACRO_EDGE; b++)
            scale[b] = (int8_t)(below(2) ? 0 : (int32_t)below(NSCALES) - MAX_SCALE);
        for (uint32_t nblank = below(4) ? 0 : below(ntx), t = 0; t < nblank; t++) {
            rows.cell[t] = BRAGG_NO_CELL;
            rows.open[t] = 0;
        }
        uint16_t wanted[MAX_NTX / SUM_NTILES + 1];
        uint16_t block_sum[2][MAX_NTX / MACRO_EDGE] = {{0}};
        uint32_t block_expected[2][MAX_NTX / MACRO_EDGE] = {{0}};
        const sum_rows in = {.cell = rows.cell,
                             .open = rows.open,
                             .sum = rows.sum,
                             .hash = rows.hash,
                             .plain = plain,
                             .rule = rows.rule[0],
                             .blocks = {.sum = block_sum[0], .expected = block_expected[0]},
                             .wanted = wanted,
                             .quarters = 1 + below(16),
                             .ntx = ntx,
                             .nrows = nrows};
        sum_rows in_fast = in;
        in_fast.rule = rows.rule[1];
        in_fast.blocks = (block_arrays){.sum = block_sum[1], .expected = block_expected[1]};
        const uint32_t ngroups = (ntx + SUM_NTILES - 1) / SUM_NTILES;
        sum_group group[2][MAX_NTX / SUM_NTILES];
        memset(group, 0, sizeof group);
        SUMS_WRITE_KERNELS_SCALAR.look(&in, ngroups, group[0]);
        fast->look(&in_fast, ngroups, group[1]);
        CHECK(memcmp(group[0], group[1], sizeof group[0]) == 0);
        CHECK(memcmp(block_sum[0], block_sum[1], sizeof block_sum[0]) == 0);
        CHECK(memcmp(block_expected[0], block_expected[1], sizeof block_expected[0]) == 0);
        for (uint32_t g = 0; g < ngroups; g++) {
            const uint32_t left = ntx - SUM_NTILES * g;
            const uint32_t inside = left < SUM_NTILES ? (1u << left) - 1 : 0xFFFF;
            wanted[g] = (uint16_t)(inside & (below(2) ? 0xFFFF : below(0x10000)));
            SUMS_WRITE_KERNELS_SCALAR.rescale(&in, g, scale + (size_t)GROUP_NBLOCKS * g);
            fast->rescale(&in_fast, g, scale + (size_t)GROUP_NBLOCKS * g);
        }
        for (uint32_t start = 0; start < ngroups;) {
            const uint32_t tile_row = below(in.nrows);
            uint16_t pair[2][MAX_NTX + SUM_NTILES];
            const put_run a = SUMS_WRITE_KERNELS_SCALAR.put(&in, tile_row, start, ngroups, pair[0]);
            const put_run b = fast->put(&in_fast, tile_row, start, ngroups, pair[1]);
            CHECK(a.npairs == b.npairs && a.stop == b.stop);
            CHECK(a.open == b.open && a.odd == b.odd && (a.odd || a.stop == ngroups));
            CHECK(memcmp(pair[0], pair[1], a.npairs * sizeof **pair) == 0);
            for (uint32_t t = 0; t < SUM_NTILES; t++) {
                const uint32_t is_put = a.odd ? ((uint32_t)a.open & ~(uint32_t)a.odd) >> t & 1 : 0;
                CHECK(!is_put || pair[0][a.npairs + t] == pair[1][a.npairs + t]);
                nput[1] += is_put;
            }
            nput[0] += a.npairs;
            start = a.stop + 1;
        }
        free_rows(&rows);
    }
    CHECK(nput[0] > 0 && nput[1] > 0);
}

/* Tiles of which anything is expected that can be in a pattern ring, whose numbers are small. */
static void sums_of_parts_are_put_as_in_plain_c(void)
{
    enum { MOST_EXPECTED = 400 * SUM_UNITS };
    const sums_write_kernels *fast = sums_write_kernels_get(bragg_cpu_level());
    uint32_t nput = 0;
    for (uint32_t expected = 0; expected + SUM_NTILES <= MOST_EXPECTED + 1; expected++) {
        plain_cell plain[SUM_NTILES];
        uint16_t cell[SUM_NTILES], open[SUM_NTILES], sum[SUM_NTILES];
        uint32_t hash[SUM_NTILES];
        uint32_t part_expected[SUM_NTILES];
        uint32_t rule[2][SUM_NTILES];
        int8_t scale[GROUP_NBLOCKS];
        const uint32_t quarters = 1 + below(16);
        const uint16_t wanted[] = {0xFFFF, 0};
        sum_group group;
        for (uint32_t b = 0; b < GROUP_NBLOCKS; b++)
            scale[b] = (int8_t)(below(2) ? 0 : (int32_t)below(NSCALES) - MAX_SCALE);
        for (uint32_t t = 0; t < SUM_NTILES; t++) {
            const sum_rule whole = sum_rule_of(expected + t, expected + t, quarters, 0, 0, 1);
            plain[t] = (plain_cell){plain_rule_of(&whole), expected + t};
            cell[t] = (uint16_t)t;
            open[t] = (uint16_t)(below(2) ? 0xFFFF : 1 + below(0xFFFF));
            const uint32_t part = (expected + t) * count_pixels(open[t]) / TILE_NPIXELS;
            const sum_rule right = sum_rule_of(part, part, quarters, scale[t / MACRO_EDGE], 0, 1);
            part_expected[t] = part;
            sum[t] = (uint16_t)(right.predicted + below(4 * right.step));
            hash[t] = random_bits(&seed);
        }
        uint16_t pair[2][2 * SUM_NTILES];
        uint32_t listed[2][SUM_NTILES];
        uint32_t block_expected[GROUP_NBLOCKS];
        uint16_t block_sum[GROUP_NBLOCKS];
        put_run run[2];
        for (uint32_t k = 0; k < 2; k++) {
            const sums_write_kernels *kernels = k ? fast : &SUMS_WRITE_KERNELS_SCALAR;
            const sum_rows in = {.cell = cell,
                                 .open = open,
                                 .sum = sum,
                                 .hash = hash,
                                 .plain = plain,
                                 .rule = rule[k],
                                 .blocks = {.sum = block_sum, .expected = block_expected},
                                 .wanted = wanted,
                                 .quarters = quarters,
                                 .ntx = SUM_NTILES,
                                 .nrows = 1};
            kernels->look(&in, 1, &group);
            kernels->rescale(&in, 0, scale);
            run[k] = kernels->put(&in, 0, 0, 1, pair[k]);
            sum_pattern_rules(k ? bragg_cpu_level() : CPU_SCALAR, part_expected,
                              1 + expected % SUM_NTILES, quarters, listed[k]);
        }
        CHECK(memcmp(listed[0], listed[1], (1 + expected % SUM_NTILES) * sizeof **listed) == 0);
        const put_run a = run[0];
        const put_run b = run[1];
        CHECK(a.npairs == b.npairs && a.open == b.open && a.odd == b.odd);
        for (uint32_t t = 0; t < SUM_NTILES; t++)
            CHECK(a.odd >> t & 1 || pair[0][t] == pair[1][t]);
        nput += a.npairs;
    }
    CHECK(nput > MOST_EXPECTED * SUM_NTILES / 2);
}

int main(void)
{
    wide_streams_are_coded_as_in_plain_c();
    symbols_are_counted_as_in_plain_c();
    byte_numbers_are_put_as_in_plain_c();
    sums_are_put_as_in_plain_c();
    sums_of_parts_are_put_as_in_plain_c();
    return 0;
}
