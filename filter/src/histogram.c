/* SPDX-License-Identifier: MIT */
/*
 * Per-cell histograms of a frame (docs/format.md, "Tiles and rings": cells).
 *
 * Kernels count dark pixels, a row of tiles at a time.  The few brighter ones are listed and then
 * counted one by one.  What counting them takes from afar, a frame that has left the caches, is
 * asked for when they are listed, and arrives while a kernel is at work.
 */
#include "histogram.h"

#include <stdlib.h>
#include <string.h>

#include "scratch.h"

/* Kernels get so many tiles at once: whole groups, which no counter of theirs is too small for. */
enum { PIECE_NTILES = DARK_MAX_NTILES / GROUP_NTILES * GROUP_NTILES };

enum { NAHEAD = 16 }; /* cells */

typedef struct count_source {
    const bragg_frame *frame;
    const uint8_t *static_mask;
    const ring_map *map;
    const counts_plane *plane;
    uint32_t *bright; /* scratch: list_nentries for a row of tiles */
} count_source;

static h5bragg_status grow(histogram *h)
{
    const size_t capacity = h->capacity ? 2 * h->capacity : 4096;
    if (capacity > SIZE_MAX / sizeof *h->pixel)
        return H5BRAGG_NO_MEMORY;
    overflow_pixel *pixel = scratch_grow(h->pixel, capacity * sizeof *pixel);
    if (!pixel)
        return H5BRAGG_NO_MEMORY;
    h->pixel = pixel;
    uint32_t *overflow = scratch_grow(h->overflow, capacity * sizeof *overflow);
    if (!overflow)
        return H5BRAGG_NO_MEMORY;
    h->overflow = overflow;
    h->capacity = capacity;
    return H5BRAGG_OK;
}

static inline size_t bright_place(const ring_map *map, uint32_t tile_row, uint32_t pixel)
{
    return tile_pixel(map, tile_row, bright_column(pixel), bright_number(pixel));
}

/*
 * Lists the bright pixels of a row of tiles; returns their number.  Those under the static mask are
 * dropped, and others that must be looked up are asked for.
 */
static size_t list_bright(const count_source *s, uint32_t tile_row, const counted_row *row)
{
    const uint8_t *frame = s->frame->pixels;
    const size_t nbytes = h5bragg_pixel_nbytes(s->frame->type);
    const size_t nlisted = s->plane->kernels->list(row, s->bright);
    size_t n = 0;
    if (!memchr(row->largest, BYTE_LOOKUP, row->ntiles))
        return nlisted;
    for (size_t k = 0; k < nlisted; k++) {
        const uint32_t pixel = s->bright[k];
        s->bright[n] = pixel;
        if (bright_byte(pixel) == BYTE_LOOKUP) {
            const size_t at = bright_place(s->map, tile_row, pixel);
            if (s->static_mask && s->static_mask[at])
                continue;
            ask_for(frame + at * nbytes);
        }
        n++;
    }
    return n;
}

static void clear_dark(histogram *h)
{
    memset(h->dark, 0, (size_t)h->ncells * HISTOGRAM_NDARK * sizeof *h->dark);
    memset(h->dark + (size_t)BRAGG_NO_CELL * HISTOGRAM_NDARK, 0, HISTOGRAM_NDARK * sizeof *h->dark);
    h->ndark = 0;
}

/* Adds what kernels have counted to the counters of 32 bits. */
static void add_dark(histogram *h)
{
    for (size_t c = 0; c < h->ncells; c++) {
        uint32_t *count = h->count + c * HISTOGRAM_NCOUNTS;
        const uint16_t *dark = h->dark + c * HISTOGRAM_NDARK;
        ask_for(count + NAHEAD * HISTOGRAM_NCOUNTS); /* too far apart to be foreseen */
        for (size_t v = 0; v < HISTOGRAM_NDARK; v++)
            count[v] += dark[v];
    }
}

/* Pixels of a row of tiles that kernels count.  Cells with too many tiles for that are rare. */
static void count_dark(const count_source *s, const counted_row *row, histogram *h)
{
    for (uint32_t first = 0; first < row->ntiles; first += PIECE_NTILES) {
        const uint32_t nleft = row->ntiles - first;
        const counted_row piece = {.value = row->value + TILE_EDGE * (size_t)first,
                                   .stride = row->stride,
                                   .ntiles = nleft < PIECE_NTILES ? nleft : PIECE_NTILES,
                                   .cell = row->cell + first,
                                   .valid = row->valid + first,
                                   .largest = row->largest + first};
        if (h->ndark + piece.ntiles > DARK_MAX_NTILES && s->map->most_ntiles > DARK_MAX_NTILES) {
            add_dark(h);
            clear_dark(h);
        }
        h->ndark += piece.ntiles;
        s->plane->kernels->count(&piece, h->dark);
    }
}

