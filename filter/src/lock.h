/* SPDX-License-Identifier: MIT */
/* A statically initialised lock for the few things a process shares. */
#ifndef BRAGG_LOCK_H
#define BRAGG_LOCK_H

#if defined(_WIN32)
#include <windows.h>
typedef SRWLOCK bragg_lock;
#define BRAGG_LOCK_INIT SRWLOCK_INIT
static inline void lock_acquire(bragg_lock *lock) { AcquireSRWLockExclusive(lock); }
static inline void lock_release(bragg_lock *lock) { ReleaseSRWLockExclusive(lock); }
static inline void lock_yield(void) { (void)SwitchToThread(); }
#else
#include <pthread.h>
#include <sched.h>
typedef pthread_mutex_t bragg_lock;
#define BRAGG_LOCK_INIT PTHREAD_MUTEX_INITIALIZER
static inline void lock_acquire(bragg_lock *lock) { (void)pthread_mutex_lock(lock); }
static inline void lock_release(bragg_lock *lock) { (void)pthread_mutex_unlock(lock); }
static inline void lock_yield(void) { (void)sched_yield(); }
#endif

#endif
