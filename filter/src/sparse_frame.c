/* SPDX-License-Identifier: MIT */
/* Reads sparse frames: docs/format.md, "Frame". */
#include "sparse_frame.h"
#include "scratch.h"

enum { LISTED_AT_ONCE = 64 / GROUP_NTILES };

static h5bragg_status allocate(const ring_map *map, sparse_frame *frame)
{
    const size_t ntiles = (size_t)MACRO_EDGE * map->ntx;
    frame->exact = scratch_take((map->ncells + 1u) * sizeof *frame->exact);
    frame->valid = scratch_take(ntiles * sizeof *frame->valid);
    frame->open = scratch_take_zeros(ntiles, sizeof *frame->open);
    frame->hash = scratch_take_zeros(ntiles + SUM_SLACK, sizeof *frame->hash);
    frame->sum = scratch_take_zeros(ntiles + SUM_SLACK, sizeof *frame->sum);
    frame->exact_bits = scratch_take((map->ntx + GROUP_NTILES) * sizeof *frame->exact_bits);
    frame->tile = exact_tiles_take(ntiles);
    frame->tile_rule = scratch_take(ntiles * sizeof *frame->tile_rule);
    if (!frame->exact || !frame->valid || !frame->open || !frame->hash || !frame->sum ||
        !frame->exact_bits || !frame->tile || !frame->tile_rule)
        return H5BRAGG_NO_MEMORY;
    return kept_flags_make(map, &frame->flags);
}

/* Profile and all that follows from it. */
static h5bragg_status read_model(byte_reader *body, sparse_frame *frame)
{
    frame_model *model = &frame->model;
    const ring_map *map = model->noise.map;
    h5bragg_status status = profile_read(body, &model->layout, model->profile);
    if (!status)
        status = frame_model_set_ranges(model);
    if (!status && frame->parts == SPARSE_ALL)
        status = frame_model_complete(model);
    for (uint32_t c = 0; c < map->ncells && !status; c++)
        frame->exact[c] = exact_rule_of(model, (uint16_t)c);
    if (!status)
        frame->exact[map->ncells] = exact_rule_of(model, BRAGG_NO_CELL);
    return status;
}

static h5bragg_status open_exact(byte_reader *body, sparse_frame *frame)
{
    if (frame->model.format_version >= 2)
        return exact_reader_open(body, frame->model.format_version, frame->model.noise.map,
                                 &frame->exact_reader);
    const h5bragg_status status = symbols_open(body, 1, NEIGHBOUR_NCONTEXTS, &frame->exact_symbols);
    return status ? status : exact_lines_make(frame->model.noise.map, &frame->lines);
}

/* A stream that nobody wants. */
static h5bragg_status skip_stream(byte_reader *body)
{
    const uint64_t nbytes = read_varint(body);
    if (body->failed || nbytes > bytes_left(body))
        return H5BRAGG_CORRUPT;
    body->at += nbytes;
    return H5BRAGG_OK;
}

static h5bragg_status open_sums(byte_reader *body, sparse_frame *frame)
{
    const uint32_t version = frame->model.format_version;
    if (frame->parts == SPARSE_EXACT) {
        const h5bragg_status status = skip_stream(body);
        return status ? status : skip_stream(body);
    }
    h5bragg_status status = symbols_open(body, version, SCALE_NCONTEXTS, &frame->scale_symbols);
    if (!status)
        status = wide_symbols_open(body, version, SUM_NCONTEXTS, &frame->sum_symbols);
    if (!status)
        status = sum_grid_make(&frame->model, &frame->grid);
    return status ? status : sum_grid_prepare_reading(&frame->grid);
}

static h5bragg_status open_streams(byte_reader *body, sparse_frame *frame)
{
    const uint32_t version = frame->model.format_version;
    h5bragg_status status = wide_symbols_open(body, version, FLAG_NCONTEXTS, &frame->flag_symbols);
    if (!status)
        status = open_exact(body, frame);
    if (!status && !frame->model.layout.has_local)
        return picked_reader_open(body, &frame->model, frame->header->npicked, &frame->picked);
    return status ? status : open_sums(body, frame);
}