static h5bragg_status add_overflow(int64_t value, uint32_t cell, histogram *h)
{
    const h5bragg_status status = h->npixels == h->capacity ? grow(h) : H5BRAGG_OK;
    if (!status)
        h->pixel[h->npixels++] = (overflow_pixel){(uint32_t)(value - h->value_offset), cell};
    return status;
}

/* Counts n listed pixels of a row of tiles. */
static h5bragg_status count_bright(const count_source *s, uint32_t tile_row, size_t n, histogram *h)
{
    const uint16_t *cells = s->map->cell + (size_t)tile_row * s->map->ntx;
    for (size_t k = 0; k < n; k++) {
        const uint32_t pixel = s->bright[k];
        const uint32_t cell = cells[bright_column(pixel)];
        const uint8_t byte = bright_byte(pixel);
        if (cell == BRAGG_NO_CELL)
            continue;
        if (byte < HISTOGRAM_NCOUNTS) {
            h->count[(size_t)cell * HISTOGRAM_NCOUNTS + byte]++;
            continue;
        }
        int64_t exact = byte;
        if (byte == BYTE_LOOKUP)
            exact =
                pixel_get(s->frame->pixels, s->frame->type, bright_place(s->map, tile_row, pixel));
        const h5bragg_status status = add_overflow(exact, cell, h);
        if (status)
            return status;
    }
    return H5BRAGG_OK;
}

