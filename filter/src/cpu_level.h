/* SPDX-License-Identifier: MIT */
/* Which instructions the kernels may use: chosen once, at run time. */
#ifndef BRAGG_CPU_LEVEL_H
#define BRAGG_CPU_LEVEL_H

#include <stdatomic.h>

/* Architectures that have kernels of their own, where the compiler can make them. */
#if defined(__GNUC__) && defined(__x86_64__)
#define BRAGG_X86_64 1
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__AARCH64EL__)
#define BRAGG_AARCH64 1
#endif

typedef enum cpu_level {
    CPU_SCALAR = 0,
    CPU_SSE4 = 1,   /* SSE 4.1 and SSSE 3 */
    CPU_AVX2 = 2,   /* with SSE 4.2, POPCNT and PCLMULQDQ */
    CPU_AVX512 = 3, /* F, BW, VL, DQ, VBMI, VBMI2, BITALG, VNNI, GFNI, and BMI 1 and 2 */
    CPU_NEON = 4
} cpu_level;

/*
 * The best level of this machine that was compiled in, or the one that the environment variable
 * H5BRAGG_SIMD names (scalar, sse4, avx2, avx512, neon), if the machine has it.  Every level gives
 * the same results; the variable is for tests.  Determined at the first call; safe from any thread.
 */
cpu_level bragg_cpu_level(void);

/* What is known of the machine, 0 before the first call of bragg_cpu_level: see cpu_level.c. */
extern atomic_int bragg_machine;

enum { MACHINE_SLOW_GATHERS = 2 };

/*
 * Whether single loads are faster than gathers, which AMD's processors make of microcode: see
 * look_up_simd.h.  Adding +loads or +gathers to a level in H5BRAGG_SIMD chooses, likewise for tests
 * and timings.  For kernels, which know that the level has been determined.
 */
static inline int bragg_gathers_are_slow(void)
{
    return (atomic_load_explicit(&bragg_machine, memory_order_relaxed) & MACHINE_SLOW_GATHERS) != 0;
}

#endif
