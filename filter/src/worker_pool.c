/* SPDX-License-Identifier: MIT */
/*
 * A pool belongs to whoever has made it: threads that outlived a call without an owner would go on
 * in a plugin that HDF5 has unloaded.
 */
#include "worker_pool.h"

#include <string.h>

#include "copy_stream.h"
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
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, STACK_NBYTES = 1 << 20 };

/* The items of one call, in its stack; in the list while some have not been begun. */
typedef struct pool_call {
    pool_function *work;
    void *context;
    uint32_t n;
    uint32_t next; /* guarded as the list is */
    struct pool_call *after;
    _Atomic(uint32_t) nleft; /* not done yet */
    int is_done;             /* guarded by the pool's mutex */
    pthread_cond_t done;
} pool_call;

/*
 * Threads wait at a semaphore that counts the items in the list: so each that wakes has one, and
 * does not wait for the others that wake with it.
 */
struct h5bragg_pool {
    sem_t nitems;
    pthread_mutex_t list; /* held for a few instructions */
    pool_call *first;
    pool_call *last;
    pthread_mutex_t mutex; /* of ends of calls */
    pid_t process;         /* whose threads they are: a child has none */
    uint32_t nthreads;
    pthread_t thread[];
};

/* The next item, or NULL if there is none: then the pool is closing. */
static pool_call *take_item(h5bragg_pool *pool, uint32_t *i)
{
    (void)pthread_mutex_lock(&pool->list);
    pool_call *call = pool->first;
    if (call) {
        *i = call->next++;
        if (call->next == call->n)
            pool->first = call->after;
    }
    (void)pthread_mutex_unlock(&pool->list);
    return call;
}

static void end_call(h5bragg_pool *pool, pool_call *call)
{
    (void)pthread_mutex_lock(&pool->mutex);
    call->is_done = 1;
    (void)pthread_cond_signal(&call->done);
    (void)pthread_mutex_unlock(&pool->mutex);
}

static void *start(void *argument)
{
    h5bragg_pool *pool = argument;
    for (;;) {
        uint32_t i = 0;
        while (sem_wait(&pool->nitems) != 0) { /* a signal came in between */
        }
        pool_call *call = take_item(pool, &i);
        if (!call)
            return NULL;
        call->work(call->context, i);
        if (atomic_fetch_sub(&call->nleft, 1) == 1)
            end_call(pool, call);
    }
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
    if (sem_init(&made->nitems, 0, 0) != 0) {
        scratch_give(made);
        return H5BRAGG_NO_MEMORY;
    }
    made->process = getpid();
    (void)pthread_mutex_init(&made->list, NULL); /* these two cannot fail as they are */
    (void)pthread_mutex_init(&made->mutex, NULL);
    make_threads(made, nthreads);
    *pool = made;
    return H5BRAGG_OK;
}

static int is_of_this_process(const h5bragg_pool *pool)
{
    return pool && pool->process == getpid();
}

static void end_threads(h5bragg_pool *pool)
{
    for (uint32_t k = 0; k < pool->nthreads; k++)
        (void)sem_post(&pool->nitems); /* without an item: go */
    for (uint32_t k = 0; k < pool->nthreads; k++)
        (void)pthread_join(pool->thread[k], NULL);
    (void)sem_destroy(&pool->nitems);
    (void)pthread_mutex_destroy(&pool->list);
    (void)pthread_mutex_destroy(&pool->mutex);
}

void h5bragg_pool_free(h5bragg_pool *pool)
{
    if (is_of_this_process(pool))
        end_threads(pool);
    scratch_give(pool);
}

static void append(h5bragg_pool *pool, pool_call *call)
{
    (void)pthread_mutex_lock(&pool->list);
    if (pool->first)
        pool->last->after = call;
    else
        pool->first = call;
    pool->last = call;
    (void)pthread_mutex_unlock(&pool->list);
    for (uint32_t k = 0; k < call->n; k++)
        (void)sem_post(&pool->nitems);
}

void pool_run(h5bragg_pool *pool, pool_function *work, void *context, uint32_t n)
{
    pool_call call = {.work = work, .context = context, .n = n, .nleft = n};
    if (n == 0)
        return;
    if (!is_of_this_process(pool) || pool->nthreads == 0) {
        work_alone(work, context, n);
        return;
    }
    (void)pthread_cond_init(&call.done, NULL);
    append(pool, &call);
    (void)pthread_mutex_lock(&pool->mutex);
    while (!call.is_done)
        (void)pthread_cond_wait(&call.done, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_destroy(&call.done);
}
#endif

enum { PIECE_NBYTES = 1 << 20 };

typedef struct {
    uint8_t *to;
    const uint8_t *from;
    size_t nbytes;
} whole_copy;

static void copy_piece(void *context, uint32_t i)
{
    const whole_copy *all = context;
    const size_t start = (size_t)PIECE_NBYTES * i;
    const size_t left = all->nbytes - start;
    copy_stream(all->to + start, all->from + start, left < PIECE_NBYTES ? left : PIECE_NBYTES);
}

void h5bragg_pool_copy(h5bragg_pool *pool, void *to, const void *from, size_t nbytes)
{
    whole_copy all = {to, from, nbytes};
    pool_run(pool, copy_piece, &all, (uint32_t)((nbytes + PIECE_NBYTES - 1) / PIECE_NBYTES));
}
