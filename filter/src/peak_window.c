/* SPDX-License-Identifier: MIT */
/* Finds and measures the peaks of a tile (docs/peaks.md, "What is a peak", "What is measured"). */
#include "peak_window.h"

#include <math.h>
#include <stdlib.h>

#include "portable_math.h"
#include "symbols.h"
#include "tile_sums.h" /* count_bits */

static const uint64_t MIDDLE = 0x00003C3C3C3C0000u; /* the tile itself */
static const double METRE_IN_ANGSTROM = 1e10;
enum { FIRST_CAPACITY = 256, PATCH_EDGE = 5 };
/* How wide a spot is taken to be where its tiles hold so little that they are not stored. */
static const double SPOT_SIGMA_PX = 0.7;
static const double SPOT_AT_1 = 0.36044778859782095;  /* exp(-1 / (2 * 0.7^2)) */
static const double SPOT_AT_2 = 0.016879884148789895; /* exp(-4 / (2 * 0.7^2)) */

void h5bragg_peak_list_free(h5bragg_peak_list *list)
{
    if (!list)
        return;
    free(list->peak);
    *list = (h5bragg_peak_list){0};
}

static h5bragg_status append(const h5bragg_peak *peak, h5bragg_peak_list *list)
{
    if (list->npeaks == list->capacity) {
        const uint64_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        h5bragg_peak *grown = capacity > SIZE_MAX / sizeof *grown
                                  ? NULL
                                  : realloc(list->peak, (size_t)capacity * sizeof *grown);
        if (!grown)
            return H5BRAGG_NO_MEMORY;
        list->peak = grown;
        list->capacity = capacity;
    }
    list->peak[list->npeaks++] = *peak;
    return H5BRAGG_OK;
}

static uint32_t count_bits64(uint64_t x)
{
    return count_bits((uint32_t)x) + count_bits((uint32_t)(x >> 32));
}

static int is_on(const h5bragg_panel *panel, uint32_t slow, uint32_t fast)
{
    return slow >= panel->slow_start && slow < panel->slow_stop && fast >= panel->fast_start &&
           fast < panel->fast_stop;
}

/* The panel of a tile that lies on one; that of the last tile is tried first. */
static const h5bragg_panel *find_panel(const h5bragg_geometry *g, const h5bragg_panel *last,
                                       uint32_t slow, uint32_t fast)
{
    const h5bragg_panel *panel = last ? last : g->panels;
    for (uint32_t k = 0; k < g->npanels && !is_on(panel, slow, fast); k++)
        panel = &g->panels[k];
    return panel;
}

void peak_window_start(const peak_rules *r, uint32_t tile_row, uint32_t tile_column, peak_window *w)
{
    w->tile_row = tile_row;
    w->tile_column = tile_column;
    w->known = 0;
    w->high = 0;
    w->beside = 0;
    w->drawn = 0;
    w->panel = find_panel(r->geometry, w->panel, TILE_EDGE * tile_row, TILE_EDGE * tile_column);
}

/* Bits of the pixels of a tile that are not under the mask. */
static uint32_t uncovered(const peak_rules *r, uint32_t row, uint32_t column, uint32_t pixels)
{
    for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
        if ((pixels >> p & 1) && r->mask[tile_pixel(r->map, row, column, p)])
            pixels &= ~(1u << p);
    }
    return pixels;
}

uint32_t peak_window_usable(const peak_rules *r, peak_window *w, uint32_t down, uint32_t right,
                            uint32_t pixels)
{
    const uint32_t row = w->tile_row + down - 1; /* beyond all if it was 0 */
    const uint32_t column = w->tile_column + right - 1;
    if (!pixels || row >= r->map->nty || column >= r->map->ntx)
        return 0;
    const uint16_t cell = r->map->cell[(size_t)row * r->map->ntx + column];
    const int is_same =
        cell != BRAGG_NO_CELL && is_on(w->panel, TILE_EDGE * row, TILE_EDGE * column);
    if (!is_same)
        return 0;
    w->cell[WINDOW_NTILES * down + right] = &r->cell[cell];
    return r->mask ? uncovered(r, row, column, pixels) : pixels;
}

uint64_t peak_window_place(uint32_t k, uint32_t pixels)
{
    const window_part rows = WINDOW_PART[k / WINDOW_NTILES];
    const window_part columns = WINDOW_PART[k % WINDOW_NTILES];
    const uint32_t side = (1u << columns.n) - 1;
    uint64_t places = 0;
    for (uint32_t i = 0; i < rows.n; i++) {
        const uint64_t bits = pixels >> (TILE_EDGE * (rows.first + i) + columns.first) & side;
        places |= bits << (WINDOW_EDGE * (rows.at + i) + columns.at);
    }
    return places;
}

