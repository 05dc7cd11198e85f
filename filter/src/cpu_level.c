/* SPDX-License-Identifier: MIT */
/*
 * Which instructions this machine has.  The only place that looks at the environment: the choice
 * changes the speed, never a result.
 */
#include "cpu_level.h"

#include <stdlib.h>
#include <string.h>

static int machine_has(cpu_level level)
{
#if defined(BRAGG_X86_64)
    __builtin_cpu_init();
    const int sse4 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
    const int avx2 = sse4 && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
                     __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx2");
    if (level == CPU_SSE4)
        return sse4;
    if (level == CPU_AVX2)
        return avx2;
    if (level == CPU_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
               __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vnni") &&
               __builtin_cpu_supports("gfni") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
#elif defined(BRAGG_AARCH64)
    if (level == CPU_NEON)
        return 1;
#endif
    return level == CPU_SCALAR;
}

static int machine_has_slow_gathers(void)
{
#if defined(BRAGG_X86_64)
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0;
#else
    return 0;
#endif
}

/* What the environment asks for, LEVEL or LEVEL+LOOK_UPS. */
typedef struct wish {
    const char *name;
    size_t length; /* of the level */
} wish;

static int is_level(const wish *wanted, const char *level)
{
    return strlen(level) == wanted->length && strncmp(wanted->name, level, wanted->length) == 0;
}

static cpu_level find_level(const wish *wanted)
{
    static const char *const NAMES[] = {"scalar", "sse4", "avx2", "avx512", "neon"};
    int best = CPU_SCALAR;
    for (int level = CPU_SCALAR; level <= CPU_NEON; level++) {
        if (!machine_has((cpu_level)level))
            continue;
        if (is_level(wanted, NAMES[level]))
            return (cpu_level)level;
        best = level;
    }
    return (cpu_level)best;
}

static int wants_loads(const wish *wanted)
{
    const char *look_ups = wanted->name + wanted->length;
    if (strcmp(look_ups, "+loads") == 0)
        return 1;
    return strcmp(look_ups, "+gathers") != 0 && machine_has_slow_gathers();
}

enum { KNOWN = 1, LEVEL_SHIFT = 2 };

atomic_int bragg_machine;

/* Threads that race find the same. */
cpu_level bragg_cpu_level(void)
{
    int machine = atomic_load_explicit(&bragg_machine, memory_order_relaxed);
    if (machine == 0) {
        const char *name = getenv("H5BRAGG_SIMD");
        wish wanted = {.name = name ? name : ""};
        wanted.length = strcspn(wanted.name, "+");
        machine = KNOWN | (wants_loads(&wanted) ? MACHINE_SLOW_GATHERS : 0) |
                  (int)find_level(&wanted) << LEVEL_SHIFT;
        atomic_store_explicit(&bragg_machine, machine, memory_order_relaxed);
    }
    return (cpu_level)(machine >> LEVEL_SHIFT);
}
