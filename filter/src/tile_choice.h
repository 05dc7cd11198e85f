/* SPDX-License-Identifier: MIT */
/* Which tiles are kept exactly: the encoder's choice (docs/format.md, "Kept flags"). */
#ifndef BRAGG_TILE_CHOICE_H
#define BRAGG_TILE_CHOICE_H

#include "frame_fit.h"

/* Sets source->kept and source->calm for a model whose ranges are known. */
h5bragg_status tile_choice(frame_source *source, const frame_model *model);

/* Keeps what ranges that have changed since demand. */
h5bragg_status tile_choice_update(frame_source *source, const frame_model *model);

/*
 * What kernels elsewhere need to choose the tiles of this model: rule[ncells + 1], the last for
 * blank tiles; those members of within_counts are the caller's to fill in.  *is_wide: boxes do not
 * fit in bytes.
 */
h5bragg_status tile_choice_rules(const frame_source *source, const frame_model *model,
                                 h5bragg_cell_rule *rule, int *is_wide);

#endif