h5bragg_status sparse_frame_open(const chunk_header *chunk, const ring_map *map, sparse_parts parts,
                                 frame_header *header, sparse_frame *frame)
{
    const bragg_settings *s = &chunk->settings;
    memset(frame, 0, sizeof *frame);
    frame->parts = parts;
    if (map->nbins != chunk->nbins || (s->params.local_counts && header->sparse.npicked))
        return H5BRAGG_CORRUPT;
    frame->header = &header->sparse;
    h5bragg_status status =
        frame_model_make(map, &s->params, s->type, chunk->version, &frame->model);
    if (status)
        return status;
    frame->model.noise.is_counting = header->sparse.flags & FRAME_IS_COUNTING;
    frame->model.dispersion = header->sparse.dispersion;
    status = allocate(map, frame);
    if (!status)
        status = read_model(&header->body, frame);
    if (!status)
        status =
            mask_read(&header->body, chunk->version, map, frame->model.noise.codes.n, &frame->mask);
    return status ? status : open_streams(&header->body, frame);
}

void sparse_frame_close(sparse_frame *frame)
{
    symbol_reader_free(&frame->flag_symbols.stream);
    symbol_reader_free(&frame->exact_symbols);
    exact_reader_free(&frame->exact_reader);
    symbol_reader_free(&frame->scale_symbols);
    symbol_reader_free(&frame->sum_symbols.stream);
    sum_grid_free(&frame->grid);
    picked_reader_free(&frame->picked);
    exact_lines_free(&frame->lines);
    kept_flags_free(&frame->flags);
    frame_mask_free(&frame->mask);
    frame_model_free(&frame->model);
    scratch_give(frame->exact);
    scratch_give(frame->exact_bits);
    scratch_give(frame->valid);
    scratch_give(frame->open);
    scratch_give(frame->hash);
    scratch_give(frame->sum);
    scratch_give(frame->tile);
    scratch_give(frame->tile_rule);
    memset(frame, 0, sizeof *frame);
}

/* The bits of up to LISTED_AT_ONCE groups of tiles: long words end loops less often. */
static uint64_t bits_from(const uint16_t *bits, uint32_t first, uint32_t ntx)
{
    uint64_t all = 0;
    for (uint32_t k = 0; k < LISTED_AT_ONCE && first + k * GROUP_NTILES < ntx; k++)
        all |= (uint64_t)bits[first / GROUP_NTILES + k] << k * GROUP_NTILES;
    return all;
}

/* Lists the exact tiles of a row of tiles of the macro blocks, given by bits, and their rules;
 * returns their number. */
static uint32_t list_exact(sparse_frame *frame, uint32_t row, const uint16_t *bits,
                           exact_tile *tile, const exact_rule **rule)
{
    const ring_map *map = frame->model.noise.map;
    const size_t start = (size_t)(MACRO_EDGE * frame->macro_row + row) * map->ntx;
    const uint16_t *cells = map->cell + start;
    const uint16_t *valid = frame->valid + (size_t)row * map->ntx;
    const exact_rule *rules = frame->exact;
    const uint32_t ntx = map->ntx;
    const uint32_t ncells = map->ncells;
    uint32_t npixels = 0;
    uint32_t n = 0;
    for (uint32_t first = 0; first < ntx; first += LISTED_AT_ONCE * GROUP_NTILES) {
        for (uint64_t left = bits_from(bits, first, ntx); left; left &= left - 1, n++) {
            const uint32_t column = first + lowest_bit(left);
            const uint16_t cell = cells[column];
            tile[n].column = column;
            tile[n].row = (uint8_t)row;
            tile[n].valid = valid[column];
            rule[n] = &rules[cell == BRAGG_NO_CELL ? ncells : cell];
            npixels += count_pixels(valid[column]);
        }
    }
    frame->nexact += npixels;
    return n;
}

