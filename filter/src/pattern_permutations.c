/* SPDX-License-Identifier: MIT */
/* How the pixels of a row are put in order: docs/format.md, "Pattern noise" (Permutations). */
#include "lock.h"
#include "noise_hash.h"
#include "patterns.h"

static bragg_lock table_lock = BRAGG_LOCK_INIT;

static void fill_permutations(uint8_t (*table)[PATTERN_NBYTES])
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

const uint8_t (*pattern_permutations(void))[PATTERN_NBYTES]
{
    static _Alignas(64) uint8_t table[256][PATTERN_NBYTES];
    static atomic_int ready;
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        lock_acquire(&table_lock);
        if (!atomic_load_explicit(&ready, memory_order_relaxed)) {
            fill_permutations(table);
            atomic_store_explicit(&ready, 1, memory_order_release);
        }
        lock_release(&table_lock);
    }
    return (const uint8_t(*)[PATTERN_NBYTES])table;
}
