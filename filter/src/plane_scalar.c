/* SPDX-License-Identifier: MIT */
/* The loops over the pixels in portable C: what the others are compared with. */
#include <string.h>

#include "bytes.h"
#include "pixel.h"
#include "plane_kernels.h"
#include "symbols.h" /* lowest_bit */

/* The pixel types stand for their widths here. */
BRAGG_INLINE void mask_group(const h5bragg_pixel_type type, const void *pixels, size_t start,
                             const raw_codes *codes, uint8_t *value, group_bits *bits,
                             uint8_t *found)
{
    for (uint32_t i = 0; i < GROUP_NPIXELS; i++) {
        const uint32_t pixel = (uint32_t)pixel_get(pixels, type, start + i);
        const uint64_t bit = (uint64_t)1 << i;
        for (uint32_t k = 0; k < codes->n; k++) {
            const uint32_t is_code = pixel == codes->code[k];
            bits->masked |= is_code ? bit : 0;
            *found |= (uint8_t)(is_code << k);
        }
        if (bits->masked & bit)
            value[i] = 0;
        else if (value[i] == BYTE_LOOKUP)
            bits->lookup |= bit;
    }
}

BRAGG_INLINE void narrow_group(const h5bragg_pixel_type type, const void *pixels, size_t start,
                               const raw_codes *codes, uint8_t *value, group_bits *bits,
                               uint8_t *found)
{
    uint8_t bytes[GROUP_NPIXELS]; /* not `value`: compilers see that nothing else is written */
    uint8_t largest = 0;
    for (size_t i = 0; i < GROUP_NPIXELS; i++) {
        const uint32_t pixel = (uint32_t)pixel_get(pixels, type, start + i);
        bytes[i] = (uint8_t)(pixel < BYTE_LOOKUP ? pixel : BYTE_LOOKUP);
    }
    for (size_t i = 0; i < GROUP_NPIXELS; i++)
        largest = bytes[i] > largest ? bytes[i] : largest;
    memcpy(value, bytes, sizeof bytes);
    *bits = (group_bits){0, 0};
    if (largest >= codes->least)
        mask_group(type, pixels, start, codes, value, bits, found);
}

/* One row after the other: compilers do not make vectors of a loop through several. */
BRAGG_INLINE void narrow(const h5bragg_pixel_type type, const narrowed_rows *rows,
                         const raw_codes *codes)
{
    const size_t pixel_nbytes = h5bragg_pixel_nbytes(type);
    for (size_t row = 0; row < rows->n; row++) {
        const uint8_t *pixels = rows->pixels + row * rows->pixels_step * pixel_nbytes;
        uint8_t *value = rows->value + row * rows->value_step;
        group_bits *bits = rows->bits + row * rows->bits_step;
        uint8_t *found = rows->found + row * rows->found_step;
        size_t g = 0;
        for (; g < rows->ngroups; g++)
            narrow_group(type, pixels, g * GROUP_NPIXELS, codes, value + g * GROUP_NPIXELS,
                         bits + g, found + g);
        if (rows->nrest) {
            uint32_t rest[GROUP_NPIXELS] = {0};
            memcpy(rest, pixels + g * GROUP_NPIXELS * pixel_nbytes, rows->nrest * pixel_nbytes);
            narrow_group(type, rest, 0, codes, value + g * GROUP_NPIXELS, bits + g, found + g);
        }
    }
}

static void narrow8(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(H5BRAGG_U8, rows, codes);
}

static void narrow16(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(H5BRAGG_U16, rows, codes);
}

static void narrow32(const narrowed_rows *rows, const raw_codes *codes)
{
    narrow(H5BRAGG_U32, rows, codes);
}

/* Sums of four pixels below each other, for the 64 columns of a group: loops for vectors. */
typedef struct column_sums {
    uint16_t sum[GROUP_NPIXELS];
    uint32_t squares[GROUP_NPIXELS];
    uint8_t largest[GROUP_NPIXELS + TILE_EDGE]; /* at last of the four columns from here on */
} column_sums;

static void describe_columns(const uint8_t *value, size_t stride, column_sums *c)
{
    memset(c, 0, sizeof *c);
    for (size_t row = 0; row < TILE_EDGE; row++) {
        uint8_t v[GROUP_NPIXELS];
        memcpy(v, value + row * stride, sizeof v);
        for (size_t j = 0; j < GROUP_NPIXELS; j++)
            c->sum[j] = (uint16_t)(c->sum[j] + v[j]);
        for (size_t j = 0; j < GROUP_NPIXELS; j++)
            c->squares[j] += (uint16_t)(v[j] * v[j]);
        for (size_t j = 0; j < GROUP_NPIXELS; j++)
            c->largest[j] = v[j] > c->largest[j] ? v[j] : c->largest[j];
    }
    for (size_t step = 1; step < TILE_EDGE; step *= 2) {
        uint8_t right[GROUP_NPIXELS];
        memcpy(right, c->largest + step, sizeof right);
        for (size_t j = 0; j < GROUP_NPIXELS; j++)
            c->largest[j] = right[j] > c->largest[j] ? right[j] : c->largest[j];
    }
}

