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
enum { AVX2_LANES = 8, AVX2_NVECTORS = SYMBOLS_WIDE_NSTATES / AVX2_LANES };

#define KERNEL512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,popcnt")))
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

/* Of eight lanes by their bits, how many before each are set, a byte each. */
#define BEFORE1(b) (((b)&1) * UINT64_C(0x0101010101010100))
#define BEFORE2(b) (BEFORE1(b) + ((b) >> 1 & 1) * UINT64_C(0x0101010101010000))
#define BEFORE3(b) (BEFORE2(b) + ((b) >> 2 & 1) * UINT64_C(0x0101010101000000))
#define BEFORE4(b) (BEFORE3(b) + ((b) >> 3 & 1) * UINT64_C(0x0101010100000000))
#define BEFORE5(b) (BEFORE4(b) + ((b) >> 4 & 1) * UINT64_C(0x0101010000000000))
#define BEFORE6(b) (BEFORE5(b) + ((b) >> 5 & 1) * UINT64_C(0x0101000000000000))
#define BEFORE(b) (BEFORE6(b) + ((b) >> 6 & 1) * UINT64_C(0x0100000000000000))
#define BEFORE_4(b) BEFORE(b), BEFORE(b + 1), BEFORE(b + 2), BEFORE(b + 3)
#define BEFORE_16(b) BEFORE_4(b), BEFORE_4(b + 4), BEFORE_4(b + 8), BEFORE_4(b + 12)
#define BEFORE_64(b) BEFORE_16(b), BEFORE_16(b + 16), BEFORE_16(b + 32), BEFORE_16(b + 48)
static const uint64_t LANES_BEFORE[256] = {BEFORE_64(0), BEFORE_64(64), BEFORE_64(128),
                                           BEFORE_64(192)};

/* The lowest bytes of eight lanes. */
KERNEL2 BRAGG_INLINE void store_bytes(uint8_t *to, __m256i lanes)
{
    const __m256i lowest =
        _mm256_set1_epi32(0x0C080400); /* of the four lanes of a half, in each of its lanes */
    const __m256i bytes = _mm256_shuffle_epi8(lanes, lowest);
    store_u32(to, (uint32_t)_mm256_extract_epi32(bytes, 0));
    store_u32(to + 4, (uint32_t)_mm256_extract_epi32(bytes, 4));
}

/* The states whose turn is after k symbols. */
BRAGG_INLINE uint32_t *states_after(wide_reader *s, size_t k)
{
    return s->state + (s->next + k) % SYMBOLS_WIDE_NSTATES;
}

/* Eight symbols and what becomes of their states; `word_at` goes on behind the words they took. */
KERNEL2 BRAGG_INLINE __m256i step_avx2(const uint32_t *table, const uint8_t *words,
                                       const uint8_t *context, __m256i *state, size_t *word_at)
{
    const __m256i low_bits = _mm256_set1_epi32(SYMBOLS_TOTAL - 1);
    const __m256i x = *state;
    const __m256i c = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)context));
    const __m256i slot = _mm256_or_si256(_mm256_slli_epi32(c, SYMBOLS_PROBABILITY_BITS),
                                         _mm256_and_si256(x, low_bits));
    const __m256i entry = look_up_8(table, slot);
    const __m256i frequency = _mm256_srli_epi32(entry, ENTRY_FREQUENCY_BIT);
    const __m256i bias = _mm256_and_si256(_mm256_srli_epi32(entry, 8), low_bits);
    const __m256i next = _mm256_add_epi32(
        _mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, SYMBOLS_PROBABILITY_BITS)), bias);
    const __m256i is_low = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16), _mm256_setzero_si256());
    const uint32_t bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is_low));
    const __m256i word = _mm256_cvtepu16_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)(words + 2 * *word_at)));
    const __m256i from = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)LANES_BEFORE[bits]));
    const __m256i refilled =
        _mm256_or_si256(_mm256_slli_epi32(next, 16), _mm256_permutevar8x32_epi32(word, from));
    *state = _mm256_blendv_epi8(next, refilled, is_low);
    *word_at += (size_t)__builtin_popcount(bits);
    return entry;
}

/* Symbols of whole vectors of states, while there are words for all of one; returns how many. */
KERNEL2 static size_t get_avx2_vectors(wide_reader *s, const uint8_t *context, size_t n,
                                       uint8_t *symbol)
{
    symbol_reader *r = &s->stream;
    const uint32_t *table = r->table;
    const uint8_t *words = r->words;
    __m256i state[AVX2_NVECTORS];
    __m256i seen = _mm256_setzero_si256();
    uint32_t entries[AVX2_LANES];
    size_t word_at = r->word_at;
    size_t k = 0;
    for (size_t v = 0; v < AVX2_NVECTORS; v++)
        state[v] = _mm256_loadu_si256((const __m256i *)(void *)states_after(s, v * AVX2_LANES));
    for (; k + SYMBOLS_WIDE_NSTATES <= n && has_words(r, word_at, SYMBOLS_WIDE_NSTATES);) {
        for (size_t v = 0; v < AVX2_NVECTORS; v++, k += AVX2_LANES) {
            const __m256i entry = step_avx2(table, words, context + k, &state[v], &word_at);
            store_bytes(symbol + k, entry);
            seen = _mm256_or_si256(seen, entry);
        }
    }
    for (size_t v = 0; v < AVX2_NVECTORS; v++)
        _mm256_storeu_si256((__m256i *)(void *)states_after(s, v * AVX2_LANES), state[v]);
    for (; k + AVX2_LANES <= n && has_words(r, word_at, AVX2_LANES); k += AVX2_LANES) {
        __m256i *at = (__m256i *)(void *)states_after(s, k);
        state[0] = _mm256_loadu_si256(at);
        const __m256i entry = step_avx2(table, words, context + k, &state[0], &word_at);
        _mm256_storeu_si256(at, state[0]);
        store_bytes(symbol + k, entry);
        seen = _mm256_or_si256(seen, entry);
    }
    s->next = (uint32_t)((s->next + k) % SYMBOLS_WIDE_NSTATES);
    r->word_at = word_at;
    _mm256_storeu_si256((__m256i *)(void *)entries, seen);
    for (size_t i = 0; i < AVX2_LANES; i++)
        r->seen |= entries[i];
    return k;
}

static size_t get_avx2(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    size_t head = (AVX2_LANES - s->next % AVX2_LANES) % AVX2_LANES; /* up to whole vectors */
    head = head < n ? head : n;
    get_plainly(s, context, head, symbol);
    if (n - head < AVX2_LANES)
        return head; /* perhaps in the middle of a vector of states */
    return head + get_avx2_vectors(s, context + head, n - head, symbol + head);
}

static size_t get_vectors(wide_reader *s, const uint8_t *context, size_t n, uint8_t *symbol)
{
    const cpu_level level = bragg_cpu_level();
    if (level == CPU_AVX512) {
        get_avx512(s, context, n, symbol);
        return n;
    }
    return level == CPU_AVX2 ? get_avx2(s, context, n, symbol) : 0;
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
