/* SPDX-License-Identifier: MIT */
/* All locks of the library, and what becomes of them when the process is forked. */
#include "lock.h"

#include <stdatomic.h>

/* On a cache line each: neighbours are taken at the same time. */
typedef struct spin_lock {
    _Alignas(64) atomic_int is_taken;
} spin_lock;

static spin_lock spins[SPIN_COUNT];

#if defined(_WIN32)

#include <windows.h>

/* Zero is SRWLOCK_INIT. */
static SRWLOCK locks[LOCK_COUNT];

void lock_acquire(bragg_lock lock) { AcquireSRWLockExclusive(&locks[lock]); }
void lock_release(bragg_lock lock) { ReleaseSRWLockExclusive(&locks[lock]); }
static void yield(void) { (void)SwitchToThread(); }

#else

#include <pthread.h>
#include <sched.h>

static pthread_mutex_t locks[LOCK_COUNT] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                            PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                            PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

void lock_acquire(bragg_lock lock) { (void)pthread_mutex_lock(&locks[lock]); }
void lock_release(bragg_lock lock) { (void)pthread_mutex_unlock(&locks[lock]); }
static void yield(void) { (void)sched_yield(); }

static void before_fork(void)
{
    for (uint32_t k = 0; k < LOCK_COUNT; k++)
        lock_acquire((bragg_lock)k);
    for (uint32_t k = 0; k < SPIN_COUNT; k++)
        spin_acquire(k);
}

/* In the child this thread is the copy of the one that has the locks. */
static void after_fork(void)
{
    for (uint32_t k = SPIN_COUNT; k-- > 0;)
        spin_release(k);
    for (uint32_t k = LOCK_COUNT; k-- > 0;)
        lock_release((bragg_lock)k);
}

/* When the library is loaded; the C library takes the handlers back when it is unloaded. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

#endif

void spin_acquire(uint32_t number)
{
    while (atomic_exchange_explicit(&spins[number].is_taken, 1, memory_order_acquire))
        yield();
}

void spin_release(uint32_t number)
{
    atomic_store_explicit(&spins[number].is_taken, 0, memory_order_release);
}
