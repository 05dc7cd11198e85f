/* SPDX-License-Identifier: MIT */
/*
 * All that a row of tiles puts into the streams of picked pixels, as in picked_row_avx512.c: first
 * a list of the tiles that have some, eight at a time, then what those of the list have.  There
 * four tiles go together, each in a vector, and tables of set bits move what is picked of eight
 * bytes to their beginning.
 */
#include "picked_writer.h"

#if defined(BRAGG_X86_64)
#include "lane_tables.h"
#include "look_up_simd.h"
#include "tile_transpose.h"

#define KERNEL __attribute__((target("avx2,popcnt")))

enum { LANES = 8, HALVES = GROUP_NTILES / LANES, LIST_NTILES = 4 };

/* Sixteen tiles, a lane or a byte each. */
typedef struct sixteen_tiles {
    __m256i rule[HALVES];
    __m256i threshold[HALVES]; /* in every byte: 255 of special ones */
    __m128i context;           /* of the symbols of lines */
    uint32_t special;          /* bits */
} sixteen_tiles;

/* What is read of sixteen tiles; where a row ends, blank tiles follow. */
typedef struct tiles_read {
    const uint16_t *cell;
    const uint16_t *valid;
    const uint8_t *kept;
    const uint8_t *has_large;
    const uint8_t *symbol_above;
} tiles_read;

/* Room for the end of a row, of whole groups. */
typedef struct row_end {
    uint16_t cell[GROUP_NTILES];
    uint16_t valid[GROUP_NTILES];
    uint8_t kept[GROUP_NTILES];
    uint8_t has_large[GROUP_NTILES];
    uint8_t symbol_above[GROUP_NTILES];
} row_end;

static tiles_read tiles_at_end(const pick_row *row, const put_row *put, uint32_t t, row_end *end)
{
    const uint32_t n = row->ntx - t;
    memset(end, 0, sizeof *end);
    memset(end->cell, 0xFF, sizeof end->cell); /* BRAGG_NO_CELL */
    memcpy(end->cell, row->cell + t, n * sizeof *end->cell);
    memcpy(end->valid, row->valid + t, n * sizeof *end->valid);
    memcpy(end->kept, row->kept + t, n);
    memcpy(end->has_large, row->has_large + t, n);
    memcpy(end->symbol_above, put->symbol_above + t, n);
    return (tiles_read){end->cell, end->valid, end->kept, end->has_large, end->symbol_above};
}

KERNEL BRAGG_INLINE __m128i load_16(const void *from) { return _mm_loadu_si128(from); }

KERNEL BRAGG_INLINE __m256i look_up_rules(int by_loads, const uint32_t *rule, const uint16_t *cell)
{
    if (!by_loads)
        return _mm256_i32gather_epi32((const void *)rule, _mm256_cvtepu16_epi32(load_16(cell)), 4);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_4_at(rule, cell)),
                                   load_4_at(rule, cell + 4), 1);
}

/* The lowest bytes of sixteen lanes, each of which is below 256. */
KERNEL BRAGG_INLINE __m128i lowest_bytes(const __m256i lanes[HALVES])
{
    const __m256i pairs = _mm256_packus_epi32(lanes[0], lanes[1]);
    const __m256i words = _mm256_permute4x64_epi64(pairs, _MM_SHUFFLE(3, 1, 2, 0));
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* The lowest byte of every lane, four times. */
KERNEL BRAGG_INLINE __m256i spread_byte(__m256i lanes)
{
    return _mm256_shuffle_epi8(lanes, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                          0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)));
}

/* Bytes of tiles whose pixels are not open: where they are, contexts are those of blank ones. */
KERNEL BRAGG_INLINE __m128i find_closed(const tiles_read *in)
{
    const __m128i zeros = _mm_setzero_si128();
    const __m128i are_blank = _mm_packs_epi16(_mm_cmpeq_epi16(load_16(in->valid), zeros),
                                              _mm_cmpeq_epi16(load_16(in->valid + LANES), zeros));
    const __m128i are_drawn = _mm_cmpeq_epi8(load_16(in->kept), zeros);
    return _mm_or_si128(are_blank, _mm_xor_si128(are_drawn, _mm_set1_epi8(-1)));
}

