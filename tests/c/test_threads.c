/* SPDX-License-Identifier: MIT */
/* Threads that register, encode, inspect, unpack and decode at the same time, with more geometries
 * than the map cache holds, get the right frames.  CI runs this under ThreadSanitizer. */
#include <pthread.h>

#include "use_everything.h"

enum { NTHREADS = 4, NROUNDS = 30 };

static void *work(void *argument)
{
    unsigned state = *(const unsigned *)argument;
    for (int k = 0; k < NROUNDS; k++)
        use_everything(&state);
    return NULL;
}

int main(void)
{
    pthread_t thread[NTHREADS];
    unsigned seed[NTHREADS];
    for (unsigned k = 0; k < NTHREADS; k++) {
        seed[k] = k;
        CHECK(pthread_create(&thread[k], NULL, work, &seed[k]) == 0);
    }
    for (unsigned k = 0; k < NTHREADS; k++)
        CHECK(pthread_join(thread[k], NULL) == 0);
    return 0;
}
