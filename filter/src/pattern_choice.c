/* SPDX-License-Identifier: MIT */
/* The choice of patterns in plain C, which is the reference, and of its kernels. */
#include "pattern_choice.h"

#include "noise_hash.h"

enum { NO_COUNTS = 0 }; /* where in the rows of full tiles there is a pattern of zeros */

int choice_by_level_from(const pattern_cells *cells, choice_row *r, uint32_t first)
{
    const level_tables tables = level_tables_get();
    int has_all = 1;
    for (uint32_t k = first; k < r->ntx; k++) {
        r->variant[k] = NO_COUNTS;
        if (r->open[k] == 0)
            continue;
        const uint32_t x = cells->level[r->cell[k]][(r->is_odd + k) & 1];
        if (x == CHOICE_NO_PATTERN) {
            r->has_general = 1;
            continue;
        }
        const uint32_t more = noise_hash(r->more_seed, r->first_number + k);
        const uint32_t level = (x + (more & 0xFF)) >> 8;
        const uint32_t r16 = r->hash[k] & 0xFFFF;
        const uint32_t at = level_draw(&tables, level, r16);
        choice_put_made(r, k, at);
        if (level_is_unsure(&tables, level, r16))
            has_all &= choice_has_row(cells->book, at);
    }
    return has_all;
}

static int by_level(const pattern_cells *cells, choice_row *r)
{
    r->has_general = 0;
    return choice_by_level_from(cells, r, 0);
}

int choice_rows_make(const pattern_cells *cells, const choice_row *row, uint32_t first,
                     uint32_t tiles)
{
    int has_all = 1;
    for (uint32_t k = first; tiles; tiles >>= 1, k++) {
        if (!(tiles & 1))
            continue;
        uint32_t *run = &cells->run[row->cell[k]];
        has_all &= choice_has_row(cells->book, choice_at(*run, row->sum[k]));
        *run = pattern_run(cells->book, *run >> 2 * PATTERN_SUM_NBITS);
    }
    return has_all;
}

int choice_by_sum_from(const pattern_cells *cells, choice_row *r, uint32_t first)
{
    int has_all = 1;
    for (uint32_t k = first; k < r->ntx; k++) {
        r->variant[k] = NO_COUNTS;
        if (r->open[k] == 0 || r->is_coarse[k / MACRO_EDGE])
            continue;
        const uint32_t run = cells->run[r->cell[k]];
        if (run == CHOICE_NO_PATTERN) {
            r->has_general = 1;
            continue;
        }
        if (r->open[k] != 0xFFFF) {
            r->cut[r->ncut++] = k;
            continue;
        }
        choice_put_made(r, k, choice_at(run, r->sum[k]));
        if (r->sum[k] < pattern_run_first(run) || r->sum[k] > pattern_run_last(run))
            has_all &= choice_rows_make(cells, r, k, 1);
    }
    return has_all;
}

static int by_sum(const pattern_cells *cells, choice_row *r)
{
    r->has_general = 0;
    r->ncut = 0;
    return choice_by_sum_from(cells, r, 0);
}

const choice_kernels CHOICE_KERNELS_SCALAR = {by_level, by_sum};
#if defined(BRAGG_X86_64)
static const choice_kernels CHOICE_KERNELS_AVX2 = {choice_by_level_avx2, choice_by_sum_avx2};
#endif

const choice_kernels *choice_kernels_get(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return &CHOICE_KERNELS_AVX512;
    if (level == CPU_AVX2)
        return &CHOICE_KERNELS_AVX2;
#endif
    (void)level;
    return &CHOICE_KERNELS_SCALAR;
}
