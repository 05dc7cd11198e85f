/* SPDX-License-Identifier: MIT */
/*
 * A tile must be kept where its pixels cannot be drawn: some are below their range or under the
 * static mask and, with local counts, above the threshold.
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
#include "faint_tiles.h"
#include "scratch.h"
#include "symbols.h"
#include "wide_box_search.h"

enum { BOX_NPIXELS = 9, CHOSEN_AT_ONCE = 512 };
/* So much more significant is a peak, which has wings, than what just stands out. */
static const double PEAK_SIGMA = 2.0;
/* Where there are hardly any counts: so much more significant must be what is kept, and a peak. */
static const double SPARSE_SIGMA = 1.25;
static const double SPARSE_PEAK_SIGMA = 7.0;
/* So much less where there are many: spots are wide against their noise, and bytes cheap. */
static const double BRIGHT_SIGMA = 0.2;
static const double BRIGHT_EXPECTED = 16.0;

/* The pixels of a tile one by one. */
static int must_keep_pixels(const frame_source *s, const frame_model *m, size_t tile,
                            const cell_range *r)
{
    int64_t value[TILE_NPIXELS];
    frame_source_tile(s, tile, value);
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if (!(s->plane.valid[tile] >> p & 1))
            continue;
        if (value[p] < r->low || (m->layout.has_local && value[p] > r->high))
            return 1;
        const uint32_t row = (uint32_t)(tile / s->map->ntx);
        const size_t i = tile_pixel(s->map, row, (uint32_t)(tile % s->map->ntx), p);
        if (s->static_mask && s->static_mask[i])
            return 1;
    }
    return 0;
}

static int must_keep(const frame_source *s, const frame_model *m, size_t tile)
{
    const cell_range *r = &m->range[s->map->cell[tile]];
    const int is_simple = !s->plane.has_large[tile] && m->noise.is_counting && r->low == 0;
    if (is_simple && s->plane.largest[tile] <= r->high)
        return m->layout.has_local && r->is_pattern && s->plane.sum[tile] > PATTERN_MAX_SUM;
    if (is_simple)
        return m->layout.has_local;
    return must_keep_pixels(s, m, tile, r);
}

/* Tiles of a cell whose bytes are all below this, and few, need not be looked at more closely. */
static uint8_t plain_below(const frame_model *m, const cell_range *r)
{
    if (!m->noise.is_counting || r->low != 0 || r->high < 0)
        return 0;
    return (uint8_t)(r->high < BYTE_LOOKUP ? r->high + 1 : BYTE_LOOKUP);
}

/* Some tiles side by side. */
typedef struct choice_tiles {
    size_t first;
    uint32_t n;
    uint8_t others[CHOSEN_AT_ONCE];
} choice_tiles;

/*
 * Before, calm[tile] has the limit of the tile's cell: plain_below, 0 for blank tiles.  Calm are
 * tiles without bytes of `limit` or more, and few counts.  Tiles with such bytes, all of which the
 * bytes tell, are kept if the threshold says so.  Others must be looked at one by one. Loops
 * without branches.
 */
BRAGG_INLINE void choose_by_bytes(frame_source *s, int has_local, choice_tiles *tiles)
{
    const uint8_t keeps = has_local ? 1 : 0;
    const uint8_t *restrict largest = s->plane.largest + tiles->first;
    const uint16_t *restrict sum = s->plane.sum + tiles->first;
    uint8_t *restrict kept = s->kept + tiles->first;
    uint8_t *restrict calm = s->calm + tiles->first;
    uint8_t *restrict others = tiles->others;
    uint8_t few[CHOSEN_AT_ONCE];
    const uint32_t n = tiles->n;
    for (uint32_t t = 0; t < n; t++)
        few[t] = sum[t] <= PATTERN_MAX_SUM;
    for (uint32_t t = 0; t < n; t++) {
        const uint8_t is_free = kept[t] ^ 1;
        const uint8_t limit = calm[t];
        const uint8_t is_low = largest[t] < limit;
        const uint8_t is_known = largest[t] != BYTE_LOOKUP;
        const uint8_t is_blank = limit == 0;
        const uint8_t is_bright = (is_low ^ 1) & is_known & (is_blank ^ 1);
        calm[t] = is_low & few[t] & is_free;
        others[t] = is_blank | (is_free & ((is_known ^ 1) | (is_low & (few[t] ^ 1))));
        kept[t] |= keeps & is_bright;
    }
}

static void choose_plainly(frame_source *s, int has_local, choice_tiles *tiles)
{
    choose_by_bytes(s, has_local, tiles);
}

#if defined(BRAGG_X86_64)
__attribute__((target("avx2"))) static void choose_avx2(frame_source *s, int has_local,
                                                        choice_tiles *tiles)
{
    choose_by_bytes(s, has_local, tiles);
}
#endif

typedef void (*choose_kernel)(frame_source *s, int has_local, choice_tiles *tiles);

static choose_kernel choose_kernel_of(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX2 || level == CPU_AVX512)
        return choose_avx2;
#endif
    (void)level;
    return choose_plainly;
}

