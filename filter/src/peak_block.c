/* SPDX-License-Identifier: MIT */
/* Whether a pixel is a peak (docs/peaks.md, "What is a peak"). */
#include "peak_block.h"

#include "peak_measure.h"
#include "scratch.h"
#include "symbols.h"
#include "tile_sums.h" /* count_bits64 */

enum { FIRST_CAPACITY = 256 };

void h5bragg_peak_list_free(h5bragg_peak_list *list)
{
    if (!list)
        return;
    scratch_give(list->peak);
    *list = (h5bragg_peak_list){0};
}

/* Room for one more. */
static h5bragg_peak *next_of(h5bragg_peak_list *list)
{
    if (list->npeaks == list->capacity) {
        const uint64_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        h5bragg_peak *grown = capacity > SIZE_MAX / sizeof *grown
                                  ? NULL
                                  : scratch_grow(list->peak, (size_t)capacity * sizeof *grown);
        if (!grown)
            return NULL;
        list->peak = grown;
        list->capacity = capacity;
    }
    return &list->peak[list->npeaks++];
}

static int is_on(const h5bragg_panel *p, uint32_t slow, uint32_t fast)
{
    return slow - p->slow_start < p->slow_stop - p->slow_start &&
           fast - p->fast_start < p->fast_stop - p->fast_start;
}

/* The panel of a tile that lies on one; that of the last tile is tried first. */
static const h5bragg_panel *find_panel(const h5bragg_geometry *g, const h5bragg_panel *last,
                                       uint32_t slow, uint32_t fast)
{
    if (last && is_on(last, slow, fast))
        return last;
    const h5bragg_panel *panel = g->panels;
    for (uint32_t k = 1; k < g->npanels && !is_on(panel, slow, fast); k++)
        panel = &g->panels[k];
    return panel;
}

/* Bit 0: a row, or column, of tiles lies on a panel; bit 1: so does the next. */
static uint32_t on_panel(uint32_t tile, uint32_t start, uint32_t stop)
{
    const uint32_t first = TILE_EDGE * tile; /* may wrap around, to beyond all */
    const uint32_t next = first + TILE_EDGE;
    return (uint32_t)(first - start < stop - start) | (uint32_t)(next - start < stop - start) << 1;
}

void peak_block_start(const peak_rules *r, uint32_t tile_row, uint32_t tile_column, uint32_t p,
                      peak_block *b)
{
    const uint32_t up = p / TILE_EDGE < TILE_EDGE / 2;
    const uint32_t left = p % TILE_EDGE < TILE_EDGE / 2;
    const h5bragg_panel *panel =
        find_panel(r->geometry, b->panel, TILE_EDGE * tile_row, TILE_EDGE * tile_column);
    b->panel = panel;
    b->tile_row = tile_row - up;
    b->tile_column = tile_column - left;
    b->at = peak_block_place(2 * up + left, p);
    b->known = 0;
    b->drawn = 0;
    b->is_narrow = 1;
    const uint32_t rows = on_panel(b->tile_row, panel->slow_start, panel->slow_stop);
    const uint32_t columns = on_panel(b->tile_column, panel->fast_start, panel->fast_stop);
    b->on_panel = columns * ((rows & 1) | (rows & 2) << 1);
}

uint32_t peak_under_no_mask(const peak_rules *r, size_t tile, uint32_t pixels)
{
    const uint32_t row = (uint32_t)(tile / r->map->ntx);
    const uint32_t column = (uint32_t)(tile % r->map->ntx);
    for (uint32_t left = pixels; left; left &= left - 1) {
        const uint32_t p = lowest_bit(left);
        if (r->mask[tile_pixel(r->map, row, column, p)])
            pixels &= ~(1u << p);
    }
    return pixels;
}

/* The pixels of a tile that are in the patch of one of its own. */
static uint32_t around(const peak_rules *r, uint32_t p)
{
    const uint32_t row = p / TILE_EDGE;
    const uint32_t column = p % TILE_EDGE;
    const uint32_t above = row < r->reach ? row : r->reach;
    const uint32_t before = column < r->reach ? column : r->reach;
    const uint32_t below = TILE_EDGE - 1 - row < r->reach ? TILE_EDGE - 1 - row : r->reach;
    const uint32_t behind = TILE_EDGE - 1 - column < r->reach ? TILE_EDGE - 1 - column : r->reach;
    const uint32_t columns = ((1u << (before + 1 + behind)) - 1) << (column - before);
    const uint32_t rows = (0x1111u >> TILE_EDGE * (TILE_EDGE - 1 - above - below))
                          << TILE_EDGE * (row - above);
    return columns * rows;
}

/*
 * Of high pixels the largest, of equal ones the first; then likewise of those that are not around
 * it, until none is left.
 */
BRAGG_INLINE uint32_t take_largest(const int is_narrow, const peak_rules *r, uint32_t high,
                                   const uint8_t *byte, const int64_t *value)
{
    uint32_t taken = 0;
    while (high) {
        uint32_t largest = lowest_bit(high);
        for (uint32_t left = high & (high - 1); left; left &= left - 1) {
            const uint32_t p = lowest_bit(left);
            const int is_larger = is_narrow ? byte[p] > byte[largest] : value[p] > value[largest];
            largest = is_larger ? p : largest;
        }
        taken |= 1u << largest;
        high &= ~around(r, largest);
    }
    return taken;
}

