/* SPDX-License-Identifier: MIT */
/*
 * Boxes of 3 x 3 pixels, for vectors of any width: the last part of plane_simd.h, which says what
 * its names are.
 *
 * Sums of three rows are made of bytes, and boxes of three such sums side by side.  Sums saturate,
 * so cuts must be below 255; where some are not, 16-bit numbers serve.
 */

/* Sums of three rows, below each other, around each row of tiles. */
LEVEL_INLINE void sum_rows(const uint8_t *value, size_t stride, vec sums[TILE_EDGE])
{
    vec row[TILE_EDGE + 2];
    for (size_t i = 0; i < TILE_EDGE + 2; i++)
        row[i] = load(value + i * stride - stride);
    const vec upper = VEC(adds_epu8)(row[1], row[2]);
    const vec lower = VEC(adds_epu8)(row[3], row[4]);
    sums[0] = VEC(adds_epu8)(row[0], upper);
    sums[1] = VEC(adds_epu8)(upper, row[3]);
    sums[2] = VEC(adds_epu8)(row[2], lower);
    sums[3] = VEC(adds_epu8)(lower, row[5]);
}

LEVEL_INLINE void put_bits(uint8_t *to, size_t t, uint64_t bits)
{
    memcpy(to + TILE_EDGE * t / 8, &bits, VEC_NBYTES / 8);
}

/* Byte k of each word, four times. */
LEVEL_INLINE vec spread_bytes(vec words, uint8_t k)
{
    uint8_t order[16];
    for (uint8_t i = 0; i < 16; i++)
        order[i] = (uint8_t)((i & ~3) + k);
    return VEC(shuffle_epi8)(words, lanes(order));
}

/* Where cuts are below 255. */
LEVEL_INLINE void compare(const uint32_t nrows, const vec before[TILE_EDGE],
                          const vec sums[TILE_EDGE], const vec next[TILE_EDGE], vec words,
                          const box_hits *hits, size_t t)
{
    const vec chance = spread_bytes(words, 0);
    const vec peak = spread_bytes(words, 1);
    vec box[TILE_EDGE];
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const vec pair = VEC(adds_epu8)(sums[i], byte_after(sums[i], next[i]));
        box[i] = i < nrows ? VEC(adds_epu8)(pair, byte_before(before[i], sums[i])) : zero();
    }
    const vec upper = VEC(max_epu8)(box[0], box[1]);
    const vec lower = VEC(max_epu8)(box[2], box[3]);
    put_bits(hits->some, t, bits_beyond(VEC(max_epu8)(upper, lower), chance));
    put_bits(hits->first, t, bits_beyond(box[0], chance));
    put_bits(hits->last, t, bits_beyond(box[3], chance));
    put_bits(hits->upper, t, bits_beyond(upper, peak));
    put_bits(hits->lower, t, bits_beyond(lower, peak));
}

/* 16-bit numbers of even and odd pixels. */
typedef struct wide_vec {
    vec even;
    vec odd;
} wide_vec;

LEVEL_INLINE wide_vec add_wide(wide_vec a, wide_vec b)
{
    return (wide_vec){VEC(add_epi16)(a.even, b.even), VEC(add_epi16)(a.odd, b.odd)};
}

/* Sums of three neighbours in a row. */
LEVEL_INLINE wide_vec sum_three(const uint8_t *value)
{
    const vec here = load(value);
    const vec pair = VEC(add_epi16)(even_bytes(here), odd_bytes(here));
    return (wide_vec){VEC(add_epi16)(pair, even_bytes(load(value - 1))),
                      VEC(add_epi16)(pair, odd_bytes(load(value + 1)))};
}

/* Bytes that are not 0 where boxes are beyond cuts, which are in both halves of 32 bits. */
LEVEL_INLINE vec excess(wide_vec box, vec cut)
{
    const vec most = VEC(set1_epi16)(0xFF);
    const vec even = VEC(min_epu16)(VEC(subs_epu16)(box.even, cut), most);
    const vec odd = VEC(min_epu16)(VEC(subs_epu16)(box.odd, cut), most);
    return or_bits(even, VEC(slli_epi16)(odd, 8));
}

LEVEL_INLINE vec join_cut(vec low, vec high, uint32_t rest)
{
    const vec cut =
        or_bits(and_bits(low, VEC(set1_epi32)(0xFF)), and_bits(high, VEC(set1_epi32)((int)rest)));
    return or_bits(cut, VEC(slli_epi32)(cut, 16));
}

