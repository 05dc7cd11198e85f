/* SPDX-License-Identifier: MIT */
/*
 * Exact tiles come back as they were written, whatever they hold.  Run once for each level of
 * H5BRAGG_SIMD.
 */
#include <string.h>

#include "check.h"
#include "checksum.h"
#include "exact_stream.h"

enum { MAX_NTX = 90, MAX_NTY = 40, MAX_NTILES = MAX_NTX * MAX_NTY, STRIDE = 512, ROOM = 4000000 };

typedef enum content { DARK, BYTES, EXTREMES } content;

/* A frame's exact tiles in the order of their numbers. */
static struct {
    uint32_t ntx;
    uint32_t nty;
    uint32_t ntiles;
    uint32_t row_start[MAX_NTY + 1];
    exact_rule rule[MAX_NTILES];
    exact_tile tile[MAX_NTILES];
    int64_t value[MAX_NTILES][TILE_NPIXELS];
} frame;

static unsigned seed = 1;
static uint8_t coded[ROOM];

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

static int64_t make_value(const exact_rule *rule, content c)
{
    static const int64_t COUNTS[] = {0, 15, 16, 255, 65535, UINT32_MAX - 1, UINT32_MAX};
    static const int64_t VALUES[] = {INT32_MIN, INT32_MAX, -1, 0, INT32_MIN + 1};
    if (c == EXTREMES && below(4) == 0)
        return rule->is_counting ? COUNTS[below(7)] : VALUES[below(5)];
    const int64_t n = below(c == DARK ? 3 : below(8) ? 20 : 255);
    return rule->is_counting ? n : n - 9;
}

static exact_rule make_rule(int is_counting)
{
    static const int64_t PREDICTED[] = {0, 7, -300, INT32_MIN, INT32_MAX};
    exact_rule rule = {.ndigits = (uint8_t)below(10),
                       .is_blank = below(5) == 0,
                       .is_counting = (uint8_t)is_counting};
    if (rule.is_blank)
        rule.ndigits = 0;
    else if (!is_counting)
        rule.predicted = PREDICTED[below(5)];
    return rule;
}

/* One tile in `rarity` is exact; one in five of them is not whole. */
static void make_frame(uint32_t rarity, content c, int is_counting)
{
    frame.ntx = 1 + below(MAX_NTX);
    frame.nty = 1 + below(MAX_NTY);
    frame.ntiles = 0;
    for (uint32_t row = 0; row < frame.nty; row++) {
        frame.row_start[row] = frame.ntiles;
        for (uint32_t column = 0; column < frame.ntx; column++) {
            if (below(rarity))
                continue;
            exact_rule *rule = &frame.rule[frame.ntiles];
            exact_tile *tile = &frame.tile[frame.ntiles];
            *tile = (exact_tile){.value = frame.value[frame.ntiles++]};
            *rule = make_rule(is_counting);
            tile->column = column;
            tile->row = (uint8_t)(row % MACRO_EDGE);
            tile->valid = (uint16_t)(below(5) ? 0xFFFF : 1 + below(0xFFFF));
            const content own = below(3) ? DARK : c;
            for (uint32_t p = 0; p < TILE_NPIXELS; p++)
                tile->value[p] = tile->valid >> p & 1 ? make_value(rule, own) : 0;
        }
    }
    frame.row_start[frame.nty] = frame.ntiles;
}

/* Tiles as the writer takes them: in a plane, in a list of those that are bytes, or all odd. */
typedef enum source { PLANE, LIST, NUMBERS } source;
static struct {
    exact_rule rule[MAX_NTILES + 1]; /* of cells: every tile has its own */
    uint16_t cell[MAX_NTX];          /* of a row of tiles, by column, as sum */
    uint16_t sum[MAX_NTX];
    uint8_t plane[MACRO_EDGE * TILE_EDGE * STRIDE];
    uint8_t list[MACRO_EDGE * MAX_NTX * TILE_NPIXELS];
    size_t nlisted; /* bytes, in a row of macro blocks */
} given;

/* Puts the bytes of a tile where they can stay; returns whether they are all of it. */
static int give_bytes(const exact_tile *tile, const exact_rule *rule)
{
    uint8_t *byte = given.plane + (size_t)TILE_EDGE * (tile->row * STRIDE + tile->column);
    int are_bytes = tile->valid == 0xFFFF && rule->is_counting;
    uint32_t sum = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        are_bytes = are_bytes && tile->value[p] < 255;
        byte[p / TILE_EDGE * STRIDE + p % TILE_EDGE] = (uint8_t)tile->value[p];
        given.list[given.nlisted + p] = (uint8_t)tile->value[p];
        sum += (uint8_t)tile->value[p];
    }
    given.nlisted += are_bytes ? TILE_NPIXELS : 0;
    given.sum[tile->column] = (uint16_t)sum;
    return are_bytes;
}

