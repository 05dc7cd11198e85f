/* SPDX-License-Identifier: MIT */
/* What kernels find in rows of tiles, and put into streams, is what plain C does. */
#include <string.h>

#include "check.h"
#include "picked_writer.h"
#include "tile_sums.h" /* count_bits */

enum { MAX_NTX = 80, STRIDE = 512, NCELLS = 40, NROUNDS = 300 };

static unsigned seed = 1;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

typedef struct test_row {
    uint8_t value[TILE_EDGE * STRIDE];
    uint16_t cell[MAX_NTX];
    uint16_t valid[MAX_NTX];
    uint8_t kept[MAX_NTX];
    uint8_t has_large[MAX_NTX];
} test_row;

/* Tiles with bright pixels are many or few. */
static void make_row(test_row *row)
{
    const uint32_t one_in = below(2) ? 4 : 100;
    for (uint32_t k = 0; k < sizeof row->value; k++)
        row->value[k] = (uint8_t)below(below(one_in) ? 1 + 28 / one_in : 256);
    for (uint32_t t = 0; t < MAX_NTX; t++) {
        row->cell[t] = (uint16_t)below(NCELLS);
        row->valid[t] = (uint16_t)(below(8) ? 0xFFFF : below(2) ? 0 : below(0x10000));
        row->kept[t] = below(10) == 0;
        row->has_large[t] = below(20) == 0;
    }
}

/* Rules of cells, of which some are not compared with bytes. */
static void make_rules(uint32_t *rule)
{
    for (uint32_t c = 0; c <= NCELLS; c++) {
        const uint32_t at = c < NCELLS ? c : BRAGG_NO_CELL;
        const int is_special = c == NCELLS || below(10) == 0;
        rule[at] = is_special ? PICK_SPECIAL | PICK_THRESHOLD : below(c % 2 ? 8 : 255);
        rule[at] |= 7 * below(4) << PICK_HEIGHT_BIT;
        for (uint32_t class = 0; class < 3; class ++)
            rule[at] |= (c < NCELLS ? below(31) : 31) << PICK_LINES(class);
    }
}

/* A row of tiles, of which some are odd. */
static pick_row make_pick_row(test_row *row, uint16_t *odd, const uint32_t *rule)
{
    const uint32_t ntx = 1 + below(MAX_NTX);
    make_row(row);
    row->cell[below(ntx)] = BRAGG_NO_CELL;
    memset(odd, 0, (MAX_NTX + GROUP_NTILES) * sizeof *odd);
    for (uint32_t t = 0; t < ntx; t++) {
        const uint16_t cell = row->cell[t];
        const int is_special = rule[cell] >> PICK_SPECIAL_BIT || row->has_large[t];
        if (is_special && cell != BRAGG_NO_CELL && !row->kept[t])
            odd[t] = row->valid[t] & (uint16_t)random_bits(&seed);
    }
    return (pick_row){row->value,     STRIDE, row->cell, row->valid, row->kept,
                      row->has_large, odd,    ntx,       rule};
}

static void picked_pixels_are_found_as_in_plain_c(void)
{
    static test_row row;
    static uint32_t rule[BRAGG_NO_CELL + 1];
    static uint8_t height[2][(MAX_NTX + GROUP_NTILES) * TILE_NPIXELS + PICKED_SLACK];
    for (uint32_t round = 0; round < NROUNDS; round++) {
        uint16_t odd[MAX_NTX + GROUP_NTILES];
        uint16_t above[2][MAX_NTX + GROUP_NTILES] = {0};
        uint32_t before[2][MAX_NTX / GROUP_NTILES + 1] = {0};
        uint16_t special[2][MAX_NTX / GROUP_NTILES + 1] = {0};
        make_rules(rule);
        const pick_row in = make_pick_row(&row, odd, rule);
        uint32_t n[2];
        for (uint32_t k = 0; k < 2; k++) {
            const found_row found = {above[k], before[k], height[k], special[k]};
            n[k] = (k ? find_picked_kernel() : find_picked_plain)(&in, &found);
        }
        CHECK(n[0] == n[1] && memcmp(height[0], height[1], n[0]) == 0);
        CHECK(memcmp(above[0], above[1], sizeof above[0]) == 0);
        CHECK(memcmp(before[0], before[1], sizeof before[0]) == 0);
        CHECK(memcmp(special[0], special[1], sizeof special[0]) == 0);
    }
}

