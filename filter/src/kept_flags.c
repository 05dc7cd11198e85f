/* SPDX-License-Identifier: MIT */
/* Which tiles are kept: docs/format.md, "Kept flags". */
#include "exact_tiles.h"

#include <stdlib.h>

h5bragg_status kept_flags_make(const ring_map *map, kept_flags *flags)
{
    flags->nquads = (map->ntx + QUAD_NTILES - 1) / QUAD_NTILES;
    flags->row = calloc(flags->nquads + 2u, 1);
    flags->above = calloc(flags->nquads + 2u, 1);
    flags->context = malloc(flags->nquads);
    flags->symbol = calloc(flags->nquads + QUAD_NTILES, 1); /* whole groups: see tile_sort.h */
    return flags->row && flags->above && flags->context && flags->symbol ? H5BRAGG_OK
                                                                         : H5BRAGG_NO_MEMORY;
}

void kept_flags_free(kept_flags *flags)
{
    free(flags->row);
    free(flags->above);
    free(flags->context);
    free(flags->symbol);
    memset(flags, 0, sizeof *flags);
}

/* What was the row at work is above now; its contexts follow from that alone. */
static void next_row(kept_flags *flags)
{
    uint8_t *row = flags->above;
    flags->above = flags->row;
    flags->row = row;
    const uint8_t *above = flags->above;
    uint8_t *restrict context = flags->context; /* else nothing becomes vectors */
    const uint32_t nquads = flags->nquads;
    for (uint32_t quad = 0; quad < nquads; quad++) {
        const uint32_t beside = above[quad] >> 3 | (above[quad + 2] & 1);
        context[quad] = (uint8_t)(2u * above[quad + 1] + beside);
    }
}

int kept_flags_read(kept_flags *flags, wide_reader *s)
{
    const uint32_t nquads = flags->nquads;
    const uint8_t *symbol = flags->symbol;
    next_row(flags);
    wide_symbols_get(s, flags->context, nquads, flags->symbol);
    memcpy(flags->row + 1, symbol, nquads);
    uint32_t all = 0;
    for (uint32_t quad = 0; quad < nquads; quad++)
        all |= symbol[quad];
    return all < 16;
}

void kept_flags_write(kept_flags *flags, symbol_writer *s, const ring_map *map, const uint8_t *kept)
{
    next_row(flags);
    uint16_t *pair = symbol_writer_room(s, flags->nquads);
    uint8_t last[QUAD_NTILES] = {0}; /* may be cut */
    memcpy(last, kept + (flags->nquads - 1) * QUAD_NTILES,
           map->ntx - (flags->nquads - 1) * QUAD_NTILES);
    for (uint32_t quad = 0; pair && quad < flags->nquads; quad++) {
        const uint8_t *tiles = quad + 1 < flags->nquads ? kept + quad * QUAD_NTILES : last;
        const uint32_t symbol = (load_u32(tiles) * 0x01020408u) >> 24; /* collects their bits */
        flags->row[quad + 1] = (uint8_t)symbol;
        pair[quad] = (uint16_t)((uint32_t)flags->context[quad] << 8 | symbol);
    }
    s->npairs += pair ? flags->nquads : 0;
}
