/* SPDX-License-Identifier: MIT */
/* Rules of sums in pattern rings, of which frames are full: docs/format.md, "Scales and sums". */
#include "sum_rule_simd.h"

uint32_t sum_pattern_rule(uint32_t expected, uint32_t quarters, int8_t scale)
{
    if (expected >= PLAIN_MOST_EXPECTED)
        return PLAIN_NONE;
    const sum_rule rule = sum_rule_of(expected, expected, quarters, scale, 0, 1);
    return plain_rule_of(&rule);
}

#if defined(BRAGG_X86_64)
SUM_KERNEL static void pattern_rules_avx512(const uint32_t *expected, uint32_t n, uint32_t quarters,
                                            uint32_t *rule)
{
    for (uint32_t k = 0; k < n; k += 16) {
        const __mmask16 inside = (__mmask16)(n - k < 16 ? (1u << (n - k)) - 1 : 0xFFFF);
        const __m512i e = _mm512_maskz_loadu_epi32(inside, expected + k);
        _mm512_mask_storeu_epi32(rule + k, inside, pattern_rules(e, quarters));
    }
}
#endif

void sum_pattern_rules(cpu_level level, const uint32_t *expected, uint32_t n, uint32_t quarters,
                       uint32_t *rule)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512) {
        pattern_rules_avx512(expected, n, quarters, rule);
        return;
    }
#endif
    (void)level;
    for (uint32_t k = 0; k < n; k++)
        rule[k] = sum_pattern_rule(expected[k], quarters, 0);
}
