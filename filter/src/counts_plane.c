/* SPDX-License-Identifier: MIT */
/* Bytes of a frame, a row of tiles at a time (docs/format.md, "Tiles and rings"). */
#include "counts_plane.h"
#include "bytes.h"
#include "lines_ahead.h"
#include "quad_bits.h"
#include "scratch.h"
#include "symbols.h" /* lowest_bit */

#include <string.h>

/*
 * The frame is read in strips, and in them by turns from rows that are far apart.  Nearer ones, or
 * more, gained less on the processors at hand; the bytes of a strip stay in the second cache.
 */
enum { ALIGNMENT = 64, NTURNS = 4, APART = 16, STRIP_NROWS = NTURNS * APART };
enum { STRIP_NTILES = STRIP_NROWS / TILE_EDGE };

/* What stays the same for all rows of a frame. */
typedef struct plane_source {
    const bragg_frame *frame;
    const uint8_t *static_mask;
    const ring_map *map;
    raw_codes codes;
    narrow_kernel narrow;
    size_t pixel_nbytes;
    size_t ngroups;
    uint64_t *above; /* ngroups: masked pixels of the last row of pixels of the tiles above */
} plane_source;

void counts_plane_free(counts_plane *plane)
{
    scratch_give(plane->memory);
    scratch_give(plane->valid);
    scratch_give(plane->sum);
    scratch_give(plane->squares);
    scratch_give(plane->largest);
    scratch_give(plane->has_large);
    scratch_give(plane->codes);
    scratch_give(plane->bits);
    *plane = (counts_plane){.kernels = plane->kernels};
}

/*
 * Bytes from row to row.  Mostly the last group of a row, of which narrowing writes all bytes, has
 * the zeros that are to follow its pixels: then nothing need be cleared between rows.
 */
