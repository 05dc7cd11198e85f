/* SPDX-License-Identifier: MIT */
/*
 * Variance within tiles, found and expected.
 *
 * How much is expected depends on the sum of a tile and on its threshold alone.  So tiles are
 * counted by their sum, for every threshold of a ring, and all else follows from these integers: no
 * order of tiles matters.
 */
#include "within_tiles.h"
#include "scratch.h"

#include <math.h>

enum { AT_ONCE = 512 /* tiles */, SELECTED_SLACK = 32, NIDLE = WITHIN_NIDLE, NLANES = 8 };

static uint32_t largest_sum(const cell_range *r)
{
    const int64_t most = r->high * TILE_NPIXELS;
    return (uint32_t)(most < PATTERN_MAX_SUM ? most : PATTERN_MAX_SUM);
}

void within_counts_free(within_counts *w)
{
    scratch_give(w->cell);
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
    uint32_t nrows = NIDLE;
    *w = (within_counts){.cell = scratch_take(((size_t)ncells + NIDLE) * sizeof *w->cell),
                         .ncounters = NIDLE + PATTERN_MAX_SUM + 1};
    if (!w->cell)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t k = 0; k < NIDLE; k++)
        w->cell[ncells + k] = (within_cell){k, k};
    for (uint32_t c = 0; c < ncells; c++) {
        w->cell[c] = w->cell[ncells];
        if (!m->range[c].is_pattern)
            continue;
        if (shares_row(m, c)) {
            w->cell[c] = w->cell[c - 1];
            continue;
        }
        w->cell[c] = (within_cell){nrows++, (uint32_t)w->ncounters};
        w->ncounters += largest_sum(&m->range[c]) + 1u;
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

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")))

KERNEL BRAGG_INLINE void store_selected(uint16_t *to, const uint16_t *from, __mmask32 inside,
                                        __mmask32 selected)
{
    const __m512i all = _mm512_maskz_loadu_epi16(inside, from);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(selected, all));
}

/* Leaves the others out. */
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
#endif
    (void)level;
    return select_plain;
}

static void count_tiles(const frame_source *s, within_counts *w)
{
    const size_t ntiles = ring_map_ntiles(s->map);
    const select_kernel select = select_kernel_of(bragg_cpu_level());
    const within_cell *const cells = w->cell;
    uint64_t *const squares = w->squares;
    uint32_t *const counter = w->counter;
    some_tiles tiles;
    for (size_t first = 0; first < ntiles; first += AT_ONCE) {
        const uint32_t n = ntiles - first < AT_ONCE ? (uint32_t)(ntiles - first) : AT_ONCE;
        const uint32_t nselected = select(s, first, n, &tiles);
        for (uint32_t t = 0; t < nselected; t++) {
            const within_cell c = cells[tiles.cell[t]];
            counter[c.first + tiles.sum[t]]++;
            squares[c.row] += tiles.squares[t];
        }
    }
}

/* Of a block of counters. */
static int has_tiles(const uint32_t counter[NLANES])
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < NLANES; i++)
        any |= counter[i];
    return any != 0;
}

/*
 * Most sums that a row has counters for do not occur: leaves out blocks of them at either end.  All
 * counters are gone through in one direction, as they come out of a far cache.
 */
static void trim(const uint32_t *counter, uint32_t *first, uint32_t *end)
{
    const uint32_t n = *end;
    uint32_t stop = 0;
    uint32_t at = 0;
    while (n - at >= NLANES && !has_tiles(counter + at))
        at += NLANES;
    *first = at;
    for (; n - at >= NLANES; at += NLANES)
        stop = has_tiles(counter + at) ? at + NLANES : stop;
    for (; at < n; at++)
        stop = counter[at] ? at + 1 : stop;
    *end = stop > *first ? stop : *first;
}

/* What n counters have expected of them: in lanes, so that additions run side by side. */
static double expected_squares(const uint32_t *counter, const double *squares, uint32_t n)
{
    double product[PATTERN_MAX_SUM + 1 + NLANES];
    double lane[NLANES] = {0};
    double total = 0;
    for (uint32_t i = 0; i < n; i++)
        product[i] = (int32_t)counter[i] * squares[i]; /* a frame has less than 2^28 tiles */
    memset(product + n, 0, NLANES * sizeof *product);
    for (uint32_t i = 0; i < n; i += NLANES) {
        for (uint32_t k = 0; k < NLANES; k++)
            lane[k] += product[i + k];
    }
    for (uint32_t k = 0; k < NLANES; k++)
        total += lane[k];
    return total;
}

/* Adds a row to its ring; `cell` is the first that shares it. */
static h5bragg_status add_row(const frame_model *m, const within_counts *w, uint32_t cell,
                              within_tiles *ring)
{
    const uint32_t *counter = w->counter + w->cell[cell].first;
    const pattern_weights *weights = pattern_weights_get((uint32_t)m->range[cell].high);
    uint32_t first = 0;
    uint32_t end = largest_sum(&m->range[cell]) + 1;
    uint64_t ntiles = 0;
    uint64_t even = 0; /* 16 times what squares would be without any variance */
    if (!weights)
        return H5BRAGG_NO_MEMORY;
    trim(counter, &first, &end);
    for (uint32_t sum = first; sum < end; sum++) {
        ntiles += counter[sum];
        even += (uint64_t)counter[sum] * (sum * sum);
    }
    const double without = (double)even * (1.0 / TILE_NPIXELS);
    ring->found += (double)w->squares[w->cell[cell].row] - without;
    ring->expected +=
        expected_squares(counter + first, weights->squares + first, end - first) - without;
    ring->ntiles += (double)ntiles;
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
        count_tiles(s, &counts);
    for (uint32_t c = 0; c < s->map->ncells && !status; c++) {
        if (m->range[c].is_pattern && !shares_row(m, c))
            status = add_row(m, &counts, c, &ring[s->map->ring[c]]);
    }
    for (uint32_t k = 0; k < m->layout.nbins; k++)
        ring[k].dispersion = within_tiles_dispersion(&ring[k]);
    within_counts_free(&counts);
    return status;
}
