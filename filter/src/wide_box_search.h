/* SPDX-License-Identifier: MIT */
/* Box search for frames whose background does not fit bytes. */
#ifndef BRAGG_WIDE_BOX_SEARCH_H
#define BRAGG_WIDE_BOX_SEARCH_H

#include <math.h>

#include "frame_fit.h"

/*
 * As box_search, on the pixels themselves: what a box holds beyond the background of its own valid
 * pixels is compared with what chance[cell] and peak[cell] are beyond that of nine.
 */
h5bragg_status wide_box_search(frame_source *source, const frame_model *model, const double *chance,
                               const double *peak);

/* What a box must hold beyond its background where it may hold `cut`, whole counts, in all. */
static inline double wide_box_cut(double cut, double expected)
{
    const double npixels = 9;
    return floor(cut) - npixels * expected;
}

#endif
