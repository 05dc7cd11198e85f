/* SPDX-License-Identifier: MIT */
/*
 * Streams of 32 states, many symbols at a time: docs/format.md, "Streams".
 *
 * Where contexts are known beforehand, symbols do not depend on each other, but for which words
 * they take: vectors decode sixteen or eight at once (the layout is that of F. Giesen's interleaved
 * entropy coders, arXiv:1402.3392).  The plain loop is the reference.
 */
#include "symbol_lanes.h"

#include "cpu_level.h"
#include "pixel.h"

/* Symbols one by one. */
static void get_plainly(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    const symbol_reader r = s->stream; /* which symbols, being bytes, cannot overwrite */
    size_t word_at = r.word_at;
    uint32_t seen = r.seen;
    uint32_t at = s->next;
    for (size_t k = 0; k < n; k++) {
        const uint32_t x = s->state[at];
        const uint32_t slot =
            (uint32_t)context[k] << SYMBOLS_PROBABILITY_BITS | (x & (SYMBOLS_TOTAL - 1));
        const uint32_t entry = r.table[slot];
        const uint8_t *word = r.words + 2 * (word_at < r.last_word ? word_at : r.last_word);
        const uint32_t next = (entry >> ENTRY_FREQUENCY_BIT) * (x >> SYMBOLS_PROBABILITY_BITS) +
                              ((entry & ENTRY_BIAS) >> 8);
        const uint32_t is_low = 0u - (next < SYMBOLS_LOWEST_STATE);
        const uint32_t refilled = next << 16 | load_u16(word);
        s->state[at] = (refilled & is_low) | (next & ~is_low);
        word_at += is_low & 1;
        seen |= entry;
        at = (at + 1) % SYMBOLS_WIDE_NSTATES;
        symbol[k] = (uint8_t)(entry & ENTRY_SYMBOL);
    }
    s->stream.word_at = word_at;
    s->stream.seen = seen;
    s->next = at;
}

#if defined(BRAGG_X86_64)
enum { SSE4_LANES = 4, AVX2_LANES = 8, AVX2_NVECTORS = SYMBOLS_WIDE_NSTATES / AVX2_LANES };

#define KERNEL512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,popcnt")))
#define KERNEL4 __attribute__((target("ssse3,sse4.1")))
#define KERNEL2 __attribute__((target("avx2")))

/* Symbols of up to eight states, for which there may be no words. */
KERNEL512 BRAGG_INLINE void get_some(symbol_lanes *x, size_t nwords, const uint8_t *context,
                                     size_t n, uint8_t *symbol, const int by_loads)
{
    const __mmask8 lanes = (__mmask8)(n < LANES_N ? (1u << n) - 1 : ALL_LANES);
    const __m256i entry = lanes_entries(x, 0, _mm_maskz_loadu_epi8(lanes, context), by_loads);
    _mm256_mask_cvtepi32_storeu_epi8(symbol, lanes, entry);
    lanes_take(x, 0, entry, lanes_last_words(x, nwords), lanes);
    lanes_turn(x);
}

/* Symbols of all of sixteen states. */
KERNEL512 BRAGG_INLINE void get_to(symbol_lanes *x, size_t v, const uint8_t *context,
                                   uint8_t *symbol, const int by_loads)
{
    const __m128i contexts = _mm_loadu_si128((const void *)context);
    _mm_storeu_si128((void *)symbol, get_16(x, v, contexts, by_loads));
}

KERNEL512 BRAGG_INLINE void get_avx512_by(const int by_loads, wide_reader *s,
                                          const uint8_t *context, size_t n, uint8_t *symbol)
{
    symbol_lanes x = lanes_load(s);
    size_t k = 0;
    for (; k + SYMBOLS_WIDE_NSTATES <= n && has_words(&s->stream, x.word_at, SYMBOLS_WIDE_NSTATES);
         k += SYMBOLS_WIDE_NSTATES) {
        get_to(&x, 0, context + k, symbol + k, by_loads);
        get_to(&x, 2, context + k + 16, symbol + k + 16, by_loads);
    }
    for (; k < n; k += LANES_N)
        get_some(&x, s->stream.nwords, context + k, n - k, symbol + k, by_loads);
    lanes_store(&x, n, s);
}

