/* SPDX-License-Identifier: MIT */
/*
 * Streams of 32 states, many symbols at a time: docs/format.md, "Streams".
 *
 * Where contexts are known beforehand, symbols do not depend on each other, but for which words
 * they take: vectors decode sixteen or eight at once (the layout is that of F. Giesen's interleaved
 * entropy coders, arXiv:1402.3392).  The plain loop is the reference.
 */
#include "symbols.h"

#include "cpu_level.h"

/* Symbols one by one. */
static void get_plainly(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    symbol_reader *r = &s->stream;
    for (size_t k = 0; k < n; k++) {
        uint32_t *state = &s->state[s->next];
        const uint32_t x = *state;
        const uint32_t slot =
            (uint32_t)context[k] << SYMBOLS_PROBABILITY_BITS | (x & (SYMBOLS_TOTAL - 1));
        const uint32_t entry = r->table[slot];
        const uint8_t *word =
            r->words + 2 * (r->word_at < r->last_word ? r->word_at : r->last_word);
        const uint32_t next = (entry >> ENTRY_FREQUENCY_BIT) * (x >> SYMBOLS_PROBABILITY_BITS) +
                              ((entry & ENTRY_BIAS) >> 8);
        const uint32_t is_low = 0u - (next < SYMBOLS_LOWEST_STATE);
        const uint32_t refilled = next << 16 | (uint32_t)word[1] << 8 | word[0];
        *state = (refilled & is_low) | (next & ~is_low);
        r->word_at += is_low & 1;
        r->seen |= entry;
        s->next = (s->next + 1) % SYMBOLS_WIDE_NSTATES;
        symbol[k] = (uint8_t)(entry & ENTRY_SYMBOL);
    }
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

enum { LANES = 16, AVX2_LANES = 8 };

/* Sixteen symbols at a time, while there are words for all of them; returns how many it read. */
__attribute__((target("avx512f,avx512bw,avx512vl"))) static size_t
get_avx512(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    symbol_reader *r = &s->stream;
    const __m512i low_bits = _mm512_set1_epi32(SYMBOLS_TOTAL - 1);
    const __m512i lowest = _mm512_set1_epi32(SYMBOLS_LOWEST_STATE);
    __m512i seen = _mm512_setzero_si512();
    size_t word_at = r->word_at;
    size_t k = 0;
    for (; k + LANES <= n && r->nwords >= LANES && word_at <= r->nwords - LANES; k += LANES) {
        uint32_t *state = s->state + s->next;
        const __m512i x = _mm512_loadu_si512(state);
        const __m512i c = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(context + k)));
        const __m512i slot = _mm512_or_si512(_mm512_slli_epi32(c, SYMBOLS_PROBABILITY_BITS),
                                             _mm512_and_si512(x, low_bits));
        const __m512i entry = _mm512_i32gather_epi32(slot, (const void *)r->table, 4);
        const __m512i frequency = _mm512_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
        const __m512i bias = _mm512_and_si512(_mm512_srli_epi32(entry, 8), low_bits);
        const __m512i next = _mm512_add_epi32(
            _mm512_mullo_epi32(frequency, _mm512_srli_epi32(x, SYMBOLS_PROBABILITY_BITS)), bias);
        const __mmask16 is_low = _mm512_cmplt_epu32_mask(next, lowest);
        const __m512i words = _mm512_cvtepu16_epi32(
            _mm256_loadu_si256((const __m256i *)(const void *)(r->words + 2 * word_at)));
        const __m512i refilled =
            _mm512_or_si512(_mm512_slli_epi32(next, 16), _mm512_maskz_expand_epi32(is_low, words));
        _mm512_storeu_si512(state, _mm512_mask_mov_epi32(next, is_low, refilled));
        _mm_storeu_si128((__m128i *)(symbol + k), _mm512_cvtepi32_epi8(entry));
        seen = _mm512_or_si512(seen, entry);
        word_at += (size_t)__builtin_popcount(is_low);
        s->next = (s->next + LANES) % SYMBOLS_WIDE_NSTATES;
    }
    r->word_at = word_at;
    r->seen |= (uint32_t)_mm512_reduce_or_epi32(seen);
    return k;
}

/* For eight lanes that are -1 or 0, how many before each are -1. */
__attribute__((target("avx2"))) static inline __m256i count_before(__m256i lanes)
{
    const __m256i ones = _mm256_srli_epi32(lanes, 31);
    const __m256i pairs = _mm256_add_epi32(ones, _mm256_slli_si256(ones, 4));
    const __m256i halves = _mm256_add_epi32(pairs, _mm256_slli_si256(pairs, 8));
    const __m256i low_half = _mm256_permutevar8x32_epi32(halves, _mm256_set1_epi32(3));
    const __m256i carry = _mm256_blend_epi32(_mm256_setzero_si256(), low_half, 0xF0);
    return _mm256_sub_epi32(_mm256_add_epi32(halves, carry), ones);
}

