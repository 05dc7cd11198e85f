/* SPDX-License-Identifier: MIT */
/*
 * A pool belongs to whoever has made it: threads that outlived a call without an owner would go on
 * in a plugin that HDF5 has unloaded.
 */
#include "worker_pool.h"

#include "scratch.h"

static void work_alone(pool_function *work, void *context, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        work(context, i);
}

#if defined(_WIN32)

/* Nobody has needed more yet. */
struct h5bragg_pool {
    int has_no_threads;
};

h5bragg_status h5bragg_pool_make(uint32_t nthreads, h5bragg_pool **pool)
{
    if (!pool || nthreads == 0)
        return H5BRAGG_BAD_ARGUMENT;
    *pool = scratch_take_zeros(1, sizeof **pool);
    return *pool ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void h5bragg_pool_free(h5bragg_pool *pool) { scratch_give(pool); }

void pool_run(h5bragg_pool *pool, pool_function *work, void *context, uint32_t n)
{
    (void)pool;
    work_alone(work, context, n);
}

#else
#include <pthread.h>

enum { MOST_THREADS = 1024, STACK_NBYTES = 1 << 20 };

/* The items of one call, in its stack; in the list while some have not been begun. */
typedef struct pool_call {
    pool_function *work;
    void *context;
    uint32_t n;
    uint32_t next;
    uint32_t ndone;
    pthread_cond_t is_done;
    struct pool_call *after;
} pool_call;

struct h5bragg_pool {
    pthread_mutex_t mutex; /* guards all that follows, and every call in the list */
    pthread_cond_t has_items;
    pool_call *first;
    pool_call *last;
    int is_closing;
    uint32_t nthreads;
    pthread_t thread[];
};

/* Does one item of the first call, without the mutex meanwhile. */
static void work_on_first(h5bragg_pool *pool)
{
    pool_call *call = pool->first;
    const uint32_t i = call->next++;
    if (call->next == call->n) {
        pool->first = call->after;
        if (!pool->first)
            pool->last = NULL;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    call->work(call->context, i);
    (void)pthread_mutex_lock(&pool->mutex);
    if (++call->ndone == call->n)
        (void)pthread_cond_signal(&call->is_done);
}

static void *start(void *argument)
{
    h5bragg_pool *pool = argument;
    (void)pthread_mutex_lock(&pool->mutex);
    for (;;) {
        if (pool->first)
            work_on_first(pool);
        else if (pool->is_closing)
            break;
        else
            (void)pthread_cond_wait(&pool->has_items, &pool->mutex);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* As many threads as the system gives. */
static void make_threads(h5bragg_pool *pool, uint32_t wanted)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    (void)pthread_attr_setstacksize(&attributes, STACK_NBYTES);
    while (pool->nthreads < wanted &&
           pthread_create(&pool->thread[pool->nthreads], &attributes, start, pool) == 0)
        pool->nthreads++;
    (void)pthread_attr_destroy(&attributes);
}

h5bragg_status h5bragg_pool_make(uint32_t nthreads, h5bragg_pool **pool)
{
    if (!pool || nthreads == 0 || nthreads > MOST_THREADS)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_pool *made = scratch_take_zeros(1, sizeof *made + nthreads * sizeof *made->thread);
    if (!made)
        return H5BRAGG_NO_MEMORY;
    if (pthread_mutex_init(&made->mutex, NULL) != 0) {
        scratch_give(made);
        return H5BRAGG_NO_MEMORY;
    }
    if (pthread_cond_init(&made->has_items, NULL) != 0) {
        (void)pthread_mutex_destroy(&made->mutex);
        scratch_give(made);
        return H5BRAGG_NO_MEMORY;
    }
    make_threads(made, nthreads);
    *pool = made;
    return H5BRAGG_OK;
}

void h5bragg_pool_free(h5bragg_pool *pool)
{
    if (!pool)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    pool->is_closing = 1;
    (void)pthread_cond_broadcast(&pool->has_items);
    (void)pthread_mutex_unlock(&pool->mutex);
    for (uint32_t k = 0; k < pool->nthreads; k++)
        (void)pthread_join(pool->thread[k], NULL);
    (void)pthread_cond_destroy(&pool->has_items);
    (void)pthread_mutex_destroy(&pool->mutex);
    scratch_give(pool);
}

static void append(h5bragg_pool *pool, pool_call *call)
{
    if (pool->last)
        pool->last->after = call;
    else
        pool->first = call;
    pool->last = call;
}

void pool_run(h5bragg_pool *pool, pool_function *work, void *context, uint32_t n)
{
    pool_call call = {.work = work, .context = context, .n = n};
    if (n == 0)
        return;
    if (!pool || pool->nthreads == 0 || pthread_cond_init(&call.is_done, NULL) != 0) {
        work_alone(work, context, n);
        return;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    append(pool, &call);
    for (uint32_t k = 0; k < n && k < pool->nthreads; k++)
        (void)pthread_cond_signal(&pool->has_items);
    while (call.ndone < n)
        (void)pthread_cond_wait(&call.is_done, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_destroy(&call.is_done);
}
#endif
