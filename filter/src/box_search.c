/* SPDX-License-Identifier: MIT */
/*
 * A weak reflection need not have a single pixel above the threshold, but its pixels together stand
 * out of the background.  The sum of a 3 x 3 box around every pixel is compared with the largest
 * one that is still chance; where it is larger, the tiles that the box touches are stored exactly
 * (docs/format.md, "Kept flags").  Peaks have wings: where the sum is far larger, so are the tiles
 * that one pixel around the box touches.
 *
 * First it is only known which tiles have such a box; these few are searched again, pixel by pixel.
 */
#include "box_search.h"

#include "bytes.h"
#include "symbols.h"

enum { AT_ONCE = BOX_MOST_GROUPS, TILES_AT_ONCE = AT_ONCE * GROUP_NTILES };
enum { MARK_SLACK = 3 /* a column to the left, one to the right, and one that is never marked */ };

/* Which pixels of a tile are the middle of a significant box, and of a peak's. */
typedef struct box_hits {
    uint32_t chance;
    uint32_t peak;
} box_hits;

/* Bits of four 16-bit numbers below 2^15, those of the pixels 0, 2, 1 and 3 of a row, above cut. */
static uint32_t bits_above(uint64_t sums, uint32_t cut)
{
    const uint64_t top = (sums + (0x7FFF - cut) * 0x0001000100010001u) >> 15;
    return (uint32_t)((top & 0x0001000100010001u) * 0x0001000400020008u >> 48) & 0xF;
}

/*
 * The box sums around the pixels of a tile, as 16-bit numbers side by side: three rows first, of
 * the columns -1, 1, 3 and of 0, 2, 4, then three columns.
 */
static box_hits hits_of(const uint8_t *tile, size_t stride, uint32_t word)
{
    const uint64_t every_other = 0x00FF00FF00FF00FFu;
    const uint32_t chance = box_chance(word);
    const uint32_t peak = box_peak(word);
    uint64_t even[TILE_EDGE + 2];
    uint64_t odd[TILE_EDGE + 2];
    box_hits hits = {0, 0};
    for (uint32_t i = 0; i < TILE_EDGE + 2; i++) {
        const uint64_t row = load_u64(tile - stride - 1 + i * stride);
        odd[i] = row & every_other;
        even[i] = row >> 8 & every_other;
    }
    for (uint32_t i = 0; i < TILE_EDGE; i++) {
        const uint64_t e = even[i] + even[i + 1] + even[i + 2];
        const uint64_t o = odd[i] + odd[i + 1] + odd[i + 2];
        const uint64_t sums02 = o + e + (o >> 16);
        const uint64_t sums13 = e + (o >> 16) + (e >> 16);
        const uint64_t sums = (sums02 & UINT32_MAX) | sums13 << 32;
        hits.chance |= bits_above(sums, chance) << TILE_EDGE * i;
        hits.peak |= bits_above(sums, peak) << TILE_EDGE * i;
    }
    return hits;
}

/* Only pixels near an edge of the tile reach beyond it. */
const uint16_t box_reach[32] = {
    0x0001, 0x0033, 0x1111, 0x3333, 0x1000, 0x3300, 0, 0, /* the column to the left, */
    0x000F, 0x00FF, 0xFFFF, 0xFFFF, 0xF000, 0xFF00, 0, 0, /* the tile's own, */
    0x0008, 0x00CC, 0x8888, 0xCCCC, 0x8000, 0xCC00, 0, 0, /* that to the right */
    0,      0,      0,      0,      0,      0,      0, 0};

/* Marks the three columns around a tile: mark[0] is that to the left. */
static void mark_around(box_hits hits, uint8_t *mark)
{
    for (uint32_t k = 0; k < 9; k++) {
        const uint32_t column = k / 3;
        const uint32_t row = k % 3;
        const uint16_t *reach = box_reach + 8 * column + 2 * row;
        const int touches = (hits.chance & reach[0]) != 0;
        const int is_near = (hits.peak & reach[1]) != 0;
        mark[column] |= (uint8_t)((touches * BOX_TOUCHES | is_near * BOX_IS_NEAR) << 2 * row);
    }
}

static void search_tile(const box_suspects *s, uint32_t t, uint8_t *mark)
{
    const uint32_t inside = t == s->last ? s->inside_last : s->inside;
    box_hits hits = hits_of(s->value + (size_t)TILE_EDGE * t, s->stride, s->word[t]);
    hits.chance &= inside;
    hits.peak &= inside;
    if (hits.chance)
        mark_around(hits, mark + t);
}

