/* SPDX-License-Identifier: MIT */
/* Copying what this processor will not look at soon. */
#ifndef H5BRAGG_COPY_STREAM_H
#define H5BRAGG_COPY_STREAM_H

#include <stddef.h>

/*
 * As memcpy, but past the caches where the processor can: the target is not read before it is
 * written, which saves a third of the memory's time, and what others have in the caches stays.
 */
void copy_stream(void *to, const void *from, size_t nbytes);

#endif
