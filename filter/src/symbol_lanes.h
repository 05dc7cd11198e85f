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
enum {
    AVX512_LANES = 16,
    ALL_LANES = 0xFFFF,
    AVX512_NVECTORS = SYMBOLS_WIDE_NSTATES / AVX512_LANES
};

#define LANES512 __attribute__((target("avx512f,avx512bw,avx512vl"))) BRAGG_INLINE

/* A stream at work: its states in registers, in the order of their turns. */
typedef struct lanes512 {
    __m512i state[AVX512_NVECTORS];
    __m512i seen;
    const uint32_t *table;
    const uint8_t *words;
    size_t word_at;
} lanes512;

/* The states from number `first` on, and behind the last those before it. */
LANES512 void turn_states(uint32_t first, __m512i state[AVX512_NVECTORS])
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i from0 = _mm512_add_epi32(lane, _mm512_set1_epi32((int)first));
    const __m512i from1 = _mm512_add_epi32(from0, _mm512_set1_epi32(AVX512_LANES));
    const __m512i turned0 = _mm512_permutex2var_epi32(state[0], from0, state[1]);
    state[1] = _mm512_permutex2var_epi32(state[0], from1, state[1]);
    state[0] = turned0;
}

LANES512 lanes512 lanes_load(const wide_reader *s)
{
    lanes512 x = {
        .state = {_mm512_loadu_si512(s->state), _mm512_loadu_si512(s->state + AVX512_LANES)},
        .seen = _mm512_setzero_si512(),
        .table = s->stream.table,
        .words = s->stream.words,
        .word_at = s->stream.word_at};
    turn_states(s->next, x.state);
    return x;
}

/* After n symbols. */
LANES512 void lanes_store(lanes512 *x, size_t n, wide_reader *s)
{
    turn_states(SYMBOLS_WIDE_NSTATES - s->next, x->state);
    _mm512_storeu_si512(s->state, x->state[0]);
    _mm512_storeu_si512(s->state + AVX512_LANES, x->state[1]);
    s->next = (uint32_t)((s->next + n) % SYMBOLS_WIDE_NSTATES);
    s->stream.word_at = x->word_at;
    s->stream.seen |= (uint32_t)_mm512_reduce_or_epi32(x->seen);
}

/* The entries of sixteen states' next symbols. */
LANES512 __m512i entries_avx512(const lanes512 *x, size_t v, __m128i context, const int by_loads)
{
    const __m512i low_bits = _mm512_and_si512(x->state[v], _mm512_set1_epi32(SYMBOLS_TOTAL - 1));
    const __m512i contexts = _mm512_cvtepu8_epi32(context);
    return look_up_16_by(
        by_loads, x->table,
        _mm512_or_si512(_mm512_slli_epi32(contexts, SYMBOLS_PROBABILITY_BITS), low_bits));
}

/* What becomes of some of sixteen states, `lanes` being a constant if it is all of them; `word_at`
 * goes on behind the words they took. */
LANES512 void take_avx512(lanes512 *x, size_t v, __m512i entry, __mmask16 lanes)
{
    const __m512i state = x->state[v];
    const __m512i frequency = _mm512_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
    const __m512i bias =
        _mm512_and_si512(_mm512_srli_epi32(entry, 8), _mm512_set1_epi32(SYMBOLS_TOTAL - 1));
    const __m512i high = _mm512_srli_epi32(state, SYMBOLS_PROBABILITY_BITS);
    const __m512i next = _mm512_add_epi32(_mm512_mullo_epi32(frequency, high), bias);
    const __mmask16 is_low =
        _mm512_cmplt_epu32_mask(next, _mm512_set1_epi32(SYMBOLS_LOWEST_STATE)) & lanes;
    const __m512i word = _mm512_cvtepu16_epi32(
        _mm256_loadu_si256((const __m256i *)(const void *)(x->words + 2 * x->word_at)));
    const __m512i refilled =
        _mm512_or_si512(_mm512_slli_epi32(next, 16), _mm512_maskz_expand_epi32(is_low, word));
    const __m512i taken = lanes == ALL_LANES ? next : _mm512_mask_mov_epi32(state, lanes, next);
    const __m512i seen = lanes == ALL_LANES ? entry : _mm512_maskz_mov_epi32(lanes, entry);
    x->state[v] = _mm512_mask_mov_epi32(taken, is_low, refilled);
    x->word_at += (size_t)__builtin_popcount(is_low);
    x->seen = _mm512_or_si512(x->seen, seen);
}

/* Symbols of all of sixteen states, in given contexts. */
LANES512 __m128i get_16(lanes512 *x, size_t v, __m128i context, const int by_loads)
{
    const __m512i entry = entries_avx512(x, v, context, by_loads);
    take_avx512(x, v, entry, ALL_LANES);
    return _mm512_cvtepi32_epi8(entry);
}
#endif

#endif