KERNEL512 static void get_avx512(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    if (bragg_gathers_are_slow())
        get_avx512_by(1, s, context, n, symbol);
    else
        get_avx512_by(0, s, context, n, symbol);
}

/*
 * Of eight lanes by their bits: indices for a shuffle of bytes that gives words of sixteen bits,
 * one behind the other, to those that are set, and 0 to the others.
 */
#define NTH(b, k) (NSET_BELOW##k(b) * UINT64_C(0x0202))
#define NSET_BELOW0(b) 0
#define NSET_BELOW1(b) ((b)&1)
#define NSET_BELOW2(b) (NSET_BELOW1(b) + ((b) >> 1 & 1))
#define NSET_BELOW3(b) (NSET_BELOW2(b) + ((b) >> 2 & 1))
#define NSET_BELOW4(b) (NSET_BELOW3(b) + ((b) >> 3 & 1))
#define NSET_BELOW5(b) (NSET_BELOW4(b) + ((b) >> 4 & 1))
#define NSET_BELOW6(b) (NSET_BELOW5(b) + ((b) >> 5 & 1))
#define NSET_BELOW7(b) (NSET_BELOW6(b) + ((b) >> 6 & 1))
#define WORD(b, k) ((b) >> (k)&1 ? NTH(b, k) + UINT64_C(0x0100) : UINT64_C(0x8080))
#define WORDS(b)                                                                                   \
    {                                                                                              \
        WORD(b, 0) | WORD(b, 1) << 16 | WORD(b, 2) << 32 | WORD(b, 3) << 48,                       \
            WORD(b, 4) | WORD(b, 5) << 16 | WORD(b, 6) << 32 | WORD(b, 7) << 48                    \
    }
#define WORDS_4(b) WORDS(b), WORDS(b + 1), WORDS(b + 2), WORDS(b + 3)
#define WORDS_16(b) WORDS_4(b), WORDS_4(b + 4), WORDS_4(b + 8), WORDS_4(b + 12)
#define WORDS_64(b) WORDS_16(b), WORDS_16(b + 16), WORDS_16(b + 32), WORDS_16(b + 48)
static const _Alignas(16) uint64_t WORDS_OF[256][2] = {WORDS_64(0), WORDS_64(64), WORDS_64(128),
                                                       WORDS_64(192)};

/* The lowest bytes of eight lanes. */
KERNEL2 BRAGG_INLINE void store_bytes(uint8_t *to, __m256i lanes)
{
    const __m256i lowest =
        _mm256_set1_epi32(0x0C080400); /* of the four lanes of a half, in each of its lanes */
    const __m256i bytes = _mm256_shuffle_epi8(lanes, lowest);
    _mm_storel_epi64((__m128i *)(void *)to, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes),
                                                               _mm256_extracti128_si256(bytes, 1)));
}

/* The states whose turn is after k symbols. */
BRAGG_INLINE uint32_t *states_after(wide_reader *s, size_t k)
{
    return s->state + (s->next + k) % SYMBOLS_WIDE_NSTATES;
}

/* A stream at work. */
typedef struct stream_avx2 {
    const uint32_t *table;
    const uint8_t *words;
    size_t word_at;
    __m256i seen;
} stream_avx2;

/* Eight symbols of one context each; returns what becomes of their states.  What waits for the
 * symbols before is as little as can be: words go to their lanes in one step. */
