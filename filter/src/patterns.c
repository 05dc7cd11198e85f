/* SPDX-License-Identifier: MIT */
/* How a row of patterns is drawn: docs/format.md, "Pattern noise" (Patterns). */
#include "patterns.h"

#include <stdlib.h>
#include <string.h>

#include "cpu_level.h"
#include "noise_hash.h"
#include "sum_step.h"

enum { NCANDIDATES = 256, DRAWN_AT_ONCE = 4, MAX_ROUNDS = 64 };

/* By the number k of pixels not yet drawn, less 1: the first pixel of f is at f - 1. */
typedef struct candidate_set {
    uint32_t bits[PATTERN_NBYTES][NCANDIDATES]; /* random */
    uint8_t pixel[PATTERN_NBYTES][NCANDIDATES];
    uint16_t left[NCANDIDATES]; /* of the sum, for the pixels still to come */
} candidate_set;

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* ---- weights ---- */

/* G / W_f(S): the expected square of one pixel. */
static double expected_square(const pattern_weights *w, uint32_t f, uint32_t threshold,
                              uint32_t sum)
{
    double g = 0.0;
    for (uint32_t n = 0; n <= min_u32(threshold, sum); n++)
        g += (double)(n * n) * (w->pixel[n] * w->sum[f - 1][sum - n]);
    return g / w->sum[f][sum];
}

/* The loop over s is inside, so that it runs in vectors; each sum still adds n in ascending order.
 */
static pattern_weights *make_weights(uint32_t threshold)
{
    pattern_weights *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->pixel[0] = 1.0;
    for (uint32_t n = 1; n <= threshold; n++)
        w->pixel[n] = w->pixel[n - 1] * 8.0 / n;
    w->sum[0][0] = 1.0;
    for (uint32_t k = 1; k <= PATTERN_NBYTES; k++) {
        const double *one_less = w->sum[k - 1];
        for (uint32_t n = 0; n <= threshold; n++) {
            double *sum = w->sum[k] + n;
            for (uint32_t s = 0; s <= PATTERN_MAX_SUM - n; s++)
                sum[s] += one_less[s] * w->pixel[n];
        }
    }
    for (uint32_t s = 0; s <= min_u32(PATTERN_MAX_SUM, PATTERN_NBYTES * threshold); s++)
        w->squares[s] = PATTERN_NBYTES * expected_square(w, PATTERN_NBYTES, threshold, s);
    return w;
}

/* Threads that race make the same weights; the first ones stay. */
static pattern_weights *get_weights(uint32_t threshold)
{
    static _Atomic(pattern_weights *) all[PATTERN_MAX_THRESHOLD + 1];
    pattern_weights *known = atomic_load_explicit(&all[threshold], memory_order_acquire);
    if (known)
        return known;
    pattern_weights *made = make_weights(threshold);
    if (made && !atomic_compare_exchange_strong(&all[threshold], &known, made)) {
        free(made);
        return known;
    }
    return made;
}

const pattern_weights *pattern_weights_get(uint32_t threshold) { return get_weights(threshold); }

/* ---- candidates ---- */

/* Of numbers that are not negative, in the same order. */
BRAGG_INLINE int64_t double_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/*
 * Draws a pixel, with k - 1 more behind it, of some candidates that have s left: pixel[i] from
 * u[i], given as bits. They share the cumulated weights, which are made as far as the largest u
 * needs.  The last one is W_k(s) itself, sum for sum, and u is below it: there always is one that
 * exceeds u.  Behind the candidates up to DRAWN_AT_ONCE - 1 more are drawn, which are drawn again
 * or are none.
 */
BRAGG_INLINE void draw_group(const pattern_weights *w, uint32_t k, uint32_t threshold, uint32_t s,
                             size_t ngroup, const int64_t *restrict u, int64_t *restrict pixel)
{
    int64_t largest = u[0];
    for (size_t i = 1; i < ngroup; i++)
        largest = u[i] > largest ? u[i] : largest;
    for (size_t i = 0; i < ngroup; i += DRAWN_AT_ONCE)
        memset(pixel + i, 0, DRAWN_AT_ONCE * sizeof *pixel);
    double cumulated = 0.0;
    for (uint32_t n = 0; n <= min_u32(threshold, s); n++) {
        cumulated += w->pixel[n] * w->sum[k - 1][s - n];
        const int64_t reached = double_bits(cumulated);
        if (reached > largest)
            break;
        for (size_t i = 0; i < ngroup; i += DRAWN_AT_ONCE)
            for (size_t j = 0; j < DRAWN_AT_ONCE; j++)
                pixel[i + j] += reached <= u[i + j];
    }
}

