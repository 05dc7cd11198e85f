/* SPDX-License-Identifier: MIT */
/* Sums of simple tiles with AVX2, sixteen at a time; what a row has beyond whole groups of sixteen,
 * in plain C. */
#include "sums_write_kernels.h"

#if defined(BRAGG_X86_64)
#include "lane_tables.h"
#include "look_up_simd.h"

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { LANES = 8, HALVES = SUM_NTILES / LANES };

/* Rules and expected sums of eight cells. */
typedef struct eight_cells {
    __m256i rule;
    __m256i expected;
} eight_cells;

KERNEL BRAGG_INLINE __m256i join(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

KERNEL BRAGG_INLINE __m256i load_16(const void *from) { return _mm256_loadu_si256(from); }

KERNEL BRAGG_INLINE eight_cells look_up_cells(int by_loads, const plain_cell *plain,
                                              const uint16_t *cell)
{
    __m256i first;  /* tiles 0, 1, 4, 5 */
    __m256i second; /* the others */
    if (by_loads) {
        first = join(load_2_pairs_at(plain, cell), load_2_pairs_at(plain, cell + 4));
        second = join(load_2_pairs_at(plain, cell + 2), load_2_pairs_at(plain, cell + 6));
    } else {
        const __m128i cells = _mm_loadu_si128((const void *)cell);
        const __m128i by_turns = _mm_shuffle_epi32(cells, _MM_SHUFFLE(3, 1, 2, 0));
        const __m256i wide = _mm256_cvtepu16_epi32(by_turns);
        first = _mm256_i32gather_epi64((const void *)plain, _mm256_castsi256_si128(wide), 8);
        second = _mm256_i32gather_epi64((const void *)plain, _mm256_extracti128_si256(wide, 1), 8);
    }
    const __m256 a = _mm256_castsi256_ps(first);
    const __m256 b = _mm256_castsi256_ps(second);
    return (eight_cells){_mm256_castps_si256(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0))),
                         _mm256_castps_si256(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)))};
}

/* Bits of those of sixteen words whose bits are all set. */
KERNEL BRAGG_INLINE uint32_t bits_of(__m256i words)
{
    return (uint32_t)_mm_movemask_epi8(
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

/* Tiles that are open in part expect less, and have rules of their own. */
static void set_parts(const sum_rows *rows, size_t at, uint32_t parts,
                      uint32_t expected[SUM_NTILES])
{
    for (uint32_t left = parts; left; left &= left - 1) {
        const uint32_t t = lowest_bit(left);
        expected[t] = expected[t] * count_pixels(rows->open[at + t]) / TILE_NPIXELS;
        rows->rule[at + t] = sum_pattern_rule(expected[t], rows->quarters, 0);
    }
}

/* Adds what sixteen tiles expect; finds their rules. */
KERNEL BRAGG_INLINE void add_expected(int by_loads, const sum_rows *rows, size_t at,
                                      __m256i is_open, __m256i expected[HALVES])
{
    const __m256i all = _mm256_set1_epi16(-1); /* bits of pixels, and BRAGG_NO_CELL */
    const __m256i cells = load_16(rows->cell + at);
    const __m256i is_whole = _mm256_cmpeq_epi16(load_16(rows->open + at), all);
    const __m256i is_part = _mm256_andnot_si256(is_whole, is_open);
    const __m256i has_none = _mm256_cmpeq_epi16(cells, all);
    const uint16_t *cell = rows->cell + at;
    uint16_t open_cell[SUM_NTILES];
    uint32_t parts[SUM_NTILES];
    __m256i found[HALVES];
    if (!_mm256_testz_si256(has_none, has_none)) {
        _mm256_storeu_si256((void *)open_cell, _mm256_and_si256(cells, is_open));
        cell = open_cell;
    }
    for (int k = 0; k < HALVES; k++) {
        const eight_cells eight = look_up_cells(by_loads, rows->plain, cell + LANES * k);
        _mm256_storeu_si256((void *)(rows->rule + at + (size_t)(LANES * k)), eight.rule);
        found[k] = eight.expected;
    }
    if (!_mm256_testz_si256(is_part, is_part)) {
        _mm256_storeu_si256((void *)parts, found[0]);
        _mm256_storeu_si256((void *)(parts + LANES), found[1]);
        set_parts(rows, at, bits_of(is_part), parts);
        found[0] = load_16(parts);
        found[1] = load_16(parts + LANES);
    }
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(is_open));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(is_open, 1));
    expected[0] = _mm256_add_epi32(expected[0], _mm256_and_si256(found[0], low));
    expected[1] = _mm256_add_epi32(expected[1], _mm256_and_si256(found[1], high));
}

