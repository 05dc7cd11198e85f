/* SPDX-License-Identifier: MIT */
/*
 * Variance within tiles, found and expected.
 *
 * How much is expected depends on the sum of a tile and on its threshold alone.  So tiles are
 * counted by their sum, for every threshold of a ring, and all else follows from these integers: no
 * order of tiles matters.
 */
#include "within_tiles.h"
#include "lane_tables.h"
#include "scratch.h"
#include "within_rows.h"

enum {
    AT_ONCE = 512, /* tiles */
    ASKED_FOR = 32,
    NSTRANDS = 4,
    SELECTED_SLACK = 32,
    NIDLE = WITHIN_NIDLE
};

static uint32_t largest_sum(const cell_range *r)
{
    const int64_t most = r->high * TILE_NPIXELS;
    return (uint32_t)(most < PATTERN_MAX_SUM ? most : PATTERN_MAX_SUM);
}

void within_counts_free(within_counts *w)
{
    scratch_give(w->row);
    scratch_give(w->squares);
    scratch_give(w->counter);
    *w = (within_counts){0};
}

static int shares_row(const frame_model *m, uint32_t cell)
{
    const ring_map *map = m->noise.map;
    return cell > 0 && map->ring[cell] == map->ring[cell - 1] &&
           m->range[cell].high == m->range[cell - 1].high;
}

h5bragg_status within_counts_make(const frame_model *m, within_counts *w)
{
    const uint32_t ncells = m->noise.map->ncells;
    const size_t room = (size_t)ncells + NIDLE;
    uint32_t nrows = NIDLE;
    *w = (within_counts){.row = scratch_take(2 * room * sizeof *w->row),
                         .ncounters = NIDLE + PATTERN_MAX_SUM + 1};
    if (!w->row)
        return H5BRAGG_NO_MEMORY;
    w->first = w->row + room;
    for (uint32_t k = 0; k < NIDLE; k++)
        w->row[ncells + k] = w->first[ncells + k] = k;
    for (uint32_t c = 0; c < ncells; c++) {
        const int is_new = m->range[c].is_pattern && !shares_row(m, c);
        const uint32_t like = m->range[c].is_pattern && !is_new ? c - 1 : ncells;
        w->row[c] = is_new ? nrows : w->row[like];
        w->first[c] = is_new ? (uint32_t)w->ncounters : w->first[like];
        nrows += (uint32_t)is_new;
        w->ncounters += is_new ? largest_sum(&m->range[c]) + 1u : 0;
    }
    w->nrows = nrows;
    return H5BRAGG_OK;
}

/* Empty counters. */
static h5bragg_status clear(within_counts *w)
{
    w->squares = scratch_take_zeros(w->nrows, sizeof *w->squares);
    w->counter = scratch_take(w->ncounters * sizeof *w->counter);
    if (!w->squares || !w->counter)
        return H5BRAGG_NO_MEMORY;
    memset(w->counter, 0, w->ncounters * sizeof *w->counter);
    return H5BRAGG_OK;
}

/* What was counted elsewhere. */
static h5bragg_status copy(const listed_pixels *listed, within_counts *w)
{
    w->squares = scratch_take(w->nrows * sizeof *w->squares);
    w->counter = scratch_take(w->ncounters * sizeof *w->counter);
    if (!w->squares || !w->counter)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t row = 0; row < w->nrows; row++)
        w->squares[row] = listed->squares[row] | (uint64_t)listed->squares_high[row] << 32;
    memcpy(w->counter, listed->within, w->ncounters * sizeof *w->counter);
    return H5BRAGG_OK;
}

/* Some tiles side by side, with room for the whole vectors that kernels store. */
typedef struct some_tiles {
    uint16_t cell[AT_ONCE + SELECTED_SLACK];
    uint16_t sum[AT_ONCE + SELECTED_SLACK];
    uint16_t squares[AT_ONCE + SELECTED_SLACK];
} some_tiles;

/*
 * Selects the calm and whole of n tiles, and returns the number of those selected.  This one sends
 * the others to where they do not count: a loop for vectors.
 */
