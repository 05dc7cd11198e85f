/* SPDX-License-Identifier: MIT */
/*
 * Most of what is masked are gaps, which go on from row to row: groups are passed over that have
 * one code or none and in which no row differs from the row above.
 */
#include "mask_groups.h"

#include "bytes.h"
#include "quad_bits.h"
#include "symbols.h" /* lowest_bit */

enum {
    LINE_NBYTES = 64,
    LISTED_NGROUPS = 8,                    /* at a time, as bytes of a number */
    NPIECES = GROUP_NPIXELS / TILE_NPIXELS /* of 16 pixels */
};

/* The tiles of a group: those beyond the edge, and above the frame, are valid. */
static void get_group(const uint16_t *valid, const ring_map *map, uint32_t g,
                      uint16_t tile[GROUP_NTILES])
{
    const uint32_t t = GROUP_NTILES * g;
    if (valid && map->ntx - t >= GROUP_NTILES) {
        memcpy(tile, valid + t, GROUP_NTILES * sizeof *tile);
        return;
    }
    memset(tile, 0xFF, GROUP_NTILES * sizeof *tile);
    if (valid)
        memcpy(tile, valid + t, (map->ntx - t) * sizeof *tile);
}

/* Rows of pixels that a row of tiles has in the frame. */
static uint32_t count_rows(const mask_tiles *tiles)
{
    const uint32_t nleft = tiles->map->ny - TILE_EDGE * tiles->row;
    return nleft < TILE_EDGE ? nleft : TILE_EDGE;
}

/* The masked pixels of a group by rows, which are in the frame. */
static void set_masked(const mask_tiles *tiles, uint32_t g, const uint16_t tile[GROUP_NTILES],
                       uint64_t masked[TILE_EDGE])
{
    const uint32_t n = tiles->map->nx - GROUP_NPIXELS * g;
    const uint64_t inside = n < GROUP_NPIXELS ? ((uint64_t)1 << n) - 1 : UINT64_MAX;
    const uint32_t nrows = count_rows(tiles);
    memset(masked, 0, TILE_EDGE * sizeof *masked);
    for (uint32_t t = 0; t < GROUP_NTILES; t += QUAD_NTILES) {
        const uint64_t rows = transpose_quad(~quad_get(tile + t));
        for (uint32_t i = 0; i < TILE_EDGE; i++)
            masked[i] |= (rows >> 16 * i & 0xFFFF) << TILE_EDGE * t;
    }
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        masked[i] &= i < nrows ? inside : 0;
}

/* What was found of up to eight groups, the first one's in the lowest byte. */
static uint64_t get_found(const uint8_t *found, uint32_t n)
{
    uint8_t rest[LISTED_NGROUPS] = {0};
    if (n >= LISTED_NGROUPS)
        return load_u64(found);
    memcpy(rest, found, n);
    return load_u64(rest);
}

/* Bits in the bytes of those of eight groups that must be looked at. */
static uint64_t look_at(uint64_t found, uint64_t found_above)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t is_new = ones * GROUP_IS_NEW;
    const uint64_t codes = (found | found_above) & ~is_new;
    const uint64_t several = codes & ((codes | is_new) - ones); /* but the lowest bit of each */
    return several | (found & is_new);
}

static int has_several(uint32_t codes) { return (codes & (codes - 1)) != 0; }

/* Asks for all lines of memory in which masked pixels are that will be looked at later. */
static void ask_for_pixels(const mask_tiles *tiles, const mask_group *group)
{
    const bragg_frame *frame = tiles->frame;
    const size_t nbytes = h5bragg_pixel_nbytes(frame->type);
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const size_t start =
            ((size_t)TILE_EDGE * tiles->row + i) * frame->nx + GROUP_NPIXELS * group->number;
        for (uint64_t left = group->masked[i]; left;) {
            const uint32_t k = lowest_bit(left);
            const uint8_t *pixel = (const uint8_t *)frame->pixels + (start + k) * nbytes;
            const size_t nleft =
                (LINE_NBYTES - (uintptr_t)pixel % LINE_NBYTES + nbytes - 1) / nbytes;
            ask_for(pixel);
            left &= ~(UINT64_MAX >> (GROUP_NPIXELS - nleft) << k);
        }
    }
}

void mask_groups_fill(const mask_tiles *tiles, mask_group *list, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        uint16_t tile[GROUP_NTILES];
        get_group(tiles->valid, tiles->map, list[k].number, tile);
        set_masked(tiles, list[k].number, tile, list[k].masked);
        if (has_several(list[k].codes))
            ask_for_pixels(tiles, &list[k]);
    }
}

/* A group without what is masked of it. */
static void start_group(const mask_tiles *tiles, uint32_t g, mask_group *group)
{
    group->number = g;
    group->codes = (tiles->found[g] | tiles->found_above[g]) & (GROUP_IS_NEW - 1u);
    ask_for(tiles->valid + (size_t)GROUP_NTILES * g);
}

uint32_t mask_groups_list(const mask_tiles *tiles, mask_group *list)
{
    const uint32_t ngroups = (uint32_t)ring_map_ngroups(tiles->map);
    uint32_t n = 0;
    for (uint32_t g = 0; g < ngroups; g += LISTED_NGROUPS) {
        uint64_t left = look_at(get_found(tiles->found + g, ngroups - g),
                                get_found(tiles->found_above + g, ngroups - g));
        while (left) {
            const uint32_t k = lowest_bit(left) / 8;
            start_group(tiles, g + k, &list[n++]);
            left &= ~((uint64_t)0xFF << 8 * k);
        }
    }
    return n;
}