/* Tiles of which more must be known than their sum and largest byte. */
static void choose_others(frame_source *s, const frame_model *m, const choice_tiles *tiles)
{
    for (uint32_t start = 0; start < tiles->n; start += 8) {
        uint64_t others = load_u64(tiles->others + start);
        for (; others; others &= others - 1) {
            const size_t tile = tiles->first + start + lowest_bit(others) / 8;
            if (s->map->cell[tile] == BRAGG_NO_CELL)
                s->kept[tile] = 0;
            else if (!s->kept[tile] && s->plane.valid[tile])
                s->kept[tile] = (uint8_t)must_keep(s, m, tile);
        }
    }
}

static void list_limits(const uint8_t *restrict below, const uint16_t *restrict cell, size_t n,
                        uint8_t *restrict limit)
{
    size_t t = 0;
    for (; n - t >= 4; t += 4) {
        for (size_t k = t; k < t + 4; k++)
            limit[k] = below[cell[k]];
    }
    for (; t < n; t++)
        limit[t] = below[cell[t]];
}

/* below: limits of cells, none among them; NULL if s->calm has those of tiles. */
static void choose_all(frame_source *s, const frame_model *m, const uint8_t *below)
{
    const size_t ntiles = ring_map_ntiles(s->map);
    const choose_kernel choose = choose_kernel_of(bragg_cpu_level());
    choice_tiles tiles = {0};
    for (; tiles.first < ntiles; tiles.first += tiles.n) {
        const size_t nleft = ntiles - tiles.first;
        tiles.n = nleft < CHOSEN_AT_ONCE ? (uint32_t)nleft : CHOSEN_AT_ONCE;
        if (below)
            list_limits(below, s->map->cell + tiles.first, tiles.n, s->calm + tiles.first);
        memset(tiles.others, 0, sizeof tiles.others);
        choose(s, m->layout.has_local, &tiles);
        choose_others(s, m, &tiles);
    }
}

static h5bragg_status choose_by_cells(frame_source *s, const frame_model *m)
{
    uint8_t *below = scratch_take(BRAGG_NO_CELL + 1u);
    if (!below)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < s->map->ncells; c++)
        below[c] = plain_below(m, &m->range[c]);
    below[BRAGG_NO_CELL] = 0;
    choose_all(s, m, below);
    scratch_give(below);
    return H5BRAGG_OK;
}

/*
 * A ring that becomes general keeps its thresholds: new is only that there may be pixels below its
 * range.
 */
h5bragg_status tile_choice_update(frame_source *s, const frame_model *m)
{
    for (uint32_t c = 0; c < s->map->ncells; c++) {
        if (m->range[c].low != 0)
            return choose_by_cells(s, m);
    }
    return H5BRAGG_OK;
}

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

/* All that is asked of a tile's cell comes with one word: the limit as well. */
static h5bragg_status search_boxes(frame_source *s, const frame_model *m, const cut_tables *cuts)
{
    const ring_map *map = s->map;
    box_search search = {0};
    uint32_t *word = scratch_take((BRAGG_NO_CELL + 1u) * sizeof *word);
    uint8_t *kept = scratch_take(ring_map_ngroups(s->map) * GROUP_NTILES);
    h5bragg_status status = word && kept ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
    if (!status)
        status = box_search_make(&s->plane, s->map, word, &search);
    if (status)
        return status;
    for (uint32_t c = 0; c < s->map->ncells; c++) {
        const byte_cut cut = byte_cut_of(cuts, c);
        word[c] = box_word(cut.chance, cut.peak, plain_below(m, &m->range[c]));
    }
    word[BRAGG_NO_CELL] = box_word(BOX_NEVER, BOX_MOST_PEAK, 0);
    for (uint32_t row = 0; row < map->nty; row++) {
        const uint8_t *other = box_search_row(&search, row, kept);
        memcpy(s->kept + (size_t)row * map->ntx, kept, map->ntx);
        memcpy(s->calm + (size_t)row * map->ntx, other, map->ntx);
    }
    scratch_give(word);
    scratch_give(kept);
    box_search_free(&search);
    return H5BRAGG_OK;
}

/* *has_limits: s->calm has those of tiles. */
static h5bragg_status keep_significant(frame_source *s, const frame_model *m, int *has_limits)
{
    cut_tables cuts;
    h5bragg_status status = cut_tables_make(s->map, &cuts);
    *has_limits = !status && fill_cuts(m, &cuts);
    if (*has_limits)
        status = search_boxes(s, m, &cuts);
    else if (!status)
        status = wide_box_search(s, m, cuts.chance, cuts.peak);
    if (!status)
        status = faint_tiles_drop(s, m);
    cut_tables_free(&cuts);
    return status;
}

h5bragg_status tile_choice(frame_source *s, const frame_model *m)
{
    int has_limits = 0;
    h5bragg_status status = H5BRAGG_OK;
    memset(s->kept, 0, ring_map_ntiles(s->map));
    if (m->layout.has_local)
        status = keep_significant(s, m, &has_limits);
    if (!status && !has_limits)
        return choose_by_cells(s, m);
    if (!status)
        choose_all(s, m, NULL);
    return status;
}

static void set_rule(const frame_model *m, uint32_t cell, const cut_tables *cuts, int is_wide,
                     h5bragg_cell_rule *rule)
{
    const cell_range *r = &m->range[cell];
    rule->low = r->low;
    rule->high = r->high;
    rule->limit = plain_below(m, r);
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
