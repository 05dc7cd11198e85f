/* SPDX-License-Identifier: MIT */
/*
 * A tile must be kept where its pixels cannot be drawn (calm_tiles.c).
 *
 * With local counts, tiles that hold more than background are kept as well.  A weak reflection need
 * not have a single pixel above the threshold, but its pixels together stand out: where the sum of
 * a 3 x 3 box exceeds what the ring expects by more than chance, the tiles that the box touches are
 * kept, and round peaks those that one pixel around it touches.  Where there are hardly any counts,
 * or much significance is asked for, only those of them are that hold more than background
 * (faint_tiles.c).
 */
#include "tile_choice.h"

#include <math.h>

#include "box_search.h"
#include "calm_tiles.h"
#include "faint_tiles.h"
#include "scratch.h"
#include "wide_box_search.h"

enum { BOX_NPIXELS = 9 };
/* So much more significant is a peak, which has wings, than what just stands out. */
static const double PEAK_SIGMA = 2.0;
/* Where there are hardly any counts: so much more significant must be what is kept, and a peak. */
static const double SPARSE_SIGMA = 1.25;
static const double SPARSE_PEAK_SIGMA = 7.0;
/* So much less where there are many: spots are wide against their noise, and bytes cheap. */
static const double BRIGHT_SIGMA = 0.2;
static const double BRIGHT_EXPECTED = 16.0;

/* The background of a pixel of a cell. */
typedef struct cell_background {
    double expected;
    double sigma;
    double skew; /* 0 if quantiles are those of the normal distribution */
} cell_background;

static cell_background background_of(const frame_model *m, uint32_t cell)
{
    const noise_frame *f = &m->noise;
    const ring_profile *ring = &m->profile[f->map->ring[cell]];
    cell_background b = {noise_expected(f, ring, cell), noise_sigma(f, ring, cell), 0};
    if (f->is_counting && b.expected > 0)
        b.skew = noise_skew(b.expected, b.sigma);
    return b;
}

/* Sums of a box up to this are still chance at z sigma, to third order as for the threshold. */
static double sum_cut(const cell_background *b, double z)
{
    const double cut = BOX_NPIXELS * b->expected + z * (sqrt((double)BOX_NPIXELS) * b->sigma);
    return z > 1.0 ? cut + (z * z - 1.0) / 6.0 * b->skew : cut;
}

static double significance_of(const frame_model *m, double expected)
{
    const double sigma = m->noise.params->local_significance;
    if (mean_is_sparse(m, expected))
        return sigma + SPARSE_SIGMA;
    const int is_bright = m->noise.is_counting && expected >= BRIGHT_EXPECTED;
    return is_bright && sigma > BRIGHT_SIGMA ? sigma - BRIGHT_SIGMA : sigma;
}

/* Largest sums, per cell. */
typedef struct cut_tables {
    double *chance;
    double *peak;
} cut_tables;

/* Bytes serve where backgrounds are far below their limit: returns whether they do. */
static int fill_cuts(const frame_model *m, const cut_tables *cuts)
{
    int fits_bytes = m->noise.is_counting;
    for (uint32_t c = 0; c < m->noise.map->ncells; c++) {
        const cell_background b = background_of(m, c);
        const double z = significance_of(m, b.expected);
        const double more = mean_is_sparse(m, b.expected) ? SPARSE_PEAK_SIGMA : PEAK_SIGMA;
        cuts->chance[c] = sum_cut(&b, z);
        cuts->peak[c] = sum_cut(&b, z + more);
        fits_bytes = fits_bytes && cuts->peak[c] < BOX_NPIXELS * 64.0;
    }
    return fits_bytes;
}

/* Of a cell, if bytes serve. */
typedef struct byte_cut {
    uint16_t chance;
    uint16_t peak;
} byte_cut;

static byte_cut byte_cut_of(const cut_tables *cuts, uint32_t cell)
{
    const double chance = cuts->chance[cell] > 0 ? cuts->chance[cell] : 0;
    const double peak = cuts->peak[cell] > chance ? cuts->peak[cell] : chance;
    return (byte_cut){(uint16_t)chance, (uint16_t)peak};
}

static h5bragg_status cut_tables_make(const ring_map *map, cut_tables *cuts)
{
    const size_t ncells = map->ncells + 1u;
    *cuts = (cut_tables){scratch_take(ncells * sizeof *cuts->chance),
                         scratch_take(ncells * sizeof *cuts->peak)};
    return cuts->chance && cuts->peak ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

static void cut_tables_free(cut_tables *cuts)
{
    scratch_give(cuts->chance);
    scratch_give(cuts->peak);
}

/* All that rows of tiles need, one after the other. */
typedef struct chooser {
    frame_source *source;
    const frame_model *model;
    cut_tables cuts;
    box_search boxes;
    uint32_t *word; /* of cells, for boxes: or */
    uint8_t *below; /* their limits alone */
    uint8_t *kept;  /* of a row of tiles; whole groups */
    uint8_t *limit;
    faint_tiles faint;
} chooser;

static h5bragg_status chooser_make(frame_source *s, const frame_model *m, chooser *c)
{
    const size_t ngroups = ring_map_ngroups(s->map);
    *c = (chooser){.source = s, .model = m};
    c->kept = scratch_take_zeros(ngroups * GROUP_NTILES + BOX_SLACK, 1);
    c->limit = scratch_take(ngroups * GROUP_NTILES);
    return c->kept && c->limit ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

static void chooser_free(chooser *c)
{
    cut_tables_free(&c->cuts);
    box_search_free(&c->boxes);
    faint_tiles_free(&c->faint);
    scratch_give(c->word);
    scratch_give(c->below);
    scratch_give(c->kept);
    scratch_give(c->limit);
}

static h5bragg_status make_limits(chooser *c)
{
    const frame_model *m = c->model;
    c->below = scratch_take(BRAGG_NO_CELL + 1u + LIMITS_SLACK);
    if (!c->below)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t cell = 0; cell < m->noise.map->ncells; cell++)
        c->below[cell] = calm_limit(m, cell);
    c->below[BRAGG_NO_CELL] = 0;
    return H5BRAGG_OK;
}

/* All that is asked of a tile's cell comes with one word: the limit as well. */
static h5bragg_status make_words(chooser *c)
{
    const frame_model *m = c->model;
    c->word = scratch_take((BRAGG_NO_CELL + 1u) * sizeof *c->word);
    if (!c->word)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t cell = 0; cell < m->noise.map->ncells; cell++) {
        const byte_cut cut = byte_cut_of(&c->cuts, cell);
        c->word[cell] = box_word(cut.chance, cut.peak, calm_limit(m, cell));
    }
    c->word[BRAGG_NO_CELL] = box_word(BOX_NEVER, BOX_MOST_PEAK, 0);
    return box_search_make(&c->source->plane, c->source->map, c->word, &c->boxes);
}

