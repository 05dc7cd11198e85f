/* SPDX-License-Identifier: MIT */
/*
 * Encoding where others go through the pixels (docs/gpu.md).  The stages are the encoder's own:
 * what comes from elsewhere takes the place of the bytes of the frame and of what was chosen.
 */
#include "frame_encoder.h"
#include "peak_rules.h"
#include "scratch.h"
#include "tile_choice.h"
#include "within_tiles.h"

enum { SCRATCH_PER_PIXEL = 5 /* bytes, as measured */ };

struct h5bragg_stages {
    bragg_settings settings;
    bragg_owned_geometry geometry;
    frame_encoder encoder;
    uint32_t *ntiles;       /* of cells */
    size_t reserved_nbytes; /* of scratch: what its frame needs beside those of others */
    uint64_t total;         /* of the frame at work, as the rest */
    int has_negative;
    int is_ready;
    peak_request peaks; /* the encoder's, if they are wanted */
    h5bragg_peak_list peak_list;
};

static void free_members(h5bragg_stages *stages)
{
    frame_encoder_free(&stages->encoder);
    bragg_geometry_free(&stages->geometry);
    h5bragg_peak_list_free(&stages->peak_list);
    scratch_give(stages->ntiles);
    scratch_unreserve(stages->reserved_nbytes);
}

void h5bragg_stages_free(h5bragg_stages *stages)
{
    if (!stages)
        return;
    free_members(stages);
    scratch_give(stages);
}