/* Sum of four numbers, all of whose sums are below 2^16. */
static uint16_t sum_four(const uint16_t n[TILE_EDGE])
{
    uint64_t all;
    memcpy(&all, n, sizeof all);
    return (uint16_t)(all * 0x0001000100010001u >> 48);
}

static uint16_t squares_of(const uint32_t squares[TILE_EDGE])
{
    const uint32_t sum = squares[0] + squares[1] + squares[2] + squares[3];
    return (uint16_t)(sum < MOST_SQUARES ? sum : MOST_SQUARES);
}

static uint64_t describe(const uint8_t *value, size_t stride, size_t ngroups,
                         const tile_outputs *out)
{
    uint64_t total = 0;
    for (size_t g = 0; g < ngroups; g++) {
        column_sums c;
        describe_columns(value + g * GROUP_NPIXELS, stride, &c);
        for (size_t j = 0; j < GROUP_NPIXELS; j += TILE_EDGE) {
            const size_t t = g * GROUP_NTILES + j / TILE_EDGE;
            const uint16_t sum = sum_four(c.sum + j);
            out->sum[t] = sum;
            out->squares[t] = squares_of(c.squares + j);
            out->largest[t] = c.largest[j];
            out->has_large[t] = c.largest[j] == BYTE_LOOKUP;
            total += sum;
        }
    }
    return total;
}

/*
 * The bytes of a 64-bit number are eight counters of a tile: no count exceeds 16.  So a pixel costs
 * one addition, which does not wait for memory.
 */
static void count_eight(const uint8_t *value, size_t stride, uint32_t base, uint16_t *counter)
{
    static const uint64_t one_hot[256] = {
        0x1,         0x100,         0x10000,         0x1000000,
        0x100000000, 0x10000000000, 0x1000000000000, 0x100000000000000};
    uint64_t counts = 0;
    for (size_t p = 0; p < TILE_NPIXELS; p++)
        counts += one_hot[(uint8_t)(value[p / TILE_EDGE * stride + p % TILE_EDGE] - base)];
    uint8_t count[8];
    store_u32(count, (uint32_t)counts);
    store_u32(count + 4, (uint32_t)(counts >> 32));
    for (uint32_t k = 0; k < 8; k++)
        counter[base + k] = (uint16_t)(counter[base + k] + count[k]);
}

/* Masked pixels are zeros among the bytes. */
static void count(const counted_row *row, uint16_t *counter)
{
    for (size_t t = 0; t < row->ntiles; t++) {
        uint16_t *c = counter + (size_t)row->cell[t] * HISTOGRAM_NDARK;
        count_eight(row->value + TILE_EDGE * t, row->stride, 0, c);
        if (row->largest[t] >= 8)
            count_eight(row->value + TILE_EDGE * t, row->stride, 8, c);
        c[0] = (uint16_t)(c[0] - count_invalid(row->valid[t]));
    }
}

/* Lists pixels of a tile without branches, which would end by chance; returns their number. */
static uint32_t list_tile(const counted_row *row, uint32_t column, uint32_t *pixel)
{
    const uint8_t *value = row->value + TILE_EDGE * (size_t)column;
    uint32_t n = 0;
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        const uint8_t byte = value[p / TILE_EDGE * row->stride + p % TILE_EDGE];
        pixel[n] = bright_pixel(column, p, byte);
        n += byte >= HISTOGRAM_NDARK;
    }
    return n;
}

/* Of eight tiles those that have pixels to be listed. */
static uint64_t bright_tiles(const uint8_t *largest, uint32_t nleft)
{
    const uint64_t all = load_u64(largest);
    const uint64_t inside = nleft < 8 ? ((uint64_t)1 << 8 * nleft) - 1 : UINT64_MAX;
    return all & inside & 0x0101010101010101u * (256u - HISTOGRAM_NDARK);
}

size_t plane_scalar_list(const counted_row *row, uint32_t *pixel)
{
    size_t n = 0;
    for (uint32_t start = 0; start < row->ntiles; start += 8) {
        uint64_t left = bright_tiles(row->largest + start, row->ntiles - start);
        while (left) {
            const uint32_t t = lowest_bit(left) / 8;
            left &= ~((uint64_t)0xFF << 8 * t);
            n += list_tile(row, start + t, pixel + n);
        }
    }
    return n;
}

/* Numbers of the pixels of a row of a group; sums are 9 * 255 at most.  Loops are for vectors. */
typedef struct group_row {
    int16_t pixel[GROUP_NPIXELS];
} group_row;

