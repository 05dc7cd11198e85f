/* SPDX-License-Identifier: MIT */
/*
 * A pixel is the same peak whether its block is of bytes or of numbers, and that is what
 * docs/peaks.md says of it, pixel by pixel.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "peak_sums.h"

enum { NBLOCKS = 60000, NCELLS = 6 };

static unsigned seed = 1;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

static peak_cell make_cell(void)
{
    const double expected = below(4) ? below(1000) / 250.0 : below(254);
    const int64_t beside = (int64_t)expected + below(6);
    const int64_t limit = beside + below(3);
    return (peak_cell){
        .limit = limit < 255 ? limit : 254,
        .beside = beside < 255 ? beside : 254,
        .stored = INT64_MIN,
        .whole_expected = (int64_t)expected,
        .expected = expected,
        .variance = expected,
        .is_small = 1,
    };
}

/* Pixels of background, and a spot with equal neighbours every now and then. */
static uint8_t make_byte(const peak_cell *cell)
{
    const uint32_t most = (uint32_t)cell->whole_expected + (below(4) ? 4 : below(100));
    const uint32_t byte = below(most + 1);
    return (uint8_t)(byte < 255 ? byte : 255);
}

/* A block of bytes, of which some tiles, and some pixels of others, are not known. */
static void make_block(const peak_rules *r, peak_block *b)
{
    const uint32_t p = below(TILE_NPIXELS);
    uint32_t known[BLOCK_NTILES];
    uint32_t drawn[BLOCK_NTILES];
    peak_block_start(r, 1 + below(2), 1 + below(2), p, b);
    for (uint32_t k = 0; k < BLOCK_NTILES; k++) {
        b->cell[k] = &r->cell[below(NCELLS)];
        known[k] = below(3) ? 0xFFFF : below(2) ? 0 : below(0x10000);
        drawn[k] = below(2) ? 0xFFFF & ~known[k] : 0;
    }
    b->known = peak_block_pixels(known) | (uint64_t)1 << b->at;
    b->drawn = peak_block_pixels(drawn);
    b->drawn &= ~b->known;
    for (uint32_t i = 0; i < BLOCK_EDGE; i++) {
        b->row[i] = 0;
        for (uint32_t j = 0; j < BLOCK_EDGE; j++) {
            const uint32_t at = BLOCK_EDGE * i + j;
            uint32_t byte = make_byte(peak_cell_at(b, at));
            if (at == b->at)
                byte = (uint32_t)peak_cell_at(b, at)->limit + 1 + below(20);
            byte = byte < 255 ? byte : 255;
            if (b->known >> at & 1)
                b->row[i] |= (uint64_t)byte << 8 * j;
        }
    }
}

/* The same of numbers; what is not known is never looked at. */
static peak_block of_numbers(const peak_block *b)
{
    peak_block other = *b;
    other.is_narrow = 0;
    memset(other.row, 0xA5, sizeof other.row);
    for (uint32_t at = 0; at < BLOCK_EDGE * BLOCK_EDGE; at++)
        other.value[at] = b->known >> at & 1
                              ? (int64_t)(b->row[at / BLOCK_EDGE] >> 8 * (at % BLOCK_EDGE) & 0xFF)
                              : INT64_MAX;
    return other;
}

/* Sums of docs/peaks.md over the patch of a block of numbers; 0 if it is no peak. */
static int measure_slowly(const peak_rules *r, const peak_block *b, h5bragg_peak *peak)
{
    const int slow = (int)(b->at / BLOCK_EDGE);
    const int fast = (int)(b->at % BLOCK_EDGE);
    const int reach = (int)r->reach;
    const int64_t own = b->value[b->at];
    *peak = (h5bragg_peak){.maximum = own};
    for (int i = slow - reach; i <= slow + reach; i++) {
        for (int j = fast - reach; j <= fast + reach; j++) {
            const uint32_t at = (uint32_t)(BLOCK_EDGE * i + j);
            const peak_cell *cell = b->cell[i / TILE_EDGE * 2 + j / TILE_EDGE];
            if (!(b->known >> at & 1))
                continue;
            if (b->value[at] > own || (b->value[at] == own && at < b->at))
                return 0;
            peak->npixels++;
            peak->nhigh += b->value[at] > cell->beside;
            peak->intensity += (double)b->value[at] - cell->expected;
            peak->sigma += cell->variance;
        }
    }
    peak->sigma = sqrt(peak->sigma + (peak->intensity > 0 ? peak->intensity : 0));
    return peak->nhigh > r->connected;
}

static void check_against_the_document(const peak_rules *r, const peak_block *b,
                                       const h5bragg_peak_list *list)
{
    h5bragg_peak slow;
    CHECK(measure_slowly(r, b, &slow) == (int)list->npeaks);
    if (!list->npeaks)
        return;
    const h5bragg_peak *peak = &list->peak[0];
    CHECK(peak->maximum == slow.maximum && peak->npixels == slow.npixels);
    CHECK(peak->nhigh == slow.nhigh && peak->slow == TILE_EDGE * b->tile_row + b->at / BLOCK_EDGE);
    if (b->drawn) /* has wings, too */
        return;
    CHECK(fabs(peak->intensity - slow.intensity) < 1e-9 * (1 + fabs(slow.intensity)));
    CHECK(fabs(peak->sigma - slow.sigma) < 1e-9 * (1 + slow.sigma));
}

