/* SPDX-License-Identifier: MIT */
/* Threads that work through the items of whoever calls, first come, first served. */
#ifndef BRAGG_WORKER_POOL_H
#define BRAGG_WORKER_POOL_H

#include "h5bragg.h"

/* Works on item number i. */
typedef void pool_function(void *context, uint32_t i);

/*
 * Calls work(context, i) for i = 0 to n - 1, in any order, in the pool's threads; returns when all
 * is done.  Many threads may call at the same time.  Without a pool, or one that has no threads,
 * this thread does it.
 */
void pool_run(h5bragg_pool *pool, pool_function *work, void *context, uint32_t n);

#endif
