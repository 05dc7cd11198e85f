/* SPDX-License-Identifier: MIT */
/* Threads that take one item after the other until none is left. */
#include "parallel.h"

#include <stdatomic.h>

/* Small stacks are used again by the next call; large ones are mapped anew, at some cost. */
enum { MOST_THREADS = 64, STACK_NBYTES = 1 << 20 };

typedef struct parallel_work {
    parallel_function *work;
    void *context;
    uint32_t n;
    _Atomic(uint32_t) next;
} parallel_work;

static void work_through(parallel_work *w)
{
    for (uint32_t i; (i = atomic_fetch_add_explicit(&w->next, 1, memory_order_relaxed)) < w->n;)
        w->work(w->context, i);
}

#if defined(_WIN32)

/* Nobody has needed more yet. */
void parallel_run(parallel_function *work, void *context, uint32_t n, uint32_t nthreads)
{
    parallel_work w = {work, context, n, 0};
    (void)nthreads;
    work_through(&w);
}

#else
#include <pthread.h>

static void *start(void *w)
{
    work_through(w);
    return NULL;
}

void parallel_run(parallel_function *work, void *context, uint32_t n, uint32_t nthreads)
{
    parallel_work w = {work, context, n, 0};
    pthread_t thread[MOST_THREADS];
    pthread_attr_t attributes;
    uint32_t nothers = 0;
    nthreads = nthreads < n ? nthreads : n;
    if (nthreads > 1 && pthread_attr_init(&attributes) == 0) {
        (void)pthread_attr_setstacksize(&attributes, STACK_NBYTES);
        while (nothers + 1 < nthreads && nothers < MOST_THREADS &&
               pthread_create(&thread[nothers], &attributes, start, &w) == 0)
            nothers++;
        (void)pthread_attr_destroy(&attributes);
    }
    work_through(&w);
    for (uint32_t k = 0; k < nothers; k++)
        (void)pthread_join(thread[k], NULL);
}
#endif