/* The peak of a block, if it has one. */
static void look_at(const peak_rules *r, const peak_block *b, h5bragg_peak_list *list)
{
    const uint32_t nhigh = peak_block_count(r, b);
    list->npeaks = 0;
    CHECK(!nhigh || !peak_block_add(r, b, nhigh, list));
}

/* Vectors and plain C compare, and sum, alike. */
static void check_against_plain(const peak_rules *r, const peak_block *b)
{
    const uint32_t own = (uint32_t)(b->row[b->at / BLOCK_EDGE] >> 8 * (b->at % BLOCK_EDGE) & 0xFF);
    const peak_order order = peak_rows_order(b->row, own);
    const peak_order plain = peak_rows_order_plain(b->row, own);
    const uint64_t limits[2] = {random_bits(&seed) * 0x0101010101010101u, b->row[below(8)]};
    const uint64_t patch = (r->reach == 1 ? 0x070707u : 0x1F1F1F1F1Fu)
                           << (b->at - r->reach * (BLOCK_EDGE + 1));
    const patch_sums sums = peak_sum_patch(r, b, patch);
    const patch_sums plain_sums = peak_sum_patch_plain(b, patch);
    CHECK(order.larger == plain.larger && order.equal == plain.equal);
    CHECK(peak_rows_above(b->row, limits) == peak_rows_above_plain(b->row, limits));
    CHECK(sums.signal == plain_sums.signal && sums.variance == plain_sums.variance);
    CHECK(sums.mass == plain_sums.mass && sums.n == plain_sums.n);
    CHECK(sums.slow == plain_sums.slow && sums.fast == plain_sums.fast);
}

static uint32_t bytes_and_numbers_are_the_same_peak(peak_rules *r, peak_cell *cell)
{
    uint32_t npeaks = 0;
    h5bragg_peak_list of_bytes = {0};
    h5bragg_peak_list others = {0};
    peak_block b = {.panel = NULL};
    for (uint32_t k = 0; k < NBLOCKS; k++) {
        for (uint32_t c = 0; k % 64 == 0 && c < NCELLS; c++)
            cell[c] = make_cell();
        make_block(r, &b);
        const peak_block numbers = of_numbers(&b);
        look_at(r, &b, &of_bytes);
        look_at(r, &numbers, &others);
        CHECK(of_bytes.npeaks == others.npeaks);
        CHECK(!of_bytes.npeaks || memcmp(of_bytes.peak, others.peak, sizeof *others.peak) == 0);
        check_against_the_document(r, &numbers, &others);
        check_against_plain(r, &b);
        npeaks += (uint32_t)others.npeaks;
    }
    h5bragg_peak_list_free(&of_bytes);
    h5bragg_peak_list_free(&others);
    return npeaks;
}

static void bytes_and_numbers_have_the_same_candidates(const peak_rules *r)
{
    for (uint32_t k = 0; k < NBLOCKS; k++) {
        const peak_cell cell = make_cell();
        uint8_t byte[TILE_NPIXELS];
        int64_t value[TILE_NPIXELS];
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            value[p] = byte[p] = make_byte(&cell);
        CHECK(peak_candidates_bytes(r, &cell, byte) == peak_candidates(r, &cell, 0xFFFF, value));
    }
}

static void words_of_bytes_are_compared_byte_by_byte(void)
{
    for (uint32_t k = 0; k < NBLOCKS; k++) {
        uint64_t word = 0;
        uint64_t limits = 0;
        uint32_t above = 0;
        uint32_t there = 0;
        for (uint32_t j = 0; j < 8; j++) {
            const uint32_t byte = below(3) ? below(256) : 255 * below(2);
            const uint32_t limit = below(3) ? below(256) : byte;
            word |= (uint64_t)byte << 8 * j;
            limits |= (uint64_t)limit << 8 * j;
            above |= (uint32_t)(byte > limit) << j;
            there |= (uint32_t)(byte != 0) << j;
        }
        CHECK(peak_bytes_above(word, limits) == above && peak_bytes_there(word) == there);
        for (uint32_t j = 0; j < 8; j++)
            CHECK((peak_bytes_of_bits(above) >> 8 * j & 0xFF) == (above >> j & 1 ? 0xFF : 0));
    }
}

int main(void)
{
    uint16_t map_cell[16] = {0};
    const ring_map map = {
        .ny = 16, .nx = 16, .nty = 4, .ntx = 4, .ncells = NCELLS, .cell = map_cell};
    const h5bragg_panel panel = {.slow_stop = 16,
                                 .fast_stop = 16,
                                 .origin_m = {-1, -1, 50},
                                 .slow_m = {0, 1, 0},
                                 .fast_m = {1, 0, 0}};
    const h5bragg_geometry geometry = {.ny = 16,
                                       .nx = 16,
                                       .distance_m = 50,
                                       .wavelength_m = 1e-10F,
                                       .npanels = 1,
                                       .panels = &panel};
    peak_cell cell[NCELLS + 1] = {{0}};
    peak_rules rules = {.map = &map, .geometry = &geometry, .has_local = 1, .cell = cell};
    for (rules.reach = 1; rules.reach <= 2; rules.reach++) {
        for (rules.connected = 0; rules.connected < 4; rules.connected += 3)
            CHECK(bytes_and_numbers_are_the_same_peak(&rules, cell) > NBLOCKS / 40);
        bytes_and_numbers_have_the_same_candidates(&rules);
    }
    words_of_bytes_are_compared_byte_by_byte();
    return 0;
}
