/* SPDX-License-Identifier: MIT */
/*
 * Sums over patches.  The background is the same for all pixels of a tile.  So what is summed pixel
 * by pixel are integers, tile by tile, and the background is taken off their sums.
 */
#include "peak_sums.h"

#include "symbols.h"
#include "tile_sums.h" /* count_bits64 */

/* Integer sums over the known pixels of a tile that are in the patch. */
typedef struct tile_part {
    int64_t n;
    int64_t counts;
    /* Of those above the background, and their distances from the peak's largest pixel. */
    int64_t nabove;
    int64_t above;
    int64_t slow;
    int64_t fast;
    int64_t above_slow; /* counts times distances */
    int64_t above_fast;
} tile_part;

BRAGG_INLINE void add_part(const peak_cell *cell, const tile_part *p, patch_sums *s)
{
    s->signal += (double)p->counts - (double)p->n * cell->expected;
    s->variance += (double)p->n * cell->variance;
    s->mass += (double)p->above - (double)p->nabove * cell->expected;
    s->slow += (double)p->above_slow - (double)p->slow * cell->expected;
    s->fast += (double)p->above_fast - (double)p->fast * cell->expected;
    s->n += (uint32_t)p->n;
}

/* Adds the known pixels of the patch that are in tile k. */
static void add_values(const peak_block *b, uint64_t patch, uint32_t k, patch_sums *s)
{
    const int64_t background = b->cell[k]->whole_expected;
    const int64_t slow = b->at / BLOCK_EDGE;
    const int64_t fast = b->at % BLOCK_EDGE;
    tile_part part = {0};
    for (uint64_t left = patch & b->known & peak_block_whole(k); left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        const int64_t value = b->value[at];
        const int64_t down = at / BLOCK_EDGE - slow;
        const int64_t right = at % BLOCK_EDGE - fast;
        part.n++;
        part.counts += value;
        if (value <= background)
            continue;
        part.nabove++;
        part.above += value;
        part.slow += down;
        part.fast += right;
        part.above_slow += down * value;
        part.above_fast += right * value;
    }
    add_part(b->cell[k], &part, s);
}

/*
 * Sums over rows of bytes, in words of four 16-bit numbers: number j is that of the columns 2 j and
 * 2 j + 1, or of the odd one alone.
 */
typedef struct row_sums {
    uint64_t counts;
    uint64_t nabove;
    uint64_t above;
    uint64_t nabove_odd;
    uint64_t above_odd;
    uint64_t nabove_down; /* times the number of the row in the block, as the next */
    uint64_t above_down;
} row_sums;

/* The sum of the numbers of half a word. */
static int64_t half_sum(uint64_t word, uint32_t half)
{
    const uint32_t pair = (uint32_t)(word >> 32 * half);
    return (pair & 0xFFFF) + (pair >> 16);
}

/* Distances become those from the peak, which is in row `slow` and column `fast` of the block. */
BRAGG_INLINE tile_part part_of(const row_sums *r, uint32_t half, int64_t slow, int64_t fast)
{
    const int64_t nabove = half_sum(r->nabove, half);
    const int64_t above = half_sum(r->above, half);
    /* Columns 4 half + 0, 1, 2, 3: half a word's second number is that of the last two. */
    const int64_t nfast = 4 * half * nabove +
                          2 * (int64_t)(r->nabove >> (32 * half + 16) & 0xFFFF) +
                          half_sum(r->nabove_odd, half);
    const int64_t above_fast = 4 * half * above +
                               2 * (int64_t)(r->above >> (32 * half + 16) & 0xFFFF) +
                               half_sum(r->above_odd, half);
    return (tile_part){.counts = half_sum(r->counts, half),
                       .nabove = nabove,
                       .above = above,
                       .slow = half_sum(r->nabove_down, half) - slow * nabove,
                       .fast = nfast - fast * nabove,
                       .above_slow = half_sum(r->above_down, half) - slow * above,
                       .above_fast = above_fast - fast * above};
}

