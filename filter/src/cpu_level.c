/* SPDX-License-Identifier: MIT */
/*
 * Which instructions this machine has.  The only place that looks at the environment: the choice
 * changes the speed, never a result.
 */
#include "cpu_level.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int machine_has(cpu_level level)
{
#if defined(BRAGG_X86_64)
    __builtin_cpu_init();
    const int sse4 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
    const int avx2 = sse4 && __builtin_cpu_supports("avx2");
    if (level == CPU_SSE4)
        return sse4;
    if (level == CPU_AVX2)
        return avx2;
    if (level == CPU_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
               __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("gfni");
#elif defined(BRAGG_AARCH64)
    if (level == CPU_NEON)
        return 1;
#endif
    return level == CPU_SCALAR;
}

static cpu_level find_level(void)
{
    static const char *const NAMES[] = {"scalar", "sse4", "avx2", "avx512", "neon"};
    const char *wanted = getenv("H5BRAGG_SIMD");
    int best = CPU_SCALAR;
    for (int level = CPU_SCALAR; level <= CPU_NEON; level++) {
        if (!machine_has((cpu_level)level))
            continue;
        if (wanted && strcmp(wanted, NAMES[level]) == 0)
            return (cpu_level)level;
        best = level;
    }
    return (cpu_level)best;
}

/* Threads that race find the same level. */
cpu_level bragg_cpu_level(void)
{
    static atomic_int known; /* level + 1 */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level == 0) {
        level = (int)find_level() + 1;
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (cpu_level)(level - 1);
}
