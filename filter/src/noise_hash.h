/* SPDX-License-Identifier: MIT */
/* Random bits: docs/format.md, "Hash". */
#ifndef BRAGG_NOISE_HASH_H
#define BRAGG_NOISE_HASH_H

#include "pixel.h"

/* Mixes a 32-bit counter with both halves of a seed (a multiply-xorshift hash after C. Wellons). */
BRAGG_INLINE uint32_t noise_hash(uint64_t seed, uint32_t counter)
{
    uint32_t x = counter ^ (uint32_t)seed;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x += (uint32_t)(seed >> 32);
    x *= 0x846CA68Bu;
    x ^= x >> 16;
    x *= 0x9E3779B1u;
    x ^= x >> 15;
    return x;
}

/* Steps a state, not 0, to the next (G. Marsaglia's xorshift). */
static inline uint32_t next_bits(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

#endif
