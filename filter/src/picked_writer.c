/* SPDX-License-Identifier: MIT */
/* Writes picked pixels: docs/format.md, "Picked pixels". */
#include "picked_writer.h"

#include "scratch.h"
#include "tile_sums.h" /* count_bits */

/* Bits are looked at in words; this many places of a word are stored at once. */
enum { WORD_NTILES = 4, NPLACES_AT_ONCE = 6, MOST_BYTE = 254 };
/* Raw bits of a pixel: 32 of its gap, 5 of its excess. */
enum { MAX_RAW_NBYTES = 5 };

h5bragg_status picked_writer_make(const frame_model *model, picked_writer *p)
{
    const ring_map *map = model->noise.map;
    const size_t ngroups = counts_plane_ngroups(map);
    memset(p, 0, sizeof *p);
    p->rule = scratch_take((map->ncells + 1u) * sizeof *p->rule);
    p->tile = scratch_take_zeros(ngroups * GROUP_NTILES + 1, sizeof *p->tile);
    p->above = scratch_take_zeros(ngroups * GROUP_NTILES, sizeof *p->above);
    p->excess = scratch_take(ngroups * GROUP_NTILES * TILE_NPIXELS);
    p->special = scratch_take(ngroups * sizeof *p->special);
    p->place =
        scratch_take((ngroups * GROUP_NTILES * TILE_NPIXELS + NPLACES_AT_ONCE) * sizeof *p->place);
    const h5bragg_status status = picked_state_make(model, &p->state);
    number_symbols_make(&p->numbers);
    if (status || !p->rule || !p->tile || !p->above || !p->excess || !p->special || !p->place)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const picked_cell *cell = &p->state.cell[c];
        const int64_t threshold = cell->least - 1;
        const int is_byte = threshold >= 0 && threshold <= MOST_BYTE;
        p->rule[c] = (is_byte ? (uint32_t)threshold : PICK_SPECIAL | PICK_THRESHOLD) |
                     (uint32_t)cell->gap_context << PICK_GAP_SHIFT |
                     (uint32_t)cell->excess_context << PICK_EXCESS_SHIFT;
    }
    p->rule[map->ncells] =
        PICK_SPECIAL | PICK_THRESHOLD | (uint32_t)PICKED_NO_CELL_CONTEXT << PICK_GAP_SHIFT;
    return H5BRAGG_OK;
}

void picked_writer_free(picked_writer *p)
{
    picked_state_free(&p->state);
    scratch_give(p->rule);
    scratch_give(p->tile);
    scratch_give(p->above);
    scratch_give(p->excess);
    scratch_give(p->special);
    scratch_give(p->place);
    memset(p, 0, sizeof *p);
}

/* Number of the lowest set bit; any number if there is none. */
BRAGG_INLINE uint32_t lowest_bit(uint64_t bits) { return floor_log2((bits & (0 - bits)) | 1); }

/* Places of the set bits of a row.  Words seldom have more than are stored without looking. */
BRAGG_INLINE uint32_t list_places(const uint16_t *above, uint32_t ntiles, uint32_t *place)
{
    uint32_t *to = place;
    for (uint32_t t = 0; t < ntiles; t += WORD_NTILES) {
        uint64_t bits = above[t] | (uint64_t)above[t + 1] << 16 | (uint64_t)above[t + 2] << 32 |
                        (uint64_t)above[t + 3] << 48;
        const uint32_t first = t * TILE_NPIXELS;
        const uint32_t n = count_bits((uint32_t)bits) + count_bits((uint32_t)(bits >> 32));
        for (uint32_t k = 0; k < NPLACES_AT_ONCE; k++, bits &= bits - 1)
            to[k] = first + lowest_bit(bits);
        for (uint32_t k = NPLACES_AT_ONCE; bits; k++, bits &= bits - 1)
            to[k] = first + lowest_bit(bits);
        to += n;
    }
    return (uint32_t)(to - place);
}

/* Pixels whose places, relative to the row, are listed. */
typedef struct place_list {
    const uint32_t *place;
    uint32_t n;
    const uint32_t *tile;  /* rules of the row's tiles */
    const uint8_t *excess; /* by place */
} place_list;