static size_t stride_of(const ring_map *map)
{
    return (map->nx + (size_t)PLANE_NZEROS + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* All of the n bytes of memory but those that narrowing writes: whole groups of the frame's rows.
 */
static void clear_surroundings(const ring_map *map, size_t n, counts_plane *plane)
{
    const size_t nwritten = ring_map_ngroups(map) * GROUP_NPIXELS;
    uint8_t *const last = plane->value + (map->ny - 1) * plane->stride;
    memset(plane->memory, 0, (size_t)(plane->value - plane->memory));
    for (uint8_t *row = plane->value; row < last && plane->stride > nwritten; row += plane->stride)
        memset(row + nwritten, 0, plane->stride - nwritten);
    memset(last + nwritten, 0, (size_t)(plane->memory + n - (last + nwritten)));
}

static h5bragg_status allocate(const ring_map *map, counts_plane *plane)
{
    if (plane->ny == map->ny && plane->nx == map->nx && plane->bits)
        return H5BRAGG_OK;
    counts_plane_free(plane);
    if (!plane->kernels)
        plane->kernels = plane_kernels_of(bragg_cpu_level());
    const size_t ngroups = ring_map_ngroups(map);
    const size_t ntiles = ring_map_ntiles(map) + GROUP_NTILES; /* kernels write whole groups */
    const size_t nrows = (size_t)TILE_EDGE * map->nty + 2;
    plane->stride = stride_of(map);
    if (nrows > SIZE_MAX / 2 / plane->stride)
        return H5BRAGG_NO_MEMORY;
    plane->memory = scratch_take(nrows * plane->stride + 3 * (size_t)ALIGNMENT);
    plane->valid = scratch_take(ntiles * sizeof *plane->valid);
    plane->sum = scratch_take(ntiles * sizeof *plane->sum);
    plane->squares = scratch_take(ntiles * sizeof *plane->squares);
    plane->largest = scratch_take(ntiles);
    plane->has_large = scratch_take(ntiles);
    plane->codes = scratch_take(ngroups * map->nty);
    plane->bits = scratch_take(STRIP_NROWS * ngroups * sizeof *plane->bits);
    if (!plane->memory || !plane->valid || !plane->sum || !plane->squares || !plane->largest ||
        !plane->has_large || !plane->codes || !plane->bits)
        return H5BRAGG_NO_MEMORY;
    memset(plane->valid + ring_map_ntiles(map), 0xFF, GROUP_NTILES * sizeof *plane->valid);
    /* Behind a row of zeros, and more of them for the tile before the first. */
    const size_t first = plane->stride + ALIGNMENT;
    const size_t misplaced = (uintptr_t)plane->memory % ALIGNMENT;
    plane->value = plane->memory + first + (misplaced ? ALIGNMENT - misplaced : 0);
    clear_surroundings(map, nrows * plane->stride + 3 * (size_t)ALIGNMENT, plane);
    plane->ny = map->ny;
    plane->nx = map->nx;
    return H5BRAGG_OK;
}

raw_codes counts_plane_codes(const bragg_mask_codes *codes, h5bragg_pixel_type type)
{
    const size_t nbits = 8 * h5bragg_pixel_nbytes(type);
    const uint32_t all = nbits < 32 ? ((uint32_t)1 << nbits) - 1 : UINT32_MAX;
    raw_codes raw = {.least = BYTE_LOOKUP};
    for (uint32_t k = 0; k < codes->n; k++) {
        const int64_t value = codes->value[k];
        if (value < pixel_minimum(type) || value > pixel_maximum(type))
            continue;
        const uint32_t code = (uint32_t)value & all;
        raw.code[raw.n++] = code;
        raw.least = (uint8_t)(code < raw.least ? code : raw.least);
    }
    return raw;
}

narrow_kernel counts_plane_narrow(const plane_kernels *kernels, h5bragg_pixel_type type)
{
    const size_t pixel_nbytes = h5bragg_pixel_nbytes(type);
    return pixel_nbytes == 1   ? kernels->narrow8
           : pixel_nbytes == 2 ? kernels->narrow16
                               : kernels->narrow32;
}

/* Up to NTURNS rows, the first being row `row` of the frame and row i of its strip. */
static void narrow_rows(const plane_source *s, uint32_t row, uint32_t i, counts_plane *plane)
{
    const size_t nx = s->frame->nx;
    const uint32_t nbelow = (s->frame->ny - row + APART - 1) / APART;
    const narrowed_rows rows = {
        .n = nbelow < NTURNS ? nbelow : NTURNS,
        .ngroups = nx / GROUP_NPIXELS,
        .nrest = nx % GROUP_NPIXELS,
        .pixels = (const uint8_t *)s->frame->pixels + row * nx * s->pixel_nbytes,
        .pixels_step = APART * nx,
        .value = plane->value + row * plane->stride,
        .value_step = APART * plane->stride,
        .bits = plane->bits + i * s->ngroups,
        .bits_step = APART * s->ngroups,
        .found = plane->codes + row / TILE_EDGE * s->ngroups,
        .found_step = APART / TILE_EDGE * s->ngroups,
    };
    s->narrow(&rows, &s->codes);
}

/* Reading by turns would wait for where a page is whenever one of the rows comes to a new one. */
static void ask_for_pages(const plane_source *s, uint32_t row, size_t nrows)
{
    const size_t row_nbytes = s->frame->nx * s->pixel_nbytes;
    const uint8_t *first = (const uint8_t *)s->frame->pixels + row * row_nbytes;
    const lines_ahead pixels = lines_ahead_of(first, nrows * row_nbytes);
    lines_ahead_find_pages(&pixels);
}

/* Bytes and bits of a strip, the first row of tiles being a multiple of STRIP_NTILES. */
static void narrow_strip(const plane_source *s, uint32_t tile_row, counts_plane *plane)
{
    const uint32_t first = tile_row * TILE_EDGE;
    const uint32_t ny = s->frame->ny;
    ask_for_pages(s, first, ny - first < STRIP_NROWS ? ny - first : STRIP_NROWS);
    for (uint32_t i = 0; i < APART && first + i < ny; i++)
        narrow_rows(s, first + i, i, plane);
    for (uint32_t row = ny; row < s->map->nty * TILE_EDGE && row < first + STRIP_NROWS; row++)
        memset(plane->bits + (row - first) * s->ngroups, 0, s->ngroups * sizeof *plane->bits);
}

/* Which of eight bytes are not zero. */
static uint64_t nonzero_bits(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t nonzero = (((bytes & 0x7F * ones) + 0x7F * ones) | bytes) >> 7 & ones;
    return nonzero * 0x0102040810204080u >> 56; /* moves bit 8 k to bit 56 + k, without carries */
}

/* Which of n <= 64 pixels are under the static mask: none of most groups. */
static uint64_t covered_bits(const uint8_t *mask, size_t n)
{
    uint8_t rest[GROUP_NPIXELS] = {0};
    uint64_t words[GROUP_NPIXELS / 8];
    uint64_t any = 0;
    uint64_t bits = 0;
    if (n < GROUP_NPIXELS)
        mask = memcpy(rest, mask, n);
    for (size_t k = 0; k < GROUP_NPIXELS / 8; k++) {
        words[k] = load_u64(mask + 8 * k);
        any |= words[k];
    }
    for (size_t k = 0; k < GROUP_NPIXELS / 8 && any; k++)
        bits |= nonzero_bits(words[k]) << 8 * k;
    return bits;
}

/* Valid pixels under the static mask become pixels to look up. */
static void apply_static_mask(const plane_source *s, uint32_t row, uint8_t *value, group_bits *bits)
{
    const size_t nx = s->frame->nx;
    for (size_t start = 0; start < nx; start += GROUP_NPIXELS, bits++) {
        const size_t n = nx - start < GROUP_NPIXELS ? nx - start : GROUP_NPIXELS;
        const uint64_t covered = covered_bits(s->static_mask + row * nx + start, n) & ~bits->masked;
        bits->lookup |= covered;
        for (uint64_t left = covered; left; left &= left - 1)
            value[start + lowest_bit(left)] = BYTE_LOOKUP;
    }
}

/* Bits of a row of tiles: four rows of them. */
static group_bits *tile_row_bits(const plane_source *s, uint32_t tile_row,
                                 const counts_plane *plane)
{
    return plane->bits + (size_t)TILE_EDGE * (tile_row % STRIP_NTILES) * s->ngroups;
}

/* The pixels of a group whose bytes say nothing: their sum, instead of that of the bytes. */
static void look_up_group(const plane_source *s, uint32_t tile_row, size_t g, counts_plane *plane)
{
    const group_bits *bits = tile_row_bits(s, tile_row, plane) + g;
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const size_t row = (size_t)TILE_EDGE * tile_row + i;
        const size_t first = row * s->frame->nx + g * GROUP_NPIXELS;
        for (uint64_t left = bits[i * s->ngroups].lookup; left; left &= left - 1) {
            const int64_t value =
                pixel_get(s->frame->pixels, s->frame->type, first + lowest_bit(left));
            plane->total += (uint64_t)(uint32_t)value - BYTE_LOOKUP;
            plane->has_negative |= value < 0;
        }
    }
}

/* Takes the masked pixels, given by rows, off the first n <= 16 tiles of a group. */
static void drop_masked(const uint64_t rows[TILE_EDGE], size_t n, uint16_t *valid)
{
    for (size_t t = 0; t < n; t += QUAD_NTILES) {
        uint64_t quad = 0;
        for (uint32_t i = 0; i < TILE_EDGE; i++)
            quad |= (rows[i] >> TILE_EDGE * t & 0xFFFF) << 16 * i;
        quad = transpose_quad(quad);
        if (n - t >= QUAD_NTILES) {
            quad_put(valid + t, quad_get(valid + t) & ~quad);
            continue;
        }
        for (size_t k = 0; t + k < n; k++)
            valid[t + k] &= (uint16_t) ~(quad >> 16 * k);
    }
}

/*
 * Valid bits of a group that has masked pixels, or has some in the row above.  Most of those are
 * gaps, whose tiles are as the tiles above, if these are not where the gap begins.
 */
static void mark_group(const plane_source *s, const uint64_t rows[TILE_EDGE], size_t g,
                       uint16_t *valid, uint8_t *codes)
{
    const size_t t = GROUP_NTILES * g;
    const uint32_t ntx = s->map->ntx;
    const size_t n = ntx - t < GROUP_NTILES ? ntx - t : GROUP_NTILES;
    const uint64_t differing =
        (rows[0] ^ s->above[g]) | (rows[1] ^ rows[0]) | (rows[2] ^ rows[1]) | (rows[3] ^ rows[2]);
    s->above[g] = rows[TILE_EDGE - 1];
    if (differing)
        codes[g] |= GROUP_IS_NEW;
    if (differing || n < GROUP_NTILES || *(codes + g - s->ngroups) & GROUP_IS_NEW)
        drop_masked(rows, n, valid + t);
    else
        memcpy(valid + t, valid + t - ntx, GROUP_NTILES * sizeof *valid);
}

/* Valid bits of a row of tiles without masked pixels. */
static void begin_valid(const ring_map *map, uint32_t tile_row, uint16_t *valid)
{
    memset(valid, 0xFF, map->ntx * sizeof *valid);
    if (tile_row + 1 == map->nty) {
        for (uint32_t column = 0; column < map->ntx; column++)
            valid[column] = tile_inside(map, tile_row, column);
    }
    valid[map->ntx - 1] = tile_inside(map, tile_row, map->ntx - 1);
}

/* What the pixels of a row of tiles that are no counts below 255 need: few groups have any. */
static void visit_groups(const plane_source *s, uint32_t tile_row, uint8_t *codes,
                         counts_plane *plane)
{
    uint16_t *valid = plane->valid + (size_t)tile_row * s->map->ntx;
    const group_bits *bits = tile_row_bits(s, tile_row, plane);
    begin_valid(s->map, tile_row, valid);
    for (size_t g = 0; g < s->ngroups; g++, bits++) {
        const group_bits row[TILE_EDGE] = {bits[0], bits[s->ngroups], bits[2 * s->ngroups],
                                           bits[3 * s->ngroups]};
        if (row[0].lookup | row[1].lookup | row[2].lookup | row[3].lookup)
            look_up_group(s, tile_row, g, plane);
        const uint64_t rows[TILE_EDGE] = {row[0].masked, row[1].masked, row[2].masked,
                                          row[3].masked};
        if (rows[0] | rows[1] | rows[2] | rows[3] | s->above[g])
            mark_group(s, rows, g, valid, codes);
    }
}

static void make_tile_row(const plane_source *s, uint32_t tile_row, counts_plane *plane)
{
    const size_t first = (size_t)tile_row * s->map->ntx;
    uint8_t *value = plane->value + (size_t)tile_row * TILE_EDGE * plane->stride;
    const tile_outputs out = {plane->sum + first, plane->squares + first, plane->largest + first,
                              plane->has_large + first};
    group_bits *bits = tile_row_bits(s, tile_row, plane);
    for (uint32_t i = 0; i < TILE_EDGE && s->static_mask; i++) {
        const uint32_t row = tile_row * TILE_EDGE + i;
        if (row < s->frame->ny)
            apply_static_mask(s, row, value + i * plane->stride, bits + i * s->ngroups);
    }
    visit_groups(s, tile_row, plane->codes + tile_row * s->ngroups, plane);
    plane->total += plane->kernels->describe(value, plane->stride, s->ngroups, &out);
}

h5bragg_status counts_plane_make(const bragg_frame *frame, const bragg_mask_codes *codes,
                                 const uint8_t *static_mask, const ring_map *map,
                                 counts_plane *plane)
{
    const h5bragg_status status = allocate(map, plane);
    if (status)
        return status;
    const size_t ngroups = ring_map_ngroups(map);
    const plane_source source = {.frame = frame,
                                 .static_mask = static_mask,
                                 .map = map,
                                 .codes = counts_plane_codes(codes, frame->type),
                                 .narrow = counts_plane_narrow(plane->kernels, frame->type),
                                 .pixel_nbytes = h5bragg_pixel_nbytes(frame->type),
                                 .ngroups = ngroups,
                                 .above = scratch_take_zeros(ngroups, sizeof *source.above)};
    if (!source.above)
        return H5BRAGG_NO_MEMORY;
    plane->has_negative = 0;
    plane->total = 0;
    memset(plane->codes, 0, ngroups * map->nty);
    for (uint32_t tile_row = 0; tile_row < map->nty; tile_row++) {
        if (tile_row % STRIP_NTILES == 0)
            narrow_strip(&source, tile_row, plane);
        make_tile_row(&source, tile_row, plane);
    }
    scratch_give(source.above);
    return H5BRAGG_OK;
}