static void add_row(exact_writer *w, uint32_t tile_row, source from)
{
    const uint32_t row = tile_row % MACRO_EDGE;
    const uint32_t first = frame.row_start[tile_row];
    const uint32_t n = frame.row_start[tile_row + 1] - first;
    const uint8_t *byte =
        from == PLANE ? given.plane + row * TILE_EDGE * STRIDE : given.list + given.nlisted;
    int is_odd[MAX_NTX];
    for (uint32_t k = 0; k < n; k++) {
        const exact_tile *tile = &frame.tile[first + k];
        const int are_bytes = give_bytes(tile, &frame.rule[first + k]);
        is_odd[k] = from == NUMBERS || !are_bytes;
        given.cell[tile->column] = (uint16_t)(first + k);
        w->row[row].column[k] = (uint16_t)tile->column;
    }
    exact_row_add(w, row, n, given.cell, given.sum, byte);
    for (uint32_t k = 0; k < n; k++) {
        const exact_tile *tile = &frame.tile[first + k];
        if (is_odd[k])
            exact_odd_add(w, &frame.rule[first + k], row, k, tile->valid, tile->value);
    }
}

static size_t write_frame(source from)
{
    const ring_map map = {.ntx = frame.ntx, .nty = frame.nty, .ncells = frame.ntiles};
    exact_writer w;
    byte_writer out = {coded, coded + sizeof coded, 0};
    memcpy(given.rule, frame.rule, sizeof frame.rule);
    CHECK(exact_writer_make(&map, given.rule, from == LIST ? EXACT_LISTED : STRIDE, &w) ==
          H5BRAGG_OK);
    given.nlisted = 0;
    for (uint32_t row = 0; row < frame.nty; row++) {
        add_row(&w, row, from);
        if (row % MACRO_EDGE == MACRO_EDGE - 1 || row + 1 == frame.nty) {
            exact_writer_end_row(&w);
            given.nlisted = 0;
        }
    }
    exact_writer_finish(&w, &out);
    exact_writer_free(&w);
    CHECK(!out.failed);
    return (size_t)(out.at - coded);
}

static int is_same_tile(const exact_tile *a, const exact_tile *b)
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if ((a->valid >> p & 1) && exact_tile_value(a, p) != exact_tile_value(b, p))
            return 0;
    }
    return 1;
}

/* Whether all tiles are read as they were written, up to the end of the streams. */
static int read_frame(size_t nbytes)
{
    static exact_tile tile[MAX_NTILES];
    static int64_t value[MAX_NTILES][TILE_NPIXELS];
    static const exact_rule *rule[MAX_NTILES];
    const ring_map map = {.ntx = frame.ntx, .nty = frame.nty};
    exact_reader r = {.levels = {.grid = NULL}};
    byte_reader in = {coded, coded + nbytes, 0};
    int is_good = exact_reader_open(&in, H5BRAGG_FORMAT_VERSION, &map, &r) == H5BRAGG_OK;
    for (uint32_t k = 0; k < frame.ntiles; k++) {
        rule[k] = &frame.rule[k];
        tile[k] = frame.tile[k];
        tile[k].value = memset(value[k], 0xA5, sizeof value[k]);
    }
    for (uint32_t row = 0; is_good && row < frame.nty; row += MACRO_EDGE) {
        const uint32_t stop = row + MACRO_EDGE < frame.nty ? row + MACRO_EDGE : frame.nty;
        const uint32_t k = frame.row_start[row];
        is_good = exact_tiles_read(&r, rule + k, tile + k, frame.row_start[stop] - k);
    }
    is_good = is_good && exact_reader_close(&r) == H5BRAGG_OK;
    exact_reader_free(&r);
    for (uint32_t k = 0; is_good && k < frame.ntiles; k++)
        is_good = is_same_tile(&frame.tile[k], &tile[k]);
    return is_good;
}

