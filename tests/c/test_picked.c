/* SPDX-License-Identifier: MIT */
/* Picked pixels come back, whatever they are and wherever they lie; kernels agree with plain C. */
#include <string.h>

#include "check.h"
#include "picked_reader.h"
#include "picked_writer.h"
#include "scratch.h"

enum { MAX_NPIXELS = 40000, ROOM = 1 << 20, NCELLS = 6 };

static unsigned seed = 7;

static uint32_t below(uint32_t n) { return random_bits(&seed) % n; }

/* A frame with cells of its own: what a model would say of them is made up. */
typedef struct test_frame {
    ring_map map;
    frame_model model;
    ring_profile profile[NCELLS];
    cell_range range[NCELLS];
    uint16_t ring[NCELLS];
    double normalisation[NCELLS];
    frame_source source;
} test_frame;

static uint16_t cells[MAX_NPIXELS];
static uint8_t kept[MAX_NPIXELS];
static uint32_t pixels[MAX_NPIXELS];
static uint8_t coded[ROOM];

enum { MAX_NTX = 70, MAX_NLINES = TILE_EDGE * MAX_NTX };

/* Lists made by kernels and in plain C. */
typedef struct both_lists {
    picked_lines lines[2];
    uint32_t at[2][MAX_NLINES * LINE_NPIXELS + LINES_SLACK];
    uint32_t least[2][MAX_NLINES * LINE_NPIXELS + LINES_SLACK];
    uint16_t cell[2][MAX_NLINES * LINE_NPIXELS + LINES_SLACK];
    uint8_t context[2][MAX_NLINES * LINE_NPIXELS + LINES_SLACK];
} both_lists;

static void check_lines(const picked_lines lines[2], uint32_t n)
{
    CHECK(memcmp(lines[0].line, lines[1].line, n * sizeof *lines->line) == 0);
    CHECK(memcmp(lines[0].cell, lines[1].cell, n * sizeof *lines->cell) == 0);
    CHECK(memcmp(lines[0].pixels, lines[1].pixels, n) == 0);
    CHECK(memcmp(lines[0].context, lines[1].context, n) == 0);
}

/* Pixels of n listed lines, now and then impossible ones. */
static void check_pixels(both_lists *b, const picked_base *base, uint32_t n)
{
    const picked_places places = {below(1000), below(5000), below(17)};
    const int has_leasts = below(2) == 0;
    const int has_cells = has_leasts && below(2);
    uint8_t symbol[MAX_NLINES];
    uint32_t npixels[2];
    uint32_t seen[2] = {0};
    for (uint32_t j = 0; j < n; j++)
        symbol[j] = (uint8_t)(below(500) ? below(15) : below(256));
    for (int k = 0; k < 2; k++) {
        const picked_pixels to = {b->at[k], has_leasts ? b->least[k] : NULL,
                                  has_cells ? b->cell[k] : NULL, b->context[k]};
        npixels[k] = (k ? picked_pixels_list : picked_pixels_list_plain)(
            base, &places, &b->lines[k], symbol, n, &to, &seen[k]);
    }
    CHECK(npixels[0] == npixels[1] && seen[0] == seen[1]);
    CHECK(memcmp(b->at[0], b->at[1], npixels[0] * sizeof b->at[0][0]) == 0);
    CHECK(memcmp(b->context[0], b->context[1], npixels[0]) == 0);
    if (has_leasts)
        CHECK(memcmp(b->least[0], b->least[1], npixels[0] * sizeof b->least[0][0]) == 0);
    if (has_cells)
        CHECK(memcmp(b->cell[0], b->cell[1], npixels[0] * sizeof b->cell[0][0]) == 0);
}