enum { LIST_ROOM = MAX_NTX + GROUP_NTILES };

/* What is put into streams of a row of tiles. */
typedef struct put_streams {
    uint16_t above[MAX_NTX + GROUP_NTILES];
    uint32_t before[MAX_NTX / GROUP_NTILES + 2];
    uint32_t tiles_before[MAX_NTX / GROUP_NTILES + 1];
    uint32_t list[LIST_NARRAYS * LIST_ROOM];
    uint8_t height[(MAX_NTX + GROUP_NTILES) * TILE_NPIXELS + PICKED_SLACK];
    uint16_t special[MAX_NTX / GROUP_NTILES + 1];
    uint8_t symbol[MAX_NTX + PICKED_SLACK];
    uint16_t tile_pair[MAX_NTX + PICKED_SLACK];
    uint16_t line_pair[MAX_NTX * TILE_EDGE + PICKED_SLACK];
    uint8_t context[MAX_NTX * TILE_NPIXELS + PICKED_SLACK];
} put_streams;

/* The contexts that rules stand for. */
static void make_contexts(const uint32_t *rule, const ring_map *map, picked_contexts *contexts)
{
    for (uint32_t c = 0; c <= NCELLS; c++) {
        const uint32_t at = c < NCELLS ? c : BRAGG_NO_CELL;
        contexts->heights[at] = (picked_base){.context = rule[at] >> PICK_HEIGHT_BIT & 31};
        contexts->lines[c] = 0;
        for (uint32_t class = 0; class < 3; class ++)
            contexts->lines[c] |= (rule[at] >> PICK_LINES(class) & 31) << 8 * class;
    }
    contexts->map = map;
}

static put_counts put_in_plain_c(const picked_contexts *contexts, const pick_row *in,
                                 const uint8_t *symbol_above, picked_lines *line, put_streams *to)
{
    static uint32_t place[MAX_NTX * TILE_NPIXELS + LINES_SLACK];
    const picked_places places = {0, LINE_NPIXELS, TILE_NPIXELS};
    const picked_pixels pixels = {place, NULL, NULL, to->context};
    const picked_row row = {in->cell, in->valid, in->kept, to->above, symbol_above};
    const found_row found = {to->above, to->before, to->height, to->special};
    const picked_tiles tiles = {.cell = in->cell, .open = to->above};
    uint8_t symbol[MAX_NTX * TILE_EDGE];
    uint32_t seen = 0;
    find_picked_plain(in, &found);
    picked_lines_symbols_plain(contexts, &row, to->symbol, to->tile_pair);
    const uint32_t n = picked_lines_list_plain(to->symbol, &tiles, in->ntx, line);
    for (uint32_t k = 0; k < n; k++) {
        symbol[k] = (uint8_t)(line->pixels[k] - 1);
        to->line_pair[k] = (uint16_t)(line->context[k] << 8 | symbol[k]);
    }
    return (put_counts){
        n, picked_pixels_list_plain(contexts->heights, &places, line, symbol, n, &pixels, &seen)};
}

/* Heights of odd tiles may be anything. */
static void clear_odd(const pick_row *in, const uint16_t *above, uint8_t *height)
{
    for (uint32_t t = 0; t < in->ntx; t++) {
        const uint32_t n = count_bits(above[t]);
        memset(height, 0, in->odd[t] ? n : 0);
        height += n;
    }
}