void peak_window_put_drawn(const peak_rules *r, peak_window *w, uint32_t k, uint32_t valid)
{
    const uint32_t usable = peak_window_usable(r, w, k / WINDOW_NTILES, k % WINDOW_NTILES, valid);
    w->drawn |= peak_window_place(k, usable);
}

/* The patch around a pixel of the tile. */
static uint64_t patch_of(const peak_rules *r, uint32_t at)
{
    const uint64_t first = r->reach == 1 ? 0x070707u : 0x1F1F1F1F1Fu;
    return first << (at - r->reach * (WINDOW_EDGE + 1u));
}

/* Largest of its patch; of equal ones the first in scan order is the largest. */
static int is_largest(const peak_window *w, uint32_t at, uint64_t patch)
{
    const int64_t value = w->value[at];
    for (uint64_t left = patch & w->known; left; left &= left - 1) {
        const uint32_t other = lowest_bit(left);
        if (w->value[other] > value || (w->value[other] == value && other < at))
            return 0;
    }
    return 1;
}

/* Sums over a patch. */
typedef struct patch_sums {
    double signal; /* above the background */
    double variance;
    double mass; /* of what is above the background alone, as the moments */
    double slow;
    double fast;
    uint32_t n;
} patch_sums;

const peak_cell *peak_window_cell(const peak_window *w, uint32_t at)
{
    const uint32_t down = (at / WINDOW_EDGE + WINDOW_MARGIN) / TILE_EDGE;
    const uint32_t right = (at % WINDOW_EDGE + WINDOW_MARGIN) / TILE_EDGE;
    return w->cell[WINDOW_NTILES * down + right];
}

static patch_sums sum_patch(const peak_window *w, uint32_t at, uint64_t patch)
{
    const double slow = at / WINDOW_EDGE;
    const double fast = at % WINDOW_EDGE;
    patch_sums s = {0};
    for (uint64_t left = patch & w->known; left; left &= left - 1) {
        const uint32_t other = lowest_bit(left);
        const peak_cell *cell = peak_window_cell(w, other);
        const double signal = (double)w->value[other] - cell->expected;
        const double mass = signal > 0 ? signal : 0;
        s.signal += signal;
        s.variance += cell->variance;
        s.mass += mass;
        s.slow += mass * (other / WINDOW_EDGE - slow);
        s.fast += mass * (other % WINDOW_EDGE - fast);
        s.n++;
    }
    return s;
}

/*
 * Weights of a spot in the rows, or columns, of a patch around a pixel, from its centre on, up to a
 * factor: exp(-(k - c)^2 / 2 s^2) ~ exp(-k^2 / 2 s^2) * exp(c / s^2)^k.
 */
static void spot_weights(double centre, double *weight)
{
    const double step = portable_exp(centre / (SPOT_SIGMA_PX * SPOT_SIGMA_PX));
    weight[0] = SPOT_AT_2 / (step * step);
    weight[1] = SPOT_AT_1 / step;
    weight[2] = 1.0;
    weight[3] = SPOT_AT_1 * step;
    weight[4] = SPOT_AT_2 * (step * step);
}

/*
 * Adds what a spot of usual width would have in the pixels of the patch that are drawn: its wings,
 * where they were too weak to be kept.
 */
static void add_wings(const peak_window *w, uint32_t at, uint64_t patch, patch_sums *s)
{
    const uint32_t first = at - WINDOW_MARGIN * (WINDOW_EDGE + 1);
    const uint64_t drawn = patch & w->drawn;
    double slow[PATCH_EDGE];
    double fast[PATCH_EDGE];
    double known = 0;
    if (!drawn || !(s->signal > 0) || !(s->mass > 0))
        return;
    spot_weights(s->slow / s->mass, slow);
    spot_weights(s->fast / s->mass, fast);
    for (uint64_t left = patch & w->known; left; left &= left - 1) {
        const uint32_t place = lowest_bit(left) - first;
        known += slow[place / WINDOW_EDGE] * fast[place % WINDOW_EDGE];
    }
    const double height = s->signal / known;
    for (uint64_t left = drawn; left; left &= left - 1) {
        const uint32_t place = lowest_bit(left) - first;
        const int down = (int)(place / WINDOW_EDGE) - WINDOW_MARGIN;
        const int right = (int)(place % WINDOW_EDGE) - WINDOW_MARGIN;
        const double counts = height * slow[place / WINDOW_EDGE] * fast[place % WINDOW_EDGE];
        s->signal += counts;
        s->mass += counts;
        s->slow += counts * down;
        s->fast += counts * right;
    }
}

