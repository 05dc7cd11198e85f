/* SPDX-License-Identifier: MIT */
#include "copy_stream.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>

enum { LINE_NBYTES = 64, LANE_NBYTES = 16 };

/* The target is aligned to lines. */
static void copy_lines(uint8_t *to, const uint8_t *from, size_t nlines)
{
    for (; nlines > 0; nlines--, to += LINE_NBYTES, from += LINE_NBYTES) {
        __m128i lane[LINE_NBYTES / LANE_NBYTES];
        for (int i = 0; i < LINE_NBYTES / LANE_NBYTES; i++)
            lane[i] = _mm_loadu_si128((const __m128i *)(from + LANE_NBYTES * i));
        for (int i = 0; i < LINE_NBYTES / LANE_NBYTES; i++)
            _mm_stream_si128((__m128i *)(to + LANE_NBYTES * i), lane[i]);
    }
    _mm_sfence();
}

void copy_stream(void *to, const void *from, size_t nbytes)
{
    const size_t before = (size_t)(-(uintptr_t)to % LINE_NBYTES);
    const size_t head = before < nbytes ? before : nbytes;
    memcpy(to, from, head);
    const size_t nlines = (nbytes - head) / LINE_NBYTES;
    uint8_t *target = (uint8_t *)to + head;
    const uint8_t *source = (const uint8_t *)from + head;
    copy_lines(target, source, nlines);
    const size_t done = nlines * LINE_NBYTES;
    memcpy(target + done, source + done, nbytes - head - done);
}

#else

void copy_stream(void *to, const void *from, size_t nbytes) { memcpy(to, from, nbytes); }

#endif
