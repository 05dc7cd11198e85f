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

enum { AT_ONCE = 32 /* groups */, TILES_AT_ONCE = AT_ONCE * GROUP_NTILES };

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

/*
 * Marks a tile and those of its neighbours that one pixel around a hit touches, or two around a
 * peak: only pixels near an edge of the tile do.
 */
static void keep_around(const ring_map *map, uint32_t row, uint32_t column, box_hits hits,
                        uint8_t *kept)
{
    static const struct {
        int8_t down, right;
        uint16_t near, nearer; /* pixels of peaks; of hits */
    } NEIGHBOURS[] = {{-1, -1, 0x0033, 0x0001}, {-1, 0, 0x00FF, 0x000F}, {-1, 1, 0x00CC, 0x0008},
                      {0, -1, 0x3333, 0x1111},  {0, 1, 0xCCCC, 0x8888},  {1, -1, 0x3300, 0x1000},
                      {1, 0, 0xFF00, 0xF000},   {1, 1, 0xCC00, 0x8000}};
    uint8_t *here = kept + (size_t)row * map->ntx + column;
    const int is_inside = row > 0 && column > 0 && row + 1 < map->nty && column + 1 < map->ntx;
    *here |= (uint8_t)(BOX_TOUCHES | (hits.peak ? BOX_IS_NEAR : 0));
    for (uint32_t k = 0; k < sizeof NEIGHBOURS / sizeof *NEIGHBOURS; k++) {
        const int down = NEIGHBOURS[k].down;
        const int right = NEIGHBOURS[k].right;
        const int touches = (hits.chance & NEIGHBOURS[k].nearer) != 0;
        const int is_near = (hits.peak & NEIGHBOURS[k].near) != 0;
        if (is_inside || (row + (uint32_t)down < map->nty && column + (uint32_t)right < map->ntx))
            here[down * (ptrdiff_t)map->ntx + right] |=
                (uint8_t)(touches * BOX_TOUCHES | is_near * BOX_IS_NEAR);
    }
}

void box_search_tile(const box_suspects *s, uint32_t column)
{
    const ring_map *map = s->map;
    const size_t stride = s->plane->stride;
    const uint32_t inside = tile_inside(map, s->row, column);
    const uint32_t word = s->word[column - s->first];
    box_hits hits = hits_of(s->plane->value + TILE_EDGE * (s->row * stride + column), stride, word);
    hits.chance &= inside;
    hits.peak &= inside;
    if (hits.chance)
        keep_around(map, s->row, column, hits, s->kept);
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

static void search_suspects(const box_suspects *s)
{
#if BRAGG_HAVE_X86_KERNELS
    if (s->plane->kernels == &plane_avx512) {
        box_search_avx512(s);
        return;
    }
#endif
    for (uint32_t group = 0; group < s->ngroups; group++) {
        for (uint32_t left = s->found[group]; left; left &= left - 1)
            box_search_tile(s, s->first + group * GROUP_NTILES + lowest_bit(left));
    }
}

void box_search(const counts_plane *plane, const ring_map *map, const uint32_t *word, uint8_t *kept,
                uint8_t *other)
{
    uint32_t words[TILES_AT_ONCE];
    uint16_t found[AT_ONCE];
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
            const box_suspects suspects = {plane, map, kept, row, first, words, found, n};
            search_suspects(&suspects);
        }
    }
}