/* Bits 0 to 3 as bits of the first tiles of blocks. */
BRAGG_INLINE uint32_t block_bits(uint32_t blocks)
{
    return (blocks | blocks << 3 | blocks << 6 | blocks << 9) & 0x1111;
}

/* Which blocks have a word that is not 0, as four bits. */
KERNEL BRAGG_INLINE uint32_t any_of_block(__m256i words)
{
    const __m256i none = _mm256_cmpeq_epi64(words, _mm256_setzero_si256());
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(none)) ^ 0xF;
}

/* What is known of four blocks, of which those in `unsure` have a sum elsewhere. */
KERNEL BRAGG_INLINE void put_blocks(const block_arrays *blocks, size_t at, __m128i expected,
                                    __m128i sum, uint32_t any, __m256i elsewhere, sum_group *group)
{
    const __m128 distance = _mm_cvtepi32_ps(_mm_sub_epi32(_mm_slli_epi32(sum, 8), expected));
    const __m128 limit =
        _mm_mul_ps(_mm_set1_ps(FAR_FACTOR),
                   _mm_cvtepi32_ps(_mm_add_epi32(expected, _mm_set1_epi32(FAR_OFFSET))));
    const __m128i is_pattern = _mm_cmpgt_epi32(_mm_set1_epi32(PLAIN_MOST_EXPECTED), expected);
    const __m256i is_sure = _mm256_cmpeq_epi64(elsewhere, _mm256_setzero_si256());
    const __m128i is_unsure = /* a lane for each block */
        _mm_xor_si128(
            _mm_packs_epi32(_mm256_castsi256_si128(is_sure), _mm256_extracti128_si256(is_sure, 1)),
            _mm_set1_epi8(-1));
    const __m128i is_far = _mm_or_si128(
        _mm_castps_si128(_mm_cmpgt_ps(_mm_mul_ps(distance, distance), limit)), is_unsure);
    const __m128i far_pattern = _mm_and_si128(is_far, is_pattern);
    const __m128i sums = _mm_or_si128(sum, is_unsure);
    group->is_open = (uint16_t)block_bits(any);
    group->is_far = (uint16_t)block_bits((uint32_t)_mm_movemask_ps(_mm_castsi128_ps(far_pattern)));
    _mm_storeu_si128((void *)(blocks->expected + at), expected);
    _mm_storel_epi64((void *)(blocks->sum + at),
                     _mm_packus_epi32(_mm_min_epu32(sums, _mm_set1_epi32(SUM_ELSEWHERE)), sums));
}

