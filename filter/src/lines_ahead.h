/* SPDX-License-Identifier: MIT */
/*
 * Lines of the cache that will be written soon.
 *
 * Pixels are put down faster than memory takes them, but while tiles are listed and patterns chosen
 * it has little to do.  So loops over tiles ask for some lines each time: for the second cache, as
 * the first is full of tables, and evenly, as many at once would be in the way of what the loops
 * themselves read.
 */
#ifndef BRAGG_LINES_AHEAD_H
#define BRAGG_LINES_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "pixel.h"

/*
 * A quarter of the lines that 16 tiles of pixels of 4 bytes fill.  Without local counts four loops
 * ask for all.  With them three do, and every exact tile asks for as many: what asks is then slow
 * enough for memory, while asks that come faster hold up what the loops themselves read.
 */
enum { AHEAD_LINE_NBYTES = 64, AHEAD_NLINES = 4 };

/* The least that pages have; larger ones are asked for several times. */
enum { AHEAD_PAGE_NBYTES = 4096 };

/* Addresses, as nothing is read or written here; all 0 if there is nothing to ask for. */
typedef struct lines_ahead {
    uintptr_t at;
    uintptr_t end;
} lines_ahead;

/* For the second cache. */
BRAGG_INLINE void lines_ahead_ask_one(uintptr_t at)
{
#if defined(__GNUC__)
    __builtin_prefetch((const void *)at, 0, 2);
#else
    (void)at;
#endif
}

BRAGG_INLINE lines_ahead lines_ahead_of(const void *from, size_t nbytes)
{
    return (lines_ahead){(uintptr_t)from, (uintptr_t)from + nbytes};
}

/*
 * Before the first lines are asked for: asks for one of each page.  Where a page is has to be
 * looked up, and a loop that comes to it first waits for that; asked for at once, several are
 * looked up side by side.
 */
BRAGG_INLINE void lines_ahead_find_pages(const lines_ahead *lines)
{
    for (uintptr_t at = lines->at; at < lines->end; at += AHEAD_PAGE_NBYTES)
        lines_ahead_ask_one(at);
}

/* For loops that have come to 16 tiles more, or to an exact one.  Asks for the next lines, some of
 * which may be behind the last; for none if it is NULL. */
BRAGG_INLINE void lines_ahead_ask(lines_ahead *lines)
{
    if (!lines || lines->at >= lines->end)
        return;
    for (uintptr_t k = 0; k < AHEAD_NLINES; k++)
        lines_ahead_ask_one(lines->at + k * AHEAD_LINE_NBYTES);
    lines->at += AHEAD_NLINES * AHEAD_LINE_NBYTES;
}

#endif
