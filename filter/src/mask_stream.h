/* SPDX-License-Identifier: MIT */
/* What writing and reading the rectangles and runs of a mask share: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_STREAM_H
#define BRAGG_MASK_STREAM_H

#include "pixel.h" /* BRAGG_INLINE */
#include "symbols.h"

/* Contexts of rectangles; widths and heights have one for every code number. */
enum { GAP_CONTEXT, CODE_CONTEXT, NCONTEXTS = 8 };
/* Contexts of runs, of version 1; the gaps' is the same. */
enum { LENGTH_CONTEXT = 1, RUN_CODE_CONTEXT, NRUN_CONTEXTS };
/* Added to the code number of runs that the rows below do not take over. */
enum { ONE_ROW = 4, NUMBERS = 3 };

/* A mask has at most 3 codes. */
BRAGG_INLINE uint32_t width_context(uint32_t number) { return 2 * number; }
BRAGG_INLINE uint32_t height_context(uint32_t number) { return 2 * number + 1; }

#endif
