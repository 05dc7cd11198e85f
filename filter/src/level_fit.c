/* SPDX-License-Identifier: MIT */
/*
 * Without local counts, the sums of tiles are drawn: a level for the mean of the ring and, half of
 * the tiles above and half of them below it, a spread for what varies along the ring, such as a
 * shadow (docs/statistics.md).
 */
#include "level_fit.h"

#include <math.h>

#include "levels.h"
#include "odd_tiles.h"
#include "scratch.h"

enum { LEVEL_UNITS = 256, MAX_STEPS = 12, SPREAD_ROUNDS = 3 };
/* A spread is stored if the variance is that far beyond what its ring has without. */
static const double SPREAD_SIGMA = 2.0;
/* What ordinary rings may correct of the dispersion measured within tiles. */
static const double MAX_CORRECTION = 0.04;

/* A pattern ring being fitted without local counts. */
typedef struct level_fit {
    const frame_model *model;
    const level_tables *tables;
    ring_profile *ring;
    uint32_t first;
    uint32_t last;
    const value_sums *discarded; /* per cell */
    double odd;                  /* share of its drawn pixels that tiles of odd parity have */
    int failed;
} level_fit;

/* What the ring's discarded pixels have, and how the mean varies with the level. */
typedef struct ring_moments {
    double n;
    double sum;
    double squares; /* about the mean of the cell; of the model: as Poisson counts have them */
    double between; /* squares that the spread adds to those of the model */
    double slope;   /* of the sum, per unit of x */
} ring_moments;

/* A ring after the first pass. */
typedef struct fitted_ring {
    ring_moments found;
    ring_moments at; /* the model, at the ring's level and without spread */
} fitted_ring;

/* A pixel of a cell at a place x on the scale of levels. */
typedef struct pixel_moments {
    double mean;
    double variance;
    double between; /* what the spread adds to the variance */
    double above;   /* the mean at x + LEVEL_UNITS */
} pixel_moments;

static uint32_t limited(int32_t x)
{
    return (uint32_t)(x < 0 ? 0 : x > PROFILE_MAX_SPREAD ? PROFILE_MAX_SPREAD : x);
}

/* At x of the level x / LEVEL_UNITS and the next one: a fraction that a double holds exactly. */
static double between(const double *level, uint32_t x)
{
    return level[0] + (int32_t)(x % LEVEL_UNITS) * (1.0 / LEVEL_UNITS) * (level[1] - level[0]);
}

/* Inside of the scale, x + LEVEL_UNITS is as far from the next level as x from this one. */
BRAGG_INLINE int moments_at(const level_fit *fit, uint32_t threshold, int32_t place,
                            pixel_moments *moments)
{
    const uint32_t x = limited(place);
    const uint32_t above = limited(place + LEVEL_UNITS);
    const level_moments *at = level_moments_get(fit->tables, threshold, x / LEVEL_UNITS);
    if (!at)
        return 0;
    const double *next = at->mean + (above / LEVEL_UNITS - x / LEVEL_UNITS);
    moments->mean = between(at->mean, x);
    moments->variance = between(at->variance, x);
    moments->between = 0;
    moments->above = between(next, above);
    return 1;
}

/* What tiles at x - spread and, a share `odd` of them, at x + spread have together. */
static int moments_of_pair(const level_fit *fit, uint32_t threshold, int32_t x,
                           pixel_moments *moments)
{
    const double odd = fit->odd;
    pixel_moments low;
    pixel_moments high;
    if (!moments_at(fit, threshold, x - fit->ring->spread, &low) ||
        !moments_at(fit, threshold, x + fit->ring->spread, &high))
        return 0;
    const double step = high.mean - low.mean;
    moments->mean = low.mean + odd * step;
    moments->variance = low.variance + odd * (high.variance - low.variance);
    moments->between = odd * (1.0 - odd) * step * step;
    moments->above = low.above + odd * (high.above - low.above);
    return 1;
}

/* Moments of the model at the ring's level and spread, which most rings do not have. */
static ring_moments model_moments(level_fit *fit)
{
    ring_moments m = {0};
    for (uint32_t c = fit->first; c < fit->last; c++) {
        const double n = fit->discarded[c].n;
        const uint32_t threshold = (uint32_t)fit->model->range[c].high;
        const int32_t x = (int32_t)noise_level(&fit->model->noise, fit->ring, c);
        pixel_moments at;
        if (n == 0)
            continue;
        fit->failed = fit->ring->spread ? !moments_of_pair(fit, threshold, x, &at)
                                        : !moments_at(fit, threshold, x, &at);
        if (fit->failed)
            return m;
        m.n += n;
        m.sum += n * at.mean;
        m.squares += n * at.variance;
        m.between += n * at.between;
        m.slope += n * (at.above - at.mean) / LEVEL_UNITS;
    }
    return m;
}

