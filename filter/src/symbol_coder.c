/* SPDX-License-Identifier: MIT */
/*
 * Symbols are coded last to first, so that they are read first to last: for a symbol of frequency f
 * the low word of a state x >= f * 2^21 is put out, then x = floor(x / f) * 2048 + x mod f + C.
 */
#include "symbol_coder.h"

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

enum { RECIPROCAL_BITS = 43 };

void coding_tables_set(coding_tables *tables, uint32_t context, const uint16_t *frequency,
                       uint32_t nsymbols)
{
    coding_entry *entry = tables->entry + (size_t)context * CODING_NSYMBOLS;
    uint32_t *step = tables->step + (size_t)context * CODING_NSYMBOLS;
    uint32_t start = 0;
    for (uint32_t symbol = 0; symbol < nsymbols; symbol++) {
        const uint32_t f = frequency[symbol];
        if (f == 0)
            continue;
        const uint32_t complement = SYMBOLS_TOTAL - f;
        entry[symbol] = (coding_entry){(((uint64_t)1 << RECIPROCAL_BITS) + f - 1) / f,
                                       (uint32_t)(((uint64_t)f << 21) - 1), (uint16_t)complement,
                                       (uint16_t)start};
        step[symbol] = complement | start << 16;
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

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

enum { LANES = 16 };

/*
 * floor(y / f), y < f * 2^21: too small by less than one, then put right.  The division does not
 * wait for y, and so not for the symbol before.
 */
KERNEL BRAGG_INLINE __m512i divide(__m512i y, __m512i f)
{
    const __m512 below_one = _mm512_set1_ps(1.0f - 0x1p-22f); /* more than three roundings */
    const __m512 reciprocal = _mm512_div_ps(below_one, _mm512_cvtepi32_ps(f));
    const __m512i q = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(y), reciprocal));
    const __m512i rest = _mm512_sub_epi32(y, _mm512_mullo_epi32(q, f));
    return _mm512_mask_add_epi32(q, _mm512_cmpge_epu32_mask(rest, f), q, _mm512_set1_epi32(1));
}

/* Of four symbols. */
KERNEL BRAGG_INLINE __m128i load_4_steps(const uint32_t *step, const uint16_t *pair)
{
    __m128i four = _mm_cvtsi32_si128((int)step[pair[0]]);
    four = _mm_insert_epi32(four, (int)step[pair[1]], 1);
    four = _mm_insert_epi32(four, (int)step[pair[2]], 2);
    return _mm_insert_epi32(four, (int)step[pair[3]], 3);
}

/* As look_up_16, by indices in memory. */
KERNEL BRAGG_INLINE __m512i steps_of(const uint32_t *step, const uint16_t *pair)
{
    if (!bragg_gathers_are_slow()) {
        const __m256i index = _mm256_loadu_si256((const __m256i *)(const void *)pair);
        return _mm512_i32gather_epi32(_mm512_cvtepu16_epi32(index), (const void *)step, 4);
    }
    const __m128i part0 = load_4_steps(step, pair);
    const __m128i part2 = load_4_steps(step, pair + 8);
    const __m256i low =
        _mm256_inserti128_si256(_mm256_castsi128_si256(part0), load_4_steps(step, pair + 4), 1);
    const __m256i high =
        _mm256_inserti128_si256(_mm256_castsi128_si256(part2), load_4_steps(step, pair + 12), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/*
 * Codes sixteen symbols, each into a state of its own.  Words go below `top`, the first lowest;
 * the store clears what lies below them, down to the place of the first pair.
 */
KERNEL BRAGG_INLINE uint16_t *code_lanes(const uint32_t *step, const uint16_t *pair, __m512i *x,
                                         uint16_t *top)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i e = steps_of(step, pair);
    const __m512i complement = _mm512_and_si512(e, _mm512_set1_epi32(0xFFFF));
    const __m512i f = _mm512_sub_epi32(_mm512_set1_epi32(SYMBOLS_TOTAL), complement);
    const __m512i most = _mm512_sub_epi32(_mm512_slli_epi32(f, 21), _mm512_set1_epi32(1));
    const __mmask16 full = _mm512_cmpgt_epu32_mask(*x, most);
    const int n = __builtin_popcount(full);
    const __m512i words = _mm512_maskz_compress_epi32(full, *x);
    const __m512i last =
        _mm512_permutexvar_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(n)), words);
    _mm256_storeu_si256((__m256i *)(void *)(top - LANES), _mm512_cvtepi32_epi16(last));
    const __m512i y = _mm512_mask_srli_epi32(*x, full, *x, 16);
    const __m512i added = _mm512_add_epi32(y, _mm512_srli_epi32(e, 16));
    *x = _mm512_add_epi32(added, _mm512_mullo_epi32(divide(y, f), complement));
    return top - n;
}

/* Codes pairs [0, n), n divisible by 32. */
KERNEL static uint16_t *code_avx512(const uint32_t *step, const uint16_t *pair, size_t n,
                                    uint32_t *state, uint16_t *top)
{
    __m512i x0 = _mm512_loadu_si512(state);
    __m512i x1 = _mm512_loadu_si512(state + LANES);
    for (size_t i = n; i; i -= SYMBOLS_WIDE_NSTATES) {
        top = code_lanes(step, pair + i - LANES, &x1, top);
        top = code_lanes(step, pair + i - SYMBOLS_WIDE_NSTATES, &x0, top);
    }
    _mm512_storeu_si512(state, x0);
    _mm512_storeu_si512(state + LANES, x1);
    return top;
}

const uint16_t *pairs_code(const coding_tables *tables, uint16_t *pair, size_t n, uint32_t *state,
                           uint32_t nstates)
{
    if (nstates != SYMBOLS_WIDE_NSTATES || bragg_cpu_level() != CPU_AVX512)
        return pairs_code_plain(tables, pair, n, state, nstates);
    const size_t stop = n - n % SYMBOLS_WIDE_NSTATES;
    start_states(state, nstates);
    uint16_t *top = code_each(tables->entry, pair, stop, n, state, SYMBOLS_WIDE_NSTATES, pair + n);
    return code_avx512(tables->step, pair, stop, state, top);
}
#else
const uint16_t *pairs_code(const coding_tables *tables, uint16_t *pair, size_t n, uint32_t *state,
                           uint32_t nstates)
{
    return pairs_code_plain(tables, pair, n, state, nstates);
}
#endif