static void lists_are_those_of_plain_c(void)
{
    static both_lists b;
    picked_base base[NCELLS];
    CHECK(!picked_lines_make(MAX_NLINES, &b.lines[0]) &&
          !picked_lines_make(MAX_NLINES, &b.lines[1]));
    for (uint32_t round = 0; round < 600; round++) {
        uint8_t symbol[MAX_NTX];
        uint16_t cell[MAX_NTX];
        uint16_t of_tile[MAX_NTX];
        const uint32_t ntx = 1 + below(MAX_NTX);
        const uint32_t rare = below(4);
        for (uint32_t c = 0; c < NCELLS; c++)
            base[c] = (picked_base){random_bits(&seed), (uint16_t)below(24), below(200) == 0};
        for (uint32_t t = 0; t < ntx; t++) {
            symbol[t] = (uint8_t)(below(1 + rare) ? 0 : below(16));
            cell[t] = (uint16_t)below(NCELLS);
            of_tile[t] = (uint16_t)(below(50) ? 0xFFFF : random_bits(&seed));
        }
        const picked_tiles tiles = {.cell = cell, .open = of_tile};
        const uint32_t n = picked_lines_list_plain(symbol, &tiles, ntx, &b.lines[0]);
        CHECK(picked_lines_list(symbol, &tiles, ntx, &b.lines[1]) == n);
        check_lines(b.lines, n);
        check_pixels(&b, base, n);
    }
    picked_lines_free(&b.lines[0]);
    picked_lines_free(&b.lines[1]);
}

/* A threshold that suits the type; seldom its largest value, where nothing can be picked. */
static int64_t make_threshold(h5bragg_pixel_type type)
{
    const int64_t most = pixel_maximum(type);
    const int64_t least = below(3) ? 0 : pixel_minimum(type);
    const uint32_t kind = below(8);
    return kind == 0 ? most - below(20) : kind == 1 ? least + below(1000) % most : below(6);
}

static void make_frame(test_frame *f, h5bragg_pixel_type type, uint32_t ny, uint32_t nx,
                       uint32_t share)
{
    memset(f, 0, sizeof *f);
    f->map = (ring_map){.ny = ny,
                        .nx = nx,
                        .nty = (ny + TILE_EDGE - 1) / TILE_EDGE,
                        .ntx = (nx + TILE_EDGE - 1) / TILE_EDGE,
                        .nbins = NCELLS,
                        .ncells = NCELLS,
                        .cell = cells,
                        .ring = f->ring,
                        .normalisation = f->normalisation,
                        .root = f->normalisation}; /* all are 1 */
    const int has_patterns = below(2) == 0;        /* alone */
    f->model.format_version = 2;
    f->model.noise.map = &f->map;
    f->model.noise.type = type;
    f->model.profile = f->profile;
    f->model.range = f->range;
    for (uint32_t c = 0; c < NCELLS; c++) {
        f->ring[c] = (uint16_t)c;
        f->normalisation[c] = 1;
        f->range[c].high = make_threshold(type);
        if (has_patterns)
            f->range[c].high = below(64);
        f->profile[c].is_general =
            f->range[c].high < 0 || f->range[c].high > 63 || (!has_patterns && below(3) == 0);
        f->profile[c].mean = below(5000) * 1e-3;
    }
    for (size_t t = 0; t < ring_map_ntiles(&f->map); t++) {
        cells[t] = below(20) ? (uint16_t)(t / 5 % NCELLS) : BRAGG_NO_CELL;
        kept[t] = cells[t] != BRAGG_NO_CELL && below(10) == 0;
    }
    for (size_t i = 0; i < (size_t)ny * nx; i++) {
        const int64_t high = pixel_maximum(type) - below(100);
        const int64_t small = below(100) < share ? 6 + below(below(9) ? 20 : 300) % 127 : below(3);
        pixel_set(pixels, type, i, below(300) ? small : high);
    }
    f->source.frame = (bragg_frame){pixels, type, ny, nx};
    f->source.map = &f->map;
    f->source.kept = kept;
    h5bragg_params params;
    h5bragg_params_init(&params);
    const bragg_mask_codes codes = bragg_mask_codes_of(&params, type);
    CHECK(!counts_plane_make(&f->source.frame, &codes, NULL, &f->map, &f->source.plane));
}