KERNEL2 BRAGG_INLINE __m256i step_avx2(const int by_loads, stream_avx2 *s, __m256i state,
                                       const uint8_t *context, uint8_t *symbol)
{
    const __m256i low_bits = _mm256_set1_epi32(SYMBOLS_TOTAL - 1);
    const __m256i c = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)context));
    const __m256i slot = _mm256_or_si256(_mm256_slli_epi32(c, SYMBOLS_PROBABILITY_BITS),
                                         _mm256_and_si256(state, low_bits));
    const __m256i entry = look_up_8_by(by_loads, s->table, slot);
    const __m256i frequency = _mm256_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
    const __m256i bias = _mm256_and_si256(_mm256_srli_epi32(entry, 8), low_bits);
    const __m256i next = _mm256_add_epi32(
        _mm256_mullo_epi32(frequency, _mm256_srli_epi32(state, SYMBOLS_PROBABILITY_BITS)), bias);
    const __m256i is_low = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16), _mm256_setzero_si256());
    const uint32_t bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is_low));
    const __m128i words = _mm_shuffle_epi8(
        _mm_loadu_si128((const __m128i *)(const void *)(s->words + 2 * s->word_at)),
        _mm_load_si128((const __m128i *)(const void *)WORDS_OF[bits]));
    const __m256i shifted = _mm256_blendv_epi8(next, _mm256_slli_epi32(next, 16), is_low);
    s->word_at += (size_t)__builtin_popcount(bits);
    s->seen = _mm256_or_si256(s->seen, entry);
    store_bytes(symbol, entry);
    return _mm256_or_si256(shifted, _mm256_cvtepu16_epi32(words));
}

/* Symbols of whole vectors of states, while there are words for all of one; returns how many. */
KERNEL2 BRAGG_INLINE size_t get_vectors_by(const int by_loads, wide_reader *s,
                                           const uint8_t *context, size_t n, uint8_t *symbol)
{
    symbol_reader *r = &s->stream;
    stream_avx2 x = {r->table, r->words, r->word_at, _mm256_setzero_si256()};
    uint32_t seen[AVX2_LANES];
    size_t k = 0;
    const size_t nwords = r->nwords;
    __m256i *const at0 = (__m256i *)(void *)states_after(s, 0);
    __m256i *const at1 = (__m256i *)(void *)states_after(s, AVX2_LANES);
    __m256i *const at2 = (__m256i *)(void *)states_after(s, 2 * AVX2_LANES);
    __m256i *const at3 = (__m256i *)(void *)states_after(s, 3 * AVX2_LANES);
    __m256i state0 = _mm256_loadu_si256(at0);
    __m256i state1 = _mm256_loadu_si256(at1);
    __m256i state2 = _mm256_loadu_si256(at2);
    __m256i state3 = _mm256_loadu_si256(at3);
    for (; k + SYMBOLS_WIDE_NSTATES <= n && x.word_at + SYMBOLS_WIDE_NSTATES <= nwords;
         k += SYMBOLS_WIDE_NSTATES) {
        state0 = step_avx2(by_loads, &x, state0, context + k, symbol + k);
        state1 = step_avx2(by_loads, &x, state1, context + k + 8, symbol + k + 8);
        state2 = step_avx2(by_loads, &x, state2, context + k + 16, symbol + k + 16);
        state3 = step_avx2(by_loads, &x, state3, context + k + 24, symbol + k + 24);
    }
    _mm256_storeu_si256(at0, state0);
    _mm256_storeu_si256(at1, state1);
    _mm256_storeu_si256(at2, state2);
    _mm256_storeu_si256(at3, state3);
    for (; k + AVX2_LANES <= n && x.word_at + AVX2_LANES <= nwords; k += AVX2_LANES) {
        __m256i *at = (__m256i *)(void *)states_after(s, k);
        _mm256_storeu_si256(
            at, step_avx2(by_loads, &x, _mm256_loadu_si256(at), context + k, symbol + k));
    }
    s->next = (uint32_t)((s->next + k) % SYMBOLS_WIDE_NSTATES);
    r->word_at = x.word_at;
    _mm256_storeu_si256((__m256i *)(void *)seen, x.seen);
    for (size_t i = 0; i < AVX2_LANES; i++)
        r->seen |= seen[i];
    return k;
}

KERNEL2 static size_t get_avx2_vectors(wide_reader *s, const uint8_t *context, size_t n,
                                       uint8_t *symbol)
{
    return bragg_gathers_are_slow() ? get_vectors_by(1, s, context, n, symbol)
                                    : get_vectors_by(0, s, context, n, symbol);
}

