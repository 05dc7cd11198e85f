/* SPDX-License-Identifier: MIT */
/*
 * Locks for the few things a process shares.
 *
 * They are here, and not beside what they guard, because of fork(): the child has a copy of every
 * lock and none of the threads that held one.  So whoever forks waits until it has all locks, and
 * parent and child let go of them (lock.c).
 */
#ifndef BRAGG_LOCK_H
#define BRAGG_LOCK_H

#include <stdint.h>

/* The outermost first: whoever holds one takes only later ones. */
typedef enum bragg_lock {
    LOCK_ENCODER_HOOK,
    LOCK_GEOMETRIES,
    LOCK_RING_MAPS,
    LOCK_PATTERN_BOOKS,
    LOCK_PERMUTATIONS,
    LOCK_LEVELS,
    LOCK_COUNT
} bragg_lock;

void lock_acquire(bragg_lock lock);
void lock_release(bragg_lock lock);

/* Locks that are held for a few instructions, so whoever finds one taken spins; the innermost. */
enum { SPIN_COUNT = 256 };

void spin_acquire(uint32_t number);
void spin_release(uint32_t number);

#endif
