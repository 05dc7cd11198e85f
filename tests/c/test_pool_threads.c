/* SPDX-License-Identifier: MIT */
/* Many callers share a pool: every item is done once, and no call ends before its items have. */
#include "worker_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "copy_stream.h"

enum { NTHREADS = 3, NCALLERS = 5, NCALLS = 200, MOST_ITEMS = 17 };

static h5bragg_pool *pool;

/* Plain numbers: ThreadSanitizer sees whether the pool orders who writes and who reads them. */
typedef struct items {
    uint32_t ntimes[MOST_ITEMS];
} items;

static void count(void *context, uint32_t i) { ((items *)context)->ntimes[i]++; }

static void check_calls(h5bragg_pool *who, uint32_t ncalls)
{
    for (uint32_t call = 0; call < ncalls; call++) {
        const uint32_t n = call % (MOST_ITEMS + 1);
        items all = {{0}};
        pool_run(who, count, &all, n);
        for (uint32_t i = 0; i < MOST_ITEMS; i++)
            CHECK(all.ntimes[i] == (i < n));
    }
}

static void *call_often(void *unused)
{
    check_calls(pool, NCALLS);
    return unused;
}

static void check_callers(uint32_t nthreads)
{
    pthread_t caller[NCALLERS];
    CHECK(h5bragg_pool_make(nthreads, &pool) == H5BRAGG_OK);
    for (int k = 0; k < NCALLERS; k++)
        CHECK(pthread_create(&caller[k], NULL, call_often, NULL) == 0);
    for (int k = 0; k < NCALLERS; k++)
        CHECK(pthread_join(caller[k], NULL) == 0);
    h5bragg_pool_free(pool);
}

/* Copies are whole, also where the last piece is a byte or nothing is. */
static void check_copies(void)
{
    enum { PIECE = 1 << 20, MOST = 3 * PIECE };
    static const size_t SIZES[] = {0, 1, PIECE - 1, PIECE, PIECE + 1, MOST};
    static uint8_t from[MOST];
    static uint8_t to[MOST + 1];
    CHECK(h5bragg_pool_make(NTHREADS, &pool) == H5BRAGG_OK);
    for (size_t k = 0; k < MOST; k++)
        from[k] = (uint8_t)(k * 2654435761u >> 24);
    for (size_t i = 0; i < 2 * sizeof SIZES / sizeof *SIZES; i++) {
        const size_t nbytes = SIZES[i / 2];
        memset(to, 9, sizeof to);
        h5bragg_pool_copy(i % 2 ? pool : NULL, to, from, nbytes);
        CHECK(memcmp(to, from, nbytes) == 0 && to[nbytes] == 9);
    }
    h5bragg_pool_free(pool);
}

/* Wherever the two begin, and however little it is: what lies around stays. */
static void check_short_copies(void)
{
    enum { LINE = 64, MOST = 5 * LINE, OFFSETS = LINE + 1 };
    uint8_t from[OFFSETS + MOST];
    uint8_t to[OFFSETS + MOST + 1];
    for (size_t k = 0; k < sizeof from; k++)
        from[k] = (uint8_t)(1 + k % 251);
    for (size_t at = 0; at < OFFSETS; at++) {
        for (size_t nbytes = 0; nbytes <= MOST; nbytes++) {
            const uint8_t *source = from + (at * 7 + nbytes) % OFFSETS;
            memset(to, 0, sizeof to);
            copy_stream(to + at, source, nbytes);
            CHECK(memcmp(to + at, source, nbytes) == 0);
            CHECK((at == 0 || to[at - 1] == 0) && to[at + nbytes] == 0);
        }
    }
}

/* A child, which has none of the threads, works for itself, and waits for none when it frees. */
static void check_child(void)
{
    enum { MOST_S = 60, NCHILD_CALLS = 20 };
    int status = 0;
    CHECK(h5bragg_pool_make(NTHREADS, &pool) == H5BRAGG_OK);
    check_calls(pool, 1);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)alarm(MOST_S);
        check_calls(pool, NCHILD_CALLS);
        h5bragg_pool_free(pool);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_calls(pool, NCHILD_CALLS);
    h5bragg_pool_free(pool);
}

/* A status that is not H5BRAGG_OK comes back from among others. */
static void check_jobs(void)
{
    h5bragg_job jobs[3] = {{.is_by_itself = 1}, {.is_by_itself = 0}, {.is_by_itself = 1}};
    CHECK(h5bragg_pool_make(2, &pool) == H5BRAGG_OK);
    CHECK(h5bragg_jobs_model(jobs, 3, pool) == H5BRAGG_BAD_ARGUMENT);
    CHECK(jobs[0].status == H5BRAGG_OK && jobs[1].status == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_jobs_pack(jobs, 3, pool) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_jobs_model(NULL, 3, pool) == H5BRAGG_BAD_ARGUMENT);
    h5bragg_pool_free(pool);
}

int main(void)
{
    check_callers(1);
    check_callers(NTHREADS);
    check_calls(NULL, NCALLS);
    check_jobs();
    check_copies();
    check_short_copies();
    check_child();
    CHECK(h5bragg_pool_make(0, &pool) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_pool_make(1025, &pool) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_pool_make(1, NULL) == H5BRAGG_BAD_ARGUMENT);
    h5bragg_pool_free(NULL);
    return 0;
}