/* Likewise with SSE4, four at a time: states wait in memory for their turn. */
KERNEL4 BRAGG_INLINE __m128i step_sse4(const symbol_reader *r, size_t *word_at, __m128i *at,
                                       const uint8_t *context)
{
    const __m128i low_bits = _mm_set1_epi32(SYMBOLS_TOTAL - 1);
    const __m128i state = _mm_loadu_si128(at);
    const __m128i c = _mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)load_u32(context)));
    const __m128i slot =
        _mm_or_si128(_mm_slli_epi32(c, SYMBOLS_PROBABILITY_BITS), _mm_and_si128(state, low_bits));
    const uint64_t first = (uint64_t)_mm_cvtsi128_si64(slot);
    const uint64_t last = (uint64_t)_mm_extract_epi64(slot, 1);
    __m128i entry = _mm_cvtsi32_si128((int)r->table[(uint32_t)first]);
    entry = _mm_insert_epi32(entry, (int)r->table[first >> 32], 1);
    entry = _mm_insert_epi32(entry, (int)r->table[(uint32_t)last], 2);
    entry = _mm_insert_epi32(entry, (int)r->table[last >> 32], 3);
    const __m128i frequency = _mm_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
    const __m128i bias = _mm_and_si128(_mm_srli_epi32(entry, 8), low_bits);
    const __m128i next = _mm_add_epi32(
        _mm_mullo_epi32(frequency, _mm_srli_epi32(state, SYMBOLS_PROBABILITY_BITS)), bias);
    const __m128i is_low = _mm_cmpeq_epi32(_mm_srli_epi32(next, 16), _mm_setzero_si128());
    const uint32_t bits = (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(is_low));
    const __m128i words =
        _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)(const void *)(r->words + 2 * *word_at)),
                         _mm_load_si128((const __m128i *)(const void *)WORDS_OF[bits]));
    const __m128i shifted = _mm_blendv_epi8(next, _mm_slli_epi32(next, 16), is_low);
    _mm_storeu_si128(at, _mm_or_si128(shifted, _mm_cvtepu16_epi32(words)));
    *word_at += UINT64_C(0x4332322132212110) >> 4 * bits & 0xF; /* as many as there are bits */
    return entry;
}

KERNEL4 static size_t get_sse4_vectors(wide_reader *s, const uint8_t *context, size_t n,
                                       uint8_t *symbol)
{
    const symbol_reader r = s->stream;
    const __m128i lowest = _mm_set1_epi32(0x0C080400);
    __m128i all = _mm_setzero_si128();
    uint32_t seen[SSE4_LANES];
    size_t word_at = r.word_at;
    size_t k = 0;
    for (; k + SSE4_LANES <= n && word_at + SSE4_LANES <= r.nwords; k += SSE4_LANES) {
        __m128i *at = (__m128i *)(void *)states_after(s, k);
        const __m128i entry = step_sse4(&r, &word_at, at, context + k);
        store_u32(symbol + k, (uint32_t)_mm_cvtsi128_si32(_mm_shuffle_epi8(entry, lowest)));
        all = _mm_or_si128(all, entry);
    }
    s->next = (uint32_t)((s->next + k) % SYMBOLS_WIDE_NSTATES);
    s->stream.word_at = word_at;
    _mm_storeu_si128((__m128i *)(void *)seen, all);
    for (size_t i = 0; i < SSE4_LANES; i++)
        s->stream.seen |= seen[i];
    return k;
}

/* Symbols up to the first whole vector of states, and those of all that follow. */
static size_t get_whole(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol,
                        size_t nlanes)
{
    size_t head = (nlanes - s->next % nlanes) % nlanes;
    head = head < n ? head : n;
    get_plainly(s, context, head, symbol);
    if (n - head < nlanes)
        return head; /* perhaps in the middle of a vector of states */
    return head + (nlanes == AVX2_LANES
                       ? get_avx2_vectors(s, context + head, n - head, symbol + head)
                       : get_sse4_vectors(s, context + head, n - head, symbol + head));
}

static size_t get_vectors(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    switch (bragg_cpu_level()) {
    case CPU_AVX512:
        get_avx512(s, context, n, symbol);
        return n;
    case CPU_AVX2:
        return get_whole(s, context, n, symbol, AVX2_LANES);
    case CPU_SSE4:
        return get_whole(s, context, n, symbol, SSE4_LANES);
    default:
        return 0;
    }
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
    size_t k = 0;
    while (zeros & 1 && n - k >= sizeof(uint64_t) && load_u64(context + k) == 0)
        k += sizeof(uint64_t);
    for (; k < n; k++) {
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
