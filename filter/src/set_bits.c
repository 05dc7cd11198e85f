/* SPDX-License-Identifier: MIT */
/* Tables of set bits, from lists of those of half bytes. */
#include "set_bits.h"

/* Sixteen bytes by their lower half, given the list of the upper one, shifted behind nothing. */
#define LISTED(low, nlow, high) (UINT64_C(low) | UINT64_C(high) << 8 * (nlow))
#define BY_LOW_HALF(high)                                                                          \
    LISTED(0, 0, high), LISTED(0, 1, high), LISTED(0x1, 1, high), LISTED(0x100, 2, high),          \
        LISTED(0x2, 1, high), LISTED(0x200, 2, high), LISTED(0x201, 2, high),                      \
        LISTED(0x20100, 3, high), LISTED(0x3, 1, high), LISTED(0x300, 2, high),                    \
        LISTED(0x301, 2, high), LISTED(0x30100, 3, high), LISTED(0x302, 2, high),                  \
        LISTED(0x30200, 3, high), LISTED(0x30201, 3, high), LISTED(0x3020100, 4, high)

const uint64_t SET_BITS[SET_BITS_N] = {
    BY_LOW_HALF(0),     BY_LOW_HALF(0x4),     BY_LOW_HALF(0x5),     BY_LOW_HALF(0x504),
    BY_LOW_HALF(0x6),   BY_LOW_HALF(0x604),   BY_LOW_HALF(0x605),   BY_LOW_HALF(0x60504),
    BY_LOW_HALF(0x7),   BY_LOW_HALF(0x704),   BY_LOW_HALF(0x705),   BY_LOW_HALF(0x70504),
    BY_LOW_HALF(0x706), BY_LOW_HALF(0x70604), BY_LOW_HALF(0x70605), BY_LOW_HALF(0x7060504)};

/* Likewise, the list of the upper half having n bytes at the upper end. */
#define LISTED_LAST(low, nlow, high, n)                                                            \
    (UINT64_C(low) << 8 * (8 - (nlow) - (n)) | UINT64_C(high) << 8 * (4 - (n)) << 32)
#define BY_LOW_HALF_LAST(high, n)                                                                  \
    UINT64_C(high) << 8 * (4 - (n)) << 32, LISTED_LAST(0, 1, high, n),                             \
        LISTED_LAST(0x1, 1, high, n), LISTED_LAST(0x100, 2, high, n),                              \
        LISTED_LAST(0x2, 1, high, n), LISTED_LAST(0x200, 2, high, n),                              \
        LISTED_LAST(0x201, 2, high, n), LISTED_LAST(0x20100, 3, high, n),                          \
        LISTED_LAST(0x3, 1, high, n), LISTED_LAST(0x300, 2, high, n),                              \
        LISTED_LAST(0x301, 2, high, n), LISTED_LAST(0x30100, 3, high, n),                          \
        LISTED_LAST(0x302, 2, high, n), LISTED_LAST(0x30200, 3, high, n),                          \
        LISTED_LAST(0x30201, 3, high, n), LISTED_LAST(0x3020100, 4, high, n)

const uint64_t SET_BITS_LAST[SET_BITS_N] = {
    BY_LOW_HALF_LAST(0, 0),        BY_LOW_HALF_LAST(0x4, 1),     BY_LOW_HALF_LAST(0x5, 1),
    BY_LOW_HALF_LAST(0x504, 2),    BY_LOW_HALF_LAST(0x6, 1),     BY_LOW_HALF_LAST(0x604, 2),
    BY_LOW_HALF_LAST(0x605, 2),    BY_LOW_HALF_LAST(0x60504, 3), BY_LOW_HALF_LAST(0x7, 1),
    BY_LOW_HALF_LAST(0x704, 2),    BY_LOW_HALF_LAST(0x705, 2),   BY_LOW_HALF_LAST(0x70504, 3),
    BY_LOW_HALF_LAST(0x706, 2),    BY_LOW_HALF_LAST(0x70604, 3), BY_LOW_HALF_LAST(0x70605, 3),
    BY_LOW_HALF_LAST(0x7060504, 4)};
