/* SPDX-License-Identifier: MIT */
/*
 * Symbols are coded last to first, so that they are read first to last: for a symbol of frequency f
 * the low word of a state x >= f * 2^21 is put out, then x = floor(x / f) * 2048 + x mod f + C.
 */
#include "symbol_coder.h"

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

enum { RECIPROCAL_BITS = 43 };

static coding_step make_step(uint32_t f, uint32_t start)
{
    const int is_power = (f & (f - 1)) == 0;
    uint32_t shift = floor_log2(f);
    uint32_t more = 0;
    uint32_t reciprocal = (uint32_t)1 << 31;
    if (f == 1) {
        reciprocal = UINT32_MAX;
        more = 1;
    } else if (is_power) {
        shift--;
    } else {
        const uint64_t n = (uint64_t)1 << (32 + shift);
        const uint64_t rest = f - n % f; /* of the reciprocal rounded up, times f */
        more = f * rest >= (uint64_t)1 << (11 + shift);
        reciprocal = (uint32_t)(n / f + !more);
    }
    return (coding_step){reciprocal, start | more << MORE_BIT | shift << SHIFT_BIT |
                                         (SYMBOLS_TOTAL - f) << COMPLEMENT_BIT};
}

void coding_tables_set(coding_tables *tables, uint32_t context, const uint16_t *frequency,
                       uint32_t nsymbols)
{
    coding_entry *entry = tables->entry + (size_t)context * CODING_NSYMBOLS;
    coding_step *step = tables->step + (size_t)context * CODING_NSYMBOLS;
    uint32_t start = 0;
    for (uint32_t symbol = 0; symbol < nsymbols; symbol++) {
        const uint32_t f = frequency[symbol];
        if (f == 0)
            continue;
        const uint32_t complement = SYMBOLS_TOTAL - f;
        entry[symbol] = (coding_entry){(((uint64_t)1 << RECIPROCAL_BITS) + f - 1) / f,
                                       (uint32_t)(((uint64_t)f << 21) - 1), (uint16_t)complement,
                                       (uint16_t)start};
        step[symbol] = make_step(f, start);
        start += f;
    }
}

/* Codes one symbol into state x; a word put out goes below `top`. */
static inline uint16_t *code_symbol(uint32_t *x, const coding_entry *e, uint16_t *top)
{
    const uint32_t full = *x > e->most;
    top[-1] = (uint16_t)*x;
    const uint32_t y = full ? *x >> 16 : *x;
    const uint32_t quotient = (uint32_t)((y * e->reciprocal) >> RECIPROCAL_BITS);
    *x = (y + e->start) + quotient * e->complement; /* the quotient comes last */
    return top - full;
}

/* Codes pairs [0, n), n divisible by 4, whose states x[0] to x[3] stay in registers. */
static uint16_t *code_narrow(const coding_entry *entry, const uint16_t *pair, size_t n, uint32_t *x,
                             uint16_t *top)
{
    uint32_t x0 = x[0];
    uint32_t x1 = x[1];
    uint32_t x2 = x[2];
    uint32_t x3 = x[3];
    for (size_t i = n; i; i -= 4) {
        const coding_entry *e0 = &entry[pair[i - 4]];
        const coding_entry *e1 = &entry[pair[i - 3]];
        const coding_entry *e2 = &entry[pair[i - 2]];
        const coding_entry *e3 = &entry[pair[i - 1]];
        top = code_symbol(&x3, e3, top);
        top = code_symbol(&x2, e2, top);
        top = code_symbol(&x1, e1, top);
        top = code_symbol(&x0, e0, top);
    }
    x[0] = x0;
    x[1] = x1;
    x[2] = x2;
    x[3] = x3;
    return top;
}

/* Codes pairs [stop, n) with any number of states, a constant. */
BRAGG_INLINE uint16_t *code_each(const coding_entry *entry, const uint16_t *pair, size_t stop,
                                 size_t n, uint32_t *state, const uint32_t nstates, uint16_t *top)
{
    for (size_t i = n; i > stop; i--)
        top = code_symbol(&state[(i - 1) % nstates], &entry[pair[i - 1]], top);
    return top;
}

static void start_states(uint32_t *state, uint32_t nstates)
{
    for (uint32_t k = 0; k < nstates; k++)
        state[k] = SYMBOLS_LOWEST_STATE;
}

