/* SPDX-License-Identifier: MIT */
/*
 * Sums of a row of tiles in plain C: docs/format.md, "Scales and sums".  Without branches, as which
 * tiles have sums is a matter of chance.
 */
#include "sums_read_kernels.h"

#include "sum_rules.h"

uint32_t sums_list_rest(const sum_row *tiles, uint32_t first, uint32_t n, uint8_t *context)
{
    const sum_row here = *tiles; /* which contexts, being bytes, cannot overwrite */
    const sum_row *row = &here;
    for (; first < row->ntiles; first += SUM_NLANES) {
        const uint32_t left = row->ntiles - first;
        uint32_t listed = 0;
        uint32_t odd = 0;
        lines_ahead_ask(row->ahead);
        for (uint32_t k = 0; k < (left < SUM_NLANES ? left : SUM_NLANES); k++) {
            const uint32_t t = first + k;
            const uint32_t kind = row->kind[t / QUAD_NTILES];
            const uint32_t is_listed = (row->open[t] != 0) & !(kind & SUM_COARSE);
            const small_rule *rule = &row->small[row->cell[t] & (0u - is_listed)];
            const uint32_t is_odd =
                (row->open[t] != 0xFFFF) | (kind != 0) | (rule->context == NOT_SMALL);
            row->range[t] = (uint16_t)rule->predicted | (uint32_t)(uint16_t)rule->most << 16;
            row->step[t] = rule->step | (uint32_t)rule->context << 16;
            context[n] = (uint8_t)rule->context;
            n += is_listed;
            listed |= is_listed << k;
            odd |= (is_odd & is_listed) << k;
        }
        row->listed[first / SUM_NLANES] = (uint16_t)listed;
        row->odd[first / SUM_NLANES] = (uint16_t)odd;
    }
    return n;
}

/* Sums of SUM_NLANES tiles, as `restored` for 16-bit numbers; `bits` are those to be looked at. */
BRAGG_INLINE int32_t restore_lanes(const uint32_t *range, const uint32_t *steps,
                                   const uint32_t *hash, const uint8_t *symbol, uint32_t bits,
                                   int64_t *sum)
{
    int32_t room = 0;
    for (uint32_t k = 0; k < SUM_NLANES; k++) {
        const int32_t predicted = (int16_t)range[k];
        const int32_t most = (int16_t)(range[k] >> 16);
        const uint32_t step = steps[k] & 0xFFFF;
        const int32_t j = (int32_t)(symbol[k] >> 1) ^ -(int32_t)(symbol[k] & 1);
        const int32_t dither = (int32_t)((hash[k] & 0xFFFF) * step >> 16);
        const int32_t first = predicted - dither + j * (int32_t)step;
        const int32_t last = first + (int32_t)step - 1;
        const int32_t low = first > 0 ? first : 0;
        const int32_t high = last < most ? last : most;
        room |= (high - low) & -(int32_t)(bits >> k & 1);
        sum[k] = low + ((high - low + (int32_t)(hash[k] >> 16 & 1)) >> 1);
    }
    return room;
}

/* Deals symbols out to the listed ones of sixteen tiles; returns those behind.  In most frames, all
 * of sixteen are listed more often than not. */
BRAGG_INLINE const uint8_t *deal_out(const uint8_t *symbol, uint32_t listed, uint8_t *lane)
{
    if (listed == 0xFFFF) {
        memcpy(lane, symbol, SUM_NLANES);
        return symbol + SUM_NLANES;
    }
    for (uint32_t k = 0; k < SUM_NLANES; k++) {
        lane[k] = *symbol;
        symbol += listed >> k & 1;
    }
    return symbol;
}

/* Bits of tiles whose symbol has raw bits or whose rule is not small: few groups have any. */
BRAGG_INLINE uint32_t odd_lanes(const uint8_t *lane, const uint32_t *steps)
{
    uint32_t any = 0;
    uint32_t odd = 0;
    for (uint32_t k = 0; k < SUM_NLANES; k++)
        any |= (uint32_t)(lane[k] / NUMBER_DIRECT) | (steps[k] >> 23 & 1);
    for (uint32_t k = 0; any && k < SUM_NLANES; k++)
        odd |= (uint32_t)((lane[k] >= NUMBER_DIRECT) | (steps[k] >> 23 & 1)) << k;
    return odd;
}

static int32_t restore_plain(const sum_row *row, const uint8_t *symbol, int64_t *sum)
{
    int32_t room = 0;
    for (uint32_t first = 0; first < row->ntiles; first += SUM_NLANES) {
        const uint32_t listed = row->listed[first / SUM_NLANES];
        uint8_t lane[SUM_NLANES];
        lines_ahead_ask(row->ahead);
        symbol = deal_out(symbol, listed, lane);
        const uint32_t odd = odd_lanes(lane, row->step + first) & listed;
        row->odd[first / SUM_NLANES] = (uint16_t)odd;
        room |= restore_lanes(row->range + first, row->step + first, row->hash + first, lane,
                              listed & ~odd, sum + first);
    }
    return room;
}

static uint32_t list_plain(const sum_row *row, uint8_t *context)
{
    return sums_list_rest(row, 0, 0, context);
}

const sums_read_kernels SUMS_READ_KERNELS_PLAIN = {list_plain, restore_plain};

const sums_read_kernels *sums_read_kernels_get(cpu_level level)
{
#if defined(BRAGG_X86_64)
    if (level == CPU_AVX512)
        return &SUMS_READ_KERNELS_AVX512;
    if (level == CPU_AVX2)
        return &SUMS_READ_KERNELS_AVX2;
#endif
    (void)level;
    return &SUMS_READ_KERNELS_PLAIN;
}