static void tiles_come_back(void)
{
    for (uint32_t round = 0; round < 120; round++) {
        make_frame(1 + below(round % 2 ? 3 : 60), (content)(round % 3), round % 5 != 0);
        const size_t nbytes = write_frame(NUMBERS);
        const uint32_t crc = bragg_crc32c(0, coded, nbytes);
        CHECK(read_frame(nbytes));
        CHECK(write_frame(PLANE) == nbytes && bragg_crc32c(0, coded, nbytes) == crc);
        CHECK(write_frame(LIST) == nbytes && bragg_crc32c(0, coded, nbytes) == crc);
    }
}

static void no_tile_is_two_bytes(void)
{
    make_frame(3, DARK, 1);
    frame.ntiles = 0;
    memset(frame.row_start, 0, sizeof frame.row_start);
    CHECK(write_frame(PLANE) == 2);
    CHECK(read_frame(2));
}

/* Every level occurs, and dark tiles cost nothing but their levels. */
static void levels_are_digits_of_the_mean(void)
{
    static const int64_t VALUE[] = {0, 1, 3, 7, 15, 31, 32, 33, 1000000};
    static const uint8_t LEVEL[] = {0, 5, 6, 7, 8, 9, 10, 10, 10};
    const exact_rule rule[] = {{.is_counting = 1}, {.is_counting = 1, .is_blank = 1}};
    const ring_map map = {.ntx = 9, .nty = 1, .ncells = 1};
    const uint16_t cell[9] = {0};
    const uint16_t sum[9] = {0};
    exact_writer w;
    CHECK(exact_writer_make(&map, rule, STRIDE, &w) == H5BRAGG_OK);
    for (uint16_t k = 0; k < 9; k++)
        w.row[0].column[k] = k;
    exact_row_add(&w, 0, 9, cell, sum, given.plane);
    for (uint32_t k = 0; k < 9; k++) {
        int64_t value[TILE_NPIXELS];
        for (uint32_t p = 0; p < TILE_NPIXELS; p++)
            value[p] = VALUE[k];
        exact_odd_add(&w, &rule[0], 0, k, k % 2 ? 0xFFFF : 0x0F01, value);
        CHECK(w.levels.grid[exact_place(&w.levels, 0, k)] == 1 + LEVEL[k]);
    }
    exact_writer_free(&w);
}

/* Lists of rows of all lengths: the same by vectors, and what they should be. */
static void lists_are_those_of_plain_c(void)
{
    enum { MOST = 200, ROOM_OF_LIST = MOST + ROW_LISTS_SLACK };
    static uint16_t memory[2][4][ROOM_OF_LIST];
    for (uint32_t round = 0; round < 1000; round++) {
        uint8_t calm[MOST];
        uint8_t kept[MOST];
        uint8_t has_large[MOST];
        uint16_t cell[MOST];
        uint16_t valid[MOST];
        const uint32_t rarity = 1 + below(round % 2 ? 4 : 80);
        const uint8_t *value = below(2) ? given.plane : NULL;
        listed_row row = {calm, kept,   has_large,       cell,        valid, value,
                          NULL, STRIDE, below(MOST + 1), below(4) > 0};
        for (uint32_t t = 0; t < MOST; t++) {
            kept[t] = below(rarity) == 0;
            cell[t] = (uint16_t)(below(20) ? below(0xFFFF) : BRAGG_NO_CELL);
            calm[t] = !kept[t] && cell[t] != BRAGG_NO_CELL && below(rarity);
            has_large[t] = below(10) == 0;
            valid[t] = (uint16_t)(below(3) ? 0xFFFF : below(2) ? 0 : below(0xFFFF));
        }
        row_lists lists[2];
        for (uint32_t k = 0; k < 2; k++) {
            lists[k] =
                (row_lists){.exact = memory[k][0], .odd = memory[k][1], .restless = memory[k][2]};
            row.open = memory[k][3];
            (k ? list_row_kernel() : list_row_plain)(&row, &lists[k]);
        }
        const row_lists *a = &lists[0];
        const row_lists *b = &lists[1];
        CHECK(a->nexact == b->nexact && a->nodd == b->nodd && a->nrestless == b->nrestless);
        CHECK(memcmp(a->exact, b->exact, a->nexact * sizeof *a->exact) == 0);
        CHECK(memcmp(a->odd, b->odd, a->nodd * sizeof *a->odd) == 0);
        CHECK(memcmp(a->restless, b->restless, a->nrestless * sizeof *a->restless) == 0);
        uint32_t n[3] = {0, 0, 0}; /* of exact, odd, restless tiles */
        for (uint32_t t = 0; t < row.ntx; t++) {
            const int is_drawn = !kept[t] && cell[t] != BRAGG_NO_CELL;
            const uint16_t open = is_drawn ? valid[t] : 0;
            const int is_odd = !row.has_bytes || valid[t] != 0xFFFF || has_large[t];
            CHECK(memory[0][3][t] == open && memory[1][3][t] == open);
            if (is_drawn && !calm[t])
                CHECK(a->restless[n[2]++] == t);
            if (is_drawn || valid[t] == 0)
                continue;
            if (is_odd)
                CHECK(a->odd[n[1]++] == n[0]);
            CHECK(a->exact[n[0]++] == t);
        }
        CHECK(n[0] == a->nexact && n[1] == a->nodd && n[2] == a->nrestless);
    }
}