/* Of a whole group. */
KERNEL BRAGG_INLINE void look_at_group(int by_loads, const sum_rows *rows, uint32_t first,
                                       sum_group *group)
{
    const __m256i zeros = _mm256_setzero_si256();
    __m256i expected[HALVES] = {zeros, zeros};
    __m256i sum[HALVES] = {zeros, zeros};
    __m256i any = zeros;
    __m256i elsewhere = zeros;
    for (uint32_t row = 0; row < rows->nrows; row++) {
        const size_t at = (size_t)row * rows->ntx + first;
        const __m256i open = load_16(rows->open + at);
        const __m256i is_open =
            _mm256_xor_si256(_mm256_cmpeq_epi16(open, zeros), _mm256_set1_epi16(-1));
        const __m256i s = _mm256_and_si256(load_16(rows->sum + at), is_open);
        add_expected(by_loads, rows, at, is_open, expected);
        sum[0] = _mm256_add_epi32(sum[0], _mm256_cvtepu16_epi32(_mm256_castsi256_si128(s)));
        sum[1] = _mm256_add_epi32(sum[1], _mm256_cvtepu16_epi32(_mm256_extracti128_si256(s, 1)));
        any = _mm256_or_si256(any, open);
        elsewhere = _mm256_or_si256(elsewhere,
                                    _mm256_cmpeq_epi16(s, _mm256_set1_epi16((short)SUM_ELSEWHERE)));
    }
    /* Blocks 0 and 2 in the lower half, first expected sums: then 1 and 3. */
    const __m256i by_blocks = _mm256_hadd_epi32(_mm256_hadd_epi32(expected[0], expected[1]),
                                                _mm256_hadd_epi32(sum[0], sum[1]));
    const __m128i even = _mm256_castsi256_si128(by_blocks);
    const __m128i odd = _mm256_extracti128_si256(by_blocks, 1);
    put_blocks(&rows->blocks, first / MACRO_EDGE, _mm_unpacklo_epi32(even, odd),
               _mm_unpackhi_epi32(even, odd), any_of_block(any), elsewhere, group);
}

KERNEL BRAGG_INLINE void look_by(int by_loads, const sum_rows *rows, uint32_t n, sum_group *group)
{
    const sum_rows in = *rows; /* in registers, whatever is written */
    for (uint32_t g = 0; g < n; g++) {
        const uint32_t first = SUM_NTILES * g;
        if (first + SUM_NTILES <= in.ntx)
            look_at_group(by_loads, &in, first, &group[g]);
        else
            sums_look_plain(rows, first, &group[g]);
    }
}

KERNEL static void look(const sum_rows *rows, uint32_t n, sum_group *group)
{
    if (bragg_gathers_are_slow())
        look_by(1, rows, n, group);
    else
        look_by(0, rows, n, group);
}

/* The lower halves of sixteen lanes, and the upper ones. */
typedef struct lane_halves {
    __m256i lower;
    __m256i upper;
} lane_halves;

KERNEL BRAGG_INLINE lane_halves load_halves(const uint32_t *lanes)
{
    const __m256i low = _mm256_set1_epi32(0xFFFF);
    const __m128i *from = (const void *)lanes;
    const __m256i first = join(_mm_loadu_si128(from), _mm_loadu_si128(from + 2));
    const __m256i second = join(_mm_loadu_si128(from + 1), _mm_loadu_si128(from + 3));
    return (lane_halves){
        _mm256_packus_epi32(_mm256_and_si256(first, low), _mm256_and_si256(second, low)),
        _mm256_packus_epi32(_mm256_srli_epi32(first, 16), _mm256_srli_epi32(second, 16))};
}

KERNEL BRAGG_INLINE __m256 floats_of(__m256i words, __m256i zero_words, int half)
{
    return _mm256_cvtepi32_ps(half ? _mm256_unpackhi_epi16(words, zero_words)
                                   : _mm256_unpacklo_epi16(words, zero_words));
}

/* x / step, or 255 where that is more, by floats, as in plain C. */
KERNEL BRAGG_INLINE __m256i quotients_of(__m256i x, __m256i step)
{
    const __m256i zeros = _mm256_setzero_si256();
    const __m256 low = _mm256_div_ps(floats_of(x, zeros, 0), floats_of(step, zeros, 0));
    const __m256 high = _mm256_div_ps(floats_of(x, zeros, 1), floats_of(step, zeros, 1));
    const __m256i quotient =
        _mm256_packus_epi32(_mm256_cvttps_epi32(low), _mm256_cvttps_epi32(high));
    return _mm256_min_epu16(quotient, _mm256_set1_epi16(0xFF));
}

/* Those of sixteen tiles whose bits are set. */
KERNEL BRAGG_INLINE __m256i tiles_of(uint32_t bits)
{
    const __m256i bit =
        _mm256_setr_epi16(1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9,
                          1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, (short)(1 << 15));
    return _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16((short)bits), bit), bit);
}

