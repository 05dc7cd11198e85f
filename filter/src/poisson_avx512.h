/* SPDX-License-Identifier: MIT */
/* Sums of Poisson probabilities in registers; poisson.c has the plain ones, and what is rare. */
#ifndef BRAGG_POISSON_AVX512_H
#define BRAGG_POISSON_AVX512_H

#include "poisson.h"

#if defined(BRAGG_X86_64)

/* Ranges of cuts, but of means above POISSON_EXACT_LIMIT, which may become anything. */
void poisson_ranges_avx512(const poisson_cuts *cuts, poisson_range *range);

/*
 * As poisson_truncated.  Returns 0 where a sum is beyond `most`: results then mean nothing.
 */
int poisson_truncate_avx512(const poisson_cells *cells, double most, double *truncated,
                            double *variance);

#endif
#endif
