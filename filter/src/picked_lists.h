/* SPDX-License-Identifier: MIT */
/* Contexts and lists of picked pixels by AVX2: as those of plain C, see picked.h. */
#ifndef BRAGG_PICKED_LISTS_H
#define BRAGG_PICKED_LISTS_H

#include "picked.h"

void picked_lines_contexts_avx2(const picked_contexts *contexts, const picked_tiles *tiles,
                                uint8_t *context);
uint32_t picked_lines_list_avx2(const uint8_t *symbol, const picked_tiles *tiles, uint32_t ntiles,
                                const picked_lines *to);
uint32_t picked_pixels_list_avx2(const picked_base *base, const picked_places *places,
                                 const picked_lines *lines, const uint8_t *symbol, uint32_t n,
                                 const picked_pixels *to, uint32_t *seen);

#endif
