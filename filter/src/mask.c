/* SPDX-License-Identifier: MIT */
/*
 * Finds mask codes: docs/format.md, "Mask".
 *
 * Detector gaps and bad pixels are rectangles, so rows are compared with the row above: stretches
 * that differ from it are collected, and rectangles made of them.
 */
#include "mask.h"

#include "mask_groups.h"
#include "mask_rectangles.h"
#include "scratch.h"
#include "symbols.h" /* lowest_bit */

enum {
    STRIP_NROWS = 8, /* of tiles, at a time */
    NFOUND = STRIP_NROWS + 1
};

/* Code numbers of the 64 pixels of a row of a group, which are below 4: bit i of both is one. */
typedef struct number_bits {
    uint64_t low;
    uint64_t high;
} number_bits;

typedef struct change_list {
    mask_change *change;
    size_t n;
    size_t capacity;
    int failed;
    number_bits *above; /* of the groups of the row above */
    mask_group *group;  /* those of rows of tiles to look at */
    uint8_t *found;     /* of the groups of rows of tiles: of none, then of NFOUND that take turns
                           where it is not known */
} change_list;

static void add_change(change_list *c, uint32_t row, uint32_t start, uint32_t stop, uint8_t number)
{
    mask_change *last = c->n ? &c->change[c->n - 1] : NULL;
    if (last && last->row == row && last->stop == start && last->number == number) {
        last->stop = stop;
        return;
    }
    if (c->n == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 1024;
        mask_change *grown = scratch_grow(c->change, capacity * sizeof *grown);
        c->failed |= grown == NULL;
        if (!grown)
            return;
        c->change = grown;
        c->capacity = capacity;
    }
    c->change[c->n++] = (mask_change){row, start, stop, number};
}

/* Adds changes of a row of a group, which starts in column j, to `numbers`. */
static void add_changes(change_list *c, uint32_t row, uint32_t j, uint64_t changed,
                        number_bits numbers)
{
    while (changed) {
        const uint32_t start = lowest_bit(changed);
        const uint64_t low = numbers.low >> start & 1;
        const uint64_t high = numbers.high >> start & 1;
        const uint64_t same = changed & ~(numbers.low ^ (0 - low)) & ~(numbers.high ^ (0 - high));
        const uint64_t others = ~(same >> start); /* 0 if all 64 pixels are the same */
        const uint32_t stop = others ? start + lowest_bit(others) : GROUP_NPIXELS;
        add_change(c, row, j + start, j + stop, (uint8_t)(low + 2 * high));
        changed &= stop < GROUP_NPIXELS ? UINT64_MAX << stop : 0;
    }
}

/* Of `masked` pixels, of which the first of 64 is given, those that have a value. */
BRAGG_INLINE void find_equal(const h5bragg_pixel_type type, const void *pixels, size_t first,
                             uint64_t masked, int64_t value, uint64_t *equal)
{
    *equal = 0;
    for (; masked; masked &= masked - 1) {
        const uint32_t k = lowest_bit(masked);
        *equal |= (uint64_t)(pixel_get(pixels, type, first + k) == value) << k;
    }
}

/*
 * Masked pixels of a row of a group have one of its codes.  They are looked at only where there are
 * several: those that have none of the others have the last.
 */
static number_bits find_numbers(const bragg_frame *frame, const bragg_mask_codes *codes,
                                const mask_group *group, uint64_t masked, size_t first)
{
    number_bits numbers = {0, 0};
    for (uint32_t left = group->codes; left && masked;) {
        const uint32_t k = lowest_bit(left);
        const uint64_t number = k + 1;
        uint64_t equal = masked;
        left &= left - 1;
        if (left) {
            DISPATCH_PIXEL_TYPE(frame->type, find_equal, frame->pixels, first, masked,
                                codes->value[k], &equal)
        }
        numbers.low |= equal & (0 - (number & 1));
        numbers.high |= equal & (0 - (number >> 1));
        masked &= ~equal;
    }
    return numbers;
}

