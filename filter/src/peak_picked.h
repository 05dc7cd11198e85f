/* SPDX-License-Identifier: MIT */
/* The peaks of a sparse frame without local counts (docs/peaks.md). */
#ifndef BRAGG_PEAK_PICKED_H
#define BRAGG_PEAK_PICKED_H

#include "peak_rules.h"
#include "sparse_frame.h"

/* Adds them to the list; the frame was opened and no row of it read. */
h5bragg_status peak_picked_search(sparse_frame *frame, const peak_rules *rules,
                                  h5bragg_peak_list *list);

#endif
