/* SPDX-License-Identifier: MIT */
/*
 * Per-cell histograms of a frame (docs/format.md, "Tiles and rings": cells).
 *
 * Kernels count eight values of sixteen tiles at a time.  A few bright tiles are not worth a
 * further round for all sixteen: the rest of their pixels is counted one by one.
 */
#include "histogram.h"

#include <stdlib.h>
#include <string.h>

enum { FEW_TILES = 3 };

typedef struct count_source {
    const bragg_frame *frame;
    const uint8_t *static_mask;
    const ring_map *map;
    const counts_plane *plane;
} count_source;

static h5bragg_status grow(histogram *h)
{
    const size_t capacity = h->capacity ? 2 * h->capacity : 4096;
    if (capacity > SIZE_MAX / sizeof *h->pixel)
        return H5BRAGG_NO_MEMORY;
    overflow_pixel *pixel = realloc(h->pixel, capacity * sizeof *pixel);
    if (!pixel)
        return H5BRAGG_NO_MEMORY;
    h->pixel = pixel;
    uint32_t *overflow = realloc(h->overflow, capacity * sizeof *overflow);
    if (!overflow)
        return H5BRAGG_NO_MEMORY;
    h->overflow = overflow;
    h->capacity = capacity;
    return H5BRAGG_OK;
}

/* The bytes of a tile from `base` upwards. */
static h5bragg_status count_bright(const count_source *s, uint32_t tile_row, uint32_t column,
                                   uint32_t base, histogram *h)
{
    const size_t tile = (size_t)tile_row * s->map->ntx + column;
    const uint32_t cell = s->map->cell[tile];
    const uint8_t *value =
        s->plane->value + TILE_EDGE * (tile_row * s->plane->stride + (size_t)column);
    uint32_t *count = h->count + (size_t)cell * HISTOGRAM_NCOUNTS;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint8_t byte = value[p / TILE_EDGE * s->plane->stride + p % TILE_EDGE];
        if (byte < base)
            continue;
        if (byte < HISTOGRAM_NCOUNTS) {
            count[byte]++;
            continue;
        }
        int64_t exact = byte;
        if (byte == BYTE_LOOKUP) {
            const size_t at = tile_pixel(s->map, tile_row, column, p);
            if (s->static_mask && s->static_mask[at])
                continue;
            exact = pixel_get(s->frame->pixels, s->frame->type, at);
        }
        if (h->npixels == h->capacity) {
            const h5bragg_status status = grow(h);
            if (status)
                return status;
        }
        h->pixel[h->npixels++] = (overflow_pixel){(uint32_t)(exact - h->value_offset), cell, tile};
    }
    return H5BRAGG_OK;
}

/* Whether some tile of a group of 16 has a byte of COUNTS_AT_ONCE or more. */
static int some_bright(const uint8_t largest[GROUP_NTILES])
{
    uint64_t half[2];
    memcpy(half, largest, sizeof half);
    return ((half[0] | half[1]) & 0x0101010101010101u * (256u - COUNTS_AT_ONCE)) != 0;
}

/* Tiles of a group that have a byte from `base` upwards. */
static uint32_t count_busy(const tile_group *group, uint32_t base)
{
    if (base == COUNTS_AT_ONCE && group->ntiles == GROUP_NTILES && !some_bright(group->largest))
        return 0;
    uint32_t n = 0;
    for (uint32_t t = 0; t < group->ntiles; t++)
        n += group->largest[t] >= base;
    return n;
}

static int all_valid(const uint16_t valid[GROUP_NTILES])
{
    uint64_t quarter[4];
    memcpy(quarter, valid, sizeof quarter);
    return (quarter[0] & quarter[1] & quarter[2] & quarter[3]) == UINT64_MAX;
}

/* Masked pixels were counted as zeros. */
static void discount_masked(const tile_group *group, const uint16_t *valid, uint32_t *count)
{
    if (group->ntiles == GROUP_NTILES && all_valid(valid))
        return;
    for (uint32_t t = 0; t < group->ntiles; t++) {
        if (valid[t] == 0xFFFF || group->cell[t] == BRAGG_NO_CELL)
            continue;
        uint32_t masked = valid[t] ^ 0xFFFFu; /* its bits are counted two, four, ... at a time */
        masked = (masked & 0x5555) + (masked >> 1 & 0x5555);
        masked = (masked & 0x3333) + (masked >> 2 & 0x3333);
        masked = (masked & 0x0F0F) + (masked >> 4 & 0x0F0F);
        count[(size_t)group->cell[t] * HISTOGRAM_NCOUNTS] -= (masked & 0xFF) + (masked >> 8);
    }
}

static h5bragg_status count_group(const count_source *s, uint32_t tile_row, uint32_t column,
                                  histogram *h)
{
    const size_t first = (size_t)tile_row * s->map->ntx + column;
    const uint32_t nleft = s->map->ntx - column;
    const tile_group group = {.value = s->plane->value +
                                       TILE_EDGE * (tile_row * s->plane->stride + (size_t)column),
                              .stride = s->plane->stride,
                              .cell = s->map->cell + first,
                              .largest = s->plane->largest + first,
                              .ntiles = nleft < GROUP_NTILES ? nleft : GROUP_NTILES};
    uint32_t base = 0;
    uint32_t nbusy = group.ntiles;
    while (base == 0 || (nbusy > FEW_TILES && base < HISTOGRAM_NCOUNTS)) {
        s->plane->kernels->count(&group, base, h->count);
        base += COUNTS_AT_ONCE;
        nbusy = count_busy(&group, base);
    }
    discount_masked(&group, s->plane->valid + first, h->count);
    for (uint32_t t = 0; nbusy > 0 && t < group.ntiles; t++) {
        if (group.largest[t] < base || group.cell[t] == BRAGG_NO_CELL)
            continue;
        const h5bragg_status status = count_bright(s, tile_row, column + t, base, h);
        if (status)
            return status;
    }
    return H5BRAGG_OK;
}