/* Whether all pixels of a group are valid; not said of one at the edge. */
static int is_valid(const uint16_t *valid, const ring_map *map, uint32_t g)
{
    const uint32_t t = GROUP_NTILES * g;
    if (!valid)
        return 1;
    return map->ntx - t >= GROUP_NTILES &&
           (quad_get(valid + t) & quad_get(valid + t + 4) & quad_get(valid + t + 8) &
            quad_get(valid + t + 12)) == UINT64_MAX;
}

/* Whether some row of a group differs from the row above.  A row of a tile is four bits. */
static int has_new_row(const uint16_t here[GROUP_NTILES], const uint16_t above[GROUP_NTILES],
                       uint32_t nrows)
{
    const uint64_t tiles = 0x0001000100010001u;
    const uint64_t first_row = 0xF * tiles;
    uint64_t differing = 0;
    for (uint32_t t = 0; t < GROUP_NTILES; t += QUAD_NTILES) {
        const uint64_t quad = quad_get(here + t);
        const uint64_t last_row_above = quad_get(above + t) >> (16 - TILE_EDGE) & first_row;
        differing |= quad ^ ((quad << TILE_EDGE & ~first_row) | last_row_above);
    }
    return (differing & (0xFFFFu >> TILE_EDGE * (TILE_EDGE - nrows)) * tiles) != 0;
}

/* Copies 16 pixels; zeros stand for those beyond the edge. */
static void copy_piece(const code_finder *f, const bragg_frame *frame, size_t i, size_t j,
                       uint8_t *piece)
{
    const size_t nbytes = f->pixel_nbytes;
    const uint8_t *pixels = (const uint8_t *)frame->pixels + (i * frame->nx + j) * nbytes;
    if (frame->nx - j < TILE_NPIXELS) {
        memset(piece, 0, TILE_NPIXELS * nbytes);
        memcpy(piece, pixels, (frame->nx - j) * nbytes);
        return;
    }
    /* Gaps go on below; where they are narrow, the processor does not foresee it. */
    if (i + TILE_EDGE < frame->ny)
        ask_for(pixels + TILE_EDGE * frame->nx * nbytes);
    switch (nbytes) { /* constants become a few instructions */
    case 1:
        memcpy(piece, pixels, TILE_NPIXELS);
        break;
    case 2:
        memcpy(piece, pixels, 2 * TILE_NPIXELS);
        break;
    default:
        memcpy(piece, pixels, 4 * TILE_NPIXELS);
    }
}

/*
 * The codes of a group's masked pixels.  These often are in few of the group's pieces of 16 pixels,
 * which are gathered; zeros follow, up to a whole group.
 */
static uint8_t find_codes(const code_finder *f, const mask_tiles *tiles, uint32_t g,
                          const uint64_t masked[TILE_EDGE])
{
    const size_t piece_nbytes = TILE_NPIXELS * f->pixel_nbytes;
    uint32_t pixels[TILE_EDGE * GROUP_NPIXELS];
    uint8_t value[TILE_EDGE * GROUP_NPIXELS];
    group_bits bits[TILE_EDGE];
    uint8_t found[TILE_EDGE] = {0};
    uint8_t *piece = (uint8_t *)pixels;
    size_t n = 0;
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const size_t row = (size_t)TILE_EDGE * tiles->row + i;
        for (uint32_t j = 0; j < GROUP_NPIXELS; j += TILE_NPIXELS) {
            if (masked[i] >> j & 0xFFFF)
                copy_piece(f, tiles->frame, row, GROUP_NPIXELS * g + j, piece + piece_nbytes * n++);
        }
    }
    for (; n % NPIECES; n++)
        memset(piece + piece_nbytes * n, 0, piece_nbytes);
    const narrowed_rows row = {.n = 1,
                               .ngroups = n / NPIECES,
                               .pixels = (const uint8_t *)pixels,
                               .value = value,
                               .bits = bits,
                               .found = found};
    f->narrow(&row, &f->codes);
    return found[0] | found[1] | found[2] | found[3];
}

void mask_groups_find(const mask_tiles *tiles, const code_finder *f, uint8_t *found)
{
    const uint32_t ngroups = (uint32_t)ring_map_ngroups(tiles->map);
    for (uint32_t g = 0; g < ngroups; g++) {
        uint16_t here[GROUP_NTILES];
        uint16_t above[GROUP_NTILES];
        uint64_t masked[TILE_EDGE];
        found[g] = 0;
        if (is_valid(tiles->valid, tiles->map, g) && is_valid(tiles->above, tiles->map, g))
            continue;
        get_group(tiles->valid, tiles->map, g, here);
        get_group(tiles->above, tiles->map, g, above);
        set_masked(tiles, g, here, masked);
        if (masked[0] | masked[1] | masked[2] | masked[3])
            found[g] = find_codes(f, tiles, g, masked);
        if (has_new_row(here, above, count_rows(tiles)))
            found[g] |= GROUP_IS_NEW;
    }
}

code_finder mask_groups_finder(h5bragg_pixel_type type, const bragg_mask_codes *codes)
{
    const plane_kernels *kernels = plane_kernels_of(bragg_cpu_level());
    return (code_finder){counts_plane_narrow(kernels, type), counts_plane_codes(codes, type),
                         h5bragg_pixel_nbytes(type)};
}