/* The box sums around the pixels of a row of a group. */
static void sum_boxes(const uint8_t *value, size_t stride, group_row *box)
{
    const uint8_t *here = value - 1;
    const uint8_t *above = here - stride;
    const uint8_t *below = here + stride;
    int16_t column[GROUP_NPIXELS + 2]; /* sums of three rows, from one column to the left */
    for (size_t j = 0; j < GROUP_NPIXELS + 2; j++)
        column[j] = (int16_t)(above[j] + here[j] + below[j]);
    for (size_t j = 0; j < GROUP_NPIXELS; j++)
        box->pixel[j] = (int16_t)(column[j] + column[j + 1] + column[j + 2]);
}

static group_row larger(const group_row *a, const group_row *b)
{
    group_row most;
    for (size_t j = 0; j < GROUP_NPIXELS; j++)
        most.pixel[j] = a->pixel[j] > b->pixel[j] ? a->pixel[j] : b->pixel[j];
    return most;
}

/* Pixels of a tile have one cut. */
static void set_tile(group_row *cuts, size_t t, int16_t cut)
{
    for (size_t k = 0; k < TILE_EDGE; k++)
        cuts->pixel[TILE_EDGE * t + k] = cut;
}

/* Bits of the columns whose sums are beyond their cuts; returns whether there are any. */
static int put_beyond(const group_row *sum, const group_row *cut, uint8_t *bits)
{
    uint8_t is_beyond[GROUP_NPIXELS];
    uint64_t any = 0;
    for (size_t j = 0; j < GROUP_NPIXELS; j++)
        is_beyond[j] = sum->pixel[j] > cut->pixel[j];
    for (size_t j = 0; j < GROUP_NPIXELS; j += 8) {
        const uint64_t eight = load_u64(is_beyond + j);
        bits[j / 8] = (uint8_t)(eight * 0x0102040810204080u >> 56);
        any |= eight;
    }
    return any != 0;
}

/* What is found in group g, whose tiles have these words. */
static void search_group(const boxed_row *row, size_t g, const uint32_t word[GROUP_NTILES],
                         const box_hits *hits)
{
    const size_t at = g * GROUP_NPIXELS / 8;
    group_row box[TILE_EDGE] = {{{0}}};
    group_row chance;
    group_row peak;
    for (size_t i = 0; i < row->nrows; i++)
        sum_boxes(row->value + i * row->stride + g * GROUP_NPIXELS, row->stride, &box[i]);
    for (size_t t = 0; t < GROUP_NTILES; t++)
        set_tile(&chance, t, (int16_t)box_chance(word[t]));
    const group_row upper = larger(&box[0], &box[1]);
    const group_row lower = larger(&box[2], &box[3]);
    const group_row all = larger(&upper, &lower);
    if (!put_beyond(&all, &chance, hits->some + at)) {
        memset(hits->first + at, 0, GROUP_NPIXELS / 8);
        memset(hits->last + at, 0, GROUP_NPIXELS / 8);
        memset(hits->upper + at, 0, GROUP_NPIXELS / 8);
        memset(hits->lower + at, 0, GROUP_NPIXELS / 8);
        return;
    }
    for (size_t t = 0; t < GROUP_NTILES; t++)
        set_tile(&peak, t, (int16_t)box_peak(word[t]));
    put_beyond(&box[0], &chance, hits->first + at);
    put_beyond(&box[3], &chance, hits->last + at);
    put_beyond(&upper, &peak, hits->upper + at);
    put_beyond(&lower, &peak, hits->lower + at);
}

static void box(const boxed_row *row, const box_hits *hits)
{
    const size_t ngroups = (row->ntiles + (size_t)GROUP_NTILES - 1) / GROUP_NTILES;
    for (size_t g = 0; g < ngroups; g++) {
        uint32_t word[GROUP_NTILES];
        for (size_t k = 0; k < GROUP_NTILES; k++) {
            const size_t t = g * GROUP_NTILES + k;
            word[k] = row->word[t < row->ntiles ? row->cell[t] : BRAGG_NO_CELL];
            hits->other[t] = box_other(word[k]);
        }
        search_group(row, g, word, hits);
    }
}

const plane_kernels plane_scalar = {
    .narrow8 = narrow8,
    .narrow16 = narrow16,
    .narrow32 = narrow32,
    .describe = describe,
    .count = count,
    .list = plane_scalar_list,
    .box = box,
};

const plane_kernels *plane_kernels_of(cpu_level level)
{
    switch (level) {
#if BRAGG_HAVE_X86_KERNELS
    case CPU_SSE4:
        return &plane_sse4;
    case CPU_AVX2:
        return &plane_avx2;
    case CPU_AVX512:
        return &plane_avx512;
#endif
    default:
        return &plane_scalar;
    }
}