/* Writes the picked pixels of a frame; returns their number, *nbytes receives that of bytes. */
static uint32_t write_frame(const test_frame *f, size_t *nbytes)
{
    picked_writer writer;
    byte_writer out = {coded, coded + sizeof coded, 0};
    uint32_t n = 0;
    CHECK(!picked_writer_make(&f->model, &writer));
    for (uint32_t row = 0; row < f->map.nty; row++)
        n += picked_writer_row(&writer, &f->source, row);
    picked_writer_finish(&writer, &out);
    CHECK(!out.failed);
    picked_writer_free(&writer);
    *nbytes = (size_t)(out.at - coded);
    return n;
}

/* What is to be picked of a row of macro blocks, pixel by pixel; returns the number. */
static uint32_t check_row(const test_frame *f, const picked_reader *r, uint32_t first_row,
                          uint32_t nrows, const uint16_t *open)
{
    const h5bragg_pixel_type type = f->model.noise.type;
    uint32_t n = 0;
    for (uint32_t t = 0; t < nrows * f->map.ntx; t++) {
        const uint32_t row = first_row + t / f->map.ntx;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            if (!(open[t] >> p & 1))
                continue;
            const size_t i = tile_pixel(&f->map, row, t % f->map.ntx, p);
            const int64_t value = pixel_get(pixels, type, i);
            if (value <= f->range[cells[(size_t)first_row * f->map.ntx + t]].high)
                continue;
            CHECK(n < r->n && picked_reader_value(r, n) == value);
            CHECK(r->at[n] + (size_t)TILE_EDGE * first_row * f->map.nx == i);
            n++;
        }
    }
    return n;
}

/* The same of a row whose pixels are listed as they are drawn, but for large ones. */
static void check_drawn_row(const test_frame *f, const picked_reader *r, uint32_t first_row,
                            const uint16_t *open)
{
    const picked_drawn *d = &r->drawn;
    const uint32_t ntx = f->map.ntx;
    uint32_t n = 0;
    uint32_t nlarge = 0;
    for (uint32_t t = 0; t < MACRO_EDGE * ntx; t++) {
        const int64_t high = f->range[cells[(size_t)first_row * ntx + t] % NCELLS].high;
        const uint32_t bits = d->pixels[t / ntx * d->ngroups * DRAWN_NTILES + t % ntx];
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            const uint32_t is_open = open[t] >> p & 1;
            const size_t i = is_open ? tile_pixel(&f->map, first_row + t / ntx, t % ntx, p) : 0;
            const int64_t value = pixel_get(pixels, f->model.noise.type, i);
            CHECK((bits >> p & 1) == (is_open && value > high));
            if (!(bits >> p & 1))
                continue;
            CHECK(d->value[n++] == (uint8_t)value);
            if (value <= UINT8_MAX)
                continue;
            CHECK(nlarge < r->n && picked_reader_value(r, nlarge) == value);
            CHECK(r->at[nlarge++] + (size_t)TILE_EDGE * first_row * f->map.nx == i);
        }
    }
    CHECK(nlarge == r->n);
}

static int nrows_drawn = 0;

static void read_frame(const test_frame *f, uint32_t npicked, size_t nbytes, int is_drawn)
{
    picked_reader reader;
    uint8_t *copy = malloc(nbytes);
    CHECK(copy);
    memcpy(copy, coded, nbytes);
    byte_reader in = {copy, copy + nbytes, 0};
    CHECK(!picked_reader_open(&in, &f->model, npicked, &reader) && bytes_left(&in) == 0);
    if (is_drawn)
        CHECK(!picked_reader_draw(&reader));
    for (uint32_t row = 0; row < f->map.nty; row += MACRO_EDGE) {
        const uint32_t nrows = f->map.nty - row < MACRO_EDGE ? f->map.nty - row : MACRO_EDGE;
        uint16_t open[MAX_NPIXELS];
        for (uint32_t t = 0; t < nrows * f->map.ntx; t++) {
            const size_t tile = (size_t)row * f->map.ntx + t;
            const int is_drawn = !kept[tile] && cells[tile] != BRAGG_NO_CELL;
            open[t] = is_drawn ? f->source.plane.valid[tile] : 0;
        }
        CHECK(!picked_reader_row(&reader, row / MACRO_EDGE, nrows, open));
        CHECK(reader.is_drawn ==
              (reader.drawn.base && TILE_EDGE * (row + MACRO_EDGE) <= f->map.ny));
        nrows_drawn += reader.is_drawn;
        if (reader.is_drawn)
            check_drawn_row(f, &reader, row, open);
        else
            CHECK(check_row(f, &reader, row, nrows, open) == reader.n);
    }
    CHECK(picked_reader_close(&reader) == H5BRAGG_OK);
    reader.nwanted++;
    CHECK(picked_reader_close(&reader) == H5BRAGG_CORRUPT);
    picked_reader_free(&reader);
    free(copy);
}