/* Draws one pixel of all candidates, in groups that have the same sum left: from `low` to `high`.
 */
BRAGG_INLINE void draw_pixel(const pattern_weights *w, uint32_t k, uint32_t threshold, uint32_t low,
                             uint32_t high, candidate_set *set)
{
    uint16_t end[PATTERN_MAX_SUM + 2];
    uint8_t order[NCANDIDATES];
    int64_t u[NCANDIDATES + DRAWN_AT_ONCE] = {0};
    int64_t pixel[NCANDIDATES + DRAWN_AT_ONCE];
    memset(end + low, 0, (high - low + 2) * sizeof *end);
    for (uint32_t c = 0; c < NCANDIDATES; c++)
        end[set->left[c] + 1]++;
    for (uint32_t s = low; s < high; s++)
        end[s + 1] = (uint16_t)(end[s + 1] + end[s]);
    for (uint32_t c = 0; c < NCANDIDATES; c++) {
        const uint32_t s = set->left[c];
        const uint32_t at = end[s]++; /* the group's beginning becomes its end */
        order[at] = (uint8_t)c;
        u[at] = double_bits(set->bits[k - 1][c] * 0x1p-32 * w->sum[k][s]);
    }
    uint32_t begin = 0;
    for (uint32_t s = low; s <= high; s++) {
        if (end[s] > begin)
            draw_group(w, k, threshold, s, end[s] - begin, u + begin, pixel + begin);
        begin = end[s];
    }
    for (uint32_t i = 0; i < NCANDIDATES; i++) {
        set->pixel[k - 1][order[i]] = (uint8_t)pixel[i];
        set->left[order[i]] = (uint16_t)(set->left[order[i]] - pixel[i]);
    }
}

/*
 * Candidates are drawn one after another, f random numbers each.  Their pixels are made the other
 * way round, one pixel of all candidates at a time, where many have the same sum left.
 */
BRAGG_INLINE void draw_with(const pattern_weights *w, uint32_t f, uint32_t threshold, uint32_t sum,
                            candidate_set *set)
{
    uint32_t state = noise_hash(0x9E3779B97F4A7C15u, f * 65536 + threshold * 1024 + sum) | 1;
    for (uint32_t c = 0; c < NCANDIDATES; c++) {
        set->left[c] = (uint16_t)sum;
        for (uint32_t k = f; k > 0; k--)
            set->bits[k - 1][c] = next_bits(&state);
    }
    for (uint32_t k = f; k > 0; k--) {
        uint32_t low = sum;
        uint32_t high = 0;
        for (uint32_t c = 0; c < NCANDIDATES; c++) {
            low = min_u32(low, set->left[c]);
            high = set->left[c] > high ? set->left[c] : high;
        }
        draw_pixel(w, k, threshold, low, high, set);
    }
}

#if defined(BRAGG_X86_64)
__attribute__((target("avx2"))) static void draw_with_avx2(const pattern_weights *w, uint32_t f,
                                                           uint32_t threshold, uint32_t sum,
                                                           candidate_set *set)
{
    draw_with(w, f, threshold, sum, set);
}
#endif

static void draw_candidates(const pattern_weights *w, uint32_t f, uint32_t threshold, uint32_t sum,
                            candidate_set *set)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512 || bragg_cpu_level() == CPU_AVX2) {
        draw_with_avx2(w, f, threshold, sum, set);
        return;
    }
#endif
    draw_with(w, f, threshold, sum, set);
}

/* ---- the choice of 64 ---- */

/* Stable sort of `order` by one byte of `key`. */
static void sort_by_byte(const uint16_t *key, int shift, const uint16_t *order, uint16_t *sorted)
{
    uint16_t at[257] = {0};
    for (int i = 0; i < NCANDIDATES; i++)
        at[(key[i] >> shift & 0xFF) + 1]++;
    for (int i = 0; i < 256; i++)
        at[i + 1] = (uint16_t)(at[i + 1] + at[i]);
    for (int i = 0; i < NCANDIDATES; i++)
        sorted[at[key[order[i]] >> shift & 0xFF]++] = order[i];
}

