/* SPDX-License-Identifier: MIT */
/* How the pixels of a pattern are put in a tile: docs/format.md, "Pattern noise" (Permutations). */
#include "lock.h"
#include "noise_hash.h"
#include "patterns.h"

enum { NPERMUTATIONS = 256, ORDERS = 2 };

typedef uint8_t permutation_table[NPERMUTATIONS][PATTERN_NBYTES];

/* Shifts, mirror images and turns: an arranged tile stays arranged. */
static void fill_symmetries(permutation_table table)
{
    for (uint32_t number = 0; number < NPERMUTATIONS; number++) {
        for (uint32_t p = 0; p < PATTERN_NBYTES; p++) {
            const uint32_t u = (p / 4 + (number >> 3 & 3)) % 4;
            const uint32_t v = (p % 4 + (number >> 5 & 3)) % 4;
            const uint32_t row = number & 1 ? 3 - u : u;
            const uint32_t column = number & 2 ? 3 - v : v;
            table[number][p] = (uint8_t)(number & 4 ? 4 * column + row : 4 * row + column);
        }
    }
}

static void fill_shuffles(permutation_table table)
{
    uint32_t state = 0x2545F491u;
    for (uint32_t b = 0; b < 16; b++) {
        uint8_t q[PATTERN_NBYTES];
        for (uint32_t i = 0; i < PATTERN_NBYTES; i++)
            q[i] = (uint8_t)i;
        for (uint32_t i = PATTERN_NBYTES - 1; i > 0; i--) {
            const uint32_t j = (uint32_t)((uint64_t)next_bits(&state) * (i + 1) >> 32);
            const uint8_t swapped = q[i];
            q[i] = q[j];
            q[j] = swapped;
        }
        for (uint32_t turn = 0; turn < 16; turn++)
            for (uint32_t i = 0; i < PATTERN_NBYTES; i++)
                table[16 * b + turn][i] = q[(i + turn) % PATTERN_NBYTES];
    }
}

const uint8_t (*pattern_permutations(pattern_order order))[PATTERN_NBYTES]
{
    static _Alignas(64) permutation_table tables[ORDERS];
    static atomic_int ready;
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        lock_acquire(LOCK_PERMUTATIONS);
        if (!atomic_load_explicit(&ready, memory_order_relaxed)) {
            fill_shuffles(tables[PATTERNS_SHUFFLED]);
            fill_symmetries(tables[PATTERNS_ARRANGED]);
            atomic_store_explicit(&ready, 1, memory_order_release);
        }
        lock_release(LOCK_PERMUTATIONS);
    }
    return (const uint8_t(*)[PATTERN_NBYTES])tables[order];
}
