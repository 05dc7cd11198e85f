/* SPDX-License-Identifier: MIT */
/*
 * Reads values of exact tiles by AVX-512: sixteen symbols are a tile.
 *
 * A symbol waits for the one that its state gave before, for most of the time.  So all else that
 * tiles need is done meanwhile, in the same loop: contexts, and numbers of symbols.
 */
#include "exact_read.h"

#include "byte_lanes.h"
#include "symbol_lanes.h"

#if defined(BRAGG_X86_64)
#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi2,popcnt")))

/* The contexts of a tile's pixels: see exact_value_contexts. */
KERNEL BRAGG_INLINE __m128i contexts_of(const exact_levels *levels, uint32_t place)
{
    const __m128i shade = _mm_loadu_si128((const void *)levels->shade[levels->shape[place]]);
    return _mm_add_epi8(shade, _mm_set1_epi8((char)levels->first[place]));
}

/* A tile of sixteen symbols. */
KERNEL BRAGG_INLINE void put_tile(symbol_reader *s, const exact_rule *rule, __m128i symbols,
                                  exact_tile *tile)
{
    if (has_larger(symbols)) {
        uint8_t symbol[TILE_NPIXELS];
        _mm_storeu_si128((void *)symbol, symbols);
        exact_restore(s, rule, symbol, tile);
        return;
    }
    _mm_storeu_si128((void *)tile->byte, bytes_of(s, symbols));
    tile->is_narrow = 1;
}

KERNEL BRAGG_INLINE uint32_t read_by(const int by_loads, exact_reader *r, const uint32_t *place,
                                     const exact_rule *const *rule, exact_tile *tile,
                                     uint32_t ntiles)
{
    symbol_reader *s = &r->value_symbols.stream;
    symbol_lanes x = lanes_load(&r->value_symbols);
    uint32_t k = 0;
    for (; k < ntiles && tile[k].valid == 0xFFFF && has_words(s, x.word_at, TILE_NPIXELS); k++) {
        const __m128i context = contexts_of(&r->levels, place[k]);
        const __m128i symbols = get_16(&x, 0, context, by_loads);
        lines_ahead_ask(r->ahead);
        lanes_turn(&x);
        lanes_turn(&x);
        put_tile(s, rule[k], symbols, &tile[k]);
    }
    lanes_store(&x, (size_t)k * TILE_NPIXELS, &r->value_symbols);
    return k;
}

KERNEL uint32_t exact_read_avx512(exact_reader *r, const uint32_t *place,
                                  const exact_rule *const *rule, exact_tile *tile, uint32_t ntiles)
{
    return bragg_gathers_are_slow() ? read_by(1, r, place, rule, tile, ntiles)
                                    : read_by(0, r, place, rule, tile, ntiles);
}
#else
uint32_t exact_read_avx512(exact_reader *r, const uint32_t *place, const exact_rule *const *rule,
                           exact_tile *tile, uint32_t ntiles)
{
    (void)r, (void)place, (void)rule, (void)tile, (void)ntiles;
    return 0;
}
#endif