uint32_t peak_candidates(const peak_rules *r, const peak_cell *cell, uint32_t pixels,
                         const int64_t value[TILE_NPIXELS])
{
    uint32_t high = 0;
    for (uint32_t left = pixels; left; left &= left - 1) {
        const uint32_t p = lowest_bit(left);
        high |= (uint32_t)(value[p] > cell->limit && value[p] > cell->stored) << p;
    }
    return take_largest(0, r, high, NULL, value);
}

#if defined(BRAGG_X86_64)
/* The largest of sixteen bytes, in all of them. */
static __m128i largest_of(__m128i x)
{
    x = _mm_max_epu8(x, _mm_shuffle_epi32(x, _MM_SHUFFLE(1, 0, 3, 2)));
    x = _mm_max_epu8(x, _mm_shuffle_epi32(x, _MM_SHUFFLE(2, 3, 0, 1)));
    x = _mm_max_epu8(x, _mm_or_si128(_mm_srli_epi32(x, 16), _mm_slli_epi32(x, 16)));
    return _mm_max_epu8(x, _mm_or_si128(_mm_srli_epi16(x, 8), _mm_slli_epi16(x, 8)));
}

uint32_t peak_candidates_bytes(const peak_rules *r, const peak_cell *cell,
                               const uint8_t byte[TILE_NPIXELS])
{
    const __m128i bytes = _mm_loadu_si128((const void *)byte);
    const __m128i limit = _mm_set1_epi8((char)cell->limit);
    const __m128i is_within = _mm_cmpeq_epi8(_mm_max_epu8(bytes, limit), limit);
    const uint32_t high = (uint32_t)_mm_movemask_epi8(is_within) ^ 0xFFFF;
    if (!high)
        return 0;
    const __m128i is_largest = _mm_cmpeq_epi8(bytes, largest_of(bytes));
    const uint32_t first = lowest_bit((uint32_t)_mm_movemask_epi8(is_largest));
    return 1u << first | take_largest(1, r, high & ~around(r, first), byte, NULL);
}
#else
uint32_t peak_candidates_bytes(const peak_rules *r, const peak_cell *cell,
                               const uint8_t byte[TILE_NPIXELS])
{
    const uint64_t limits = peak_bytes_of((uint32_t)cell->limit);
    const uint32_t high = peak_bytes_above(load_u64(byte), limits) |
                          peak_bytes_above(load_u64(byte + 8), limits) << 8;
    return take_largest(1, r, high, byte, NULL);
}
#endif

/* Bits of the patch. */
static uint64_t patch_of(const peak_rules *r, uint32_t at)
{
    const uint64_t first = r->reach == 1 ? 0x070707u : 0x1F1F1F1F1Fu;
    return first << (at - r->reach * (BLOCK_EDGE + 1u));
}

/* Whether the pixel is the largest of its patch; of equal ones the first in scan order is. */
static int is_largest_byte(const peak_block *b, uint64_t patch)
{
    const uint64_t row = b->row[b->at / BLOCK_EDGE];
    const peak_order order =
        peak_rows_order(b->row, (uint32_t)(row >> 8 * (b->at % BLOCK_EDGE) & 0xFF));
    const uint64_t before = ((uint64_t)1 << b->at) - 1;
    return ((order.larger | (order.equal & before)) & patch) == 0;
}

static int is_largest_value(const peak_block *b, uint64_t patch)
{
    const int64_t value = b->value[b->at];
    for (uint64_t left = patch & b->known; left; left &= left - 1) {
        const uint32_t other = lowest_bit(left);
        if (b->value[other] > value || (b->value[other] == value && other < b->at))
            return 0;
    }
    return 1;
}

/* How many pixels of the patch are high. */
static uint32_t count_high_bytes(const peak_block *b, uint64_t patch)
{
    const uint64_t limits[2] = {peak_row_limits(b->cell[0]->beside, b->cell[1]->beside),
                                peak_row_limits(b->cell[2]->beside, b->cell[3]->beside)};
    return count_bits64(peak_rows_above(b->row, limits) & patch);
}

static uint32_t count_high_values(const peak_block *b, uint64_t patch)
{
    uint32_t n = 0;
    for (uint64_t left = patch & b->known; left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        n += b->value[at] > peak_cell_at(b, at)->beside;
    }
    return n;
}

uint32_t peak_block_count(const peak_rules *r, const peak_block *b)
{
    const uint64_t patch = patch_of(r, b->at);
    if (b->is_narrow ? !is_largest_byte(b, patch) : !is_largest_value(b, patch))
        return 0;
    const uint32_t nhigh = b->is_narrow ? count_high_bytes(b, patch) : count_high_values(b, patch);
    return nhigh > r->connected ? nhigh : 0;
}

h5bragg_status peak_block_add(const peak_rules *r, const peak_block *b, uint32_t nhigh,
                              h5bragg_peak_list *list)
{
    h5bragg_peak *peak = next_of(list);
    if (!peak)
        return H5BRAGG_NO_MEMORY;
    peak_measure(r, b, patch_of(r, b->at), peak);
    peak->nhigh = nhigh;
    return H5BRAGG_OK;
}
