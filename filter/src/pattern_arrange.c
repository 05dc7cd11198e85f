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
 *
 * Variants go through the same pairs of pixels side by side, and each exchanges what it has to: the
 * innermost loops are over variants, and become vectors.
 */
#include "patterns.h"

#include "cpu_level.h"

enum { EDGE = 4, NPIXELS = EDGE * EDGE, MAX_ROUNDS = 8, NLANES = 32 };

/*
 * Q, which hangs on how far apart two pixels are, by rows and columns downwards and to the right.
 * Every rectangle adds (16 x_i - a b)(16 x_j - a b).
 */
static const int32_t SHARES[EDGE][EDGE] = {{7360, 1984, 192, 1984},
                                           {1984, -1088, -2112, -1088},
                                           {192, -2112, -2880, -2112},
                                           {1984, -1088, -2112, -1088}};

/* Some variants: pixel by pixel, what numbers they have and what Q makes of them. */
typedef struct lanes {
    int32_t v[NPIXELS][NLANES]; /* at most 63 */
    int32_t g[NPIXELS][NLANES]; /* below 2^22 */
} lanes;

BRAGG_INLINE int32_t share_of(uint32_t i, uint32_t j)
{
    return SHARES[(j / EDGE - i / EDGE) % EDGE][(j - i) % EDGE];
}

BRAGG_INLINE void lanes_make(const uint8_t *variants, lanes *x)
{
    for (uint32_t i = 0; i < NPIXELS; i++)
        for (uint32_t k = 0; k < NLANES; k++)
            x->v[i][k] = variants[k * NPIXELS + i];
    for (uint32_t i = 0; i < NPIXELS; i++) {
        for (uint32_t k = 0; k < NLANES; k++)
            x->g[i][k] = 0;
        for (uint32_t j = 0; j < NPIXELS; j++)
            for (uint32_t k = 0; k < NLANES; k++)
                x->g[i][k] += share_of(i, j) * x->v[j][k];
    }
}

/* By how much pixel j is larger than i, in variants that are evener with both exchanged, otherwise
 * 0; returns whether there are some. */
BRAGG_INLINE int find_exchanges(const lanes *x, uint32_t i, uint32_t j, int32_t d[NLANES])
{
    const int32_t curvature = 2 * (share_of(i, i) - share_of(i, j));
    int32_t some = 0;
    for (uint32_t k = 0; k < NLANES; k++) {
        const int32_t more = x->v[j][k] - x->v[i][k];
        const int32_t slope = 2 * (x->g[i][k] - x->g[j][k]) + more * curvature;
        const int32_t is_evener = 0 - (int32_t)(((more ^ slope) < 0) & (slope != 0));
        d[k] = more & is_evener;
        some |= d[k];
    }
    return some != 0;
}

BRAGG_INLINE void exchange(lanes *x, uint32_t i, uint32_t j, const int32_t d[NLANES])
{
    for (uint32_t p = 0; p < NPIXELS; p++) {
        const int32_t change = share_of(i, p) - share_of(j, p);
        for (uint32_t k = 0; k < NLANES; k++)
            x->g[p][k] += d[k] * change;
    }
    for (uint32_t k = 0; k < NLANES; k++) {
        x->v[i][k] += d[k];
        x->v[j][k] -= d[k];
    }
}

BRAGG_INLINE int arrange_round(lanes *x)
{
    int32_t d[NLANES];
    int has_changed = 0;
    for (uint32_t i = 0; i < NPIXELS - 1; i++) {
        for (uint32_t j = i + 1; j < NPIXELS; j++) {
            if (!find_exchanges(x, i, j, d))
                continue;
            exchange(x, i, j, d);
            has_changed = 1;
        }
    }
    return has_changed;
}

/* A variant that a round leaves as it is stays so. */
BRAGG_INLINE void arrange_some(uint8_t *variants)
{
    lanes x;
    lanes_make(variants, &x);
    for (int round = 0; round < MAX_ROUNDS; round++)
        if (!arrange_round(&x))
            break;
    for (uint32_t i = 0; i < NPIXELS; i++)
        for (uint32_t k = 0; k < NLANES; k++)
            variants[k * NPIXELS + i] = (uint8_t)x.v[i][k];
}

BRAGG_INLINE void arrange(uint8_t *row)
{
    for (uint32_t k = 0; k < PATTERN_NVARIANTS; k += NLANES)
        arrange_some(row + k * NPIXELS);
}

#if defined(BRAGG_X86_64)
__attribute__((target("avx2"))) static void arrange_avx2(uint8_t *row) { arrange(row); }

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) static void
arrange_avx512(uint8_t *row)
{
    arrange(row);
}
#endif

void pattern_row_arrange(uint8_t *row)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512) {
        arrange_avx512(row);
        return;
    }
    if (bragg_cpu_level() == CPU_AVX2) {
        arrange_avx2(row);
        return;
    }
#endif
    arrange(row);
}
