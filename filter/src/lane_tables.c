/* SPDX-License-Identifier: MIT */
/* Indices for byte shuffles by bits of eight lanes. */
#include "lane_tables.h"

#if defined(BRAGG_X86_64)
#define BEFORE1(b) (((b)&1) * UINT64_C(0x0101010101010100))
#define BEFORE2(b) (BEFORE1(b) + ((b) >> 1 & 1) * UINT64_C(0x0101010101010000))
#define BEFORE3(b) (BEFORE2(b) + ((b) >> 2 & 1) * UINT64_C(0x0101010101000000))
#define BEFORE4(b) (BEFORE3(b) + ((b) >> 3 & 1) * UINT64_C(0x0101010100000000))
#define BEFORE5(b) (BEFORE4(b) + ((b) >> 4 & 1) * UINT64_C(0x0101010000000000))
#define BEFORE6(b) (BEFORE5(b) + ((b) >> 5 & 1) * UINT64_C(0x0101000000000000))
#define BEFORE(b) (BEFORE6(b) + ((b) >> 6 & 1) * UINT64_C(0x0100000000000000))

/* A chosen lane is behind as many as there are before it. */
#define CHOOSE(b, k) (((b) >> (k)&1) * UINT64_C(k) << 8 * (BEFORE(b) >> 8 * (k)&7))
#define CHOSEN(b)                                                                                  \
    (CHOOSE(b, 1) | CHOOSE(b, 2) | CHOOSE(b, 3) | CHOOSE(b, 4) | CHOOSE(b, 5) | CHOOSE(b, 6) |     \
     CHOOSE(b, 7))

#define OF_4(of, b) of(b), of(b + 1), of(b + 2), of(b + 3)
#define OF_16(of, b) OF_4(of, b), OF_4(of, b + 4), OF_4(of, b + 8), OF_4(of, b + 12)
#define OF_64(of, b) OF_16(of, b), OF_16(of, b + 16), OF_16(of, b + 32), OF_16(of, b + 48)
#define OF_256(of) OF_64(of, 0), OF_64(of, 64), OF_64(of, 128), OF_64(of, 192)

const uint64_t BRAGG_LANES_BEFORE[256] = {OF_256(BEFORE)};
const uint64_t BRAGG_LANES_CHOSEN[256] = {OF_256(CHOSEN)};
#endif
