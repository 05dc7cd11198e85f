/* SPDX-License-Identifier: MIT */
/* Indices for byte shuffles by bits of eight lanes. */
#include "lane_tables.h"

#if defined(BRAGG_X86_64)
#define BIT(b, k) ((uint64_t)((b) >> (k)&1))

/* How many of the lanes up to k are chosen, for the lanes behind. */
#define BEFORE1(b) (BIT(b, 0) * UINT64_C(0x0101010101010100))
#define BEFORE2(b) (BEFORE1(b) + BIT(b, 1) * UINT64_C(0x0101010101010000))
#define BEFORE3(b) (BEFORE2(b) + BIT(b, 2) * UINT64_C(0x0101010101000000))
#define BEFORE4(b) (BEFORE3(b) + BIT(b, 3) * UINT64_C(0x0101010100000000))
#define BEFORE5(b) (BEFORE4(b) + BIT(b, 4) * UINT64_C(0x0101010000000000))
#define BEFORE6(b) (BEFORE5(b) + BIT(b, 5) * UINT64_C(0x0101000000000000))
#define BEFORE7(b) (BEFORE6(b) + BIT(b, 6) * UINT64_C(0x0100000000000000))

/* Chosen lanes from k on: lane k goes before those behind it. */
#define FROM7(b) (BIT(b, 7) * 7)
#define FROM6(b) (FROM7(b) << 8 * BIT(b, 6) | BIT(b, 6) * 6)
#define FROM5(b) (FROM6(b) << 8 * BIT(b, 5) | BIT(b, 5) * 5)
#define FROM4(b) (FROM5(b) << 8 * BIT(b, 4) | BIT(b, 4) * 4)
#define FROM3(b) (FROM4(b) << 8 * BIT(b, 3) | BIT(b, 3) * 3)
#define FROM2(b) (FROM3(b) << 8 * BIT(b, 2) | BIT(b, 2) * 2)
#define FROM1(b) (FROM2(b) << 8 * BIT(b, 1) | BIT(b, 1) * 1)
#define FROM0(b) (FROM1(b) << 8 * BIT(b, 0))

/* Chosen lanes up to k, at the upper end: lane k goes behind those before it. */
#define UP_TO1(b) (BIT(b, 1) << 56)
#define UP_TO2(b) (UP_TO1(b) >> 8 * BIT(b, 2) | BIT(b, 2) * 2 << 56)
#define UP_TO3(b) (UP_TO2(b) >> 8 * BIT(b, 3) | BIT(b, 3) * 3 << 56)
#define UP_TO4(b) (UP_TO3(b) >> 8 * BIT(b, 4) | BIT(b, 4) * 4 << 56)
#define UP_TO5(b) (UP_TO4(b) >> 8 * BIT(b, 5) | BIT(b, 5) * 5 << 56)
#define UP_TO6(b) (UP_TO5(b) >> 8 * BIT(b, 6) | BIT(b, 6) * 6 << 56)
#define UP_TO7(b) (UP_TO6(b) >> 8 * BIT(b, 7) | BIT(b, 7) * 7 << 56)

#define OF_4(of, b) of(b), of(b + 1), of(b + 2), of(b + 3)
#define OF_16(of, b) OF_4(of, b), OF_4(of, b + 4), OF_4(of, b + 8), OF_4(of, b + 12)
#define OF_64(of, b) OF_16(of, b), OF_16(of, b + 16), OF_16(of, b + 32), OF_16(of, b + 48)
#define OF_256(of) OF_64(of, 0), OF_64(of, 64), OF_64(of, 128), OF_64(of, 192)

const uint64_t LANES_BEFORE[256] = {OF_256(BEFORE7)};
const uint64_t LANES_CHOSEN[256] = {OF_256(FROM0)};
const uint64_t LANES_CHOSEN_LAST[256] = {OF_256(UP_TO7)};
#endif