/* The lowest bytes of eight lanes. */
__attribute__((target("avx2"))) static inline void store_bytes(uint8_t *to, __m256i lanes)
{
    const __m256i lowest =
        _mm256_set1_epi32(0x0C080400); /* of the four lanes of a half, in each of its lanes */
    const __m256i bytes = _mm256_shuffle_epi8(lanes, lowest);
    store_u32(to, (uint32_t)_mm256_extract_epi32(bytes, 0));
    store_u32(to + 4, (uint32_t)_mm256_extract_epi32(bytes, 4));
}

/* As get_avx512, eight at a time. */
__attribute__((target("avx2"))) static size_t get_avx2(wide_reader *s, const uint8_t *context,
                                                       size_t n, uint8_t *symbol)
{
    symbol_reader *r = &s->stream;
    const __m256i low_bits = _mm256_set1_epi32(SYMBOLS_TOTAL - 1);
    __m256i seen = _mm256_setzero_si256();
    uint32_t entries[AVX2_LANES];
    size_t word_at = r->word_at;
    size_t k = 0;
    for (; k + AVX2_LANES <= n && r->nwords >= AVX2_LANES && word_at <= r->nwords - AVX2_LANES;
         k += AVX2_LANES) {
        __m256i *state = (__m256i *)(void *)(s->state + s->next);
        const __m256i x = _mm256_loadu_si256(state);
        const __m256i c =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(context + k)));
        const __m256i slot = _mm256_or_si256(_mm256_slli_epi32(c, SYMBOLS_PROBABILITY_BITS),
                                             _mm256_and_si256(x, low_bits));
        const __m256i entry = _mm256_i32gather_epi32((const int *)(const void *)r->table, slot, 4);
        const __m256i frequency = _mm256_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
        const __m256i bias = _mm256_and_si256(_mm256_srli_epi32(entry, 8), low_bits);
        const __m256i next = _mm256_add_epi32(
            _mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, SYMBOLS_PROBABILITY_BITS)), bias);
        const __m256i is_low =
            _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16), _mm256_setzero_si256());
        const __m256i words = _mm256_cvtepu16_epi32(
            _mm_loadu_si128((const __m128i *)(const void *)(r->words + 2 * word_at)));
        const __m256i refilled = _mm256_or_si256(
            _mm256_slli_epi32(next, 16), _mm256_permutevar8x32_epi32(words, count_before(is_low)));
        _mm256_storeu_si256(state, _mm256_blendv_epi8(next, refilled, is_low));
        store_bytes(symbol + k, entry);
        seen = _mm256_or_si256(seen, entry);
        word_at +=
            (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(is_low)));
        s->next = (s->next + AVX2_LANES) % SYMBOLS_WIDE_NSTATES;
    }
    r->word_at = word_at;
    _mm256_storeu_si256((__m256i *)(void *)entries, seen);
    for (size_t i = 0; i < AVX2_LANES; i++)
        r->seen |= entries[i];
    return k;
}

static size_t get_vectors(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    const cpu_level level = bragg_cpu_level();
    if (level != CPU_AVX512 && level != CPU_AVX2)
        return 0;
    const size_t nlanes = level == CPU_AVX512 ? LANES : AVX2_LANES;
    size_t head = (nlanes - s->next % nlanes) % nlanes; /* up to whole vectors of states */
    head = head < n ? head : n;
    get_plainly(s, context, head, symbol);
    return head + (level == CPU_AVX512 ? get_avx512(s, context + head, n - head, symbol + head)
                                       : get_avx2(s, context + head, n - head, symbol + head));
}
#else
static size_t get_vectors(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    (void)s, (void)context, (void)n, (void)symbol;
    return 0;
}
#endif

/* Whether no symbol but 0 is possible. */
static int are_zeros(uint32_t zeros, const uint8_t *context, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (!(zeros >> context[k] & 1))
            return 0;
    }
    return 1;
}

void wide_symbols_get(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    if (s->stream.zeros && are_zeros(s->stream.zeros, context, n)) { /* states stay as they are */
        memset(symbol, 0, n);
        s->next = (uint32_t)((s->next + n) % SYMBOLS_WIDE_NSTATES);
        return;
    }
    const size_t done = get_vectors(s, context, n, symbol);
    get_plainly(s, context + done, n - done, symbol + done);
}