static h5bragg_status count_tiles(h5bragg_stages *stages)
{
    const ring_map *map = stages->encoder.source.map;
    stages->ntiles = scratch_take_zeros(map->ncells + 1u, sizeof *stages->ntiles);
    if (!stages->ntiles)
        return H5BRAGG_NO_MEMORY;
    for (size_t t = 0; t < ring_map_ntiles(map); t++)
        stages->ntiles[map->cell[t] < map->ncells ? map->cell[t] : map->ncells]++;
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_stages_make(h5bragg_pixel_type type, uint32_t nframes,
                                   const h5bragg_geometry *geometry, const h5bragg_params *params,
                                   h5bragg_stages **out)
{
    bragg_settings s;
    if (!geometry || !params || !out)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = frame_settings_make(type, nframes, geometry, params, &s);
    if (status)
        return status;
    h5bragg_stages *stages = scratch_take_zeros(1, sizeof *stages);
    if (!stages)
        return H5BRAGG_NO_MEMORY;
    stages->settings = s;
    stages->reserved_nbytes = SCRATCH_PER_PIXEL * (size_t)s.ny * s.nx;
    scratch_reserve(stages->reserved_nbytes);
    status = bragg_geometry_copy(geometry, &stages->geometry);
    if (!status)
        status = frame_encoder_make(&stages->settings, &stages->geometry.view, &stages->encoder);
    if (!status)
        status = count_tiles(stages);
    if (status)
        h5bragg_stages_free(stages);
    else
        *out = stages;
    return status;
}

h5bragg_status h5bragg_stages_tiles(const h5bragg_stages *stages, h5bragg_tiles *tiles)
{
    if (!stages || !tiles)
        return H5BRAGG_BAD_ARGUMENT;
    const frame_source *s = &stages->encoder.source;
    const raw_codes codes =
        counts_plane_codes(&stages->encoder.model.noise.codes, stages->settings.type);
    *tiles = (h5bragg_tiles){.nrows = s->map->nty,
                             .ncolumns = s->map->ntx,
                             .ncells = s->map->ncells,
                             .has_local = stages->encoder.model.layout.has_local != 0,
                             .most_sum = PATTERN_MAX_SUM,
                             .ncodes = codes.n,
                             .cell = s->map->cell,
                             .mask = s->static_mask};
    memcpy(tiles->code, codes.code, sizeof tiles->code);
    return H5BRAGG_OK;
}

/* Tells where the tiles of cells are counted by their sum. */
static h5bragg_status set_within(const frame_model *m, h5bragg_cell_rule *rule,
                                 h5bragg_rules *rules)
{
    within_counts counts;
    const h5bragg_status status = within_counts_make(m, &counts);
    if (!status) {
        rules->nwithin = (uint32_t)counts.ncounters;
        rules->nsquares = counts.nrows;
        for (uint32_t c = 0; c < m->noise.map->ncells; c++) {
            const int is_counted = counts.row[c] >= WITHIN_NIDLE;
            rule[c].within_row = is_counted ? counts.row[c] : 0;
            rule[c].within_first = counts.first[c];
        }
    }
    within_counts_free(&counts);
    return status;
}

h5bragg_status h5bragg_stages_model(h5bragg_stages *stages, const h5bragg_counts *counts,
                                    h5bragg_cell_rule *rule, h5bragg_rules *rules)
{
    if (!stages || !counts || !counts->absent || !counts->count || !rule || !rules ||
        (counts->nlarge && !counts->large))
        return H5BRAGG_BAD_ARGUMENT;
    frame_encoder *e = &stages->encoder;
    memset(rules, 0, sizeof *rules);
    memset(rule, 0, (e->source.map->ncells + (size_t)1) * sizeof *rule);
    stages->is_ready = 0;
    stages->total = counts->total;
    stages->has_negative = counts->has_negative != 0;
    e->source.plane.has_negative = stages->has_negative;
    h5bragg_status status = histogram_from_counts(counts, stages->settings.type, e->source.map,
                                                  stages->ntiles, &e->source.counts);
    if (!status)
        status = frame_encoder_model(e);
    if (status)
        return status == FRAME_NOT_SPARSE ? H5BRAGG_OK : status;
    int is_wide = 0;
    status = tile_choice_rules(&e->source, &e->model, rule, &is_wide);
    if (!status)
        status = set_within(&e->model, rule, rules);
    rules->is_wide = is_wide != 0;
    stages->is_ready = !status;
    rules->is_ready = (uint32_t)stages->is_ready;
    return status;
}

/* The streams from what was chosen elsewhere. */
static h5bragg_status pack_chosen(h5bragg_stages *stages, const bragg_frame *frame,
                                  const h5bragg_chosen *c, byte_writer *body, int *needs_pixels)
{
    frame_encoder *e = &stages->encoder;
    const frame_source own = e->source;
    const listed_pixels listed = {c->exact,  c->above,   c->excess,
                                  c->within, c->squares, c->squares_high};
    e->source.frame = *frame;
    e->source.plane = (counts_plane){.kernels = own.plane.kernels,
                                     .valid = c->valid,
                                     .sum = c->sum,
                                     .has_large = c->has_large,
                                     .largest = c->largest,
                                     .has_negative = stages->has_negative,
                                     .total = stages->total};
    e->source.kept = c->kept;
    e->source.calm = c->calm;
    e->source.listed = &listed;
    stages->peaks.tile = c->peak_tile;
    stages->peaks.ntiles = c->npeak_tiles;
    const h5bragg_status status = frame_encoder_pack(e, body, needs_pixels);
    e->source = own;
    stages->peaks.tile = NULL;
    return status;
}

static int is_complete(const h5bragg_stages *stages, const h5bragg_chosen *c)
{
    const int has_picked = stages->encoder.model.layout.has_local || (c->above && c->excess);
    return stages->is_ready && c->valid && c->sum && c->kept && c->calm && c->has_large &&
           c->largest && c->exact && c->within && c->squares && c->squares_high && has_picked;
}

h5bragg_status h5bragg_stages_pack(h5bragg_stages *stages, const void *pixels,
                                   const h5bragg_chosen *chosen, void *out, size_t capacity,
                                   size_t *out_nbytes, uint32_t *is_alone)
{
    if (!stages || !pixels || !out || !out_nbytes || (chosen && !is_complete(stages, chosen)))
        return H5BRAGG_BAD_ARGUMENT;
    const bragg_settings *s = &stages->settings;
    const bragg_frame frame = {pixels, s->type, s->ny, s->nx};
    byte_writer w = {out, (uint8_t *)out + capacity, 0};
    byte_writer body;
    h5bragg_status status = frame_record_room(&frame, &w, &body);
    if (status)
        return status;
    int by_itself = chosen == NULL;
    stages->peak_list.npeaks = 0;
    if (chosen)
        status = pack_chosen(stages, &frame, chosen, &body, &by_itself);
    if (!status && by_itself) {
        body.at = w.at + FRAME_HEADER_NBYTES;
        status = frame_encoder_write(&stages->encoder, &frame, &body);
    }
    stages->is_ready = 0;
    status = frame_record_write(&frame, status, &body, &w);
    *out_nbytes = (size_t)(w.at - (uint8_t *)out);
    if (is_alone)
        *is_alone = (uint32_t)by_itself;
    return status;
}

h5bragg_status h5bragg_stages_want_peaks(h5bragg_stages *stages, const h5bragg_peak_params *peaks)
{
    if (!stages)
        return H5BRAGG_BAD_ARGUMENT;
    stages->encoder.peaks = NULL;
    stages->peak_list.npeaks = 0;
    if (!peaks)
        return H5BRAGG_OK;
    const h5bragg_status status = peak_params_check(peaks);
    if (status)
        return status;
    if (peaks->snr_pick < stages->settings.params.snr_pick)
        return H5BRAGG_PEAKS_NOT_STORED;
    stages->peaks = (peak_request){*peaks, &stages->geometry.view, &stages->peak_list, NULL, 0};
    stages->encoder.peaks = &stages->peaks;
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_stages_peak_limits(const h5bragg_stages *stages, uint8_t *limit)
{
    if (!stages || !limit)
        return H5BRAGG_BAD_ARGUMENT;
    const frame_encoder *e = &stages->encoder;
    peak_rules rules;
    const size_t ncells = e->source.map->ncells;
    memset(limit, UINT8_MAX, 2 * (ncells + 1));
    if (!e->peaks || !stages->is_ready)
        return H5BRAGG_OK;
    const h5bragg_status status = peak_rules_make(&e->model, e->peaks->geometry,
                                                  e->source.static_mask, &e->peaks->params, &rules);
    if (!status) {
        memcpy(limit, rules.byte_limit, ncells);
        memcpy(limit + ncells + 1, rules.byte_beside, ncells);
    }
    peak_rules_free(&rules);
    return status;
}

h5bragg_status h5bragg_stages_peaks(const h5bragg_stages *stages, const h5bragg_peak **peaks,
                                    uint64_t *npeaks)
{
    if (!stages || !peaks || !npeaks)
        return H5BRAGG_BAD_ARGUMENT;
    *peaks = stages->peak_list.peak;
    *npeaks = stages->peak_list.npeaks;
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_stages_begin(const h5bragg_stages *stages, void *out, size_t capacity,
                                    size_t *out_nbytes)
{
    if (!stages || !out || !out_nbytes)
        return H5BRAGG_BAD_ARGUMENT;
    byte_writer w = {out, (uint8_t *)out + capacity, 0};
    chunk_header_write(&stages->settings, &stages->geometry.view, stages->encoder.source.map->nbins,
                       &w);
    *out_nbytes = (size_t)(w.at - (uint8_t *)out);
    return w.failed ? H5BRAGG_BUFFER_TOO_SMALL : H5BRAGG_OK;
}

h5bragg_status h5bragg_stages_seal(void *chunk, size_t nbytes)
{
    if (!chunk || nbytes < CHUNK_START_NBYTES)
        return H5BRAGG_BAD_ARGUMENT;
    chunk_header_seal(chunk, nbytes);
    return H5BRAGG_OK;
}
