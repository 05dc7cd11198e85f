/* SPDX-License-Identifier: MIT */
/* Rows of exact tiles for the peak finder. */
#include "peak_bands.h"

#include "scratch.h"

h5bragg_status peak_bands_make(sparse_frame *frame, peak_bands *b)
{
    const size_t ntiles = (size_t)MACRO_EDGE * frame->model.noise.map->ntx + 1; /* a look ahead */
    memset(b, 0, sizeof *b);
    b->frame = frame;
    for (int k = 0; k < NBANDS; k++) {
        b->band[k].tile = scratch_take(ntiles * sizeof *b->band[k].tile);
        if (!b->band[k].tile)
            return H5BRAGG_NO_MEMORY;
    }
    return H5BRAGG_OK;
}

void peak_bands_free(peak_bands *b)
{
    for (int k = 0; k < NBANDS; k++)
        scratch_give(b->band[k].tile);
    memset(b, 0, sizeof *b);
}

/* Takes over the exact tiles that the frame has read; it gets memory for the next ones. */
static void take_exact(peak_bands *b, peak_band *band)
{
    exact_tile *tile = b->frame->tile;
    b->frame->tile = band->tile;
    band->tile = tile;
    for (uint32_t k = 0; k <= MACRO_EDGE; k++)
        band->start[k] = b->frame->tile_start[k < b->frame->nrows ? k : b->frame->nrows];
}

/* Picked pixels of one row of tiles, one of them behind the other. */
typedef struct picked_row {
    uint32_t next; /* of the pixels of the row of macro blocks */
    uint32_t row;
} picked_row;

/* Where picked pixel k is. */
static void locate(const peak_bands *b, uint32_t k, uint32_t *row, uint32_t *column, uint32_t *p)
{
    const uint32_t nx = b->frame->model.noise.map->nx;
    const uint32_t at = b->frame->picked.at[k];
    const uint32_t slow = at / nx;
    const uint32_t fast = at % nx;
    *row = slow / TILE_EDGE;
    *column = fast / TILE_EDGE;
    *p = TILE_EDGE * (slow % TILE_EDGE) + fast % TILE_EDGE;
}

/* The next tile of picked pixels of a row; returns 0 if there is no more. */
static int next_picked(const peak_bands *b, picked_row *from, exact_tile *tile)
{
    const picked_reader *picked = &b->frame->picked;
    tile->valid = 0;
    while (from->next < picked->n) {
        uint32_t row;
        uint32_t column;
        uint32_t p;
        locate(b, from->next, &row, &column, &p);
        if (row != from->row || (tile->valid && column != tile->column))
            break;
        tile->column = column;
        tile->valid |= (uint16_t)(1u << p);
        tile->value[p] = picked_reader_value(picked, from->next++);
    }
    tile->row = (uint8_t)from->row;
    tile->is_narrow = 0;
    return tile->valid != 0;
}

/* Merges exact tiles and those of picked pixels by their columns: no tile is both. */
static void merge_picked(peak_bands *b, peak_band *band)
{
    const sparse_frame *frame = b->frame;
    picked_row from = {0, 0};
    uint32_t n = 0;
    for (uint32_t row = 0; row < frame->nrows; row++) {
        const exact_tile *exact;
        uint32_t nexact = sparse_frame_exact_tiles(frame, row, &exact);
        from.row = row;
        band->start[row] = n;
        int is_picked = next_picked(b, &from, &band->tile[n]);
        while (is_picked || nexact) {
            if (is_picked && (!nexact || band->tile[n].column < exact->column)) {
                is_picked = next_picked(b, &from, &band->tile[++n]);
                continue;
            }
            if (is_picked)
                band->tile[n + 1] = band->tile[n];
            band->tile[n++] = *exact++;
            nexact--;
        }
    }
    for (uint32_t row = frame->nrows; row <= MACRO_EDGE; row++)
        band->start[row] = n;
}

h5bragg_status peak_bands_read(peak_bands *b)
{
    peak_band *band = &b->band[b->nread % NBANDS];
    const h5bragg_status status = sparse_frame_read_row(b->frame, b->nread, 0);
    if (status)
        return status;
    if (b->frame->model.layout.has_local)
        take_exact(b, band);
    else
        merge_picked(b, band);
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
