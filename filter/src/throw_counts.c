/* SPDX-License-Identifier: MIT */
/*
 * Where counts are thrown: docs/format.md, "Pattern noise" (Coarse blocks).
 *
 * Each count of a block waits for the bits of the one before, but blocks do not wait for each
 * other: the states of several are stepped side by side, in plain loops that compilers make vectors
 * of.  Blocks that have all their counts go on, and throw them behind their pixels, as a branch for
 * each would cost more.
 */
#include "draw_kernels.h"

#include <string.h>

#include "noise_hash.h"

/* Numbers of open pixels: bits are added up in words, all words alike. */
BRAGG_INLINE void count_open(const throw_blocks *blocks, uint32_t *nopen)
{
    uint8_t n[THROW_NBLOCKS * BLOCK_NROWS];
    for (uint32_t k = 0; k < THROW_NBLOCKS * BLOCK_NROWS; k++) {
        uint64_t x = blocks->open[k];
        x = x - (x >> 1 & UINT64_C(0x5555555555555555));
        x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
        x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
        x += x >> 8;
        x += x >> 16;
        n[k] = (uint8_t)(x + (x >> 32));
    }
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++) {
        const uint8_t *row = n + BLOCK_NROWS * b;
        nopen[b] = (uint32_t)row[0] + row[1] + row[2] + row[3];
    }
}

/* The next count of each block that lacks some: at[] gets which of all counts it is. */
BRAGG_INLINE void step_blocks(const throw_blocks *blocks, const uint32_t *nopen, uint32_t k,
                              uint32_t *state, uint16_t *at)
{
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++) {
        const uint32_t x = next_bits(&state[b]);
        /* 2^-32 of the product, which has 41 bits */
        const uint32_t high = (x >> 8) * nopen[b];
        const uint32_t low = (x & 0xFF) * nopen[b] >> 8;
        const uint32_t pixel = BLOCK_NPIXELS * b + ((high + low) >> 24);
        at[b] = (uint16_t)(k < blocks->n[b] ? pixel : THROW_NBLOCKS * BLOCK_NPIXELS + b);
    }
}

/* Adds one to four counts.  Whole words are taken apart sooner than vectors. */
BRAGG_INLINE void add_four(const uint16_t *at, uint8_t *count)
{
    uint64_t four;
    memcpy(&four, at, sizeof four);
    count[four & 0xFFFF]++;
    count[four >> 16 & 0xFFFF]++;
    count[four >> 32 & 0xFFFF]++;
    count[four >> 48]++;
}

BRAGG_INLINE void throw_all(const throw_blocks *blocks, uint8_t *count)
{
    uint32_t state[THROW_NBLOCKS];
    uint32_t nopen[THROW_NBLOCKS];
    uint32_t most = 0;
    memset(count, 0, THROW_ROOM);
    memcpy(state, blocks->state, sizeof state);
    count_open(blocks, nopen);
    for (uint32_t b = 0; b < THROW_NBLOCKS; b++)
        most = blocks->n[b] > most ? blocks->n[b] : most;
    for (uint32_t k = 0; k < most; k++) {
        uint16_t at[THROW_NBLOCKS];
        step_blocks(blocks, nopen, k, state, at);
        for (uint32_t b = 0; b < THROW_NBLOCKS; b += 4)
            add_four(at + b, count);
    }
}

void throw_counts_plain(const throw_blocks *blocks, uint8_t count[THROW_ROOM])
{
    throw_all(blocks, count);
}

#if defined(BRAGG_X86_64)
/* The same in longer vectors. */
__attribute__((target("avx2"))) void throw_counts_avx2(const throw_blocks *blocks,
                                                       uint8_t count[THROW_ROOM])
{
    throw_all(blocks, count);
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) void
throw_counts_avx512(const throw_blocks *blocks, uint8_t count[THROW_ROOM])
{
    throw_all(blocks, count);
}
#endif
