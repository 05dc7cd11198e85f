/* SPDX-License-Identifier: MIT */
/*
 * Arranges the pixels of patterns: docs/format.md, "Pattern noise" (Arrangement).
 *
 * A reflection that a program integrates covers some tiles whole and cuts others.  Of those the
 * sum is known, but not which part of it lies inside; the restored part then scatters twice, once
 * as the raw counts did and once as the drawn ones do.  The second can be had smaller: the drawn
 * counts keep their values, hence mean, variance and distribution, and only change places until
 * every rectangle holds its share as nearly as they let it.  Rectangles that leave the tile on one
 * side come in again on the other: so a pattern may be shifted, and no pixel of a tile is special.
 *
 * With v the pixels, the unevenness is v Q v.  Exchanging pixels i and j, v_j being larger by d,
 * changes it by 2 d (g_i - g_j) + d^2 (Q_ii + Q_jj - 2 Q_ij), where g = Q v is kept up to date.
 */
#include "patterns.h"

enum { EDGE = 4, NPIXELS = EDGE * EDGE, MAX_ROUNDS = 8 };

typedef int32_t share_matrix[NPIXELS][NPIXELS];

/* Adds a rectangle: pixel i counts 16 - area if it lies inside, else -area. */
static void add_rectangle(uint32_t top, uint32_t left, uint32_t nrows, uint32_t ncolumns,
                          share_matrix q)
{
    int32_t x[NPIXELS];
    for (uint32_t i = 0; i < NPIXELS; i++) {
        const int is_inside =
            (i / EDGE - top) % EDGE < nrows && (i % EDGE - left) % EDGE < ncolumns;
        x[i] = (is_inside ? NPIXELS : 0) - (int32_t)(nrows * ncolumns);
    }
    for (uint32_t i = 0; i < NPIXELS; i++)
        for (uint32_t j = 0; j < NPIXELS; j++)
            q[i][j] += x[i] * x[j];
}

/* One that is as high or wide as the tile is the same wherever it begins. */
static void make_matrix(share_matrix q)
{
    for (uint32_t a = 1; a <= EDGE; a++)
        for (uint32_t b = 1; b <= EDGE; b++)
            for (uint32_t top = 0; top < (a < EDGE ? EDGE : 1); top++)
                for (uint32_t left = 0; left < (b < EDGE ? EDGE : 1); left++)
                    add_rectangle(top, left, a, b, q); /* the whole tile adds 0 */
}

static void exchange(const share_matrix q, uint32_t i, uint32_t j, int64_t *v, int64_t *g)
{
    const int64_t d = v[j] - v[i];
    for (uint32_t k = 0; k < NPIXELS; k++)
        g[k] += d * (q[i][k] - q[j][k]);
    v[i] += d;
    v[j] -= d;
}

static int arrange_round(const share_matrix q, int64_t *v, int64_t *g)
{
    int has_changed = 0;
    for (uint32_t i = 0; i < NPIXELS - 1; i++) {
        for (uint32_t j = i + 1; j < NPIXELS; j++) {
            const int64_t d = v[j] - v[i];
            const int64_t curvature = q[i][i] + q[j][j] - 2 * q[i][j];
            if (d * (2 * (g[i] - g[j]) + d * curvature) < 0) {
                exchange(q, i, j, v, g);
                has_changed = 1;
            }
        }
    }
    return has_changed;
}

static void arrange(const share_matrix q, uint8_t *pixel)
{
    int64_t v[NPIXELS];
    int64_t g[NPIXELS] = {0};
    for (uint32_t i = 0; i < NPIXELS; i++)
        v[i] = pixel[i];
    for (uint32_t i = 0; i < NPIXELS; i++)
        for (uint32_t j = 0; j < NPIXELS; j++)
            g[i] += q[i][j] * v[j];
    for (int round = 0; round < MAX_ROUNDS; round++)
        if (!arrange_round(q, v, g))
            break;
    for (uint32_t i = 0; i < NPIXELS; i++)
        pixel[i] = (uint8_t)v[i];
}

void pattern_row_arrange(uint8_t *row)
{
    share_matrix q = {{0}};
    make_matrix(q);
    for (uint32_t i = 0; i < PATTERN_NVARIANTS; i++)
        arrange(q, row + i * PATTERN_NBYTES);
}