static uint32_t select_plain(const frame_source *s, size_t first, uint32_t n,
                             some_tiles *restrict to)
{
    const uint16_t *restrict cell = s->map->cell + first;
    const uint16_t *restrict sum = s->plane.sum + first;
    const uint16_t *restrict valid = s->plane.valid + first;
    const uint8_t *restrict calm = s->calm + first;
    const uint16_t idle = (uint16_t)s->map->ncells;
    const uint16_t spread = s->map->ncells < UINT16_MAX - NIDLE ? NIDLE - 1 : 0;
    for (uint32_t t = 0; t < n; t++) {
        const uint16_t other = (uint16_t)(idle + (t & spread));
        const uint16_t is_in = (uint16_t) - ((valid[t] == 0xFFFF) & calm[t]);
        to->cell[t] = (uint16_t)((cell[t] & is_in) | (other & ~is_in));
        to->sum[t] = sum[t] & is_in;
    }
    memcpy(to->squares, s->plane.squares + first, n * sizeof *to->squares);
    return n;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL2 __attribute__((target("avx2,popcnt")))

KERNEL2 BRAGG_INLINE void store_8_selected(uint16_t *to, const uint16_t *from, uint32_t selected)
{
    collect_8_words(to, _mm_loadu_si128((const void *)from), selected);
}

/* Leaves the others out. */
KERNEL2 static uint32_t select_avx2(const frame_source *s, size_t first, uint32_t n,
                                    some_tiles *restrict to)
{
    enum { LANES = 8 };
    const uint16_t *cell = s->map->cell + first;
    const uint16_t *sum = s->plane.sum + first;
    const uint16_t *squares = s->plane.squares + first;
    const uint16_t *valid = s->plane.valid + first;
    const uint8_t *calm = s->calm + first;
    uint32_t nselected = 0;
    uint32_t t = 0;
    for (; t + LANES <= n; t += LANES) {
        const __m128i whole =
            _mm_cmpeq_epi16(_mm_loadu_si128((const void *)(valid + t)), _mm_set1_epi16(-1));
        const __m128i restless =
            _mm_cmpeq_epi8(_mm_loadl_epi64((const void *)(calm + t)), _mm_setzero_si128());
        const uint32_t selected =
            0xFF &
            (uint32_t)_mm_movemask_epi8(_mm_andnot_si128(restless, _mm_packs_epi16(whole, whole)));
        store_8_selected(to->cell + nselected, cell + t, selected);
        store_8_selected(to->sum + nselected, sum + t, selected);
        store_8_selected(to->squares + nselected, squares + t, selected);
        nselected += (uint32_t)__builtin_popcount(selected);
    }
    for (; t < n; t++) {
        to->cell[nselected] = cell[t];
        to->sum[nselected] = sum[t];
        to->squares[nselected] = squares[t];
        nselected += valid[t] == 0xFFFF && calm[t];
    }
    return nselected;
}

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")))

KERNEL BRAGG_INLINE void store_selected(uint16_t *to, const uint16_t *from, __mmask32 inside,
                                        __mmask32 selected)
{
    const __m512i all = _mm512_maskz_loadu_epi16(inside, from);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(selected, all));
}

/* The same. */
KERNEL static uint32_t select_avx512(const frame_source *s, size_t first, uint32_t n,
                                     some_tiles *restrict to)
{
    const __m512i whole = _mm512_set1_epi16(-1);
    uint32_t nselected = 0;
    for (uint32_t t = 0; t < n; t += SELECTED_SLACK) {
        const size_t tile = first + t;
        const uint32_t left = n - t;
        const __mmask32 inside = left < SELECTED_SLACK ? (1u << left) - 1 : UINT32_MAX;
        const __m512i valid = _mm512_maskz_loadu_epi16(inside, s->plane.valid + tile);
        const __m256i calm = _mm256_maskz_loadu_epi8(inside, s->calm + tile);
        const __mmask32 selected =
            _mm512_cmpeq_epi16_mask(valid, whole) & _mm256_test_epi8_mask(calm, calm);
        store_selected(to->cell + nselected, s->map->cell + tile, inside, selected);
        store_selected(to->sum + nselected, s->plane.sum + tile, inside, selected);
        store_selected(to->squares + nselected, s->plane.squares + tile, inside, selected);
        nselected += (uint32_t)__builtin_popcount(selected);
    }
    return nselected;
}
#endif

typedef uint32_t (*select_kernel)(const frame_source *s, size_t first, uint32_t n,
                                  some_tiles *restrict to);

static select_kernel select_kernel_of(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return select_avx512;
    if (level == CPU_AVX2)
        return select_avx2;
#endif
    (void)level;
    return select_plain;
}

