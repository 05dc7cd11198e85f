/* SPDX-License-Identifier: MIT */
/*
 * A stream of 32 states at work in vectors of AVX-512, for loops that decode it (the layout is that
 * of F. Giesen's interleaved entropy coders, arXiv:1402.3392).
 */
#ifndef BRAGG_SYMBOL_LANES_H
#define BRAGG_SYMBOL_LANES_H

#include "look_up_simd.h"
#include "symbols.h"

/* Whether there are words for n more symbols, whatever they are. */
BRAGG_INLINE int has_words(const symbol_reader *r, size_t word_at, size_t n)
{
    return r->nwords >= n && word_at <= r->nwords - n;
}

#if defined(BRAGG_X86_64)
enum { LANES_N = 8, LANES_NVECTORS = SYMBOLS_WIDE_NSTATES / LANES_N, ALL_LANES = 0xFF };

#define LANES512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,popcnt"))) BRAGG_INLINE

/*
 * A stream at work: its states in registers, in the order of their turns.
 *
 * Symbols wait for what their states became with the last ones, for most of the time.  Vectors of
 * eight states have less to wait for than those of sixteen: it takes long to put these together
 * from single entries.
 */
typedef struct symbol_lanes {
    __m256i state[LANES_NVECTORS];
    __m256i seen;
    const uint32_t *table;
    const uint8_t *words;
    size_t word_at;
    uint32_t first; /* number of the first state */
} symbol_lanes;

/* States from number `first` on, and behind the last those before it. */
LANES512 void turn_states(uint32_t first, __m512i *low, __m512i *high)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i from_low = _mm512_add_epi32(lane, _mm512_set1_epi32((int)first));
    const __m512i from_high = _mm512_add_epi32(from_low, _mm512_set1_epi32(16));
    const __m512i turned = _mm512_permutex2var_epi32(*low, from_low, *high);
    *high = _mm512_permutex2var_epi32(*low, from_high, *high);
    *low = turned;
}

LANES512 symbol_lanes lanes_load(const wide_reader *s)
{
    __m512i low = _mm512_loadu_si512(s->state);
    __m512i high = _mm512_loadu_si512(s->state + 16);
    turn_states(s->next, &low, &high);
    return (symbol_lanes){.state = {_mm512_castsi512_si256(low), _mm512_extracti64x4_epi64(low, 1),
                                    _mm512_castsi512_si256(high),
                                    _mm512_extracti64x4_epi64(high, 1)},
                          .seen = _mm256_setzero_si256(),
                          .table = s->stream.table,
                          .words = s->stream.words,
                          .word_at = s->stream.word_at,
                          .first = s->next};
}

/* The first vector of states becomes the last. */
LANES512 void lanes_turn(symbol_lanes *x)
{
    const __m256i first = x->state[0];
    for (size_t v = 0; v + 1 < LANES_NVECTORS; v++)
        x->state[v] = x->state[v + 1];
    x->state[LANES_NVECTORS - 1] = first;
    x->first += LANES_N;
}

/* After n symbols. */
LANES512 void lanes_store(const symbol_lanes *x, size_t n, wide_reader *s)
{
    __m512i low = _mm512_inserti64x4(_mm512_castsi256_si512(x->state[0]), x->state[1], 1);
    __m512i high = _mm512_inserti64x4(_mm512_castsi256_si512(x->state[2]), x->state[3], 1);
    uint32_t seen[LANES_N];
    turn_states(0 - x->first, &low, &high);
    _mm512_storeu_si512(s->state, low);
    _mm512_storeu_si512(s->state + 16, high);
    s->next = (uint32_t)((s->next + n) % SYMBOLS_WIDE_NSTATES);
    s->stream.word_at = x->word_at;
    _mm256_storeu_si256((void *)seen, x->seen);
    for (size_t i = 0; i < LANES_N; i++)
        s->stream.seen |= seen[i];
}

/* The entries of the next symbols of eight states, by the lowest bytes of `context`. */
LANES512 __m256i lanes_entries(const symbol_lanes *x, size_t v, __m128i context, const int by_loads)
{
    const __m256i low_bits = _mm256_and_si256(x->state[v], _mm256_set1_epi32(SYMBOLS_TOTAL - 1));
    const __m256i contexts = _mm256_cvtepu8_epi32(context);
    return look_up_8_by(
        by_loads, x->table,
        _mm256_or_si256(_mm256_slli_epi32(contexts, SYMBOLS_PROBABILITY_BITS), low_bits));
}

/* What becomes of some of eight states, `lanes` being a constant if it is all of them; `word_at`
 * goes on behind those of the given words that they took. */
LANES512 void lanes_take(symbol_lanes *x, size_t v, __m256i entry, __m128i words, __mmask8 lanes)
{
    const __m256i state = x->state[v];
    const __m256i frequency = _mm256_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
    const __m256i bias =
        _mm256_and_si256(_mm256_srli_epi32(entry, 8), _mm256_set1_epi32(SYMBOLS_TOTAL - 1));
    const __m256i high = _mm256_srli_epi32(state, SYMBOLS_PROBABILITY_BITS);
    const __m256i next = _mm256_add_epi32(_mm256_mullo_epi32(frequency, high), bias);
    const __mmask8 lack =
        _mm256_cmplt_epu32_mask(next, _mm256_set1_epi32(SYMBOLS_LOWEST_STATE)) & lanes;
    const __m256i word = _mm256_maskz_expand_epi32(lack, _mm256_cvtepu16_epi32(words));
    const __m256i refilled = _mm256_or_si256(_mm256_mask_slli_epi32(next, lack, next, 16), word);
    x->state[v] = lanes == ALL_LANES ? refilled : _mm256_mask_mov_epi32(state, lanes, refilled);
    x->word_at += (size_t)__builtin_popcount(lack);
    x->seen =
        _mm256_or_si256(x->seen, lanes == ALL_LANES ? entry : _mm256_maskz_mov_epi32(lanes, entry));
}

/* The words of eight states, if there are as many. */
LANES512 __m128i lanes_words(const symbol_lanes *x)
{
    return _mm_loadu_si128((const void *)(x->words + 2 * x->word_at));
}

/* Those that there are, and zeros. */
LANES512 __m128i lanes_last_words(const symbol_lanes *x, size_t nwords)
{
    const size_t at = x->word_at < nwords ? x->word_at : nwords;
    const size_t nleft = nwords - at;
    const __mmask8 inside = (__mmask8)(nleft < LANES_N ? (1u << nleft) - 1 : ALL_LANES);
    return _mm_maskz_loadu_epi16(inside, x->words + 2 * at);
}

/* The symbols of sixteen entries. */
LANES512 __m128i lanes_symbols(__m256i low, __m256i high)
{
    const __m256i lowest = _mm256_castsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60));
    return _mm256_castsi256_si128(_mm256_permutex2var_epi8(low, lowest, high));
}

/* Symbols of all of sixteen states, those of vectors v and v + 1, for which there are words. */
LANES512 __m128i get_16(symbol_lanes *x, size_t v, __m128i context, const int by_loads)
{
    const __m256i low = lanes_entries(x, v, context, by_loads);
    const __m256i high = lanes_entries(x, v + 1, _mm_unpackhi_epi64(context, context), by_loads);
    lanes_take(x, v, low, lanes_words(x), ALL_LANES);
    lanes_take(x, v + 1, high, lanes_words(x), ALL_LANES);
    return lanes_symbols(low, high);
}
#endif

#endif