/* Leaves what is known of tiles that have picked pixels, alone; returns their number. */
static uint32_t list_tiles(const pick_row *in, put_streams *s)
{
    uint32_t ntiles = 0;
    uint32_t npixels = 0;
    for (uint32_t t = 0; t < in->ntx; t++) {
        const uint16_t above = s->above[t];
        if (t % GROUP_NTILES == 0)
            s->tiles_before[t / GROUP_NTILES] = ntiles;
        if (ntiles % GROUP_NTILES == 0)
            s->before[ntiles / GROUP_NTILES] = npixels;
        npixels += count_bits(above);
        s->above[ntiles] = above;
        ntiles += above != 0;
    }
    if (ntiles % GROUP_NTILES == 0)
        s->before[ntiles / GROUP_NTILES] = npixels;
    return ntiles;
}

static void check_streams(const pick_row *in, put_counts n, put_streams *plain, put_streams *s)
{
    const size_t ngroups = (in->ntx + GROUP_NTILES - 1) / GROUP_NTILES;
    clear_odd(in, plain->above, plain->height);
    clear_odd(in, plain->above, s->height);
    CHECK(memcmp(plain->height, s->height, n.npixels) == 0);
    const uint32_t ntiles = list_tiles(in, plain);
    CHECK(memcmp(plain->tiles_before, s->tiles_before, ngroups * sizeof *s->tiles_before) == 0);
    CHECK(memcmp(plain->above, s->above, ntiles * sizeof *s->above) == 0);
    CHECK(memcmp(plain->before, s->before, (ntiles / GROUP_NTILES + 1) * sizeof *s->before) == 0);
    CHECK(memcmp(plain->special, s->special, ngroups * sizeof *s->special) == 0);
    CHECK(memcmp(plain->symbol, s->symbol, in->ntx) == 0);
    CHECK(memcmp(plain->tile_pair, s->tile_pair, in->ntx * sizeof *s->tile_pair) == 0);
    CHECK(memcmp(plain->line_pair, s->line_pair, n.nlines * sizeof *s->line_pair) == 0);
    CHECK(memcmp(plain->context, s->context, n.npixels) == 0);
}

static void rows_are_put_at_once_as_step_by_step(void)
{
    static test_row row;
    static uint32_t rule[BRAGG_NO_CELL + 1];
    static put_streams streams[2];
    static picked_base heights[BRAGG_NO_CELL + 1];
    uint32_t lines[NCELLS + 1];
    picked_lines line;
    CHECK(!picked_lines_make(MAX_NTX * TILE_EDGE, &line));
    for (uint32_t round = 0; put_row_kernel() && round < NROUNDS; round++) {
        uint16_t odd[MAX_NTX + GROUP_NTILES];
        uint8_t symbol_above[MAX_NTX];
        picked_contexts contexts = {.lines = lines, .heights = heights};
        make_rules(rule);
        const pick_row in = make_pick_row(&row, odd, rule);
        const ring_map map = {.ntx = in.ntx, .ncells = NCELLS};
        make_contexts(rule, &map, &contexts);
        for (uint32_t t = 0; t < in.ntx; t++)
            symbol_above[t] = (uint8_t)below(16);
        put_streams *s = &streams[1];
        const found_row found = {s->above, s->before, s->height, s->special};
        const put_row put = {symbol_above, s->symbol,       s->tile_pair, s->line_pair,
                             s->context,   s->tiles_before, s->list,      LIST_ROOM};
        const put_counts n = put_row_kernel()(&in, &found, &put);
        const put_counts plain = put_in_plain_c(&contexts, &in, symbol_above, &line, &streams[0]);
        CHECK(n.nlines == plain.nlines && n.npixels == plain.npixels);
        check_streams(&in, n, &streams[0], s);
    }
    picked_lines_free(&line);
}

int main(void)
{
    picked_pixels_are_found_as_in_plain_c();
    rows_are_put_at_once_as_step_by_step();
    return 0;
}