static void look_up(const uint32_t *restrict word, const uint16_t *restrict cell, uint32_t n,
                    uint32_t *restrict found)
{
    for (uint32_t t = 0; t < n; t++)
        found[t] = word[cell[t]];
}

/* A loop for vectors. */
static void list_others(const uint32_t *restrict word, uint32_t n, uint8_t *restrict other)
{
    for (uint32_t t = 0; t < n; t++)
        other[t] = box_other(word[t]);
}

static void search_suspects(const plane_kernels *kernels, const box_suspects *s, uint8_t *mark)
{
#if BRAGG_HAVE_X86_KERNELS
    if (kernels == &plane_avx512) {
        box_search_avx512(s, mark);
        return;
    }
#endif
    (void)kernels;
    for (uint32_t group = 0; group < s->ngroups; group++) {
        for (uint32_t left = s->found[group]; left; left &= left - 1)
            search_tile(s, group * GROUP_NTILES + lowest_bit(left), mark);
    }
}

/* Whether there is any suspect. */
static int some_found(const uint16_t found[AT_ONCE], uint32_t ngroups)
{
    uint32_t any = 0;
    for (uint32_t group = 0; group < ngroups; group++)
        any |= found[group];
    return any != 0;
}

/* Adds the marks of n columns for one of the three rows.  A loop for vectors. */
static inline void keep_marked(const uint8_t *restrict mark, uint32_t n, int row,
                               uint8_t *restrict kept)
{
    for (uint32_t t = 0; t < n; t++)
        kept[t] |= (uint8_t)(mark[t] >> 2 * row & (BOX_TOUCHES | BOX_IS_NEAR));
}

/*
 * Marks wait in a row of bytes of their own, a byte a column for all three rows: suspects are often
 * neighbours, and would have to wait for one another's bytes.
 */
static void keep_around(const plane_kernels *kernels, const ring_map *map, uint32_t row,
                        uint32_t first, const box_suspects *s, uint8_t *kept)
{
    uint8_t mark[TILES_AT_ONCE + MARK_SLACK] = {0};
    search_suspects(kernels, s, mark);
    const uint32_t start = first > 0 ? first - 1 : 0;
    const uint32_t end = first + s->ngroups * GROUP_NTILES + 1;
    const uint32_t n = (end < map->ntx ? end : map->ntx) - start;
    const uint8_t *from = mark + (start + 1 - first);
    uint8_t *here = kept + (size_t)row * map->ntx + start;
    if (row > 0)
        keep_marked(from, n, 0, here - map->ntx);
    keep_marked(from, n, 1, here);
    if (row + 1 < map->nty)
        keep_marked(from, n, 2, here + map->ntx);
}

void box_search(const counts_plane *plane, const ring_map *map, const uint32_t *word, uint8_t *kept,
                uint8_t *other)
{
    uint32_t words[TILES_AT_ONCE];
    uint16_t found[AT_ONCE + 1];
    const uint32_t ngroups = (uint32_t)ring_map_ngroups(map);
    for (uint32_t row = 0; row < map->nty; row++) {
        const size_t start = (size_t)row * map->ntx;
        const uint8_t *value = plane->value + (size_t)row * TILE_EDGE * plane->stride;
        for (uint32_t group = 0; group < ngroups; group += AT_ONCE) {
            const uint32_t first = group * GROUP_NTILES;
            const uint32_t n = ngroups - group < AT_ONCE ? ngroups - group : AT_ONCE;
            const uint32_t nleft = map->ntx - first;
            const uint32_t ntiles = nleft < TILES_AT_ONCE ? nleft : TILES_AT_ONCE;
            look_up(word, map->cell + start + first, ntiles, words);
            for (uint32_t t = ntiles; t < n * GROUP_NTILES; t++)
                words[t] = word[BRAGG_NO_CELL];
            list_others(words, ntiles, other + start + first);
            plane->kernels->box(value + (size_t)TILE_EDGE * first, plane->stride, n, words, found);
            if (!some_found(found, n))
                continue;
            found[n] = 0;
            const box_suspects suspects = {.value = value + (size_t)TILE_EDGE * first,
                                           .stride = plane->stride,
                                           .word = words,
                                           .found = found,
                                           .ngroups = n,
                                           .last = map->ntx - 1 - first,
                                           .inside = tile_inside(map, row, 0),
                                           .inside_last = tile_inside(map, row, map->ntx - 1)};
            keep_around(plane->kernels, map, row, first, &suspects, kept);
        }
    }
}
