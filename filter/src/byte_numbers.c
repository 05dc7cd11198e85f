/* SPDX-License-Identifier: MIT */
/* Numbers that are bytes as pairs and raw bits: docs/format.md, "Numbers". */
#include "byte_numbers.h"

#include "cpu_level.h"

enum { AT_ONCE = 16, RAW_NBYTES = 1 /* of each: 5 bits */ };

/* Whether AT_ONCE numbers are their own symbols. */
static int are_direct(const uint8_t *number)
{
    return ((load_u64(number) | load_u64(number + 8)) & 0xF0F0F0F0F0F0F0F0u) == 0;
}

void put_bytes_plain(symbol_writer *s, const number_symbols *numbers, const uint8_t *number,
                     const uint8_t *context, uint32_t n, uint8_t *large)
{
    fast_writer w;
    (void)large;
    if (n == 0 || !fast_writer_open(&w, s, n, RAW_NBYTES * (size_t)n))
        return;
    fast_writer f = w; /* in registers */
    for (uint32_t i = 0; i < n; i += AT_ONCE) {
        const uint32_t m = n - i < AT_ONCE ? n - i : AT_ONCE;
        if (m == AT_ONCE && are_direct(number + i)) {
            for (uint32_t k = i; k < i + AT_ONCE; k++)
                *f.pair++ = (uint16_t)(context[k] << 8 | number[k]);
            continue;
        }
        for (uint32_t k = i; k < i + m; k++) {
            fast_put_number(&f, numbers, context[k], number[k]);
            fast_flush(&f);
        }
    }
    fast_writer_close(&f, s);
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2")))

enum { FLUSHED_AT_ONCE = 8 };

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

/*
 * Most are their own symbols.  Of others symbol and floating-point number begin alike: with
 * the exponent and the two bits behind the leading one.  Their raw bits follow afterwards.
 */
KERNEL static void put_bytes_avx512(symbol_writer *s, const number_symbols *numbers,
                                    const uint8_t *number, const uint8_t *context, uint32_t n,
                                    uint8_t *large)
{
    enum { SHORT_FLOAT = 23 - 2, BIAS = 4 * 127 };
    const __m512i direct = _mm512_set1_epi32(NUMBER_DIRECT);
    fast_writer w;
    uint32_t nlarge = 0;
    if (n == 0 || !fast_writer_open(&w, s, n, RAW_NBYTES * (size_t)n))
        return;
    for (uint32_t i = 0; i < n; i += AT_ONCE) {
        const uint32_t left = n - i;
        const __mmask16 inside = (__mmask16)(left < AT_ONCE ? (1u << left) - 1 : 0xFFFF);
        const __m128i bytes = _mm_maskz_loadu_epi8(inside, number + i);
        const __m512i x = _mm512_cvtepu8_epi32(bytes);
        const __m512i c = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, context + i));
        const __mmask16 is_large = _mm512_cmpge_epu32_mask(x, direct);
        const __m512i begin =
            _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(x)), SHORT_FLOAT);
        const __m512i symbol = _mm512_mask_sub_epi32(x, is_large, begin, _mm512_set1_epi32(BIAS));
        const __m512i pair = _mm512_or_si512(_mm512_slli_epi32(c, 8), symbol);
        _mm256_mask_storeu_epi16(w.pair + i, inside, _mm512_cvtepi32_epi16(pair));
        _mm_storeu_si128((void *)(large + nlarge), _mm_maskz_compress_epi8(is_large, bytes));
        nlarge += (uint32_t)__builtin_popcount(is_large);
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
#endif
    return put_bytes_plain;
}
