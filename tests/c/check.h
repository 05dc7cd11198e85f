/* SPDX-License-Identifier: MIT */
/* The one assertion of the C tests: says where it failed and ends the program with status 1. */
#ifndef BRAGG_CHECK_H
#define BRAGG_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* A small generator for test data, the same everywhere. */
static inline unsigned random_bits(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