/* Kept flags of all rows, what follows from them, and the exact tiles. */
static h5bragg_status read_exact(sparse_frame *frame)
{
    const ring_map *map = frame->model.noise.map;
    const size_t ngroups = ring_map_ngroups(map);
    const size_t start = (size_t)MACRO_EDGE * frame->macro_row * map->ntx;
    uint32_t n = 0;
    for (uint32_t row = 0; row < frame->nrows; row++) {
        const size_t at = (size_t)row * map->ntx;
        const tile_flags flags = {map->ntx, frame->flags.symbol, map->cell + start + at,
                                  frame->valid + at};
        mask_valid(&frame->mask, map, MACRO_EDGE * frame->macro_row + row, frame->valid + at);
        if (!kept_flags_read(&frame->flags, &frame->flag_symbols) ||
            !tiles_sort(&flags, frame->open + at, frame->exact_bits + row * ngroups))
            return H5BRAGG_CORRUPT;
    }
    for (uint32_t row = 0; row < frame->nrows; row++) {
        frame->tile_start[row] = n;
        n += list_exact(frame, row, frame->exact_bits + row * ngroups, frame->tile + n,
                        frame->tile_rule + n);
    }
    frame->tile_start[frame->nrows] = n;
    if (frame->model.format_version >= 2)
        return exact_tiles_read(&frame->exact_reader, frame->tile_rule, frame->tile, n)
                   ? H5BRAGG_OK
                   : H5BRAGG_CORRUPT;
    for (uint32_t row = 0; row < frame->nrows; row++) {
        const uint32_t first = frame->tile_start[row];
        exact_row_read(&frame->lines, &frame->exact_symbols, frame->tile_rule + first,
                       frame->tile + first, frame->tile_start[row + 1] - first);
    }
    return H5BRAGG_OK;
}

h5bragg_status sparse_frame_read_row(sparse_frame *frame, uint32_t macro_row, int want_sums)
{
    const ring_map *map = frame->model.noise.map;
    const uint32_t first = MACRO_EDGE * macro_row;
    frame->macro_row = macro_row;
    frame->nrows = map->nty - first < MACRO_EDGE ? map->nty - first : MACRO_EDGE;
    const h5bragg_status status = read_exact(frame);
    if (status)
        return status;
    if (frame->parts == SPARSE_ALL)
        draw_kernels_get(bragg_cpu_level())
            ->hash(frame->header->seed, (uint32_t)((size_t)first * map->ntx),
                   (size_t)frame->nrows * map->ntx, frame->hash);
    if (!frame->model.layout.has_local)
        return picked_reader_row(&frame->picked, macro_row, frame->nrows, frame->open);
    if (!want_sums)
        return H5BRAGG_OK;
    sum_grid_start_row(&frame->grid, macro_row, frame->open, frame->hash);
    return sums_read_row(&frame->grid, &frame->scale_symbols, &frame->sum_symbols, frame->sum);
}

uint32_t sparse_frame_exact_tiles(const sparse_frame *frame, uint32_t row, const exact_tile **tile)
{
    *tile = frame->tile + frame->tile_start[row];
    return frame->tile_start[row + 1] - frame->tile_start[row];
}

h5bragg_status sparse_frame_finish(sparse_frame *frame, frame_header *header, int have_sums)
{
    const sparse_header *h = frame->header;
    const int has_local = frame->model.layout.has_local;
    h5bragg_status status = wide_symbols_close(&frame->flag_symbols);
    if (!status)
        status = frame->model.format_version >= 2 ? exact_reader_close(&frame->exact_reader)
                                                  : symbols_close(&frame->exact_symbols);
    if (!status && !has_local)
        status = picked_reader_close(&frame->picked);
    if (!status && has_local && have_sums)
        status = symbols_close(&frame->scale_symbols);
    if (!status && has_local && have_sums)
        status = wide_symbols_close(&frame->sum_symbols);
    const int is_complete = frame->nexact == h->nexact && frame->mask.nmasked == h->nmasked &&
                            bytes_left(&header->body) == 0;
    return status ? status : is_complete ? H5BRAGG_OK : H5BRAGG_CORRUPT;
}