/* Candidates by rank, and the sum of squares (at most 16 * 63^2) by rank. */
static void rank_candidates(const candidate_set *set, uint32_t f, uint16_t *by_rank,
                            int32_t *squares_by_rank)
{
    uint16_t squares[NCANDIDATES] = {0};
    uint16_t drawn[NCANDIDATES];
    uint16_t half[NCANDIDATES];
    for (uint32_t k = 0; k < f; k++)
        for (int c = 0; c < NCANDIDATES; c++)
            squares[c] = (uint16_t)(squares[c] + set->pixel[k][c] * set->pixel[k][c]);
    for (int c = 0; c < NCANDIDATES; c++)
        drawn[c] = (uint16_t)c;
    sort_by_byte(squares, 0, drawn, half);
    sort_by_byte(squares, 8, half, by_rank);
    for (int r = 0; r < NCANDIDATES; r++)
        squares_by_rank[r] = squares[by_rank[r]];
}

/* The nearest rank from `rank` on, in steps of -1 or 1, that is free and has other squares. */
static int other_rank(const int32_t *squares, const uint8_t *taken, int rank, int step)
{
    int other = rank + step;
    while (other >= 0 && other < NCANDIDATES && (taken[other] || squares[other] == squares[rank]))
        other += step;
    return other;
}

/* Moves the variants' ranks until their squares add up to the aim, as nearly as they get. */
static void settle_ranks(const int32_t *squares, int32_t aim, int *rank)
{
    uint8_t taken[NCANDIDATES] = {0};
    int32_t total = 0;
    for (int i = 0; i < PATTERN_NVARIANTS; i++) {
        rank[i] = 4 * i + 2;
        taken[rank[i]] = 1;
        total += squares[rank[i]];
    }
    int moved = 1;
    for (int round = 0; round < MAX_ROUNDS && moved; round++) {
        moved = 0;
        for (int i = 0; i < PATTERN_NVARIANTS && total != aim; i++) {
            const int other = other_rank(squares, taken, rank[i], total < aim ? 1 : -1);
            if (other < 0 || other >= NCANDIDATES)
                continue;
            const int32_t changed = total - squares[rank[i]] + squares[other];
            if (abs(changed - aim) < abs(total - aim)) {
                taken[rank[i]] = 0;
                taken[other] = 1;
                total = changed;
                rank[i] = other;
                moved = 1;
            }
        }
    }
}

/*
 * What the step of a sum adds to the squares of f pixels, on average: (s^2 - 1) / 12 to the
 * variance of the sum, 1 / f of that to the squares.
 */
static double squares_of_step(uint32_t quarters, uint32_t f, uint32_t sum)
{
    const double step = sum_step(SUM_UNITS * sum, SUM_UNITS * sum, quarters, 1);
    return (step * step - 1.0) / (12.0 * f);
}

void pattern_row_fill(const pattern_weights *w, pattern_kind kind, uint32_t f, uint32_t threshold,
                      uint32_t sum, uint8_t *row)
{
    candidate_set set;
    uint16_t by_rank[NCANDIDATES];
    int32_t squares[NCANDIDATES];
    int rank[PATTERN_NVARIANTS];
    draw_candidates(w, f, threshold, sum, &set);
    rank_candidates(&set, f, by_rank, squares);
    const double even = (double)(sum * sum) / f; /* squares without any variance */
    const double variance = f * expected_square(w, f, threshold, sum) - even;
    const double aim = 64 * (even + variance * (1.0 + kind.dispersion / 400.0) -
                             squares_of_step(kind.quarters, f, sum)) +
                       0.5;
    settle_ranks(squares, (int32_t)aim, rank);
    memset(row, 0, PATTERN_ROW_NBYTES);
    for (int i = 0; i < PATTERN_NVARIANTS; i++)
        for (uint32_t pixel = 0; pixel < f; pixel++)
            row[i * PATTERN_NBYTES + (int)pixel] = set.pixel[f - 1 - pixel][by_rank[rank[i]]];
}