KERNEL BRAGG_INLINE sixteen_tiles look_up_tiles(int by_loads, const uint32_t *rule,
                                                const tiles_read *in)
{
    enum { FEW = PICK_LINES(1), MANY = PICK_LINES(2) };
    const __m128i shifts =
        _mm_setr_epi8(PICK_LINES(0), FEW, FEW, FEW, FEW, FEW, FEW, MANY, FEW, FEW, FEW, MANY, FEW,
                      MANY, MANY, MANY); /* by the symbol of the tile above */
    const __m128i are_bytes = _mm_cmpeq_epi8(
        _mm_or_si128(load_16(in->kept), load_16(in->has_large)), _mm_setzero_si128());
    const __m128i not_bytes = _mm_xor_si128(are_bytes, _mm_set1_epi8(-1));
    const __m128i shift = _mm_shuffle_epi8(shifts, load_16(in->symbol_above));
    const __m256i contexts = _mm256_set1_epi32(PICK_CONTEXT);
    const __m128i special8[HALVES] = {not_bytes, _mm_unpackhi_epi64(not_bytes, not_bytes)};
    const __m128i shift8[HALVES] = {shift, _mm_unpackhi_epi64(shift, shift)};
    __m256i context[HALVES];
    sixteen_tiles s;
    s.special = 0;
    for (int k = 0; k < HALVES; k++) {
        const __m256i r = look_up_rules(by_loads, rule, in->cell + LANES * k);
        const __m256i special = _mm256_or_si256(r, _mm256_cvtepi8_epi32(special8[k]));
        s.rule[k] = r;
        s.special |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(special)) << LANES * k;
        s.threshold[k] = _mm256_or_si256(spread_byte(r), _mm256_srai_epi32(special, 31));
        context[k] =
            _mm256_and_si256(_mm256_srlv_epi32(r, _mm256_cvtepu8_epi32(shift8[k])), contexts);
    }
    s.context = _mm_or_si128(lowest_bytes(context),
                             _mm_and_si128(find_closed(in), _mm_set1_epi8(PICK_CONTEXT)));
    return s;
}

/* Which pixels of a row of odd tiles are picked: these become 1, as if above their thresholds. */
KERNEL BRAGG_INLINE __m256i odd_pixels(const uint16_t *odd, int row)
{
    const __m256i bits = _mm256_set1_epi32(0x08040201);
    const __m256i rows =
        _mm256_srl_epi32(_mm256_cvtepu16_epi32(load_16(odd)), _mm_cvtsi32_si128(TILE_EDGE * row));
    const __m256i pixels = _mm256_and_si256(spread_byte(rows), bits);
    return _mm256_and_si256(_mm256_cmpeq_epi8(pixels, bits), _mm256_set1_epi8(1));
}

/* How much the pixels of eight tiles are above their thresholds, by rows; returns their symbols. */
KERNEL BRAGG_INLINE __m256i find_excess(const uint8_t *value, size_t stride, __m256i threshold,
                                        const uint16_t *odd, __m256i excess[TILE_EDGE])
{
    const __m128i bits = load_16(odd);
    __m256i symbol = _mm256_setzero_si256();
    for (int i = 0; i < TILE_EDGE; i++)
        excess[i] = _mm256_subs_epu8(_mm256_loadu_si256((const void *)(value + (size_t)i * stride)),
                                     threshold);
    for (int i = 0; i < TILE_EDGE && !_mm_testz_si128(bits, bits); i++)
        excess[i] = _mm256_or_si256(excess[i], odd_pixels(odd, i));
    for (int i = 0; i < TILE_EDGE; i++) {
        const __m256i none = _mm256_cmpeq_epi32(excess[i], _mm256_setzero_si256());
        symbol = _mm256_or_si256(symbol, _mm256_andnot_si256(none, _mm256_set1_epi32(1 << i)));
    }
    return symbol;
}

/* Adds those of eight tiles that have lines to a list; returns their number. */
KERNEL BRAGG_INLINE uint32_t list_tiles(uint32_t tiles, const __m256i excess[TILE_EDGE],
                                        __m256i rule, uint32_t *list, size_t room)
{
    const __m256i from = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)&LANES_CHOSEN[tiles]));
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        _mm256_storeu_si256((void *)(list + i * room),
                            _mm256_permutevar8x32_epi32(excess[i], from));
    _mm256_storeu_si256((void *)(list + TILE_EDGE * room), _mm256_permutevar8x32_epi32(rule, from));
    return (uint32_t)__builtin_popcount(tiles);
}

KERNEL BRAGG_INLINE void put_tile_pairs(__m128i symbol, __m128i context, uint16_t *pair)
{
    _mm_storeu_si128((void *)pair, _mm_unpacklo_epi8(symbol, context));
    _mm_storeu_si128((void *)(pair + LANES), _mm_unpackhi_epi8(symbol, context));
}

