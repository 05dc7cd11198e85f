/* SPDX-License-Identifier: MIT */
/* Rows of exact tiles for the peak finder. */
#include "peak_bands.h"

#include "scratch.h"

h5bragg_status peak_bands_make(sparse_frame *frame, peak_bands *b)
{
    const size_t ntiles = (size_t)MACRO_EDGE * frame->model.noise.map->ntx;
    memset(b, 0, sizeof *b);
    b->frame = frame;
    for (int k = 0; k < NBANDS; k++) {
        b->band[k].tile = exact_tiles_take(ntiles);
        b->band[k].number = scratch_take_zeros(ntiles, sizeof *b->band[k].number);
        if (!b->band[k].tile || !b->band[k].number)
            return H5BRAGG_NO_MEMORY;
    }
    return H5BRAGG_OK;
}

void peak_bands_free(peak_bands *b)
{
    for (int k = 0; k < NBANDS; k++) {
        scratch_give(b->band[k].tile);
        scratch_give(b->band[k].number);
    }
    memset(b, 0, sizeof *b);
}

/* Numbers the tiles of a band, or takes their numbers back. */
static void number_tiles(const peak_band *band, uint32_t ntx, uint32_t is_there)
{
    for (uint32_t row = 0; row < MACRO_EDGE; row++) {
        const exact_tile *restrict tile = band->tile;
        uint32_t *restrict number = band->number + (size_t)row * ntx;
        const uint32_t stop = band->start[row + 1];
        for (uint32_t k = band->start[row]; k < stop; k++)
            number[tile[k].column] = (k + 1) * is_there;
    }
}

/* Takes over the exact tiles that the frame has read; it gets memory for the next ones. */
static void take_exact(peak_bands *b, peak_band *band)
{
    const uint32_t ntx = b->frame->model.noise.map->ntx;
    exact_tile *tile = b->frame->tile;
    number_tiles(band, ntx, 0);
    b->frame->tile = band->tile;
    band->tile = tile;
    for (uint32_t k = 0; k <= MACRO_EDGE; k++)
        band->start[k] = b->frame->tile_start[k < b->frame->nrows ? k : b->frame->nrows];
    number_tiles(band, ntx, 1);
}

h5bragg_status peak_bands_read(peak_bands *b)
{
    peak_band *band = &b->band[b->nread % NBANDS];
    const h5bragg_status status = sparse_frame_read_row(b->frame, b->nread, 0);
    if (status)
        return status;
    take_exact(b, band);
    b->nread++;
    return H5BRAGG_OK;
}

exact_row peak_bands_row(const peak_bands *b, uint32_t row)
{
    const uint32_t macro_row = row / MACRO_EDGE;
    if (row >= b->frame->model.noise.map->nty || macro_row >= b->nread)
        return (exact_row){NULL, 0};
    const peak_band *band = &b->band[macro_row % NBANDS];
    const uint32_t *start = &band->start[row % MACRO_EDGE];
    return (exact_row){band->tile + start[0], start[1] - start[0]};
}