/* Writes pixels; *next is the place behind the last.  Returns the excess of the last. */
BRAGG_INLINE uint32_t write_places(const place_list *list, const number_symbols *table,
                                   uint32_t context, int64_t *next, fast_writer *w)
{
    fast_writer f = *w; /* in registers */
    const place_list l = *list;
    int64_t expected = *next;
    uint32_t excess = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        const uint32_t place = l.place[i];
        const uint32_t rule = l.tile[place / TILE_NPIXELS];
        const uint32_t behind = l.tile[(place + 1) / TILE_NPIXELS];
        excess = l.excess[place];
        fast_put_number(&f, table, context, (uint64_t)(place - expected));
        fast_put_number(&f, table, rule >> PICK_EXCESS_SHIFT & 0xFF, excess);
        fast_flush(&f); /* up to 7 + 32 + 5 bits */
        expected = (int64_t)place + 1;
        context =
            excess >= PICKED_PEAK_EXCESS ? PICKED_PEAK_CONTEXT : behind >> PICK_GAP_SHIFT & 0xFF;
    }
    *next = expected;
    *w = f;
    return excess;
}

static uint32_t list_plain(const uint16_t *above, uint32_t ntiles, uint32_t *place)
{
    return list_places(above, ntiles, place);
}

static uint32_t write_plain(const place_list *list, const number_symbols *table, uint32_t context,
                            int64_t *next, fast_writer *w)
{
    return write_places(list, table, context, next, w);
}

#if defined(BRAGG_X86_64)
/* The same loops with the instructions for single bits that every processor with AVX-512 has. */
#define WITH_BITS __attribute__((target("bmi,bmi2,lzcnt,popcnt")))

WITH_BITS static uint32_t list_with_bits(const uint16_t *above, uint32_t ntiles, uint32_t *place)
{
    return list_places(above, ntiles, place);
}

WITH_BITS static uint32_t write_with_bits(const place_list *list, const number_symbols *table,
                                          uint32_t context, int64_t *next, fast_writer *w)
{
    return write_places(list, table, context, next, w);
}
#endif

typedef struct picked_loops {
    uint32_t (*list)(const uint16_t *, uint32_t, uint32_t *);
    uint32_t (*write)(const place_list *, const number_symbols *, uint32_t, int64_t *,
                      fast_writer *);
} picked_loops;

static picked_loops choose_loops(void)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() == CPU_AVX512)
        return (picked_loops){list_with_bits, write_with_bits};
#endif
    return (picked_loops){list_plain, write_plain};
}

void picked_writer_start_row(picked_writer *p, const frame_source *source, uint32_t tile_row)
{
    const ring_map *map = source->map;
    const counts_plane *plane = &source->plane;
    const size_t first = (size_t)tile_row * map->ntx;
    const pick_row row = {plane->value + (size_t)TILE_EDGE * tile_row * plane->stride,
                          plane->stride,
                          map->cell + first,
                          source->kept + first,
                          plane->has_large + first,
                          map->ntx,
                          p->rule,
                          map->ncells};
    const found_row found = {p->tile, p->above, p->excess, p->special};
    find_picked_kernel()(&row, &found);
    p->nplaces =
        choose_loops().list(p->above, (uint32_t)counts_plane_ngroups(map) * GROUP_NTILES, p->place);
    p->at = 0;
}

uint32_t picked_writer_go_on(picked_writer *p, const ring_map *map, uint32_t tile_row,
                             uint32_t stop, symbol_writer *s)
{
    const int64_t first = (int64_t)tile_row * map->ntx * TILE_NPIXELS;
    uint32_t end = stop < map->ntx ? p->at : p->nplaces;
    while (end < p->nplaces && p->place[end] < stop * TILE_NPIXELS)
        end++;
    const uint32_t n = end - p->at;
    const place_list list = {p->place + p->at, n, p->tile, p->excess};
    if (n == 0)
        return 0;
    fast_writer w;
    if (!fast_writer_open(&w, s, 2 * (size_t)n, MAX_RAW_NBYTES * (size_t)n))
        return n;
    int64_t next = (int64_t)p->state.next - first;
    p->state.last_excess =
        write_places(&list, &p->numbers, picked_gap_context(&p->state), &next, &w);
    p->state.next = (uint64_t)(next + first);
    p->at = end;
    fast_writer_close(&w, s);
    return n;
}

void picked_write(picked_state *state, symbol_writer *s, uint64_t place, uint16_t cell,
                  int64_t value)
{
    const uint64_t excess = (uint64_t)(value - state->cell[cell].least);
    number_put(s, picked_gap_context(state), place - state->next);
    number_put(s, state->cell[cell].excess_context, excess);
    state->last_excess = excess;
    state->next = place + 1;
}