static ring_moments found_moments(const level_fit *fit)
{
    ring_moments m = {0};
    for (uint32_t c = fit->first; c < fit->last; c++) {
        const value_sums *v = &fit->discarded[c];
        if (v->n == 0)
            continue;
        m.n += v->n;
        m.sum += v->sum;
        m.squares += v->sum_squares - v->sum * (v->sum / v->n);
    }
    return m;
}

/* The squares of the model at the frame's dispersion, which is of the variance within tiles. */
static double model_squares(const level_fit *fit, const ring_moments *at)
{
    const double within = (TILE_NPIXELS - 1.0) / TILE_NPIXELS; /* of the variance of a pixel */
    const double dispersion = fit->model->dispersion / DISPERSION_UNITS;
    return at->squares * (1.0 + within * dispersion) + at->between;
}

/* Whether no cell is beyond the scale of levels: normalisations of a ring ascend. */
static int is_on_scale(const frame_model *m, const ring_profile *ring, uint32_t first,
                       uint32_t last)
{
    return first == last || noise_level(&m->noise, ring, last - 1) <= PROFILE_MAX_SPREAD;
}

/* Moves the level until the sum of the model is that found. */
static ring_moments fit_level(level_fit *fit, const ring_moments *found)
{
    ring_moments at = model_moments(fit);
    for (int k = 0; k < MAX_STEPS && !fit->failed && at.slope > 0; k++) {
        const double units = (found->sum - at.sum) / (at.slope * 8.0);
        double step = floor(units + 0.5);
        const double level = fit->ring->level;
        step = step > 1024 ? 1024 : step < -1024 ? -1024 : step;
        step = level + step < 0 ? -level : step;
        step = level + step > PROFILE_MAX_LEVEL ? PROFILE_MAX_LEVEL - level : step;
        if (step == 0)
            break;
        fit->ring->level += (int32_t)step;
        if (!is_on_scale(fit->model, fit->ring, fit->first, fit->last)) {
            fit->ring->level -= (int32_t)step;
            break;
        }
        at = model_moments(fit);
    }
    return at;
}

/* How far a variance of so many counts may be off by chance. */
static double chance_of(const ring_moments *found)
{
    return found->squares * sqrt(2.0 / found->n + 1.0 / (found->sum + 1.0));
}

/* What the ring's variance is beyond that of the model. */
static double missing_squares(const level_fit *fit, const ring_moments *found,
                              const ring_moments *at)
{
    return found->squares - model_squares(fit, at);
}

/* Chooses the spread that gives the ring its variance. */
static void fit_spread(level_fit *fit, const fitted_ring *fitted)
{
    ring_moments at = fitted->at;
    for (int k = 0; k < SPREAD_ROUNDS && !fit->failed && at.slope > 0; k++) {
        const double slope = at.slope / at.n;
        const double now = (double)fit->ring->spread * fit->ring->spread;
        const double missing = missing_squares(fit, &fitted->found, &at);
        const double square = now + missing / (at.n * slope * slope);
        const double steps = floor(sqrt(square > 0 ? square : 0) / PROFILE_SPREAD_STEP + 0.5);
        const double spread = PROFILE_SPREAD_STEP * steps;
        fit->ring->spread = (int32_t)(spread < PROFILE_MAX_SPREAD ? spread : PROFILE_MAX_SPREAD);
        at = fit_level(fit, &fitted->found);
    }
}

/* Runs over the pattern rings: first levels, then spreads. */
typedef struct level_pass {
    frame_model *model;
    const value_sums *discarded;
    const level_tables *tables;
    fitted_ring *fitted;  /* per ring; found.n is 0 where there is nothing to be fitted */
    uint8_t *with_spread; /* per ring */
    double *odd;          /* per ring with spread */
    double excess;        /* of the variance of ordinary rings over the model's */
    double squares;
} level_pass;

static level_fit fit_of_ring(const level_pass *pass, uint32_t ring)
{
    const uint32_t *first_cell = pass->model->noise.map->first_cell + ring;
    return (level_fit){.model = pass->model,
                       .tables = pass->tables,
                       .ring = &pass->model->profile[ring],
                       .first = first_cell[0],
                       .last = first_cell[1],
                       .discarded = pass->discarded};
}

/* The levels of all rings, and what ordinary ones say of the dispersion. */
static h5bragg_status fit_levels(level_pass *pass)
{
    for (uint32_t ring = 0; ring < pass->model->layout.nbins; ring++) {
        level_fit fit = fit_of_ring(pass, ring);
        fitted_ring *fitted = &pass->fitted[ring];
        fitted->found = found_moments(&fit);
        if (fit.ring->is_general)
            fitted->found.n = 0;
        if (fitted->found.n == 0)
            continue;
        fitted->at = fit_level(&fit, &fitted->found);
        if (fit.failed)
            return H5BRAGG_NO_MEMORY;
        const double excess = missing_squares(&fit, &fitted->found, &fitted->at);
        if (fabs(excess) < CHANCE_SIGMA * chance_of(&fitted->found)) {
            pass->excess += excess;
            pass->squares += model_squares(&fit, &fitted->at);
        }
    }
    return H5BRAGG_OK;
}