/* As box_chance and box_peak have them. */
LEVEL_INLINE vec wide_chance(vec words)
{
    return join_cut(words, VEC(srli_epi32)(words, 16), 0xF00);
}

LEVEL_INLINE vec wide_peak(vec words)
{
    return join_cut(VEC(srli_epi32)(words, 8), VEC(srli_epi32)(words, 20), 0x700);
}

/* The same for all cuts. */
LEVEL_INLINE void compare_wide(const boxed_row *row, vec words, const box_hits *hits, size_t t)
{
    const vec chance = wide_chance(words);
    const vec peak = VEC(max_epu16)(wide_peak(words), chance);
    const uint8_t *value = row->value + TILE_EDGE * t;
    vec touching[TILE_EDGE];
    vec peaks[TILE_EDGE];
    for (size_t i = 0; i < TILE_EDGE; i++) {
        touching[i] = peaks[i] = zero();
        if (i >= row->nrows)
            continue;
        const uint8_t *here = value + i * row->stride;
        const wide_vec box = add_wide(add_wide(sum_three(here - row->stride), sum_three(here)),
                                      sum_three(here + row->stride));
        touching[i] = excess(box, chance);
        peaks[i] = excess(box, peak);
    }
    put_bits(
        hits->some, t,
        bits_beyond(or_bits(or_bits(touching[0], touching[1]), or_bits(touching[2], touching[3])),
                    zero()));
    put_bits(hits->first, t, bits_beyond(touching[0], zero()));
    put_bits(hits->last, t, bits_beyond(touching[3], zero()));
    put_bits(hits->upper, t, bits_beyond(or_bits(peaks[0], peaks[1]), zero()));
    put_bits(hits->lower, t, bits_beyond(or_bits(peaks[2], peaks[3]), zero()));
}

LEVEL_INLINE int some_wide(vec words) { return (high_bits(words) & 0x8888888888888888u) != 0; }

/* Words of the cells of a vector's tiles: put together in registers, as stores are what is scarce.
 */
LEVEL_INLINE vec look_up_words(const uint16_t *cell, const uint32_t *word)
{
    __m128i lane[VEC_NTILES / 4];
    for (size_t k = 0; k < VEC_NTILES / 4; k++) {
        const uint16_t *four = cell + 4 * k;
        lane[k] = _mm_cvtsi32_si128((int)word[four[0]]);
        lane[k] = _mm_insert_epi32(lane[k], (int)word[four[1]], 1);
        lane[k] = _mm_insert_epi32(lane[k], (int)word[four[2]], 2);
        lane[k] = _mm_insert_epi32(lane[k], (int)word[four[3]], 3);
    }
    return join_lanes(lane);
}

/*
 * Where something is found is a matter of chance: without branches on that.  Looking up words is
 * work for other parts of the processor than sums are, so both go on at the same time.
 */
LEVEL_INLINE void search_row(const uint32_t nrows, const boxed_row *row, const box_hits *hits)
{
    const grouped_cells cells = group_cells(row->cell, row->ntiles);
    vec before[TILE_EDGE];
    vec sums[TILE_EDGE];
    vec next[TILE_EDGE];
    for (int i = 0; i < TILE_EDGE; i++)
        sums[i] = zero();
    sum_rows(row->value, row->stride, next);
    for (size_t t = 0; t < cells.ngroups * GROUP_NTILES; t += VEC_NTILES) {
        const uint8_t *at = row->value + TILE_EDGE * t;
        if (t % GROUP_NTILES == 0)
            ask_for_next_group(at + row->stride, row->stride); /* and the row below this one */
        const uint16_t *cell = cells_of(&cells, t / GROUP_NTILES) + t % GROUP_NTILES;
        const vec of_tiles = look_up_words(cell, row->word);
        memcpy(before, sums, sizeof before);
        memcpy(sums, next, sizeof sums);
        sum_rows(at + VEC_NBYTES, row->stride, next);
        store_low8(hits->other + t, VEC(srli_epi32)(of_tiles, 16));
        if (some_wide(of_tiles))
            compare_wide(row, of_tiles, hits, t);
        else
            compare(nrows, before, sums, next, of_tiles, hits, t);
    }
}

LEVEL_TARGET static void box(const boxed_row *row, const box_hits *hits)
{
    if (row->nrows == TILE_EDGE)
        search_row(TILE_EDGE, row, hits);
    else
        search_row(row->nrows, row, hits);
}
