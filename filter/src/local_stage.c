/* SPDX-License-Identifier: MIT */
/* Local counts, as the encoder goes about them. */
#include "local_stage.h"

#include <math.h>
#include <stdlib.h>

#include "significance.h"

/* A 3 x 3 box is significant beyond this many standard deviations. */
static const double SIGNIFICANT_SNR = 3.0;
/* With fewer degrees of freedom a ring's variance is not measured within blocks. */
static const double LEAST_FREEDOM = 20.0;

h5bragg_status local_stage_make(const ring_map *map, uint32_t edge, local_stage *stage)
{
    const size_t npixels = (size_t)map->ny * map->nx;
    memset(stage, 0, sizeof *stage);
    stage->grid = local_grid_of(edge, map->ny, map->nx);
    stage->kept = malloc(local_nblocks(&stage->grid));
    stage->excluded = malloc(npixels);
    stage->exact = malloc(npixels);
    stage->expected = malloc((map->ncells + 1u) * sizeof *stage->expected);
    stage->variance = malloc(map->nbins * sizeof *stage->variance);
    const int is_complete =
        stage->kept && stage->excluded && stage->exact && stage->expected && stage->variance;
    return is_complete ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void local_stage_free(local_stage *stage)
{
    free(stage->kept);
    free(stage->excluded);
    free(stage->exact);
    free(stage->expected);
    free(stage->variance);
    memset(stage, 0, sizeof *stage);
}

h5bragg_status local_find_kept(local_stage *stage, const bragg_frame *frame,
                               const noise_frame *noise, const ring_profile *profile,
                               const uint8_t *static_mask)
{
    const local_grid *grid = &stage->grid;
    const size_t npixels = (size_t)grid->ny * grid->nx;
    noise_expected_all(noise, profile, stage->expected);
    const h5bragg_status status = significance_find(
        frame, noise, profile, stage->expected, static_mask, grid, SIGNIFICANT_SNR, stage->kept);
    if (static_mask)
        memcpy(stage->excluded, static_mask, npixels);
    else
        memset(stage->excluded, 0, npixels);
    for (size_t k = 0; k < local_nblocks(grid) && !status; k++) {
        const local_block b = local_block_at(grid, k);
        for (uint32_t row = b.top; row < b.bottom && stage->kept[k]; row++)
            memset(stage->excluded + (size_t)row * grid->nx + b.left, 1, b.right - b.left);
    }
    return status;
}

void local_drop_kept(const local_stage *stage, const ring_map *map, picked_pixels *picked)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < picked->n; k++) {
        const uint32_t i = picked->index[k];
        if (map->cell[i] != BRAGG_NO_CELL && local_is_kept(&stage->grid, stage->kept, i))
            continue;
        picked->index[n] = i;
        picked->excess[n] = picked->excess[k];
        n++;
    }
    picked->n = n;
}

/* Adds the squared deviations of a block's discarded pixels, and their degrees of freedom. */
BRAGG_INLINE void add_block(const h5bragg_pixel_type type, const local_stage *stage,
                            const bragg_frame *frame, const noise_frame *noise,
                            const cell_range *range, size_t number, double *squares,
                            double *freedom)
{
    const local_block at = local_block_at(&stage->grid, number);
    size_t index[LOCAL_MAX_PIXELS];
    uint32_t n = 0;
    double sum = 0;
    double expected = 0;
    for (uint32_t row = at.top; row < at.bottom; row++) {
        for (uint32_t column = at.left; column < at.right; column++) {
            const size_t i = (size_t)row * frame->nx + column;
            const uint16_t cell = noise->map->cell[i];
            const int64_t value = pixel_get(frame->pixels, type, i);
            if (cell == BRAGG_NO_CELL || stage->excluded[i] || value < range[cell].low ||
                value > range[cell].high || mask_number(&noise->codes, value))
                continue;
            index[n++] = i;
            sum += (double)value;
            expected += stage->expected[cell];
        }
    }
    for (uint32_t k = 0; k < n && n > 1; k++) {
        const uint16_t cell = noise->map->cell[index[k]];
        const double own = stage->expected[cell] + (sum - expected) / n;
        const double deviation = (double)pixel_get(frame->pixels, type, index[k]) - own;
        squares[noise->map->ring[cell]] += deviation * deviation;
        freedom[noise->map->ring[cell]] += 1.0 - 1.0 / n;
    }
}

/*
 * The steps s of the sums of n pixels add (s^2 - 1) / 12 to the variance of a sum, 1 / n^2 of it to
 * that of a pixel.  The noise gets so much less that the frame's variance is kept.
 */
static double without_quantisation(double variance, uint32_t edge)
{
    const double n = (double)edge * edge;
    const double root = floor(sqrt(n * variance));
    const double added = root > 1.0 ? (root * root - 1.0) / (12.0 * n * n) : 0;
    return variance > added ? variance - added : variance;
}

h5bragg_status local_variance(local_stage *stage, const bragg_frame *frame,
                              const noise_frame *noise, const cell_range *range)
{
    const uint32_t nbins = noise->map->nbins;
    double *freedom = calloc(nbins, sizeof *freedom);
    if (!freedom)
        return H5BRAGG_NO_MEMORY;
    memset(stage->variance, 0, nbins * sizeof *stage->variance);
    for (size_t k = 0; k < local_nblocks(&stage->grid); k++) {
        DISPATCH_PIXEL_TYPE(frame->type, add_block, stage, frame, noise, range, k, stage->variance,
                            freedom)
    }
    for (uint32_t r = 0; r < nbins; r++)
        stage->variance[r] =
            freedom[r] > LEAST_FREEDOM
                ? without_quantisation(stage->variance[r] / freedom[r], stage->grid.edge)
                : -1.0;
    free(freedom);
    return H5BRAGG_OK;
}

BRAGG_INLINE void number_masked(const h5bragg_pixel_type type, const bragg_frame *frame,
                                const bragg_mask_codes *codes, uint8_t *mask)
{
    const size_t npixels = (size_t)frame->ny * frame->nx;
    for (size_t i = 0; i < npixels; i++)
        mask[i] = mask_number(codes, pixel_get(frame->pixels, type, i));
}

/* As local_mark_exact, for a frame whose kept pixels are not among the picked ones. */
static void mark_exact(local_stage *stage, const bragg_frame *frame, const noise_frame *noise,
                       const picked_pixels *picked)
{
    DISPATCH_PIXEL_TYPE(frame->type, number_masked, frame, &noise->codes, stage->exact)
    local_mark_exact(noise->map, stage->exact, picked, stage->exact);
    const size_t npixels = (size_t)frame->ny * frame->nx;
    for (size_t i = 0; i < npixels; i++)
        stage->exact[i] |= (uint8_t)local_is_kept(&stage->grid, stage->kept, i);
}

h5bragg_status local_pack(local_stage *stage, const bragg_frame *frame, const noise_frame *noise,
                          const ring_profile *profile, const cell_range *range,
                          const picked_pixels *picked, uint64_t seed,
                          byte_writer streams[LOCAL_NSTREAMS], uint32_t *nkept)
{
    noise_tables *tables = NULL;
    h5bragg_status status = noise_tables_make(noise, profile, range, &tables);
    if (!status) {
        kept_write(frame, noise, stage->expected, &stage->grid, stage->kept, &streams[0],
                   &streams[1], nkept);
        mark_exact(stage, frame, noise, picked);
        const local_frame local = {noise, tables, range, &stage->grid, stage->exact, seed};
        status = local_write(&local, frame->pixels, &streams[1 + KEPT_NCLASSES]);
    }
    noise_tables_free(tables);
    return status;
}