/* Asks for what is read of some tiles, ASKED_FOR of them, next. */
static void ask_for_tiles(const frame_source *s, size_t first)
{
    ask_for(s->map->cell + first);
    ask_for(s->plane.sum + first);
    ask_for(s->plane.squares + first);
    ask_for(s->plane.valid + first);
    ask_for(s->calm + first);
}

/* Where tiles are counted, by cell: two short arrays, which leave the first cache to counters. */
typedef struct cell_counts {
    const uint32_t *first;
    uint64_t *squares;
    uint32_t *counter;
} cell_counts;

BRAGG_INLINE void count_tile(const some_tiles *tiles, uint32_t t, const cell_counts *to)
{
    const uint32_t cell = tiles->cell[t];
    to->counter[to->first[cell] + tiles->sum[t]]++;
    to->squares[cell] += tiles->squares[t];
}

/*
 * Counts n tiles; the next ones, from `next`, come out of a far cache meanwhile.  Strands of tiles
 * go side by side: neighbours often have the same cell, and would wait for one another.
 */
static void count_some(const frame_source *s, const some_tiles *tiles, uint32_t n, size_t next,
                       const cell_counts *to)
{
    const uint32_t length = n / NSTRANDS;
    for (uint32_t t = 0; t < length; t++) {
        if (t % (ASKED_FOR / NSTRANDS) == 0)
            ask_for_tiles(s, next + NSTRANDS * t);
        for (uint32_t k = 0; k < NSTRANDS; k++)
            count_tile(tiles, k * length + t, to);
    }
    for (uint32_t t = NSTRANDS * length; t < n; t++)
        count_tile(tiles, t, to);
}

static void count_by_cells(const frame_source *s, const cell_counts *to)
{
    const size_t ntiles = ring_map_ntiles(s->map);
    const select_kernel select = select_kernel_of(bragg_cpu_level());
    some_tiles tiles;
    for (size_t first = 0; first < ntiles; first += AT_ONCE) {
        const size_t nleft = ntiles - first;
        const uint32_t n = nleft < AT_ONCE ? (uint32_t)nleft : AT_ONCE;
        const size_t next = nleft < 2 * (size_t)AT_ONCE ? 0 : first + AT_ONCE;
        const uint32_t nselected = select(s, first, n, &tiles);
        count_some(s, &tiles, nselected, next, to);
    }
}

static h5bragg_status count_tiles(const frame_source *s, within_counts *w)
{
    const uint32_t ncells = s->map->ncells;
    uint64_t *squares = scratch_take_zeros((size_t)ncells + NIDLE, sizeof *squares);
    if (!squares)
        return H5BRAGG_NO_MEMORY;
    const cell_counts to = {w->first, squares, w->counter};
    count_by_cells(s, &to);
    for (uint32_t c = 0; c < ncells; c++)
        w->squares[w->row[c]] += squares[c];
    scratch_give(squares);
    return H5BRAGG_OK;
}

/* Adds a row to its ring; `cell` is the first that shares it. */
static h5bragg_status add_row(const frame_model *m, const within_counts *w, uint32_t cell,
                              within_tiles *ring)
{
    const pattern_weights *weights = pattern_weights_get((uint32_t)m->range[cell].high);
    if (!weights)
        return H5BRAGG_NO_MEMORY;
    const within_row row = within_row_sums(w->counter + w->first[cell], weights->squares,
                                           largest_sum(&m->range[cell]) + 1);
    const double without = row.even * (1.0 / TILE_NPIXELS);
    ring->found += (double)w->squares[w->row[cell]] - without;
    ring->expected += row.expected - without;
    ring->ntiles += row.ntiles;
    return H5BRAGG_OK;
}

h5bragg_status within_tiles_measure(const frame_source *s, const frame_model *m, within_tiles *ring)
{
    within_counts counts;
    h5bragg_status status = within_counts_make(m, &counts);
    memset(ring, 0, m->layout.nbins * sizeof *ring);
    if (!status)
        status = s->listed ? copy(s->listed, &counts) : clear(&counts);
    if (!status && !s->listed)
        status = count_tiles(s, &counts);
    for (uint32_t c = 0; c < s->map->ncells && !status; c++) {
        if (m->range[c].is_pattern && !shares_row(m, c))
            status = add_row(m, &counts, c, &ring[s->map->ring[c]]);
    }
    for (uint32_t k = 0; k < m->layout.nbins; k++)
        ring[k].dispersion = within_tiles_dispersion(&ring[k]);
    within_counts_free(&counts);
    return status;
}
