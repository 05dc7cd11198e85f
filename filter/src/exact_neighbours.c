/* SPDX-License-Identifier: MIT */
/* Reads exact values of version 1: docs/format.md, "Exact values". */
#include "exact_neighbours.h"

#include "scratch.h"

enum { NOTHING = -1 };

/* Bounds of A, all even. */
static const uint16_t CONTEXT_BOUND[NEIGHBOUR_NCONTEXTS - 1] = {4,  8,   14,  20,  28,  40,  56,
                                                                80, 120, 180, 260, 400, 600, 1000};

/* Positions in a tile in the order in which they are stored. */
static const uint8_t BY_DIAGONALS[TILE_NPIXELS] = {0, 1,  4, 2,  5,  8,  3,  6,
                                                   9, 12, 7, 10, 13, 11, 14, 15};

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
        while (context < NEIGHBOUR_NCONTEXTS - 1 && CONTEXT_BOUND[context] <= 2 * a)
            context++;
        lines->context[a] = (uint8_t)context;
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
static void next_row(exact_lines *lines)
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

/* What the neighbours of a tile's pixels count, with a row above and a column to the left; of the
 * tile's own pixels also whether that is something. */
typedef struct neighbourhood {
    int32_t count[TILE_EDGE + 1][TILE_EDGE + 1];
    int16_t found[TILE_NPIXELS];
} neighbourhood;

static void look_around(const exact_lines *lines, uint32_t column, int32_t absent, neighbourhood *n)
{
    const int16_t *above = lines->above + (size_t)column * TILE_EDGE;
    const int has_left = lines->left_column == column && column > 0;
    for (uint32_t k = 0; k <= TILE_EDGE; k++)
        n->count[0][k] = above[k] == NOTHING ? absent : above[k];
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        n->count[k + 1][0] = !has_left || lines->left[k] == NOTHING ? absent : lines->left[k];
}

/* Leaves a tile's last row and column to its neighbours. */
static void leave_behind(exact_lines *lines, uint32_t column, const neighbourhood *n)
{
    memcpy(lines->below + 1 + (size_t)column * TILE_EDGE, n->found + (TILE_NPIXELS - TILE_EDGE),
           TILE_EDGE * sizeof *n->found);
    lines->below_tiles[lines->nbelow++] = column;
    for (uint32_t k = 0; k < TILE_EDGE; k++)
        lines->left[k] = n->found[k * TILE_EDGE + TILE_EDGE - 1];
    lines->left_column = column + 1;
}

static void read_tile(exact_lines *lines, symbol_reader *s, const exact_rule *rule,
                      exact_tile *tile)
{
    neighbourhood n;
    look_around(lines, tile->column, rule->absent, &n);
    tile->is_narrow = 0;
    for (uint32_t k = 0; k < TILE_NPIXELS; k++) {
        const uint32_t p = BY_DIAGONALS[k];
        const uint32_t i = p / TILE_EDGE;
        const uint32_t j = p % TILE_EDGE;
        if (!(tile->valid >> p & 1)) {
            n.found[p] = NOTHING;
            n.count[i + 1][j + 1] = rule->absent;
            continue;
        }
        const int32_t a = 2 * n.count[i + 1][j] + 2 * n.count[i][j + 1] + n.count[i][j];
        const uint64_t t = number_get(s, lines->context[a / 2]);
        const uint64_t counts = NEIGHBOUR_UNIT * t;
        n.found[p] = (int16_t)(counts < NEIGHBOUR_MOST ? counts : NEIGHBOUR_MOST);
        n.count[i + 1][j + 1] = n.found[p];
        tile->value[p] = exact_value(rule, t);
    }
    leave_behind(lines, tile->column, &n);
}

void exact_row_read(exact_lines *lines, symbol_reader *s, const exact_rule *const *rule,
                    exact_tile *tile, uint32_t ntiles)
{
    for (uint32_t k = 0; k < ntiles; k++)
        read_tile(lines, s, rule[k], &tile[k]);
    next_row(lines);
}