/* Counting sort of the overflow entries by cell. */
static void sort_overflow(histogram *h)
{
    for (size_t k = 0; k < h->npixels; k++)
        h->overflow_start[h->pixel[k].cell + 1]++;
    for (uint32_t c = 0; c < h->ncells; c++)
        h->overflow_start[c + 1] += h->overflow_start[c];
    for (size_t k = h->npixels; k-- > 0;)
        h->overflow[--h->overflow_start[h->pixel[k].cell + 1]] = h->pixel[k].value;
    /* Each start has moved down to where its cell begins, one entry too high up. */
    memmove(h->overflow_start, h->overflow_start + 1, h->ncells * sizeof *h->overflow_start);
    h->overflow_start[h->ncells] = (uint32_t)h->npixels;
}

/* Empty counters for the cells of a map. */
static h5bragg_status prepare(const ring_map *map, histogram *h)
{
    if (!h->count || h->ncells != map->ncells) {
        histogram_free(h);
        h->ncells = map->ncells;
        h->count = malloc(((size_t)map->ncells * HISTOGRAM_NCOUNTS + 1) * sizeof *h->count);
        h->overflow_start = malloc((map->ncells + (size_t)2) * sizeof *h->overflow_start);
        if (!h->count || !h->overflow_start || grow(h))
            return H5BRAGG_NO_MEMORY;
    }
    memset(h->count, 0, (size_t)map->ncells * HISTOGRAM_NCOUNTS * sizeof *h->count);
    memset(h->overflow_start, 0, (map->ncells + (size_t)2) * sizeof *h->overflow_start);
    h->npixels = 0;
    return H5BRAGG_OK;
}

h5bragg_status histogram_make(const bragg_frame *frame, const uint8_t *static_mask,
                              const ring_map *map, const counts_plane *plane, histogram *h)
{
    const count_source source = {frame, static_mask, map, plane};
    h5bragg_status status = prepare(map, h);
    h->value_offset = pixel_minimum(frame->type);
    h->has_negative = plane->has_negative;
    for (uint32_t tile_row = 0; tile_row < map->nty && !status; tile_row++) {
        for (uint32_t column = 0; column < map->ntx && !status; column += GROUP_NTILES)
            status = count_group(&source, tile_row, column, h);
    }
    if (status)
        return status;
    sort_overflow(h);
    return H5BRAGG_OK;
}

/* Takes the pixels of a tile that have counters off them. */
static void discount_tile(const ring_map *map, const counts_plane *plane, size_t tile, histogram *h)
{
    const size_t tile_row = tile / map->ntx;
    const size_t column = tile % map->ntx;
    const uint8_t *value = plane->value + TILE_EDGE * (tile_row * plane->stride + column);
    uint32_t *count = h->count + (size_t)map->cell[tile] * HISTOGRAM_NCOUNTS;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint8_t byte = value[p / TILE_EDGE * plane->stride + p % TILE_EDGE];
        if (byte < HISTOGRAM_NCOUNTS && plane->valid[tile] >> p & 1)
            count[byte]--;
    }
}

void histogram_exclude(const ring_map *map, const counts_plane *plane, const uint8_t *kept,
                       histogram *h)
{
    const size_t ntiles = ring_map_ntiles(map);
    for (size_t tile = 0; tile < ntiles; tile++) {
        if (kept[tile] && map->cell[tile] != BRAGG_NO_CELL)
            discount_tile(map, plane, tile, h);
    }
    size_t nleft = 0;
    for (size_t k = 0; k < h->npixels; k++) {
        if (!kept[h->pixel[k].tile])
            h->pixel[nleft++] = h->pixel[k];
    }
    h->npixels = nleft;
    memset(h->overflow_start, 0, (h->ncells + (size_t)2) * sizeof *h->overflow_start);
    sort_overflow(h);
}

void histogram_free(histogram *h)
{
    free(h->count);
    free(h->overflow_start);
    free(h->overflow);
    free(h->pixel);
    memset(h, 0, sizeof *h);
}

value_sums histogram_sums(const histogram *h, uint32_t cell, int64_t low, int64_t high)
{
    value_sums s = {0, 0, 0};
    const uint32_t *count = h->count + (size_t)cell * HISTOGRAM_NCOUNTS;
    const int64_t first = low > 0 ? low : 0;
    const int64_t last = high < HISTOGRAM_NCOUNTS ? high : HISTOGRAM_NCOUNTS - 1;
    for (int64_t v = first; v <= last; v++) {
        const double n = count[v];
        s.n += n;
        s.sum += n * (double)v;
        s.sum_squares += n * (double)v * (double)v;
    }
    for (uint32_t k = h->overflow_start[cell]; k < h->overflow_start[cell + 1]; k++) {
        const int64_t v = h->value_offset + (int64_t)h->overflow[k];
        if (v < low || v > high)
            continue;
        s.n += 1.0;
        s.sum += (double)v;
        s.sum_squares += (double)v * (double)v;
    }
    return s;
}
