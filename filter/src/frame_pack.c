/* SPDX-License-Identifier: MIT */
/* Writes the streams of a sparse frame, one row of macro blocks after the other. */
#include "frame_pack.h"

#include "checksum.h"
#include "draw_kernels.h"
#include "exact_stream.h"
#include "picked_writer.h"
#include "row_lists.h"
#include "scratch.h"
#include "tile_sums.h"

/* An exact tile whose pixels are not sixteen bytes. */
typedef struct odd_tile {
    size_t tile;
    uint32_t number; /* among those of its row */
    uint32_t row;    /* in the macro blocks */
} odd_tile;

typedef struct frame_packer {
    const frame_source *source;
    const frame_model *model;
    sparse_header header;
    kept_flags flags;
    exact_writer exact;
    exact_rule *rule; /* per cell, and that of blank tiles */
    picked_writer picked;
    sum_grid grid;
    uint16_t *open; /* of the row of macro blocks at work, as all below */
    uint32_t *hash;
    uint16_t *small_sum;
    int64_t *sum; /* where small_sum says so */
    symbol_writer flag_symbols;
    symbol_writer scale_symbols;
    symbol_writer sum_symbols;
    row_lists lists; /* of a row of tiles */
    odd_tile *odd;   /* of the row of macro blocks */
    uint32_t nodd;
    const uint8_t *next_exact; /* of what is listed; or NULL */
} frame_packer;

static h5bragg_status packer_make(const frame_source *source, const frame_model *model,
                                  frame_packer *p)
{
    const ring_map *map = source->map;
    const size_t ntiles = (size_t)MACRO_EDGE * map->ntx;
    const size_t nlisted = (size_t)map->ntx + ROW_LISTS_SLACK;
    memset(p, 0, sizeof *p);
    p->source = source;
    p->model = model;
    p->next_exact = source->listed ? source->listed->exact : NULL;
    p->open = scratch_take((ntiles + ROW_LISTS_SLACK) * sizeof *p->open);
    p->hash = scratch_take(ntiles * sizeof *p->hash);
    p->small_sum = scratch_take(ntiles * sizeof *p->small_sum);
    p->sum = scratch_take(ntiles * sizeof *p->sum);
    p->rule = scratch_take((map->ncells + 1u) * sizeof *p->rule);
    p->odd = scratch_take(ntiles * sizeof *p->odd);
    p->lists.odd = scratch_take(nlisted * sizeof *p->lists.odd);
    p->lists.restless = scratch_take(nlisted * sizeof *p->lists.restless);
    if (!p->open || !p->hash || !p->small_sum || !p->sum || !p->rule || !p->odd || !p->lists.odd ||
        !p->lists.restless)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++)
        p->rule[c] = exact_rule_of(model, (uint16_t)c);
    p->rule[map->ncells] = exact_rule_of(model, BRAGG_NO_CELL);
    h5bragg_status status = kept_flags_make(map, &p->flags);
    if (!status)
        status = exact_writer_make(map, p->rule,
                                   source->listed ? EXACT_LISTED : source->plane.stride, &p->exact);
    if (!status)
        status = model->layout.has_local ? sum_grid_make(model, &p->grid)
                                         : picked_writer_make(model, &p->picked);
    if (!status && model->layout.has_local)
        status = sum_grid_prepare_writing(&p->grid);
    if (!status && model->layout.has_local &&
        !symbol_writer_room(&p->sum_symbols, (size_t)map->ntx * map->nty))
        status = H5BRAGG_NO_MEMORY;
    return status;
}

static void packer_free(frame_packer *p)
{
    kept_flags_free(&p->flags);
    exact_writer_free(&p->exact);
    picked_writer_free(&p->picked);
    sum_grid_free(&p->grid);
    symbol_writer_free(&p->flag_symbols);
    symbol_writer_free(&p->scale_symbols);
    symbol_writer_free(&p->sum_symbols);
    scratch_give(p->rule);
    scratch_give(p->open);
    scratch_give(p->hash);
    scratch_give(p->small_sum);
    scratch_give(p->sum);
    scratch_give(p->odd);
    scratch_give(p->lists.odd);
    scratch_give(p->lists.restless);
}

/* Sum of value - low over the pixels of a drawn tile. */
static int64_t tile_sum(const frame_packer *p, size_t tile)
{
    const frame_source *s = p->source;
    const cell_range *r = &p->model->range[s->map->cell[tile]];
    if (r->low == 0 && !s->plane.has_large[tile] && p->model->noise.is_counting)
        return s->plane.sum[tile];
    int64_t value[TILE_NPIXELS];
    int64_t sum = 0;
    frame_source_tile(s, tile, value);
    for (uint32_t k = 0; k < TILE_NPIXELS; k++)
        sum += s->plane.valid[tile] >> k & 1 ? value[k] - r->low : 0;
    return sum;
}