/* Lists all tiles with picked pixels, and as many without as a group has behind them, and puts down
 * what does not need more; returns their number. */
KERNEL BRAGG_INLINE uint32_t list_row(int by_loads, const pick_row *row, const found_row *found,
                                      const put_row *put)
{
    const pick_row in = *row; /* in registers, whatever is written */
    const put_row to = *put;
    uint32_t n = 0;
    for (uint32_t t = 0; t < in.ntx; t += GROUP_NTILES) {
        const uint8_t *value = in.value + (size_t)t * TILE_EDGE;
        const uint32_t left = in.ntx - t;
        row_end end;
        tiles_read tiles = {in.cell + t, in.valid + t, in.kept + t, in.has_large + t,
                            to.symbol_above + t};
        if (left < GROUP_NTILES)
            tiles = tiles_at_end(row, put, t, &end);
        ask_for_next_group(value, in.stride);
        const sixteen_tiles s = look_up_tiles(by_loads, in.rule, &tiles);
        __m256i symbols[HALVES];
        to.tiles_before[t / GROUP_NTILES] = n;
        for (uint32_t k = 0; k < HALVES; k++) {
            __m256i excess[TILE_EDGE];
            symbols[k] = find_excess(value + k * LANES * TILE_EDGE, in.stride, s.threshold[k],
                                     in.odd + t + k * LANES, excess);
            const __m256i some = _mm256_cmpgt_epi32(symbols[k], _mm256_setzero_si256());
            n += list_tiles((uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(some)), excess,
                            s.rule[k], to.list + n, to.list_room);
        }
        const __m128i symbol = lowest_bytes(symbols);
        _mm_storeu_si128((void *)(to.symbol + t), symbol);
        put_tile_pairs(symbol, s.context, to.tile_pair + t);
        found->special[t / GROUP_NTILES] =
            (uint16_t)(s.special & (left < GROUP_NTILES ? (1u << left) - 1 : 0xFFFF));
    }
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        memset(to.list + i * to.list_room + n, 0, GROUP_NTILES * sizeof *to.list);
    return n;
}

/* Indices that move bytes with set bits to the beginning of either half of a vector. */
KERNEL BRAGG_INLINE __m128i indices_of(uint32_t bits)
{
    const __m128i low = _mm_loadl_epi64((const void *)&LANES_CHOSEN[bits & 0xFF]);
    const __m128 both = _mm_loadh_pi(_mm_castsi128_ps(low), (const void *)&LANES_CHOSEN[bits >> 8]);
    return _mm_or_si128(_mm_castps_si128(both), _mm_set_epi64x(0x0808080808080808, 0));
}

/* Stores the halves, the second as element n and following. */
KERNEL BRAGG_INLINE void store_halves(uint8_t *to, uint32_t n, __m128i bytes)
{
    _mm_storel_epi64((void *)to, bytes);
    _mm_storeh_pi((void *)(to + n), _mm_castsi128_ps(bytes));
}

/* Four tiles of the list, or, behind them, without pixels, each in a vector. */
KERNEL BRAGG_INLINE void load_tiles(const uint32_t *list, size_t room, __m128i tile[LIST_NTILES])
{
    __m128i rows[TILE_EDGE];
    for (uint32_t i = 0; i < TILE_EDGE; i++)
        rows[i] = load_16(list + i * room);
    transpose_128(rows, tile);
}

/* What is put down of a row. */
typedef struct put_at {
    uint8_t *height;
    uint8_t *context;
    uint16_t *line_pair;
    put_counts n;
} put_at;

/* Pixels of a tile, and the contexts of their heights. */
KERNEL BRAGG_INLINE void put_pixels(__m128i tile, __m128i context, uint32_t bits, put_at *to)
{
    const __m128i from = indices_of(bits);
    const __m128i height = _mm_add_epi8(tile, _mm_set1_epi8(-1));
    const uint32_t nlow = (uint32_t)__builtin_popcount(bits & 0xFF);
    store_halves(to->height + to->n.npixels, nlow, _mm_shuffle_epi8(height, from));
    store_halves(to->context + to->n.npixels, nlow, _mm_shuffle_epi8(context, from));
    to->n.npixels += (uint32_t)__builtin_popcount(bits);
}

