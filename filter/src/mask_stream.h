/* SPDX-License-Identifier: MIT */
/* What writing and reading the runs of a mask share: docs/format.md, "Mask". */
#ifndef BRAGG_MASK_STREAM_H
#define BRAGG_MASK_STREAM_H

#include "symbols.h"

enum { GAP_CONTEXT, LENGTH_CONTEXT, NUMBER_CONTEXT, NCONTEXTS };
/* Added to the code number of runs that the rows below do not take over. */
enum { ONE_ROW = 4, NUMBERS = 3 };

#endif