/*
 * Finds the rings whose variance is beyond chance; returns whether there are any.  Rings without
 * any counts would be among them, but no spread changes what they have.
 */
static int find_spreads(level_pass *pass)
{
    int any = 0;
    for (uint32_t ring = 0; ring < pass->model->layout.nbins; ring++) {
        const level_fit fit = fit_of_ring(pass, ring);
        const fitted_ring *fitted = &pass->fitted[ring];
        pass->with_spread[ring] = fitted->found.n > 0 && fitted->at.slope > 0 &&
                                  missing_squares(&fit, &fitted->found, &fitted->at) >=
                                      SPREAD_SIGMA * chance_of(&fitted->found);
        any |= pass->with_spread[ring];
    }
    return any;
}

/* Their spreads, and their levels once more. */
static h5bragg_status fit_spreads(const frame_source *s, level_pass *pass)
{
    if (!find_spreads(pass))
        return H5BRAGG_OK;
    h5bragg_status status = odd_tiles_share(s, pass->with_spread, pass->odd);
    for (uint32_t ring = 0; ring < pass->model->layout.nbins && !status; ring++) {
        level_fit fit = fit_of_ring(pass, ring);
        if (!pass->with_spread[ring])
            continue;
        fit.odd = pass->odd[ring];
        fit_spread(&fit, &pass->fitted[ring]);
        status = fit.failed ? H5BRAGG_NO_MEMORY : H5BRAGG_OK;
    }
    return status;
}

/*
 * Gives ordinary rings their variance: that within tiles was measured where no pixel is picked, a
 * matter of little contrast.
 */
static void correct_dispersion(frame_model *m, const level_pass *pass)
{
    double more = pass->squares > 0 ? pass->excess / pass->squares : 0;
    more = more > MAX_CORRECTION ? MAX_CORRECTION : more < -MAX_CORRECTION ? -MAX_CORRECTION : more;
    const double within = (TILE_NPIXELS - 1.0) / TILE_NPIXELS;
    const int units = m->dispersion + (int)floor(DISPERSION_UNITS * more / within + 0.5);
    m->dispersion = units > PATTERN_MAX_DISPERSION    ? PATTERN_MAX_DISPERSION
                    : units < -PATTERN_MAX_DISPERSION ? -PATTERN_MAX_DISPERSION
                                                      : units;
}

/*
 * Rounds a level to whole steps from the ring's mean, which is what a chunk holds; down where no
 * cell may have more.
 */
static void round_level(const frame_model *m, uint32_t ring)
{
    const ring_map *map = m->noise.map;
    ring_profile *p = &m->profile[ring];
    const int32_t step = (int32_t)profile_step(&m->layout, ring);
    const int32_t base = p->mean_code > 0 ? p->mean_code : 0;
    const int32_t fitted = p->level;
    const int32_t level = base + step * (int32_t)floor((fitted - base) / (double)step + 0.5);
    p->level = level < 0 ? 0 : level; /* wide steps reach below zero */
    const int is_right = p->level <= PROFILE_MAX_LEVEL &&
                         is_on_scale(m, p, map->first_cell[ring], map->first_cell[ring + 1]);
    if (!is_right && p->level > fitted)
        p->level -= step;
    p->level = p->level < 0 ? 0 : p->level;
}

/* Levels, then the dispersion, then spreads. */
static h5bragg_status fit_all(const frame_source *s, level_pass *pass)
{
    frame_model *m = pass->model;
    h5bragg_status status = fit_levels(pass);
    if (status)
        return status;
    correct_dispersion(m, pass);
    status = fit_spreads(s, pass);
    for (uint32_t ring = 0; ring < m->layout.nbins && !status; ring++) {
        if (!m->profile[ring].is_general)
            round_level(m, ring);
    }
    return status;
}

h5bragg_status level_fit_rings(const frame_source *s, frame_model *m, const value_sums *discarded)
{
    const uint32_t nbins = m->layout.nbins;
    const level_tables tables = level_tables_get();
    level_pass pass = {.model = m,
                       .discarded = discarded,
                       .tables = &tables,
                       .fitted = scratch_take(nbins * sizeof *pass.fitted),
                       .with_spread = scratch_take(nbins * sizeof *pass.with_spread),
                       .odd = scratch_take(nbins * sizeof *pass.odd)};
    const int has_all = pass.fitted && pass.with_spread && pass.odd;
    const h5bragg_status status = has_all ? fit_all(s, &pass) : H5BRAGG_NO_MEMORY;
    scratch_give(pass.fitted);
    scratch_give(pass.with_spread);
    scratch_give(pass.odd);
    return status;
}
