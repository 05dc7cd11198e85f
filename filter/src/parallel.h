/* SPDX-License-Identifier: MIT */
/* Runs a function over items in a few threads of this call alone. */
#ifndef BRAGG_PARALLEL_H
#define BRAGG_PARALLEL_H

#include <stdint.h>

/* Works on item number i. */
typedef void parallel_function(void *context, uint32_t i);

/*
 * Calls work(context, i) for i = 0 to n - 1, in any order, in this thread and up to nthreads - 1
 * others; returns when all is done.  Threads that cannot be made are done without.
 */
void parallel_run(parallel_function *work, void *context, uint32_t n, uint32_t nthreads);

#endif
