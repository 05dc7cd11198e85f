/* SPDX-License-Identifier: MIT */
/*
 * A weak reflection need not have a single pixel above the threshold, but its pixels together stand
 * out of the background.  The sum of a 3 x 3 box around every pixel is compared with the sum that
 * the ring expects; where it is too large to be chance, the box and one pixel around it are
 * significant, and the blocks they touch are stored exactly.
 */
#include "significance.h"

#include <math.h>
#include <stdlib.h>

#include "poisson.h"

enum { BOX = 3, BOX_PIXELS = BOX * BOX, REACH = 2 };

/* Sums of three rows, column by column, padded by one column on either side. */
typedef struct row_sums {
    int64_t *count;
    uint8_t *valid;
} row_sums;

typedef struct box_search {
    const bragg_frame *frame;
    const noise_frame *noise;
    const ring_profile *profile;
    const double *expected; /* per cell: counts of a pixel */
    const uint8_t *static_mask;
    const local_grid *grid;
    double cut;
    uint8_t *kept;
    int64_t *limit; /* per cell and number of valid pixels: largest sum by chance; -1 unset */
    row_sums sums;
} box_search;

BRAGG_INLINE void sum_rows(const h5bragg_pixel_type type, const box_search *s, uint32_t row)
{
    const uint32_t nx = s->frame->nx;
    const uint32_t first = row > 0 ? row - 1 : 0;
    const uint32_t last = row + 1 < s->frame->ny ? row + 1 : row;
    memset(s->sums.count, 0, (nx + 2) * sizeof *s->sums.count);
    memset(s->sums.valid, 0, nx + 2);
    for (uint32_t i = first; i <= last; i++) {
        for (uint32_t j = 0; j < nx; j++) {
            const size_t at = (size_t)i * nx + j;
            const int64_t value = pixel_get(s->frame->pixels, type, at);
            if (s->noise->map->cell[at] == BRAGG_NO_CELL || mask_number(&s->noise->codes, value) ||
                (s->static_mask && s->static_mask[at]))
                continue;
            s->sums.count[j + 1] += value;
            s->sums.valid[j + 1]++;
        }
    }
}

/* Largest sum of n pixels of a cell that is still chance. */
static int64_t chance_limit(const box_search *s, uint32_t cell, uint32_t n)
{
    int64_t *limit = &s->limit[(size_t)cell * BOX_PIXELS + n - 1];
    if (*limit < 0) {
        const ring_profile *ring = &s->profile[s->noise->map->ring[cell]];
        const double mean = n * s->expected[cell];
        const int is_measured = s->noise->params->error_model == H5BRAGG_AZIMUTHAL;
        const double sigma = is_measured ? noise_sigma(s->noise, ring, cell) : 0;
        const double high = sigma > 0 ? floor(mean + s->cut * (sqrt((double)n) * sigma))
                                      : (double)poisson_clip_range(mean, s->cut).high;
        *limit = high > 0 ? (int64_t)high : 0;
    }
    return *limit;
}

static void keep_around(const box_search *s, uint32_t row, uint32_t column)
{
    const local_grid *g = s->grid;
    const uint32_t top = row > REACH ? row - REACH : 0;
    const uint32_t left = column > REACH ? column - REACH : 0;
    const uint32_t bottom = row + REACH < g->ny ? row + REACH : g->ny - 1;
    const uint32_t right = column + REACH < g->nx ? column + REACH : g->nx - 1;
    for (uint32_t i = top / g->edge; i <= bottom / g->edge; i++) {
        for (uint32_t j = left / g->edge; j <= right / g->edge; j++)
            s->kept[(size_t)i * g->nfast + j] = 1;
    }
}

static void search_row(const box_search *s, uint32_t row)
{
    const uint32_t nx = s->frame->nx;
    const uint16_t *cell = s->noise->map->cell + (size_t)row * nx;
    const int64_t *count = s->sums.count;
    const uint8_t *valid = s->sums.valid;
    for (uint32_t j = 0; j < nx; j++) {
        const uint32_t n = (uint32_t)valid[j] + valid[j + 1] + valid[j + 2];
        if (cell[j] == BRAGG_NO_CELL || n == 0)
            continue;
        if (count[j] + count[j + 1] + count[j + 2] > chance_limit(s, cell[j], n))
            keep_around(s, row, j);
    }
}

static h5bragg_status allocate(box_search *s)
{
    const ring_map *map = s->noise->map;
    const size_t nlimits = (map->ncells + 1u) * (size_t)BOX_PIXELS;
    s->limit = malloc(nlimits * sizeof *s->limit);
    s->sums.count = malloc(((size_t)map->nx + 2) * sizeof *s->sums.count);
    s->sums.valid = malloc((size_t)map->nx + 2);
    if (!s->limit || !s->sums.count || !s->sums.valid)
        return H5BRAGG_NO_MEMORY;
    memset(s->limit, 0xFF, nlimits * sizeof *s->limit);
    return H5BRAGG_OK;
}

h5bragg_status significance_find(const bragg_frame *frame, const noise_frame *noise,
                                 const ring_profile *profile, const double *expected,
                                 const uint8_t *static_mask, const local_grid *grid, double cut,
                                 uint8_t *kept)
{
    box_search s = {.frame = frame,
                    .noise = noise,
                    .profile = profile,
                    .expected = expected,
                    .static_mask = static_mask,
                    .grid = grid,
                    .cut = cut,
                    .kept = kept};
    memset(kept, 0, local_nblocks(grid));
    const h5bragg_status status = allocate(&s);
    for (uint32_t row = 0; row < frame->ny && !status; row++) {
        DISPATCH_PIXEL_TYPE(frame->type, sum_rows, &s, row)
        search_row(&s, row);
    }
    free(s.limit);
    free(s.sums.count);
    free(s.sums.valid);
    return status;
}