/* Exact tiles that are odd wait for their pixels until all else of their row is done. */
static void add_odd(frame_packer *p, uint32_t tile_row, uint32_t number)
{
    const frame_source *s = p->source;
    const size_t tile = (size_t)tile_row * s->map->ntx + p->lists.exact[number];
    p->odd[p->nodd++] = (odd_tile){tile, number, tile_row % MACRO_EDGE};
    p->header.nexact += count_pixels(s->plane.valid[tile]);
}

static void ask_for_odd(const frame_packer *p)
{
    for (uint32_t k = 0; k < p->nodd; k++)
        frame_source_ask(p->source, p->odd[k].tile);
}

static void pack_odd(frame_packer *p)
{
    const frame_source *s = p->source;
    for (uint32_t k = 0; k < p->nodd; k++) {
        const odd_tile *odd = &p->odd[k];
        const uint16_t cell = s->map->cell[odd->tile];
        const exact_rule *rule = &p->rule[cell == BRAGG_NO_CELL ? s->map->ncells : cell];
        int64_t value[TILE_NPIXELS];
        frame_source_tile(s, odd->tile, value);
        exact_odd_add(&p->exact, rule, odd->row, odd->number, s->plane.valid[odd->tile], value);
    }
    p->nodd = 0;
}

/* The exact tiles that are listed. */
static void pack_exact(frame_packer *p, uint32_t tile_row)
{
    const frame_source *s = p->source;
    const counts_plane *plane = &s->plane;
    const row_lists *lists = &p->lists;
    const size_t first = (size_t)tile_row * s->map->ntx;
    const uint32_t nbytes = (lists->nexact - lists->nodd) * TILE_NPIXELS;
    const uint8_t *byte =
        s->listed ? p->next_exact : plane->value + TILE_EDGE * tile_row * plane->stride;
    exact_row_add(&p->exact, tile_row % MACRO_EDGE, lists->nexact, s->map->cell + first,
                  plane->sum + first, byte);
    for (uint32_t k = 0; k < lists->nodd; k++)
        add_odd(p, tile_row, lists->odd[k]);
    p->header.nexact += nbytes;
    if (p->next_exact)
        p->next_exact += nbytes;
}

/* What lists are made from, which are empty yet. */
static listed_row start_lists(frame_packer *p, uint32_t tile_row)
{
    const frame_source *s = p->source;
    const size_t first = (size_t)tile_row * s->map->ntx;
    const size_t start = TILE_EDGE * tile_row * s->plane.stride;
    const int are_at_hand = !s->listed || s->listed->exact;
    p->lists.exact = p->exact.row[tile_row % MACRO_EDGE].column;
    p->lists.nexact = p->lists.nodd = p->lists.nrestless = 0;
    return (listed_row){.calm = s->calm + first,
                        .kept = s->kept + first,
                        .has_large = s->plane.has_large + first,
                        .cell = s->map->cell + first,
                        .valid = s->plane.valid + first,
                        .value = s->listed ? NULL : s->plane.value + start,
                        .stride = s->plane.stride,
                        .ntx = s->map->ntx,
                        .has_bytes = are_at_hand && p->model->noise.is_counting};
}

/* A row of tiles without local counts: special are all that are exact, and few others. */
static void pack_picked_row(frame_packer *p, uint32_t tile_row)
{
    const frame_source *s = p->source;
    p->header.npicked += picked_writer_row(&p->picked, s, tile_row);
    const listed_row row = start_lists(p, tile_row);
    for (uint32_t start = 0; start < row.ntx; start += GROUP_NTILES) {
        const uint32_t special = p->picked.special[start / GROUP_NTILES];
        if (special)
            row_lists_add(&row, start, special, &p->lists);
    }
    pack_exact(p, tile_row);
}

static void pack_sum(frame_packer *p, size_t tile, size_t at)
{
    p->sum[at] = tile_sum(p, tile);
    p->small_sum[at] =
        (uint16_t)(p->sum[at] >= 0 && p->sum[at] < SUM_ELSEWHERE ? p->sum[at] : SUM_ELSEWHERE);
}