/* Pairs of those of sixteen lines that are there, of which bits are given. */
KERNEL BRAGG_INLINE void put_lines(__m128i line, __m128i context, uint32_t lines, put_at *to)
{
    const __m128i from = indices_of(lines);
    const __m128i symbol = _mm_shuffle_epi8(_mm_add_epi8(line, _mm_set1_epi8(-1)), from);
    const __m128i contexts = _mm_shuffle_epi8(context, from);
    uint16_t *pair = to->line_pair + to->n.nlines;
    _mm_storeu_si128((void *)pair, _mm_unpacklo_epi8(symbol, contexts));
    _mm_storeu_si128((void *)(pair + __builtin_popcount(lines & 0xFF)),
                     _mm_unpackhi_epi8(symbol, contexts));
    to->n.nlines += (uint32_t)__builtin_popcount(lines);
}

/* The four bits of each of sixteen lines, a byte each. */
KERNEL BRAGG_INLINE __m128i lines_of(uint64_t pixels)
{
    const __m128i two = _mm_cvtsi64_si128((long long)pixels);
    const __m128i lines = _mm_unpacklo_epi8(two, _mm_srli_epi16(two, 4));
    return _mm_and_si128(lines, _mm_set1_epi8(0xF));
}

/* Of each of sixteen lines, the context of its symbol, given those that are not there: how many of
 * its tile are there, less 1. */
KERNEL BRAGG_INLINE __m128i contexts_of(__m128i missing)
{
    const __m128i ones = _mm_set1_epi8(1);
    const __m128i four = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    const __m128i pairs = _mm_maddubs_epi16(_mm_andnot_si128(missing, ones), ones);
    const __m128i nlines = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
    return _mm_sub_epi8(_mm_shuffle_epi8(nlines, four), ones);
}

/* Puts down lines and pixels of four tiles of the list; returns the bits of their pixels. */
KERNEL BRAGG_INLINE uint64_t put_four(const uint32_t *list, size_t room, put_at *to)
{
    const __m128i nbits_less_1 = _mm_setr_epi8(-1, 0, 0, 1, 0, 1, 1, 2, 0, 1, 1, 2, 1, 2, 2, 3);
    const __m128i second_byte = _mm_setr_epi8(1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13);
    const __m128i zeros = _mm_setzero_si128();
    __m128i tile[LIST_NTILES];
    uint32_t bits[LIST_NTILES];
    uint64_t pixels = 0;
    load_tiles(list, room, tile);
    for (int k = 0; k < LIST_NTILES; k++) {
        bits[k] = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tile[k], zeros)) ^ 0xFFFF;
        pixels |= (uint64_t)bits[k] << TILE_NPIXELS * k;
    }
    const __m128i line = lines_of(pixels);
    const __m128i missing = _mm_cmpeq_epi8(line, zeros);
    const __m128i line_context = contexts_of(missing);
    const __m128i least = _mm_shuffle_epi8(load_16(list + TILE_EDGE * room), second_byte);
    const __m128i context =
        _mm_add_epi8(_mm_add_epi8(least, line_context), _mm_shuffle_epi8(nbits_less_1, line));
    put_lines(line, line_context, (uint32_t)_mm_movemask_epi8(missing) ^ 0xFFFF, to);
    for (int k = 0; k < LIST_NTILES; k++) {
        const __m128i of_tile = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        const __m128i from = _mm_add_epi8(of_tile, _mm_set1_epi8((char)(TILE_EDGE * k)));
        put_pixels(tile[k], _mm_shuffle_epi8(context, from), bits[k], to);
    }
    return pixels;
}

/* Puts down lines and pixels of the tiles of the list. */
KERNEL BRAGG_INLINE put_counts put_listed(uint32_t ntiles, const found_row *found,
                                          const put_row *put)
{
    const found_row out = *found;
    const put_row in = *put;
    put_at to = {out.height, in.context, in.line_pair, {0, 0}};
    for (uint32_t t = 0; t < ntiles; t += LIST_NTILES) {
        if (t % GROUP_NTILES == 0)
            out.before[t / GROUP_NTILES] = to.n.npixels;
        const uint64_t pixels = put_four(in.list + t, in.list_room, &to);
        memcpy(out.above + t, &pixels, sizeof pixels);
    }
    out.before[(ntiles + GROUP_NTILES - 1) / GROUP_NTILES] = to.n.npixels;
    return to.n;
}

KERNEL static put_counts put_row_loads(const pick_row *row, const found_row *found,
                                       const put_row *put)
{
    return put_listed(list_row(1, row, found, put), found, put);
}

KERNEL static put_counts put_row_gathers(const pick_row *row, const found_row *found,
                                         const put_row *put)
{
    return put_listed(list_row(0, row, found, put), found, put);
}

put_row_function *put_row_avx2(void)
{
    return bragg_gathers_are_slow() ? put_row_loads : put_row_gathers;
}
#endif
