/* SPDX-License-Identifier: MIT */
/* Numbers that are bytes as pairs and raw bits: docs/format.md, "Numbers". */
#include "byte_numbers.h"

#include "cpu_level.h"
#include "lane_tables.h"

enum { AT_ONCE = 16, FLUSHED_AT_ONCE = 8, RAW_NBYTES = 1 /* of each: 5 bits */ };

/* Whether AT_ONCE numbers are their own symbols. */
static int are_direct(const uint8_t *number)
{
    return ((load_u64(number) | load_u64(number + 8)) & 0xF0F0F0F0F0F0F0F0u) == 0;
}

/*
 * The symbol of a byte: itself, or for large ones 4 e + (x >> (e - 2) & 3), e being the exponent.
 * That is a line for every exponent, from each to the next less steep: the least of all lines.
 */
static inline uint8_t symbol_of(uint8_t x)
{
    uint8_t least = x;
    for (uint32_t e = 4; e < 8; e++) {
        const uint8_t line = (uint8_t)(4 * e - 4 + ((uint32_t)x >> (e - 2)));
        least = line < least ? line : least;
    }
    return least;
}

static void list_pairs(const uint8_t *restrict number, const uint8_t *restrict context, uint32_t n,
                       uint16_t *restrict pair)
{
    for (uint32_t k = 0; k < n; k++)
        pair[k] = (uint16_t)(context[k] << 8 | symbol_of(number[k]));
}

/* Returns how many numbers have raw bits, and lists them. */
static uint32_t list_large(const uint8_t *restrict number, uint32_t n, uint8_t *restrict large)
{
    uint32_t nlarge = 0;
    for (uint32_t i = 0; i < n; i += AT_ONCE) {
        const uint32_t m = n - i < AT_ONCE ? n - i : AT_ONCE;
        if (m == AT_ONCE && are_direct(number + i))
            continue;
        for (uint32_t k = i; k < i + m; k++) {
            large[nlarge] = number[k];
            nlarge += number[k] >= NUMBER_DIRECT;
        }
    }
    return nlarge;
}

/* Raw bits of n numbers that have some. */
static void put_raw(fast_writer *w, const number_symbols *numbers, const uint8_t *number,
                    uint32_t n)
{
    fast_writer f = *w;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t x = number[k];
        const uint32_t nbits = numbers->code[x] >> 8;
        f.buffer |= (uint64_t)(x & ((1u << nbits) - 1)) << f.nbits;
        f.nbits += nbits;
        if (k % FLUSHED_AT_ONCE == FLUSHED_AT_ONCE - 1)
            fast_flush(&f);
    }
    fast_flush(&f);
    *w = f;
}

void put_bytes_plain(symbol_writer *s, const number_symbols *numbers, const uint8_t *number,
                     const uint8_t *context, uint32_t n, uint8_t *large)
{
    fast_writer w;
    if (n == 0 || !fast_writer_open(&w, s, n, RAW_NBYTES * (size_t)n))
        return;
    list_pairs(number, context, n, w.pair);
    w.pair += n;
    put_raw(&w, numbers, large, list_large(number, n, large));
    fast_writer_close(&w, s);
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL2 __attribute__((target("avx2,popcnt")))

enum { VECTOR2_NBYTES = 32 };

/* See symbol_of. */
KERNEL2 BRAGG_INLINE __m256i symbols_of(__m256i x)
{
    __m256i least = x;
    for (int e = 4; e < 8; e++) {
        const __m256i steps = _mm256_and_si256(_mm256_srli_epi16(x, e - 2),
                                               _mm256_set1_epi8((char)(0xFF >> (e - 2))));
        least = _mm256_min_epu8(least, _mm256_add_epi8(steps, _mm256_set1_epi8((char)(4 * e - 4))));
    }
    return least;
}

/* Adds those of 32 numbers to a list whose bits are set; returns how many. */
KERNEL2 BRAGG_INLINE uint32_t list_numbers(const uint8_t *number, uint32_t bits, uint8_t *to)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < VECTOR2_NBYTES; k += 8) {
        const uint32_t wanted = bits >> k & 0xFF;
        collect_8(to + n, _mm_loadl_epi64((const void *)(number + k)), wanted);
        n += (uint32_t)__builtin_popcount(wanted);
    }
    return n;
}