/* Adds those of the tiles k and k + 1, side by side; bytes that are not known are 0. */
static void add_bytes(const peak_block *b, uint64_t patch, uint32_t k, patch_sums *s)
{
    const uint64_t low = 0xFF * PEAK_WORDS;
    const uint64_t left = 0x7FFFu - (uint64_t)b->cell[k]->whole_expected;
    const uint64_t right = 0x7FFFu - (uint64_t)b->cell[k + 1]->whole_expected;
    const uint64_t more = (left | left << 16) | (right | right << 16) << 32;
    const uint32_t first = lowest_bit(patch) / BLOCK_EDGE;
    const uint64_t columns = peak_bytes_of_bits((uint32_t)(patch >> BLOCK_EDGE * first & 0xFF));
    row_sums r = {0};
    for (uint32_t i = 2 * k; i < 2 * k + TILE_EDGE; i++) {
        if (!(patch >> BLOCK_EDGE * i & 0xFF))
            continue;
        const uint64_t bytes = b->row[i] & columns;
        const uint64_t even = bytes & low;
        const uint64_t odd = bytes >> 8 & low;
        const uint64_t is_even_above = (even + more) >> 15 & PEAK_WORDS;
        const uint64_t is_odd_above = (odd + more) >> 15 & PEAK_WORDS;
        const uint64_t odd_above = odd & is_odd_above * 0xFFFF;
        const uint64_t nabove = is_even_above + is_odd_above;
        const uint64_t above = (even & is_even_above * 0xFFFF) + odd_above;
        r.counts += even + odd;
        r.nabove += nabove;
        r.above += above;
        r.nabove_odd += is_odd_above;
        r.above_odd += odd_above;
        r.nabove_down += i * nabove;
        r.above_down += i * above;
    }
    for (uint32_t half = 0; half < 2; half++) {
        tile_part part = part_of(&r, half, b->at / BLOCK_EDGE, b->at % BLOCK_EDGE);
        part.n = count_bits64(patch & b->known & peak_block_whole(k + half));
        add_part(b->cell[k + half], &part, s);
    }
}

patch_sums peak_sum_patch_plain(const peak_block *b, uint64_t patch)
{
    patch_sums s = {0};
    for (uint32_t k = 0; k < BLOCK_NTILES; k += b->is_narrow ? 2 : 1) {
        if (b->is_narrow)
            add_bytes(b, patch, k, &s);
        else
            add_values(b, patch, k, &s);
    }
    return s;
}

#if defined(BRAGG_X86_64)
#include <emmintrin.h>

/* Rows of the patch, by their distance from the largest pixel, which is in row 2 to 5 of 8. */
#define OUT3 0, 0, 0
static const uint64_t REACHED[2][11] = {
    {OUT3, 0, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, OUT3},
    {OUT3, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, OUT3}};
enum { REACHED_CENTRE = 5 };

/* Sums over the rows of two tiles side by side, a lane a column: see tile_part. */
typedef struct lane_sums {
    __m128i counts;
    __m128i nabove;
    __m128i above;
    __m128i slow;
    __m128i above_slow;
} lane_sums;

/* Adds a row that is `down` rows below the peak. */
BRAGG_INLINE void add_row(__m128i value, __m128i background, int down, lane_sums *s)
{
    const __m128i distance = _mm_set1_epi16((short)down);
    const __m128i is_above = _mm_cmpgt_epi16(value, background);
    const __m128i above = _mm_and_si128(value, is_above);
    s->counts = _mm_add_epi16(s->counts, value);
    s->nabove = _mm_sub_epi16(s->nabove, is_above);
    s->above = _mm_add_epi16(s->above, above);
    s->slow = _mm_add_epi16(s->slow, _mm_and_si128(distance, is_above));
    s->above_slow = _mm_add_epi16(s->above_slow, _mm_mullo_epi16(above, distance));
}

/* The rows of the tiles k and k + 1, of which those in the patch are `reached`. */
BRAGG_INLINE lane_sums sum_lanes(const peak_block *b, __m128i columns, const uint64_t *reached,
                                 uint32_t k)
{
    const __m128i zero = _mm_setzero_si128();
    const __m128i left = _mm_set1_epi16((short)b->cell[k]->whole_expected);
    const __m128i right = _mm_set1_epi16((short)b->cell[k + 1]->whole_expected);
    const __m128i background = _mm_unpacklo_epi64(left, right);
    lane_sums s = {zero, zero, zero, zero, zero};
    for (uint32_t i = 2 * k; i < 2 * k + TILE_EDGE; i += 2) {
        const int down = (int)i - (int)(b->at / BLOCK_EDGE);
        const __m128i rows =
            _mm_and_si128(_mm_and_si128(_mm_load_si128((const void *)(b->row + i)), columns),
                          _mm_loadu_si128((const void *)(reached + i)));
        add_row(_mm_unpacklo_epi8(rows, zero), background, down, &s);
        add_row(_mm_unpackhi_epi8(rows, zero), background, down + 1, &s);
    }
    return s;
}