/* Where the peak is seen from the sample: radius and resolution. */
static void set_direction(const peak_rules *r, const h5bragg_panel *p, h5bragg_peak *peak)
{
    const double i = peak->slow_px - p->slow_start;
    const double j = peak->fast_px - p->fast_start;
    double v[3];
    for (int k = 0; k < 3; k++)
        v[k] = p->origin_m[k] + i * p->slow_m[k] + j * p->fast_m[k];
    const double across = sqrt(v[0] * v[0] + v[1] * v[1]);
    const double scatter = ring_map_scatter(v);
    const double wavelength_a = METRE_IN_ANGSTROM * r->geometry->wavelength_m;
    peak->radius_m = v[2] > 0 ? r->geometry->distance_m * (across / v[2]) : INFINITY;
    peak->resolution_a = wavelength_a > 0 ? wavelength_a / scatter : 0;
}

static h5bragg_peak measure(const peak_rules *r, const peak_window *w, uint32_t at, uint64_t patch)
{
    patch_sums s = sum_patch(w, at, patch);
    add_wings(w, at, patch, &s);
    const uint32_t slow = TILE_EDGE * w->tile_row + at / WINDOW_EDGE - WINDOW_MARGIN;
    const uint32_t fast = TILE_EDGE * w->tile_column + at % WINDOW_EDGE - WINDOW_MARGIN;
    h5bragg_peak peak = {.intensity = s.signal,
                         .sigma = sqrt(s.variance + (s.signal > 0 ? s.signal : 0)),
                         .background = peak_window_cell(w, at)->expected,
                         .maximum = w->value[at],
                         .slow = slow,
                         .fast = fast,
                         .npixels = s.n,
                         .nhigh = count_bits64(patch & w->beside)};
    peak.slow_px = slow + 0.5 + (s.mass > 0 ? s.slow / s.mass : 0);
    peak.fast_px = fast + 0.5 + (s.mass > 0 ? s.fast / s.mass : 0);
    set_direction(r, w->panel, &peak);
    return peak;
}

/* The largest of some pixels; of equal ones the first. */
static uint32_t largest_of(const peak_window *w, uint64_t pixels)
{
    uint32_t largest = lowest_bit(pixels);
    for (uint64_t left = pixels & (pixels - 1); left; left &= left - 1) {
        const uint32_t at = lowest_bit(left);
        largest = w->value[at] > w->value[largest] ? at : largest;
    }
    return largest;
}

/* What is around the largest is not, and the largest of the rest may be. */
uint64_t peak_window_candidates(const peak_rules *r, const peak_window *w)
{
    uint64_t candidates = 0;
    for (uint64_t left = w->high & MIDDLE; left;) {
        const uint32_t at = largest_of(w, left);
        candidates |= (uint64_t)1 << at;
        left &= ~patch_of(r, at);
    }
    return candidates;
}

uint32_t peak_window_needs(const peak_rules *r, uint64_t candidates)
{
    const uint64_t up = r->reach == 1 ? 0x0000000000FF0000u : 0x00000000FFFF0000u;
    const uint64_t down = r->reach == 1 ? 0x0000FF0000000000u : 0x0000FFFF00000000u;
    const uint64_t left = r->reach == 1 ? 0x0404040404040404u : 0x0C0C0C0C0C0C0C0Cu;
    const uint64_t right = r->reach == 1 ? 0x2020202020202020u : 0x3030303030303030u;
    const uint64_t all = UINT64_MAX;
    const uint64_t rows[WINDOW_NTILES] = {up, all, down};
    const uint64_t columns[WINDOW_NTILES] = {left, all, right};
    uint32_t needs = 0;
    for (uint32_t k = 0; k < WINDOW_NTILES * WINDOW_NTILES; k++) {
        const uint64_t reaching = candidates & rows[k / WINDOW_NTILES] & columns[k % WINDOW_NTILES];
        needs |= (uint32_t)(reaching != 0) << k;
    }
    return needs & ~(1u << WINDOW_OWN);
}

h5bragg_status peak_window_find(const peak_rules *r, const peak_window *w, uint64_t candidates,
                                h5bragg_peak_list *list)
{
    h5bragg_status status = H5BRAGG_OK;
    for (; candidates && !status; candidates &= candidates - 1) {
        const uint32_t at = lowest_bit(candidates);
        const uint64_t patch = patch_of(r, at);
        if (count_bits64(patch & w->beside) <= r->connected || !is_largest(w, at, patch))
            continue;
        const h5bragg_peak peak = measure(r, w, at, patch);
        status = append(&peak, list);
    }
    return status;
}