/* Raw bits follow afterwards.  What is behind whole vectors is put in plain C. */
KERNEL2 static void put_bytes_avx2(symbol_writer *s, const number_symbols *numbers,
                                   const uint8_t *number, const uint8_t *context, uint32_t n,
                                   uint8_t *large)
{
    fast_writer w;
    uint32_t nlarge = 0;
    uint32_t i = 0;
    if (n == 0 || !fast_writer_open(&w, s, n, RAW_NBYTES * (size_t)n))
        return;
    for (; i + VECTOR2_NBYTES <= n; i += VECTOR2_NBYTES) {
        const __m256i x = _mm256_loadu_si256((const void *)(number + i));
        const __m256i c = _mm256_loadu_si256((const void *)(context + i));
        const __m256i symbol = symbols_of(x);
        const __m256i low = _mm256_unpacklo_epi8(symbol, c);
        const __m256i high = _mm256_unpackhi_epi8(symbol, c);
        const __m256i are_direct =
            _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(NUMBER_DIRECT - 1)), x);
        const uint32_t is_large = ~(uint32_t)_mm256_movemask_epi8(are_direct);
        _mm256_storeu_si256((void *)(w.pair + i), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((void *)(w.pair + i + VECTOR2_NBYTES / 2),
                            _mm256_permute2x128_si256(low, high, 0x31));
        if (is_large)
            nlarge += list_numbers(number + i, is_large, large + nlarge);
    }
    list_pairs(number + i, context + i, n - i, w.pair + i);
    nlarge += list_large(number + i, n - i, large + nlarge);
    w.pair += n;
    put_raw(&w, numbers, large, nlarge);
    fast_writer_close(&w, s);
}

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt")))

enum { VECTOR_NBYTES = 64 };

/* Of x / 4 the symbol of a byte x that has raw bits: with its exponent and the two bits behind the
 * leading one. */
static const uint8_t LARGE_SYMBOL[64] = {
    0,  0,  0,  0,  16, 17, 18, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 24, 25, 25,
    25, 25, 26, 26, 26, 26, 27, 27, 27, 27, 28, 28, 28, 28, 28, 28, 28, 28, 29, 29, 29, 29,
    29, 29, 29, 29, 30, 30, 30, 30, 30, 30, 30, 30, 31, 31, 31, 31, 31, 31, 31, 31};

KERNEL BRAGG_INLINE void store_pairs(uint16_t *pair, __m256i context, __m256i symbol)
{
    const __m512i high = _mm512_slli_epi16(_mm512_cvtepu8_epi16(context), 8);
    _mm512_storeu_si512(pair, _mm512_or_si512(high, _mm512_cvtepu8_epi16(symbol)));
}

/* Most are their own symbols, those of others are looked up.  Raw bits follow afterwards.  Stores
 * are of whole vectors. */
KERNEL static void put_bytes_avx512(symbol_writer *s, const number_symbols *numbers,
                                    const uint8_t *number, const uint8_t *context, uint32_t n,
                                    uint8_t *large)
{
    const __m512i direct = _mm512_set1_epi8(NUMBER_DIRECT);
    const __m512i large_symbol = _mm512_loadu_si512(LARGE_SYMBOL);
    fast_writer w;
    uint32_t nlarge = 0;
    if (n == 0 || !fast_writer_open(&w, s, n + VECTOR_NBYTES, RAW_NBYTES * (size_t)n))
        return;
    for (uint32_t i = 0; i < n; i += VECTOR_NBYTES) {
        const uint32_t left = n - i;
        const __mmask64 inside = left < VECTOR_NBYTES ? ((uint64_t)1 << left) - 1 : UINT64_MAX;
        const __m512i x = _mm512_maskz_loadu_epi8(inside, number + i);
        const __m512i c = _mm512_maskz_loadu_epi8(inside, context + i);
        const __mmask64 is_large = _mm512_cmpge_epu8_mask(x, direct);
        /* Of an index the look-up takes six bits, so that those of the next byte do not matter. */
        const __m512i symbol =
            _mm512_mask_permutexvar_epi8(x, is_large, _mm512_srli_epi16(x, 2), large_symbol);
        store_pairs(w.pair + i, _mm512_castsi512_si256(c), _mm512_castsi512_si256(symbol));
        store_pairs(w.pair + i + VECTOR_NBYTES / 2, _mm512_extracti64x4_epi64(c, 1),
                    _mm512_extracti64x4_epi64(symbol, 1));
        _mm512_storeu_si512(large + nlarge, _mm512_maskz_compress_epi8(is_large, x));
        nlarge += (uint32_t)__builtin_popcountll(is_large);
    }
    w.pair += n;
    put_raw(&w, numbers, large, nlarge);
    fast_writer_close(&w, s);
}
#endif

put_bytes_function *put_bytes_kernel(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return put_bytes_avx512;
    if (bragg_cpu_level() == CPU_AVX2)
        return put_bytes_avx2;
#endif
    return put_bytes_plain;
}