/* What is needed to search boxes in bytes; boxes that do not fit are searched at once. */
static h5bragg_status prepare_boxes(chooser *c)
{
    h5bragg_status status = cut_tables_make(c->source->map, &c->cuts);
    if (!status)
        status = faint_tiles_make(c->model, &c->faint);
    if (status)
        return status;
    if (fill_cuts(c->model, &c->cuts))
        return make_words(c);
    memset(c->source->kept, 0, ring_map_ntiles(c->source->map));
    return wide_box_search(c->source, c->model, c->cuts.chance, c->cuts.peak);
}

/* has_kept: some tiles of the source are kept already, if boxes are not searched row by row. */
static void choose_rows(chooser *c, int has_kept)
{
    frame_source *s = c->source;
    const ring_map *map = s->map;
    const size_t ntx = map->ntx;
    const limits_kernel list_limits = limits_kernel_of(bragg_cpu_level());
    const uint8_t *limit = c->limit;
    for (uint32_t row = 0; row < map->nty; row++) {
        if (c->word)
            limit = box_search_row(&c->boxes, row, c->kept);
        else
            list_limits(c->below, map->cell + row * ntx, ntx, c->limit);
        if (!c->word && has_kept)
            memcpy(c->kept, s->kept + row * ntx, ntx);
        if (c->faint.limits)
            faint_tiles_drop(&c->faint, s, row, c->kept);
        calm_tiles_row(s, c->model, row, c->kept, limit);
    }
}

h5bragg_status tile_choice(frame_source *s, const frame_model *m)
{
    chooser c;
    h5bragg_status status = chooser_make(s, m, &c);
    if (!status && m->layout.has_local)
        status = prepare_boxes(&c);
    if (!status && !c.word)
        status = make_limits(&c);
    if (!status)
        choose_rows(&c, m->layout.has_local);
    chooser_free(&c);
    return status;
}

/*
 * A ring that becomes general keeps its thresholds: new is only that there may be pixels below its
 * range.
 */
h5bragg_status tile_choice_update(frame_source *s, const frame_model *m)
{
    chooser c;
    uint32_t cell = 0;
    while (cell < s->map->ncells && m->range[cell].low == 0)
        cell++;
    if (cell == s->map->ncells)
        return H5BRAGG_OK;
    h5bragg_status status = chooser_make(s, m, &c);
    if (!status)
        status = make_limits(&c);
    if (!status)
        choose_rows(&c, 1);
    chooser_free(&c);
    return status;
}

static void set_rule(const frame_model *m, uint32_t cell, const cut_tables *cuts, int is_wide,
                     h5bragg_cell_rule *rule)
{
    const cell_range *r = &m->range[cell];
    rule->low = r->low;
    rule->high = r->high;
    rule->limit = calm_limit(m, cell);
    rule->is_pattern = (uint8_t)r->is_pattern;
    if (!m->layout.has_local)
        return;
    const faint_limits limits = faint_limits_of(m, cell);
    memcpy(rule->least, limits.least, sizeof rule->least);
    rule->least_pixel = limits.pixel;
    if (is_wide) {
        rule->expected = cell_expected(m, cell);
        rule->wide_chance = wide_box_cut(cuts->chance[cell], rule->expected);
        rule->wide_peak = wide_box_cut(cuts->peak[cell], rule->expected);
    } else {
        const byte_cut cut = byte_cut_of(cuts, cell);
        rule->chance = cut.chance;
        rule->peak = cut.peak;
    }
}

h5bragg_status tile_choice_rules(const frame_source *s, const frame_model *m,
                                 h5bragg_cell_rule *rule, int *is_wide)
{
    const uint32_t ncells = s->map->ncells;
    cut_tables cuts;
    const h5bragg_status status = cut_tables_make(s->map, &cuts);
    *is_wide = !status && m->layout.has_local && !fill_cuts(m, &cuts);
    for (uint32_t c = 0; c < ncells && !status; c++) {
        rule[c] = (h5bragg_cell_rule){0};
        set_rule(m, c, &cuts, *is_wide, &rule[c]);
    }
    rule[ncells] = (h5bragg_cell_rule){.chance = UINT16_MAX, .peak = UINT16_MAX};
    cut_tables_free(&cuts);
    return status;
}