/* Row i of pixels, of which groups in the list may differ from the row above. */
static void collect_row(const mask_source *source, uint32_t i, const mask_group *groups,
                        uint32_t ngroups, change_list *c)
{
    const size_t row_start = (size_t)i * source->frame->nx;
    for (uint32_t k = 0; k < ngroups; k++) {
        const mask_group *group = &groups[k];
        const uint32_t j = GROUP_NPIXELS * group->number;
        number_bits *above = &c->above[group->number];
        const number_bits numbers = find_numbers(source->frame, source->codes, group,
                                                 group->masked[i % TILE_EDGE], row_start + j);
        const uint64_t changed = (numbers.low ^ above->low) | (numbers.high ^ above->high);
        if (changed) {
            add_changes(c, i, j, changed, numbers);
            *above = numbers;
        }
    }
}

/* What is found of a row of tiles. */
static const uint8_t *find_row(const mask_source *source, const mask_tiles *tiles,
                               const code_finder *finder, change_list *c)
{
    const size_t ngroups = ring_map_ngroups(tiles->map);
    if (source->found)
        return source->found + tiles->row * ngroups;
    uint8_t *found = c->found + (1 + tiles->row % NFOUND) * ngroups;
    mask_groups_find(tiles, finder, found);
    return found;
}

/* A row of tiles at work, and the row above; NULL if there is none. */
static mask_tiles start_row(const mask_source *source, const ring_map *map, uint32_t row,
                            const mask_tiles *above, const code_finder *finder, change_list *c)
{
    mask_tiles tiles = {.frame = source->frame,
                        .map = map,
                        .row = row,
                        .valid = source->valid + (size_t)row * map->ntx,
                        .above = above ? above->valid : NULL,
                        .found_above = above ? above->found : c->found};
    tiles.found = find_row(source, &tiles, finder, c);
    return tiles;
}

/* Rows of tiles whose groups are listed and filled in before the first is looked at. */
typedef struct mask_strip {
    mask_tiles tiles[STRIP_NROWS];
    mask_group *group[STRIP_NROWS];
    uint32_t ngroups[STRIP_NROWS];
    uint32_t n;
} mask_strip;

static void collect_strip(const mask_source *source, const mask_strip *strip, change_list *c)
{
    for (uint32_t k = 0; k < strip->n; k++) {
        const uint32_t first = TILE_EDGE * strip->tiles[k].row;
        const uint32_t nleft = source->frame->ny - first;
        const uint32_t last = first + (nleft < TILE_EDGE ? nleft : TILE_EDGE);
        for (uint32_t i = first; i < last && strip->ngroups[k]; i++)
            collect_row(source, i, strip->group[k], strip->ngroups[k], c);
    }
}

/* Tiles and pixels have left the caches: all of a strip are asked for before they are needed. */
static void collect_rows(const mask_source *source, const ring_map *map, change_list *c)
{
    const code_finder finder = mask_groups_finder(source->frame->type, source->codes);
    const mask_tiles *above = NULL;
    mask_strip strip;
    for (uint32_t row = 0; row < map->nty; row += strip.n) {
        strip.n = map->nty - row < STRIP_NROWS ? map->nty - row : STRIP_NROWS;
        for (uint32_t k = 0; k < strip.n; k++) {
            strip.tiles[k] = start_row(source, map, row + k, above, &finder, c);
            strip.group[k] = c->group + k * ring_map_ngroups(map);
            strip.ngroups[k] = mask_groups_list(&strip.tiles[k], strip.group[k]);
            above = &strip.tiles[k];
        }
        for (uint32_t k = 0; k < strip.n; k++)
            mask_groups_fill(&strip.tiles[k], strip.group[k], strip.ngroups[k]);
        collect_strip(source, &strip, c);
    }
}

h5bragg_status mask_write(const mask_source *source, const ring_map *map, byte_writer *w,
                          uint32_t *nmasked)
{
    const size_t ngroups = ring_map_ngroups(map);
    change_list c = {.above = scratch_take_zeros(ngroups, sizeof *c.above)};
    c.group = scratch_take(STRIP_NROWS * ngroups * sizeof *c.group);
    c.found = scratch_take_zeros(ngroups, 1 + NFOUND);
    c.failed = !c.above || !c.group || !c.found;
    if (!c.failed)
        collect_rows(source, map, &c);
    h5bragg_status status = c.failed ? H5BRAGG_NO_MEMORY : H5BRAGG_OK;
    if (!status)
        status = mask_rectangles_write(c.change, c.n, map, w, nmasked);
    scratch_give(c.above);
    scratch_give(c.group);
    scratch_give(c.found);
    scratch_give(c.change);
    return status;
}