/* Weighted sums of the columns of either tile. */
BRAGG_INLINE __m128d sum_columns(__m128i lanes, __m128i weight)
{
    const __m128i pairs = _mm_shuffle_epi32(_mm_madd_epi16(lanes, weight), _MM_SHUFFLE(3, 1, 2, 0));
    return _mm_cvtepi32_pd(_mm_add_epi32(pairs, _mm_unpackhi_epi64(pairs, pairs)));
}

/* Takes the background off sums over the pixels of two tiles, and adds what is left of each. */
BRAGG_INLINE void add_both(__m128d sums, __m128d npixels, __m128d expected, double *to)
{
    const __m128d rest = _mm_sub_pd(sums, _mm_mul_pd(npixels, expected));
    *to += _mm_cvtsd_f64(rest);
    *to += _mm_cvtsd_f64(_mm_unpackhi_pd(rest, rest));
}

/* The tiles k and k + 1 of the rows of a patch; n[] known pixels are in it. */
BRAGG_INLINE void add_lanes(const peak_block *b, const lane_sums *lanes, uint32_t k,
                            const uint32_t n[2], patch_sums *s)
{
    const __m128i one = _mm_set1_epi16(1);
    const __m128i right =
        _mm_sub_epi16(_mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7),
                      _mm_set1_epi16((short)(b->at % BLOCK_EDGE))); /* distances of columns */
    const __m128d expected = _mm_setr_pd(b->cell[k]->expected, b->cell[k + 1]->expected);
    const __m128d variance = _mm_setr_pd(b->cell[k]->variance, b->cell[k + 1]->variance);
    const __m128d known = _mm_setr_pd(n[0], n[1]);
    const __m128d zero = _mm_setzero_pd();
    add_both(sum_columns(lanes->counts, one), known, expected, &s->signal);
    add_both(_mm_mul_pd(known, variance), zero, zero, &s->variance);
    add_both(sum_columns(lanes->above, one), sum_columns(lanes->nabove, one), expected, &s->mass);
    add_both(sum_columns(lanes->above_slow, one), sum_columns(lanes->slow, one), expected,
             &s->slow);
    add_both(sum_columns(lanes->above, right), sum_columns(lanes->nabove, right), expected,
             &s->fast);
    s->n += n[0] + n[1];
}

static patch_sums sum_bytes(const peak_rules *r, const peak_block *b, uint64_t patch)
{
    const uint64_t *reached = REACHED[r->reach - 1] + REACHED_CENTRE - b->at / BLOCK_EDGE;
    const uint32_t columns = (uint32_t)(patch >> BLOCK_EDGE * (b->at / BLOCK_EDGE) & 0xFF);
    const __m128i bytes = _mm_set1_epi64x((long long)peak_bytes_of_bits(columns));
    patch_sums s = {0};
    for (uint32_t k = 0; k < BLOCK_NTILES; k += 2) {
        const uint32_t known = (uint32_t)((patch & b->known) >> BLOCK_EDGE * 2 * k);
        const uint32_t n[2] = {count_bits(known & 0x0F0F0F0Fu), count_bits(known & 0xF0F0F0F0u)};
        const lane_sums lanes = sum_lanes(b, bytes, reached, k);
        add_lanes(b, &lanes, k, n, &s);
    }
    return s;
}

patch_sums peak_sum_patch(const peak_rules *r, const peak_block *b, uint64_t patch)
{
    return b->is_narrow ? sum_bytes(r, b, patch) : peak_sum_patch_plain(b, patch);
}
#else
patch_sums peak_sum_patch(const peak_rules *r, const peak_block *b, uint64_t patch)
{
    (void)r;
    return peak_sum_patch_plain(b, patch);
}
#endif