static h5bragg_status count_row(const count_source *s, uint32_t tile_row, histogram *h)
{
    const counts_plane *plane = s->plane;
    const uint32_t ntx = s->map->ntx;
    const size_t first = (size_t)tile_row * ntx;
    const counted_row row = {.value = plane->value + TILE_EDGE * tile_row * plane->stride,
                             .stride = plane->stride,
                             .ntiles = ntx,
                             .cell = s->map->cell + first,
                             .valid = plane->valid + first,
                             .largest = plane->largest + first};
    const size_t nbright = list_bright(s, tile_row, &row);
    count_dark(s, &row, h);
    return count_bright(s, tile_row, nbright, h);
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

/* Room for the counters of a map's cells, and no overflow entries yet. */
static h5bragg_status prepare(const ring_map *map, histogram *h)
{
    const size_t ncounts = (size_t)map->ncells * HISTOGRAM_NCOUNTS;
    const size_t ndark = (BRAGG_NO_CELL + (size_t)1) * HISTOGRAM_NDARK;
    if (!h->count || h->ncells != map->ncells) {
        histogram_free(h);
        h->ncells = map->ncells;
        h->count = scratch_take((ncounts + 1) * sizeof *h->count);
        h->dark = scratch_take(ndark * sizeof *h->dark);
        h->overflow_start = scratch_take((map->ncells + (size_t)2) * sizeof *h->overflow_start);
        if (!h->count || !h->dark || !h->overflow_start || grow(h))
            return H5BRAGG_NO_MEMORY;
    }
    memset(h->overflow_start, 0, (map->ncells + (size_t)2) * sizeof *h->overflow_start);
    h->npixels = 0;
    h->counter_sums = counter_sums_kernel(bragg_cpu_level());
    return H5BRAGG_OK;
}

h5bragg_status histogram_make(const bragg_frame *frame, const uint8_t *static_mask,
                              const ring_map *map, const counts_plane *plane, histogram *h)
{
    h5bragg_status status = prepare(map, h);
    if (status)
        return status;
    const count_source source = {frame, static_mask, map, plane,
                                 scratch_take(list_nentries(map->ntx) * sizeof *source.bright)};
    if (!source.bright)
        return H5BRAGG_NO_MEMORY;
    h->value_offset = pixel_minimum(frame->type);
    h->has_negative = plane->has_negative;
    memset(h->count, 0, (size_t)h->ncells * HISTOGRAM_NCOUNTS * sizeof *h->count);
    clear_dark(h);
    for (uint32_t tile_row = 0; tile_row < map->nty && !status; tile_row++)
        status = count_row(&source, tile_row, h);
    scratch_give(source.bright);
    if (status)
        return status;
    add_dark(h);
    sort_overflow(h);
    return H5BRAGG_OK;
}

static int by_place(const void *a, const void *b)
{
    const uint32_t left = ((const h5bragg_large_pixel *)a)->place;
    const uint32_t right = ((const h5bragg_large_pixel *)b)->place;
    return (left > right) - (left < right);
}

/* Puts large pixels, which come in any order, in that of the tiles. */
static h5bragg_status add_large(const h5bragg_counts *counts, h5bragg_pixel_type type,
                                const ring_map *map, histogram *h)
{
    const uint64_t nplaces = (uint64_t)ring_map_ntiles(map) * TILE_NPIXELS;
    const int is_signed = pixel_minimum(type) < 0;
    if (counts->nlarge > nplaces)
        return H5BRAGG_BAD_ARGUMENT;
    qsort(counts->large, (size_t)counts->nlarge, sizeof *counts->large, by_place);
    for (size_t k = 0; k < counts->nlarge; k++) {
        const h5bragg_large_pixel *pixel = &counts->large[k];
        if (pixel->place >= nplaces || map->cell[pixel->place / TILE_NPIXELS] >= map->ncells)
            return H5BRAGG_BAD_ARGUMENT;
        const int64_t value = is_signed ? (int64_t)(int32_t)pixel->value : pixel->value;
        const h5bragg_status status =
            add_overflow(value, map->cell[pixel->place / TILE_NPIXELS], h);
        if (status)
            return status;
    }
    return H5BRAGG_OK;
}

/* Pixels without any count are those that are left over. */
static h5bragg_status count_zeros(const h5bragg_counts *counts, const uint32_t *ntiles,
                                  histogram *h)
{
    for (uint32_t c = 0; c < h->ncells; c++) {
        uint32_t *count = h->count + (size_t)c * HISTOGRAM_NCOUNTS;
        uint64_t others = (uint64_t)counts->absent[c] + h->overflow_start[c + 1];
        others -= h->overflow_start[c];
        for (uint32_t v = 1; v < HISTOGRAM_NCOUNTS; v++)
            others += count[v];
        const uint64_t all = (uint64_t)ntiles[c] * TILE_NPIXELS;
        if (others > all)
            return H5BRAGG_BAD_ARGUMENT;
        count[0] = (uint32_t)(all - others);
    }
    return H5BRAGG_OK;
}

h5bragg_status histogram_from_counts(const h5bragg_counts *counts, h5bragg_pixel_type type,
                                     const ring_map *map, const uint32_t *ntiles, histogram *h)
{
    h5bragg_status status = prepare(map, h);
    if (status)
        return status;
    h->value_offset = pixel_minimum(type);
    h->has_negative = counts->has_negative != 0;
    memcpy(h->count, counts->count, (size_t)h->ncells * HISTOGRAM_NCOUNTS * sizeof *h->count);
    status = add_large(counts, type, map, h);
    if (status)
        return status;
    sort_overflow(h);
    return count_zeros(counts, ntiles, h);
}

void histogram_free(histogram *h)
{
    scratch_give(h->count);
    scratch_give(h->dark);
    scratch_give(h->overflow_start);
    scratch_give(h->overflow);
    scratch_give(h->pixel);
    memset(h, 0, sizeof *h);
}

/* Pixels without a counter. */
static void sum_overflow(const histogram *h, uint32_t cell, value_range range, value_sums *sums)
{
    for (uint32_t k = h->overflow_start[cell]; k < h->overflow_start[cell + 1]; k++) {
        const int64_t v = h->value_offset + (int64_t)h->overflow[k];
        if (v < range.low || v > range.high)
            continue;
        sums->n += 1.0;
        sums->sum += (double)v;
        sums->sum_squares += (double)v * (double)v;
    }
}

void histogram_sums_all(const histogram *h, uint32_t first, uint32_t last, const value_range *range,
                        value_sums *sums)
{
    h->counter_sums(h->count + (size_t)first * HISTOGRAM_NCOUNTS, range, last - first, sums);
    for (uint32_t k = 0; k < last - first; k++) {
        /* Of these pixels, whose number is a matter of chance, mostly none can be meant. */
        if (range[k].high >= HISTOGRAM_NCOUNTS || (range[k].low < 0 && h->has_negative))
            sum_overflow(h, first + k, range[k], &sums[k]);
    }
}

void histogram_sums(const histogram *h, uint32_t cell, int64_t low, int64_t high, value_sums *sums)
{
    const value_range range = {low, high};
    histogram_sums_all(h, cell, cell + 1, &range, sums);
}