const uint16_t *pairs_code_plain(const coding_tables *tables, uint16_t *pair, size_t n,
                                 uint32_t *state, uint32_t nstates)
{
    start_states(state, nstates);
    if (nstates == SYMBOLS_WIDE_NSTATES)
        return code_each(tables->entry, pair, 0, n, state, SYMBOLS_WIDE_NSTATES, pair + n);
    const size_t stop = n - n % SYMBOLS_NSTATES;
    uint16_t *top = code_each(tables->entry, pair, stop, n, state, SYMBOLS_NSTATES, pair + n);
    return code_narrow(tables->entry, pair, stop, state, top);
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2")))

enum { LANES = 16, EVEN_LANES = 0x5555 };

/* What a function of three bits is called by: its value for all eight. */
enum { TERNARY_A = 0xF0, TERNARY_C = 0xAA };

/* Steps of sixteen symbols; those of even and odd ones with their reciprocals, low words. */
typedef struct lane_steps {
    __m512i even;
    __m512i odd;
    __m512i packed;
} lane_steps;

/* The steps of pairs 0 and 2. */
KERNEL BRAGG_INLINE __m128i load_2_steps(const coding_step *step, const uint16_t *pair)
{
    const __m128 first = _mm_castsi128_ps(_mm_loadl_epi64((const void *)&step[pair[0]]));
    return _mm_castps_si128(_mm_loadh_pi(first, (const void *)&step[pair[2]]));
}

/* Those of pairs 0, 2, 4 to 14. */
KERNEL BRAGG_INLINE __m512i load_8_steps(const coding_step *step, const uint16_t *pair)
{
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load_2_steps(step, pair)),
                                                load_2_steps(step, pair + 4), 1);
    const __m256i high = _mm256_inserti128_si256(
        _mm256_castsi128_si256(load_2_steps(step, pair + 8)), load_2_steps(step, pair + 12), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* High words of pairs of lanes of either. */
KERNEL BRAGG_INLINE __m512i high_words(__m512i even, __m512i odd)
{
    return _mm512_mask_shuffle_epi32(odd, EVEN_LANES, even, _MM_PERM_CDAB);
}

/* As look_up_16_by, by indices in memory. */
KERNEL BRAGG_INLINE lane_steps steps_of(int by_loads, const coding_step *step, const uint16_t *pair)
{
    const __m256i two = _mm256_loadu_si256((const void *)pair);
    const __m256i first = _mm256_and_si256(two, _mm256_set1_epi32(0xFFFF));
    const __m512i even =
        by_loads ? load_8_steps(step, pair) : _mm512_i32gather_epi64(first, (const void *)step, 8);
    const __m512i odd =
        by_loads ? load_8_steps(step, pair + 1)
                 : _mm512_i32gather_epi64(_mm256_srli_epi32(two, 16), (const void *)step, 8);
    return (lane_steps){even, odd, high_words(even, odd)};
}

/*
 * Codes sixteen symbols, each into a state of its own; *full says which states put out a word.
 * The next sixteen wait for these states: whole numbers give them sooner than floats, whose
 * quotients must be put right.
 */
KERNEL BRAGG_INLINE __m512i code_lanes(const lane_steps *s, __m512i x, __mmask16 *full)
{
    const __m512i below_complement = _mm512_set1_epi32((1 << COMPLEMENT_BIT) - 1);
    const __m512i below_total = _mm512_set1_epi32(SYMBOLS_TOTAL - 1);
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i start = _mm512_and_si512(s->packed, below_total);
    const __m512i complement = _mm512_srli_epi32(s->packed, COMPLEMENT_BIT);
    const __m512i shift =
        _mm512_and_si512(_mm512_srli_epi32(s->packed, SHIFT_BIT), _mm512_set1_epi32(SHIFT_MASK));
    const __mmask16 more = _mm512_test_epi32_mask(s->packed, _mm512_set1_epi32(1 << MORE_BIT));
    /* f * 2^21 - 1 = ~(complement << 21) */
    const __m512i most = _mm512_ternarylogic_epi32(s->packed, s->packed, below_complement,
                                                   (uint8_t)(~TERNARY_A | TERNARY_C));
    *full = _mm512_cmpgt_epu32_mask(x, most);
    const __m512i y = _mm512_mask_srli_epi32(x, *full, x, 16);
    const __m512i divided = _mm512_mask_add_epi32(y, more, y, one);
    const __m512i even = _mm512_mul_epu32(divided, s->even);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(divided, 32), s->odd);
    const __m512i quotient = _mm512_srlv_epi32(high_words(even, odd), shift);
    return _mm512_add_epi32(_mm512_add_epi32(y, start), _mm512_mullo_epi32(quotient, complement));
}

