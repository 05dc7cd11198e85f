/* SPDX-License-Identifier: MIT */
/* Values of tiles that are stored pixel by pixel: docs/format.md, "Exact values". */
#include "exact_tiles.h"
#include "scratch.h"

#include <math.h>

/* Bounds of the contexts, in eighths of a count over five neighbours; all even. */
static const uint16_t CONTEXT_BOUND[EXACT_NCONTEXTS - 1] = {4,  8,   14,  20,  28,  40,  56,
                                                            80, 120, 180, 260, 400, 600, 1000};
enum { UNIT = EXACT_UNIT, MOST = EXACT_MOST, MOST_ABSENT = 2040, NOTHING = EXACT_NOTHING };

h5bragg_status exact_lines_make(const ring_map *map, exact_lines *lines)
{
    const size_t n = (size_t)map->ntx * TILE_EDGE + 1;
    memset(lines, 0, sizeof *lines);
    lines->above = scratch_take(n * sizeof *lines->above);
    lines->below = scratch_take(n * sizeof *lines->below);
    lines->above_tiles = scratch_take(map->ntx * sizeof *lines->above_tiles);
    lines->below_tiles = scratch_take(map->ntx * sizeof *lines->below_tiles);
    if (!lines->above || !lines->below || !lines->above_tiles || !lines->below_tiles)
        return H5BRAGG_NO_MEMORY;
    memset(lines->above, 0xFF, n * sizeof *lines->above);
    memset(lines->below, 0xFF, n * sizeof *lines->below);
    uint32_t context = 0;
    for (uint32_t a = 0; a < sizeof lines->context; a++) {
        while (context < EXACT_NCONTEXTS - 1 && CONTEXT_BOUND[context] <= 2 * a)
            context++;
        lines->context[a] = (uint8_t)context;
        lines->context_at[a] = (uint16_t)(context * SYMBOLS_CONTEXT_NBYTES);
    }
    return H5BRAGG_OK;
}

void exact_lines_free(exact_lines *lines)
{
    scratch_give(lines->above);
    scratch_give(lines->below);
    scratch_give(lines->above_tiles);
    scratch_give(lines->below_tiles);
    memset(lines, 0, sizeof *lines);
}

/* What is below becomes what is above; only what was written is erased. */
void exact_lines_next_row(exact_lines *lines)
{
    for (uint32_t k = 0; k < lines->nabove; k++) {
        int16_t *at = lines->above + 1 + (size_t)lines->above_tiles[k] * TILE_EDGE;
        memset(at, 0xFF, TILE_EDGE * sizeof *at);
    }
    int16_t *line = lines->above;
    uint32_t *tiles = lines->above_tiles;
    lines->above = lines->below;
    lines->above_tiles = lines->below_tiles;
    lines->nabove = lines->nbelow;
    lines->below = line;
    lines->below_tiles = tiles;
    lines->nbelow = 0;
    lines->left_column = 0;
}

static int32_t absent_of(double eighths)
{
    const double x = floor(eighths);
    return x > 0 ? (int32_t)(x < MOST_ABSENT ? x : MOST_ABSENT) : 0;
}

exact_rule exact_rule_of(const frame_model *model, uint16_t cell)
{
    const noise_frame *f = &model->noise;
    exact_rule rule = {0, 0, f->is_counting};
    if (cell == BRAGG_NO_CELL)
        return rule;
    const ring_profile *ring = &model->profile[f->map->ring[cell]];
    const double expected = noise_expected(f, ring, cell);
    if (f->is_counting) {
        rule.absent = absent_of(UNIT * expected);
        return rule;
    }
    const double least = (double)pixel_minimum(f->type);
    const double most = (double)pixel_maximum(f->type);
    const double middle = floor(expected + 0.5);
    rule.predicted = (int64_t)(middle < least ? least : middle > most ? most : middle);
    rule.absent = absent_of(UNIT * noise_sigma(f, ring, cell));
    return rule;
}

/* What the neighbours of a tile's pixels count, with a row above and a column to the left. */
typedef struct neighbourhood {
    int32_t count[TILE_EDGE + 1][TILE_EDGE + 1];
    int16_t stored[TILE_NPIXELS];
} neighbourhood;

