/* SPDX-License-Identifier: MIT */
/* Whether a pixel is a peak (docs/peaks.md, "What is a peak"). */
#include "peak_block.h"

#include "peak_measure.h"
#include "scratch.h"
#include "symbols.h"

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

/* The panel of a tile that lies on one; that of the last tile is tried first. */
static const h5bragg_panel *find_panel(const h5bragg_geometry *g, const h5bragg_panel *last,
                                       uint32_t slow, uint32_t fast)
{
    const h5bragg_panel *panel = last ? last : g->panels;
    for (uint32_t k = 0; k < g->npanels; k++) {
        if (slow >= panel->slow_start && slow < panel->slow_stop && fast >= panel->fast_start &&
            fast < panel->fast_stop)
            break;
        panel = &g->panels[k];
    }
    return panel;
}

/* Bit 0: a row, or column, of tiles lies on a panel; bit 1: so does the next. */
static uint32_t on_panel(uint32_t tile, uint32_t start, uint32_t stop)
{
    const uint32_t first = TILE_EDGE * tile; /* may wrap around, to beyond all */
    const uint32_t next = first + TILE_EDGE;
    return (first >= start && first < stop) | (uint32_t)(next >= start && next < stop) << 1;
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

uint32_t peak_candidates_bytes(const peak_rules *r, const peak_cell *cell,
                               const uint8_t byte[TILE_NPIXELS])
{
    const uint64_t limits = (uint64_t)cell->limit * 0x0101010101010101u;
    const uint32_t high = peak_bytes_above(load_u64(byte), limits) |
                          peak_bytes_above(load_u64(byte + 8), limits) << 8;
    return take_largest(1, r, high, byte, NULL);
}

/* Bits of the patch. */
static uint64_t patch_of(const peak_rules *r, uint32_t at)
{
    const uint64_t first = r->reach == 1 ? 0x070707u : 0x1F1F1F1F1Fu;
    return first << (at - r->reach * (BLOCK_EDGE + 1u));
}

/* Bytes of a row of the patch, one below the other. */
static uint64_t bytes_of_patch(const peak_rules *r, uint32_t at)
{
    const uint64_t first = r->reach == 1 ? 0xFFFFFFu : 0xFFFFFFFFFFu;
    return first << 8 * (at % BLOCK_EDGE - r->reach);
}

/*
 * Whether the pixel is the largest of its patch; of equal ones the first in scan order is the
 * largest.  Bytes as 16-bit numbers: adding 0x7FFF - limit carries into the top bit if above.
 */
static int is_largest_byte(const peak_rules *r, const peak_block *b)
{
    const uint64_t low = 0xFF * PEAK_WORDS;
    const uint32_t row = b->at / BLOCK_EDGE;
    const uint32_t shift = 8 * (b->at % BLOCK_EDGE);
    const uint64_t patch = bytes_of_patch(r, b->at);
    const uint64_t before = ((uint64_t)1 << shift) - 1;
    const uint64_t value = b->row[row] >> shift & 0xFF;
    const uint64_t later = (0x7FFF - value) * PEAK_WORDS; /* carries above the value */
    const uint64_t earlier = later + PEAK_WORDS;          /* carries from the value on */
    uint64_t first = b->row[row] & patch & before;
    uint64_t last = b->row[row] & patch & ~(before | (uint64_t)0xFF << shift);
    uint64_t sums = ((first & low) + earlier) | ((first >> 8 & low) + earlier) |
                    ((last & low) + later) | ((last >> 8 & low) + later);
    for (uint32_t i = 1; i <= r->reach; i++) {
        first = b->row[row - i] & patch;
        last = b->row[row + i] & patch;
        sums |= ((first & low) + earlier) | ((first >> 8 & low) + earlier) |
                ((last & low) + later) | ((last >> 8 & low) + later);
    }
    return (sums & PEAK_TOPS) == 0;
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
static uint32_t count_high_bytes(const peak_rules *r, const peak_block *b)
{
    const uint64_t low = 0xFF * PEAK_WORDS;
    const uint64_t patch = bytes_of_patch(r, b->at);
    const uint32_t first = b->at / BLOCK_EDGE - r->reach;
    uint64_t counts = 0;
    for (uint32_t i = first; i <= first + 2 * r->reach; i++) {
        const peak_cell *const *cell = &b->cell[i / TILE_EDGE * 2];
        const uint64_t left = 0x7FFFu - (uint64_t)cell[0]->beside;
        const uint64_t right = 0x7FFFu - (uint64_t)cell[1]->beside;
        const uint64_t more = (left | left << 16) | (right | right << 16) << 32;
        const uint64_t bytes = b->row[i] & patch;
        counts += ((bytes & low) + more) >> 15 & PEAK_WORDS;
        counts += ((bytes >> 8 & low) + more) >> 15 & PEAK_WORDS;
    }
    return (uint32_t)(counts * PEAK_WORDS >> 48);
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

h5bragg_status peak_block_look(const peak_rules *r, const peak_block *b, h5bragg_peak_list *list)
{
    const uint64_t patch = patch_of(r, b->at);
    if (b->is_narrow ? !is_largest_byte(r, b) : !is_largest_value(b, patch))
        return H5BRAGG_OK;
    const uint32_t nhigh = b->is_narrow ? count_high_bytes(r, b) : count_high_values(b, patch);
    if (nhigh <= r->connected)
        return H5BRAGG_OK;
    h5bragg_peak *peak = next_of(list);
    if (!peak)
        return H5BRAGG_NO_MEMORY;
    peak_measure(r, b, patch, peak);
    peak->nhigh = nhigh;
    return H5BRAGG_OK;
}