/* Changed bytes are refused or make other values; nothing is read out of bounds. */
static void damage_is_harmless(void)
{
    for (uint32_t round = 0; round < 40; round++) {
        make_frame(1 + below(20), (content)(round % 3), round % 2);
        const size_t nbytes = write_frame(PLANE);
        for (uint32_t k = 0; k < 40; k++) {
            uint8_t *at = &coded[below((uint32_t)(k % 2 || nbytes < 400 ? nbytes : 400))];
            const uint8_t before = *at;
            *at ^= (uint8_t)(1 + below(255));
            (void)read_frame(nbytes);
            *at = before;
        }
        CHECK(read_frame(nbytes) && (frame.ntiles == 0 || !read_frame(nbytes - 1)));
    }
}

/* A stream of levels with one that does not exist, right in all else. */
static void levels_that_do_not_exist_are_refused(void)
{
    symbol_writer levels = {0};
    symbol_writer values = {0};
    for (uint32_t level = EXACT_NLEVELS - 1; level <= 255; level += 61) {
        byte_writer out = {coded, coded + sizeof coded, 0};
        frame.ntx = frame.nty = frame.ntiles = frame.row_start[1] = 1;
        frame.row_start[0] = 0;
        frame.rule[0] = (exact_rule){.is_counting = 1, .is_blank = 1};
        frame.value[0][0] = 40;
        frame.tile[0] = (exact_tile){.valid = 1, .value = frame.value[0]};
        symbol_put(&levels, 0, level);
        number_put(&values, EXACT_NCONTEXTS - 2, 40);
        symbols_write(&levels, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, &out);
        symbols_write(&values, EXACT_NCONTEXTS, SYMBOLS_WIDE_NSTATES, &out);
        CHECK(read_frame((size_t)(out.at - coded)) == (level < EXACT_NLEVELS));
    }
    symbol_writer_free(&levels);
    symbol_writer_free(&values);
}

/* What docs/format.md says of floor(8 * x) and of the binary digits of floor(16 * x). */
static void cells_say_how_large_their_background_is(void)
{
    static const double EXPECTED[] = {-3.0, -0.01, 0.0,  0.0624, 0.0625, 0.124, 0.125, 0.99, 1.0,
                                      1.99, 2.0,   15.9, 16.0,   31.99,  32.0,  254.9, 255,  1e9};
    double normalisation = 1.0;
    uint16_t ring = 0;
    ring_map map = {.normalisation = &normalisation, .ring = &ring};
    ring_profile profile = {0};
    frame_model model = {.noise = {.map = &map, .is_counting = 1}, .profile = &profile};
    for (size_t k = 0; k < sizeof EXPECTED / sizeof EXPECTED[0]; k++) {
        profile.mean = EXPECTED[k];
        const double x = EXPECTED[k] > 0 ? EXPECTED[k] : 0;
        const int64_t eighths = (int64_t)(8.0 * x);
        uint32_t ndigits = 0;
        for (int64_t left = (int64_t)(16.0 * x); left; left /= 2)
            ndigits++;
        const exact_rule rule = exact_rule_of(&model, 0);
        CHECK(rule.absent == (eighths < 2040 ? eighths : 2040));
        CHECK(rule.ndigits == (ndigits < 9 ? ndigits : 9));
    }
    CHECK(exact_rule_of(&model, BRAGG_NO_CELL).is_blank);
}

int main(void)
{
    cells_say_how_large_their_background_is();
    tiles_come_back();
    no_tile_is_two_bytes();
    levels_are_digits_of_the_mean();
    lists_are_those_of_plain_c();
    damage_is_harmless();
    levels_that_do_not_exist_are_refused();
    return 0;
}
