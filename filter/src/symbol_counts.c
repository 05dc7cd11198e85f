/* SPDX-License-Identifier: MIT */
/*
 * Counts symbols for their tables (docs/format.md, "Streams").
 *
 * Adding to counters in memory goes one by one.  Where a few pairs make up much of a stream,
 * vectors count these and leave out the others, which alone are then counted one by one.
 */
#include "symbol_counts.h"

#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

BRAGG_INLINE uint32_t count_kinds(const uint16_t *pair, size_t n)
{
    int16_t largest = 0;
    for (size_t at = 0; at < n; at++) {
        const int16_t symbol = (int16_t)(pair[at] & (CODING_NSYMBOLS - 1));
        largest = symbol > largest ? symbol : largest;
    }
    return (uint32_t)largest + 1;
}

static void clear(symbol_counts *c, uint32_t ncontexts, uint32_t nsymbols)
{
    for (uint32_t k = 0; k < COUNTS_NCOUNTERS; k++) {
        for (uint32_t context = 0; context < ncontexts; context++)
            memset(c->count[k] + (size_t)context * CODING_NSYMBOLS, 0, nsymbols * sizeof(uint32_t));
    }
}

static void count_each(symbol_counts *c, const uint16_t *pair, size_t n)
{
    size_t at = 0;
    for (; at + COUNTS_NCOUNTERS <= n; at += COUNTS_NCOUNTERS) {
        for (uint32_t k = 0; k < COUNTS_NCOUNTERS; k++)
            c->count[k][pair[at + k]]++;
    }
    for (; at < n; at++)
        c->count[0][pair[at]]++;
}

static void add_counters(symbol_counts *c, uint32_t ncontexts, uint32_t nsymbols)
{
    for (uint32_t context = 0; context < ncontexts; context++) {
        const uint32_t first = context * CODING_NSYMBOLS;
        for (uint32_t i = first; i < first + nsymbols; i++) {
            for (uint32_t k = 1; k < COUNTS_NCOUNTERS; k++)
                c->count[0][i] += c->count[k][i];
        }
    }
}

void symbols_count_plain(symbol_counts *c, const uint16_t *pair, size_t n, uint32_t ncontexts,
                         uint32_t nsymbols)
{
    clear(c, ncontexts, nsymbols);
    count_each(c, pair, n);
    add_counters(c, ncontexts, nsymbols);
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2")))

/* A loop that compilers make vectors of. */
KERNEL static uint32_t count_kinds_avx512(const uint16_t *pair, size_t n)
{
    return count_kinds(pair, n);
}

uint32_t symbols_count_kinds(const uint16_t *pair, size_t n)
{
    return bragg_cpu_level() == CPU_AVX512 ? count_kinds_avx512(pair, n) : count_kinds(pair, n);
}

enum { AT_ONCE = 32, NFREQUENT = 4, BLOCK_NPAIRS = 2048, NSAMPLES = 1024 };

/* Pairs, and how often each was found before any other. */
typedef struct frequent_pairs {
    uint16_t pair[NFREQUENT];
    uint32_t count[NFREQUENT];
} frequent_pairs;

/*
 * What is most frequent among samples, from all over the stream, and how many samples that is.
 * Counters are zero before and afterwards.
 */
static uint32_t find_frequent(uint32_t *count, const uint16_t *pair, size_t n, frequent_pairs *f)
{
    const size_t step = n / NSAMPLES;
    uint32_t nfound = 0;
    for (size_t k = 0; k < NSAMPLES; k++)
        count[pair[k * step]]++;
    for (uint32_t i = 0; i < NFREQUENT; i++) {
        uint16_t most = pair[0];
        for (size_t k = 0; k < NSAMPLES; k++)
            most = count[pair[k * step]] > count[most] ? pair[k * step] : most;
        nfound += count[most];
        count[most] = 0;
        f->pair[i] = most;
        f->count[i] = 0;
    }
    for (size_t k = 0; k < NSAMPLES; k++)
        count[pair[k * step]] = 0;
    return nfound;
}

/* Counts frequent pairs among BLOCK_NPAIRS, and lists all others; returns their number. */
KERNEL static size_t count_frequent(const uint16_t *pair, frequent_pairs *f, uint16_t *other)
{
    __m512i frequent[NFREQUENT];
    __m512i count[NFREQUENT];
    size_t nothers = 0;
    for (uint32_t i = 0; i < NFREQUENT; i++) {
        frequent[i] = _mm512_set1_epi16((int16_t)f->pair[i]);
        count[i] = _mm512_setzero_si512();
    }
    for (size_t at = 0; at < BLOCK_NPAIRS; at += AT_ONCE) {
        const __m512i pairs = _mm512_loadu_si512(pair + at);
        __mmask32 left = UINT32_MAX;
        for (uint32_t i = 0; i < NFREQUENT; i++) {
            const __mmask32 equal = _mm512_mask_cmpeq_epi16_mask(left, pairs, frequent[i]);
            count[i] = _mm512_mask_add_epi16(count[i], equal, count[i], _mm512_set1_epi16(1));
            left ^= equal;
        }
        _mm512_storeu_si512(other + nothers, _mm512_maskz_compress_epi16(left, pairs));
        nothers += (size_t)__builtin_popcount(left);
    }
    for (uint32_t i = 0; i < NFREQUENT; i++) {
        const __m512i sums = _mm512_madd_epi16(count[i], _mm512_set1_epi16(1));
        f->count[i] += (uint32_t)_mm512_reduce_add_epi32(sums);
    }
    return nothers;
}

void symbols_count(symbol_counts *c, const uint16_t *pair, size_t n, uint32_t ncontexts,
                   uint32_t nsymbols)
{
    enum { MANY = 16 * BLOCK_NPAIRS, LEAST_SAMPLES = NSAMPLES * 2 / 5 };
    uint16_t other[BLOCK_NPAIRS + AT_ONCE];
    frequent_pairs f;
    size_t at = 0;
    clear(c, ncontexts, nsymbols);
    if (n >= MANY && bragg_cpu_level() == CPU_AVX512 &&
        find_frequent(c->count[0], pair, n, &f) >= LEAST_SAMPLES) {
        for (; at + BLOCK_NPAIRS <= n; at += BLOCK_NPAIRS)
            count_each(c, other, count_frequent(pair + at, &f, other));
        for (uint32_t i = 0; i < NFREQUENT; i++)
            c->count[0][f.pair[i]] += f.count[i];
    }
    count_each(c, pair + at, n - at);
    add_counters(c, ncontexts, nsymbols);
}
#else
uint32_t symbols_count_kinds(const uint16_t *pair, size_t n) { return count_kinds(pair, n); }

void symbols_count(symbol_counts *c, const uint16_t *pair, size_t n, uint32_t ncontexts,
                   uint32_t nsymbols)
{
    symbols_count_plain(c, pair, n, ncontexts, nsymbols);
}
#endif
