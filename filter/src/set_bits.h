/* SPDX-License-Identifier: MIT */
/*
 * Which bits of a byte are set: as indices, they move wanted elements of a vector together, where
 * there is no instruction that does so.
 */
#ifndef BRAGG_SET_BITS_H
#define BRAGG_SET_BITS_H

#include <stdint.h>

enum { SET_BITS_N = 256 };

/* Numbers of set bits, a byte each, the first lowest; the bytes above are 0. */
extern const uint64_t SET_BITS[SET_BITS_N];

/* The same, but the last one highest; the bytes below are 0. */
extern const uint64_t SET_BITS_LAST[SET_BITS_N];

#endif
