/* SPDX-License-Identifier: MIT */
/*
 * Memory that every call needs again: buffers of a call are kept for the next one, process-wide.
 *
 * Pages that are new to a process cost more than what the codec does with them: four to ten times
 * as much as copying that memory.  Any thread may take and give; what a call takes it must give
 * back.
 */
#ifndef BRAGG_SCRATCH_H
#define BRAGG_SCRATCH_H

#include <stddef.h>

/* As malloc and calloc, aligned to 64 bytes.  NULL if there is no memory. */
void *scratch_take(size_t nbytes);
void *scratch_take_zeros(size_t n, size_t nbytes);

/* As realloc: NULL if there is no memory, and then the old one stays.  Contents may move. */
void *scratch_grow(void *memory, size_t nbytes);

/* As free; NULL is allowed. */
void scratch_give(void *memory);

/*
 * Lets the process keep so much more, for somebody who works on many frames at a time, and takes
 * that back, as often as it was given.
 */
void scratch_reserve(size_t nbytes);
void scratch_unreserve(size_t nbytes);

#endif