/* A row of tiles with local counts.  The sums of calm tiles are those of the bytes. */
static void pack_local_row(frame_packer *p, uint32_t tile_row, size_t at)
{
    const frame_source *s = p->source;
    const row_lists *lists = &p->lists;
    const uint32_t ntx = s->map->ntx;
    const size_t first = (size_t)tile_row * ntx;
    listed_row row = start_lists(p, tile_row);
    row.open = p->open + at;
    memcpy(p->small_sum + at, s->plane.sum + first, ntx * sizeof *p->small_sum);
    list_row_kernel()(&row, &p->lists);
    for (uint32_t k = 0; k < lists->nrestless; k++)
        pack_sum(p, first + lists->restless[k], at + lists->restless[k]);
    pack_exact(p, tile_row);
}

static void pack_tile_row(frame_packer *p, uint32_t tile_row, size_t at)
{
    const size_t first = (size_t)tile_row * p->source->map->ntx;
    kept_flags_write(&p->flags, &p->flag_symbols, p->source->map, p->source->kept + first);
    if (p->model->layout.has_local)
        pack_local_row(p, tile_row, at);
    else
        pack_picked_row(p, tile_row);
}

/* The sums of a row of macro blocks. */
static void pack_sums(frame_packer *p, uint32_t row, uint32_t nrows)
{
    const uint32_t ntx = p->source->map->ntx;
    const tile_sums sums = {p->small_sum, p->sum};
    draw_kernels_get(bragg_cpu_level())
        ->hash(p->header.seed, row * ntx, (size_t)nrows * ntx, p->hash);
    sum_grid_start_row(&p->grid, row / MACRO_EDGE, p->open, p->hash);
    sums_write_row(&p->grid, &sums, &p->scale_symbols, &p->sum_symbols);
}

static void pack_rows(frame_packer *p)
{
    const ring_map *map = p->source->map;
    for (uint32_t row = 0; row < map->nty; row += MACRO_EDGE) {
        const uint32_t nrows = map->nty - row < MACRO_EDGE ? map->nty - row : MACRO_EDGE;
        for (uint32_t k = 0; k < nrows; k++)
            pack_tile_row(p, row + k, (size_t)k * map->ntx);
        ask_for_odd(p);
        if (p->model->layout.has_local)
            pack_sums(p, row, nrows);
        pack_odd(p);
        exact_writer_end_row(&p->exact);
    }
}

/* The same frame and seed parameter give the same noise; different frames different noise. */
static uint64_t frame_seed(const frame_source *s, const frame_model *m, const uint8_t *profile,
                           size_t nbytes)
{
    uint8_t start[12];
    store_u32(start, m->noise.params->seed);
    store_u32(start + 4, (uint32_t)s->plane.total);
    store_u32(start + 8, (uint32_t)(s->plane.total >> 32));
    const uint32_t low = bragg_crc32c(bragg_crc32c(0, start, sizeof start), profile, nbytes);
    store_u32(start, ~low);
    const uint32_t high = bragg_crc32c(bragg_crc32c(low, start, sizeof start), profile, nbytes);
    return low | (uint64_t)high << 32;
}

static void write_streams(frame_packer *p, byte_writer *w)
{
    kept_flags_finish(&p->flags, &p->flag_symbols);
    symbols_write(&p->flag_symbols, FLAG_NCONTEXTS, SYMBOLS_WIDE_NSTATES, w);
    exact_writer_finish(&p->exact, w);
    if (p->model->layout.has_local) {
        symbols_write(&p->scale_symbols, SCALE_NCONTEXTS, SYMBOLS_NSTATES, w);
        symbols_write(&p->sum_symbols, SUM_NCONTEXTS, SYMBOLS_WIDE_NSTATES, w);
    } else {
        picked_writer_finish(&p->picked, w);
    }
}

h5bragg_status frame_pack(const frame_source *s, const frame_model *m, byte_writer *w)
{
    frame_packer p;
    byte_writer header = *w;
    h5bragg_status status = packer_make(s, m, &p);
    frame_header_write_sparse(w, &p.header); /* its place; the contents follow */
    const uint8_t *profile = w->at;
    if (!status)
        status = profile_write(m->profile, &m->layout, w);
    if (!status) {
        p.header.flags = m->noise.is_counting ? FRAME_IS_COUNTING : 0;
        p.header.dispersion = m->dispersion;
        p.header.seed = frame_seed(s, m, profile, (size_t)(w->at - profile));
        const mask_source mask = {&s->frame, &m->noise.codes, s->plane.valid,
                                  s->listed ? NULL : s->plane.codes};
        status = mask_write(&mask, s->map, w, &p.header.nmasked);
    }
    if (!status) {
        pack_rows(&p);
        status = p.grid.failed ? H5BRAGG_BUFFER_TOO_SMALL : H5BRAGG_OK;
    }
    if (!status) {
        write_streams(&p, w);
        frame_header_write_sparse(&header, &p.header);
    }
    packer_free(&p);
    return status;
}