/* Puts those of eight pairs down whose bits are set. */
KERNEL BRAGG_INLINE uint32_t put_pairs(__m128i pairs, uint32_t wanted, uint16_t *to)
{
    collect_8_words(to, pairs, wanted);
    return (uint32_t)__builtin_popcount(wanted);
}

/* As in plain C but in 16 bits: those of sums and predicted sums say nothing above 15. */
KERNEL BRAGG_INLINE put_run put_group(const sum_rows *rows, size_t at, uint32_t wanted,
                                      uint16_t *pair)
{
    const __m256i closed = _mm256_cmpeq_epi16(load_16(rows->open + at), _mm256_setzero_si256());
    const __m256i is_open = _mm256_andnot_si256(closed, tiles_of(wanted));
    const __m256i sum = load_16(rows->sum + at);
    const lane_halves rule = load_halves(rows->rule + at);
    const lane_halves hash = load_halves(rows->hash + at);
    const __m256i step = _mm256_and_si256(rule.upper, _mm256_set1_epi16(PLAIN_STEP));
    const __m256i dither = _mm256_mulhi_epu16(hash.lower, step);
    const __m256i above = _mm256_adds_epi16(_mm256_sub_epi16(sum, rule.lower), dither);
    const __m256i sign = _mm256_srai_epi16(above, 15);
    /* above, or step - 1 - above if it is negative */
    const __m256i most =
        _mm256_add_epi16(_mm256_xor_si256(above, sign), _mm256_and_si256(step, sign));
    const __m256i quotient = quotients_of(most, step);
    const __m256i number = _mm256_add_epi16(_mm256_add_epi16(quotient, quotient), sign);
    const __m256i not_plain =
        _mm256_and_si256(rule.upper, _mm256_set1_epi16((short)(PLAIN_NOT >> PLAIN_STEP_SHIFT)));
    const __m256i not_small = _mm256_and_si256(sum, _mm256_set1_epi16((short)~PLAIN_MOST_SUM));
    const __m256i not_direct = _mm256_andnot_si256(_mm256_set1_epi16(NUMBER_DIRECT - 1), number);
    const __m256i not_simple = _mm256_or_si256(_mm256_or_si256(not_plain, not_small), not_direct);
    const __m256i is_simple = _mm256_cmpeq_epi16(not_simple, _mm256_setzero_si256());
    const __m256i pairs =
        _mm256_or_si256(number, _mm256_and_si256(rule.upper, _mm256_set1_epi16((short)0xFF00)));
    const uint32_t open = bits_of(is_open);
    const uint32_t odd = bits_of(_mm256_andnot_si256(is_simple, is_open));
    put_run run = {.open = (uint16_t)open, .odd = (uint16_t)odd};
    if (odd) {
        _mm256_storeu_si256((void *)pair, pairs);
        return run;
    }
    run.npairs = put_pairs(_mm256_castsi256_si128(pairs), open & 0xFF, pair);
    run.npairs += put_pairs(_mm256_extracti128_si256(pairs, 1), open >> LANES, pair + run.npairs);
    return run;
}

KERNEL static put_run put(const sum_rows *rows, uint32_t row, uint32_t start, uint32_t stop,
                          uint16_t *pair)
{
    put_run run = {.stop = start};
    for (; run.stop < stop; run.stop++) {
        const uint32_t first = SUM_NTILES * run.stop;
        const size_t at = (size_t)row * rows->ntx + first;
        if (!rows->wanted[run.stop])
            continue;
        const put_run next = first + SUM_NTILES <= rows->ntx
                                 ? put_group(rows, at, rows->wanted[run.stop], pair + run.npairs)
                                 : sums_put_plain(rows, row, run.stop, pair + run.npairs);
        if (next.odd) {
            run.open = next.open;
            run.odd = next.odd;
            return run;
        }
        run.npairs += next.npairs;
    }
    return run;
}

const sums_write_kernels SUMS_WRITE_KERNELS_AVX2 = {look, sums_rescale_plain, put};
#endif