static int can_be_drawn(const test_frame *f)
{
    int has_general = 0;
    for (uint32_t c = 0; c < NCELLS; c++)
        has_general |= f->profile[c].is_general;
    return !has_general && h5bragg_pixel_nbytes(f->model.noise.type) > 1;
}

/* Shares from none to all picked; edges of all kinds. */
static void picked_pixels_come_back(void)
{
    static const uint32_t sizes[][2] = {{1, 1},   {3, 2},    {4, 4},    {5, 67},  {16, 64},
                                        {33, 17}, {70, 130}, {19, 301}, {63, 256}};
    for (int type = H5BRAGG_U8; type <= H5BRAGG_I32; type++) {
        for (uint32_t k = 0; k < 9 * 8; k++) {
            static const uint32_t shares[] = {0, 1, 5, 20, 50, 80, 100, 2};
            test_frame f;
            size_t nbytes;
            make_frame(&f, (h5bragg_pixel_type)type, sizes[k % 9][0], sizes[k % 9][1],
                       shares[k / 9]);
            const uint32_t n = write_frame(&f, &nbytes);
            read_frame(&f, n, nbytes, 0);
            if (can_be_drawn(&f))
                read_frame(&f, n, nbytes, 1);
            counts_plane_free(&f.source.plane);
        }
    }
    CHECK(nrows_drawn > 0);
}

/* Where pixels cannot be, or cannot be so large, a reader refuses them. */
static void impossible_pixels_are_refused(void)
{
    for (uint32_t k = 0; k < 60; k++) {
        test_frame f;
        size_t nbytes;
        uint16_t open[MAX_NPIXELS];
        picked_reader reader;
        make_frame(&f, H5BRAGG_U16, 16, 64, 100);
        const size_t ntiles = ring_map_ntiles(&f.map);
        for (size_t t = 0; t < ntiles; t++) {
            cells[t] = 0;
            kept[t] = 0;
        }
        for (uint32_t i = 0; i < 16 * 64; i++)
            pixel_set(pixels, H5BRAGG_U16, i, i == 77 ? 60000 + below(3) : 1);
        counts_plane_free(&f.source.plane);
        const bragg_mask_codes codes = {0};
        CHECK(!counts_plane_make(&f.source.frame, &codes, NULL, &f.map, &f.source.plane));
        f.profile[0] = (ring_profile){.is_general = 1}; /* the same contexts for any threshold */
        f.range[0].high = k % 3 == 2 ? 59990 : 5;
        const uint32_t n = write_frame(&f, &nbytes);
        memcpy(open, f.source.plane.valid, ntiles * sizeof *open);
        if (k % 3 == 0) /* the tile of pixel 77, its pixel alone */
            open[3] ^= 1 << (TILE_EDGE + 1);
        else
            f.range[0].high = 65536 - (k % 3 == 2 ? 5 : 1);
        CHECK(n == 1);
        byte_reader in = {coded, coded + nbytes, 0};
        CHECK(!picked_reader_open(&in, &f.model, n, &reader));
        CHECK(picked_reader_row(&reader, 0, 4, open) == H5BRAGG_CORRUPT);
        picked_reader_free(&reader);
        counts_plane_free(&f.source.plane);
    }
}

int main(void)
{
    lists_are_those_of_plain_c();
    picked_pixels_come_back();
    impossible_pixels_are_refused();
    return 0;
}
