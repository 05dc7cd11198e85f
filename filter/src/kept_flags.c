/* SPDX-License-Identifier: MIT */
/* Which tiles are kept: docs/format.md, "Kept flags". */
#include "exact_tiles.h"
#include "scratch.h"

h5bragg_status kept_flags_make(const ring_map *map, kept_flags *flags)
{
    flags->nquads = (map->ntx + QUAD_NTILES - 1) / QUAD_NTILES;
    const size_t room = flags->nquads + 2u;
    flags->row = scratch_take_zeros(room, 1);
    flags->above = scratch_take_zeros(room, 1);
    flags->context = scratch_take(flags->nquads);
    flags->symbol =
        scratch_take_zeros(flags->nquads + QUAD_NTILES, 1); /* whole groups: see tile_sort.h */
    flags->above_is_empty = 1;
    return flags->row && flags->above && flags->context && flags->symbol ? H5BRAGG_OK
                                                                         : H5BRAGG_NO_MEMORY;
}

void kept_flags_free(kept_flags *flags)
{
    scratch_give(flags->row);
    scratch_give(flags->above);
    scratch_give(flags->context);
    scratch_give(flags->symbol);
    memset(flags, 0, sizeof *flags);
}

/* The contexts of a row follow from the row above alone, which has a zero on either side. */
static void list_contexts(const uint8_t *restrict above, size_t nquads, uint8_t *restrict context)
{
    for (size_t quad = 0; quad < nquads; quad++) {
        const uint8_t beside = (uint8_t)(above[quad] >> 3 | (above[quad + 2] & 1));
        context[quad] = (uint8_t)(above[quad + 1] + above[quad + 1] + beside);
    }
}

/* What was the row at work is above now. */
static void next_row(kept_flags *flags)
{
    uint8_t *row = flags->above;
    flags->above = flags->row;
    flags->row = row;
    list_contexts(flags->above, flags->nquads, flags->context);
}

int kept_flags_read(kept_flags *flags, wide_reader *s)
{
    const uint32_t nquads = flags->nquads;
    const uint8_t *symbol = flags->symbol;
    next_row(flags);
    wide_symbols_get(s, flags->context, nquads, flags->symbol);
    memcpy(flags->row + 1, symbol, nquads);
    uint8_t all = 0;
    for (uint32_t quad = 0; quad < nquads; quad++)
        all = (uint8_t)(all | symbol[quad]);
    return all < 16;
}

/* The symbols of whole quads, whose tiles are 0 or 1 each. */
static void list_symbols(const uint8_t *restrict kept, size_t nquads, uint8_t *restrict symbol)
{
    for (size_t quad = 0; quad < nquads; quad++) {
        const uint8_t *tile = kept + quad * QUAD_NTILES;
        symbol[quad] = (uint8_t)(tile[0] | tile[1] << 1 | tile[2] << 2 | tile[3] << 3);
    }
}

static int is_empty(const uint8_t *kept, uint32_t ntx)
{
    uint64_t any = 0;
    uint32_t t = 0;
    for (; t + 8 <= ntx; t += 8)
        any |= load_u64(kept + t);
    for (; t < ntx; t++)
        any |= kept[t];
    return any == 0;
}

static void join_pairs(const uint8_t *restrict context, const uint8_t *restrict symbol, size_t n,
                       uint16_t *restrict pair)
{
    for (size_t k = 0; k < n; k++)
        pair[k] = (uint16_t)(context[k] << 8 | symbol[k]);
}

void kept_flags_write(kept_flags *flags, symbol_writer *s, const ring_map *map, const uint8_t *kept)
{
    uint16_t *pair = symbol_writer_room(s, flags->nquads);
    const int was_empty = flags->above_is_empty;
    flags->above_is_empty = is_empty(kept, map->ntx);
    if (was_empty && flags->above_is_empty) { /* as most rows are without local counts */
        memset(flags->row, 0, flags->nquads + (size_t)2);
        if (pair)
            memset(pair, 0, flags->nquads * sizeof *pair);
        s->npairs += pair ? flags->nquads : 0;
        return;
    }
    next_row(flags);
    const uint32_t nwhole = map->ntx / QUAD_NTILES;
    list_symbols(kept, nwhole, flags->row + 1);
    if (nwhole < flags->nquads) {
        uint8_t last[QUAD_NTILES] = {0};
        memcpy(last, kept + nwhole * QUAD_NTILES, map->ntx % QUAD_NTILES);
        list_symbols(last, 1, flags->row + 1 + nwhole);
    }
    if (pair)
        join_pairs(flags->context, flags->row + 1, flags->nquads, pair);
    s->npairs += pair ? flags->nquads : 0;
}
