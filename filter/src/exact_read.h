/* SPDX-License-Identifier: MIT */
/* Values of exact tiles: what plain C and vectors share. */
#ifndef BRAGG_EXACT_READ_H
#define BRAGG_EXACT_READ_H

#include "exact_stream.h"

/* The values of any tile; returns where the symbols of the next are. */
const uint8_t *exact_restore(symbol_reader *s, const exact_rule *rule, const uint8_t *symbol,
                             exact_tile *tile);

/*
 * Reads the values of tiles of a counting frame by AVX-512, up to one that has pixels that are not
 * valid, or to where the words of the stream might not be enough; returns how many.
 */
uint32_t exact_read_avx512(exact_reader *r, const uint32_t *place, const exact_rule *const *rule,
                           exact_tile *tile, uint32_t ntiles);

#endif