BRAGG_INLINE int32_t counted(int16_t stored, int32_t absent)
{
    return stored == NOTHING ? absent : UNIT * stored;
}

BRAGG_INLINE void look_around(const exact_lines *lines, uint32_t column, int32_t absent,
                              neighbourhood *n)
{
    const int16_t *above = lines->above + (size_t)column * TILE_EDGE;
    const int has_left = lines->left_column == column && column > 0;
    for (uint32_t k = 0; k <= TILE_EDGE; k++)
        n->count[0][k] = counted(above[k], absent);
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        n->count[k + 1][0] = has_left ? counted(lines->left[k], absent) : absent;
}

BRAGG_INLINE uint32_t context_of(const exact_lines *lines, const neighbourhood *n, uint32_t i,
                                 uint32_t j)
{
    const int32_t a = 2 * n->count[i + 1][j] + 2 * n->count[i][j + 1] + n->count[i][j];
    return lines->context[a / 2];
}

BRAGG_INLINE void remember(neighbourhood *n, uint32_t i, uint32_t j, uint64_t stored)
{
    const int16_t t = (int16_t)(stored < MOST ? stored : MOST);
    n->stored[i * TILE_EDGE + j] = t;
    n->count[i + 1][j + 1] = UNIT * t;
}

static void remember_nothing(neighbourhood *n, uint32_t i, uint32_t j, int32_t absent)
{
    n->stored[i * TILE_EDGE + j] = NOTHING;
    n->count[i + 1][j + 1] = absent;
}

/* Leaves a tile's last row and column to its neighbours. */
BRAGG_INLINE void leave_behind(exact_lines *lines, uint32_t column, const neighbourhood *n)
{
    memcpy(lines->below + 1 + (size_t)column * TILE_EDGE, n->stored + (TILE_NPIXELS - TILE_EDGE),
           TILE_EDGE * sizeof *n->stored);
    lines->below_tiles[lines->nbelow++] = column;
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        lines->left[k] = n->stored[k * TILE_EDGE + TILE_EDGE - 1];
    lines->left_column = column + 1;
}

/* Pixels by diagonals: those of one do not depend on each other, so that they overlap. */
const uint8_t EXACT_ORDER[TILE_NPIXELS] = {0, 1, 4, 2, 5, 8, 3, 6, 9, 12, 7, 10, 13, 11, 14, 15};

void exact_tile_read(exact_lines *lines, symbol_reader *s, int32_t absent, exact_tile *tile)
{
    neighbourhood n;
    look_around(lines, tile->column, absent, &n);
    for (uint32_t k = 0; k < TILE_NPIXELS; k++) {
        const uint32_t p = EXACT_ORDER[k];
        const uint32_t i = p / TILE_EDGE;
        const uint32_t j = p % TILE_EDGE;
        if (!(tile->valid >> p & 1)) {
            tile->value[p] = 0;
            remember_nothing(&n, i, j, absent);
            continue;
        }
        const uint64_t t = number_get(s, context_of(lines, &n, i, j));
        remember(&n, i, j, t);
        tile->value[p] = (int64_t)t;
    }
    leave_behind(lines, tile->column, &n);
}

void exact_tile_write(exact_lines *lines, symbol_writer *s, const exact_rule *rule,
                      const exact_tile *tile)
{
    neighbourhood n;
    look_around(lines, tile->column, rule->absent, &n);
    for (uint32_t k = 0; k < TILE_NPIXELS; k++) {
        const uint32_t p = EXACT_ORDER[k];
        const uint32_t i = p / TILE_EDGE;
        const uint32_t j = p % TILE_EDGE;
        if (!(tile->valid >> p & 1)) {
            remember_nothing(&n, i, j, rule->absent);
            continue;
        }
        const int64_t value = tile->value[p];
        const uint64_t t = rule->is_counting ? (uint64_t)value : zigzag(value - rule->predicted);
        number_put(s, context_of(lines, &n, i, j), t);
        remember(&n, i, j, t);
    }
    leave_behind(lines, tile->column, &n);
}
