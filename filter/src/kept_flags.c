/* SPDX-License-Identifier: MIT */
/* Which tiles are kept: docs/format.md, "Kept flags". */
#include "cpu_level.h"
#include "exact_tiles.h"
#include "scratch.h"

enum { LISTED_NQUADS = 16 /* at a time by vectors */ };

h5bragg_status kept_flags_make(const ring_map *map, kept_flags *flags)
{
    flags->nquads = (map->ntx + QUAD_NTILES - 1) / QUAD_NTILES;
    const size_t room = flags->nquads + 2u + LISTED_NQUADS;
    flags->row = scratch_take_zeros(room, 1);
    flags->above = scratch_take_zeros(room, 1);
    flags->context = scratch_take(flags->nquads);
    flags->symbol =
        scratch_take_zeros(flags->nquads + QUAD_NTILES, 1); /* whole groups: see tile_sort.h */
    flags->above_is_empty = 1;
    flags->nempty = 0;
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
}

int kept_flags_read(kept_flags *flags, wide_reader *s)
{
    const uint32_t nquads = flags->nquads;
    const uint8_t *symbol = flags->symbol;
    next_row(flags);
    list_contexts(flags->above, nquads, flags->context);
    wide_symbols_get(s, flags->context, nquads, flags->symbol);
    memcpy(flags->row + 1, symbol, nquads);
    uint8_t all = 0;
    for (uint32_t quad = 0; quad < nquads; quad++)
        all = (uint8_t)(all | symbol[quad]);
    return all < 16;
}

/* The symbols of whole quads, whose tiles are 0 or 1 each. */
static void list_quads(const uint8_t *restrict kept, size_t nquads, uint8_t *restrict symbol)
{
    for (size_t quad = 0; quad < nquads; quad++) {
        const uint8_t *tile = kept + quad * QUAD_NTILES;
        symbol[quad] = (uint8_t)(tile[0] | tile[1] << 1 | tile[2] << 2 | tile[3] << 3);
    }
}

int kept_symbols_plain(const uint8_t *kept, uint32_t ntx, uint8_t *symbol)
{
    const uint32_t nwhole = ntx / QUAD_NTILES;
    uint32_t nquads = nwhole;
    uint8_t any = 0;
    list_quads(kept, nwhole, symbol);
    if (ntx % QUAD_NTILES) {
        uint8_t last[QUAD_NTILES] = {0};
        memcpy(last, kept + nwhole * QUAD_NTILES, ntx % QUAD_NTILES);
        list_quads(last, 1, symbol + nquads++);
    }
    for (uint32_t quad = 0; quad < nquads; quad++)
        any |= symbol[quad];
    return any != 0;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

/* Bits of 64 tiles are dealt out, four to a byte. */
__attribute__((target("avx512f,avx512bw,bmi2"))) static int
list_avx512(const uint8_t *kept, uint32_t ntx, uint8_t *symbol)
{
    const uint64_t four_each = 0x0F0F0F0F0F0F0F0Fu;
    uint64_t any = 0;
    for (uint32_t t = 0; t < ntx; t += LISTED_NQUADS * QUAD_NTILES) {
        const uint32_t nleft = ntx - t;
        const uint64_t inside = nleft < 64 ? ((uint64_t)1 << nleft) - 1 : UINT64_MAX;
        const __m512i tiles = _mm512_maskz_loadu_epi8(inside, kept + t);
        const uint64_t bits = _mm512_test_epi8_mask(tiles, tiles);
        const uint64_t symbols[2] = {_pdep_u64(bits, four_each), _pdep_u64(bits >> 32, four_each)};
        memcpy(symbol + t / QUAD_NTILES, symbols, sizeof symbols);
        any |= bits;
    }
    return any != 0;
}
#endif

int kept_symbols(const uint8_t *kept, uint32_t ntx, uint8_t *symbol)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return list_avx512(kept, ntx, symbol);
#endif
    return kept_symbols_plain(kept, ntx, symbol);
}

static void join_pairs(const uint8_t *restrict context, const uint8_t *restrict symbol, size_t n,
                       uint16_t *restrict pair)
{
    for (size_t k = 0; k < n; k++)
        pair[k] = (uint16_t)(context[k] << 8 | symbol[k]);
}

/* Room for the pairs of a row, behind those of empty rows. */
static uint16_t *make_room(kept_flags *flags, symbol_writer *s, uint32_t npairs)
{
    uint16_t *pair = symbol_writer_room(s, flags->nempty + npairs);
    if (!pair)
        return NULL;
    memset(pair, 0, flags->nempty * sizeof *pair);
    pair += flags->nempty;
    s->npairs += flags->nempty + npairs;
    flags->nempty = 0;
    return pair;
}

void kept_flags_write(kept_flags *flags, symbol_writer *s, const ring_map *map, const uint8_t *kept)
{
    const uint32_t nquads = flags->nquads;
    const int was_empty = flags->above_is_empty;
    next_row(flags);
    flags->above_is_empty = !kept_symbols(kept, map->ntx, flags->row + 1);
    if (was_empty && flags->above_is_empty) { /* as all rows often are without local counts */
        flags->nempty += nquads;
        return;
    }
    uint16_t *pair = make_room(flags, s, nquads);
    if (!pair)
        return;
    list_contexts(flags->above, nquads, flags->context);
    join_pairs(flags->context, flags->row + 1, nquads, pair);
}

void kept_flags_finish(kept_flags *flags, symbol_writer *s)
{
    if (s->npairs)
        make_room(flags, s, 0);
}