/* Numbers from 0: from number n on, they move n words to the end of a vector. */
static const uint16_t upwards[2 * SYMBOLS_WIDE_NSTATES] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

/*
 * Puts those of 32 words that are wanted below `top`, the first lowest.  The store clears what lies
 * below them, down to the place of the first pair.
 */
KERNEL BRAGG_INLINE uint16_t *put_words(__m512i words, __mmask32 wanted, uint16_t *top)
{
    const uint32_t n = (uint32_t)__builtin_popcount(wanted);
    const __m512i first = _mm512_maskz_compress_epi16(wanted, words);
    const __m512i last = _mm512_permutexvar_epi16(_mm512_loadu_si512(upwards + n), first);
    _mm512_storeu_si512(top - SYMBOLS_WIDE_NSTATES, last);
    return top - n;
}

/*
 * Codes pairs [0, n), n divisible by 32 and not 0.  The steps of the next pairs are loaded before
 * the states of these are known: states are what all waits for, and there is time meanwhile.
 */
KERNEL BRAGG_INLINE uint16_t *code_wide(int by_loads, const coding_step *step, const uint16_t *pair,
                                        size_t n, uint32_t *state, uint16_t *top)
{
    const __m512i low_words = _mm512_slli_epi16(_mm512_loadu_si512(upwards), 1);
    __m512i x0 = _mm512_loadu_si512(state);
    __m512i x1 = _mm512_loadu_si512(state + LANES);
    const uint16_t *at = pair + n - SYMBOLS_WIDE_NSTATES;
    lane_steps s0 = steps_of(by_loads, step, at);
    lane_steps s1 = steps_of(by_loads, step, at + LANES);
    for (size_t left = n; left; left -= SYMBOLS_WIDE_NSTATES) {
        const __m512i words = _mm512_permutex2var_epi16(x0, low_words, x1);
        __mmask16 full0;
        __mmask16 full1;
        at -= left > SYMBOLS_WIDE_NSTATES ? SYMBOLS_WIDE_NSTATES : 0;
        x0 = code_lanes(&s0, x0, &full0);
        s0 = steps_of(by_loads, step, at);
        x1 = code_lanes(&s1, x1, &full1);
        s1 = steps_of(by_loads, step, at + LANES);
        top = put_words(words, _mm512_kunpackw(full1, full0), top);
    }
    _mm512_storeu_si512(state, x0);
    _mm512_storeu_si512(state + LANES, x1);
    return top;
}

KERNEL static uint16_t *code_by_loads(const coding_step *step, const uint16_t *pair, size_t n,
                                      uint32_t *state, uint16_t *top)
{
    return code_wide(1, step, pair, n, state, top);
}

KERNEL static uint16_t *code_by_gathers(const coding_step *step, const uint16_t *pair, size_t n,
                                        uint32_t *state, uint16_t *top)
{
    return code_wide(0, step, pair, n, state, top);
}

/* That of this machine, or NULL. */
static code_wide_function *code_wide_kernel(void)
{
    if (bragg_cpu_level() == CPU_AVX512)
        return bragg_gathers_are_slow() ? code_by_loads : code_by_gathers;
    return bragg_cpu_level() == CPU_AVX2 ? code_wide_avx2() : NULL;
}

const uint16_t *pairs_code(const coding_tables *tables, uint16_t *pair, size_t n, uint32_t *state,
                           uint32_t nstates)
{
    code_wide_function *kernel = nstates == SYMBOLS_WIDE_NSTATES ? code_wide_kernel() : NULL;
    if (!kernel)
        return pairs_code_plain(tables, pair, n, state, nstates);
    const size_t stop = n - n % SYMBOLS_WIDE_NSTATES;
    start_states(state, nstates);
    uint16_t *top = code_each(tables->entry, pair, stop, n, state, SYMBOLS_WIDE_NSTATES, pair + n);
    return stop ? kernel(tables->step, pair, stop, state, top) : top;
}
#else
const uint16_t *pairs_code(const coding_tables *tables, uint16_t *pair, size_t n, uint32_t *state,
                           uint32_t nstates)
{
    return pairs_code_plain(tables, pair, n, state, nstates);
}
#endif
