/* SPDX-License-Identifier: MIT */
/* A process that is forked while other threads encode and decode can do so itself: no lock that
 * one of them held at that moment stays locked in the child, where that thread does not exist. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "use_everything.h"

/* Without the locks' handlers a child hangs within a few forks; an emulator takes long for each. */
enum { NTHREADS = 3, LEAST_NFORKS = 6, MOST_NFORKS = 60, ENOUGH_S = 3, MOST_S = 60 };

static atomic_int is_over;

static void *work(void *argument)
{
    unsigned state = *(const unsigned *)argument;
    while (!atomic_load(&is_over))
        use_everything(&state);
    return NULL;
}

/* A child that waits for a lock is ended by its alarm. */
static int run_child(unsigned state)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)alarm(MOST_S);
        for (int k = 0; k < 4; k++)
            use_everything(&state);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void)
{
    pthread_t thread[NTHREADS];
    unsigned seed[NTHREADS];
    for (unsigned k = 0; k < NTHREADS; k++) {
        seed[k] = k;
        CHECK(pthread_create(&thread[k], NULL, work, &seed[k]) == 0);
    }
    const time_t start = time(NULL);
    for (unsigned k = 0; k < MOST_NFORKS; k++) {
        if (k >= LEAST_NFORKS && time(NULL) - start > ENOUGH_S)
            break;
        CHECK(run_child(1000 + k));
    }
    atomic_store(&is_over, 1);
    for (unsigned k = 0; k < NTHREADS; k++)
        CHECK(pthread_join(thread[k], NULL) == 0);
    return 0;
}
