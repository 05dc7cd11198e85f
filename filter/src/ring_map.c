/* SPDX-License-Identifier: MIT */
/*
 * Makes the ring map: docs/format.md, "Tiles and rings".
 *
 * The radial coordinate is 2 sin(theta), proportional to the scattering vector: like the radius
 * near the beam, and still finite where a wide detector reaches 90 degrees.  Only sums, products,
 * quotients and square roots of doubles are used, in the order written here, so every machine makes
 * the same map.
 */
#include "ring_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "portable_math.h"

/* Normalisation classes are 1/32 apart in the logarithm: tiles are within 1.6 % of their class. */
enum { CLASS_LIMIT = 127, NCLASSES = 2 * CLASS_LIMIT + 1, AUTO_MAX_BINS = 1024 };
static const double CLASS_STEP = 1.0 / 32;
static const uint8_t BLANK = 0xFF;

typedef struct class_bounds {
    double lower[NCLASSES + 1]; /* lower[k]: smallest normalisation of class k - CLASS_LIMIT */
} class_bounds;

/* A panel in double precision, with what is constant over it. */
typedef struct panel_frame {
    double origin[3];
    double slow[3];
    double fast[3];
    double plane_m; /* distance of its plane from the sample */
} panel_frame;

typedef struct map_maker {
    const h5bragg_geometry *geometry;
    const h5bragg_params *params;
    class_bounds bounds;
    ring_map *map;
    double *scatter;     /* per tile */
    uint8_t *tile_class; /* per tile */
    uint8_t *class_min;  /* nbins: of the tiles of the ring */
    uint8_t *class_max;
} map_maker;

static panel_frame panel_frame_of(const h5bragg_panel *p)
{
    panel_frame f;
    for (int k = 0; k < 3; k++) {
        f.origin[k] = p->origin_m[k];
        f.slow[k] = p->slow_m[k];
        f.fast[k] = p->fast_m[k];
    }
    const double n0 = f.slow[1] * f.fast[2] - f.slow[2] * f.fast[1];
    const double n1 = f.slow[2] * f.fast[0] - f.slow[0] * f.fast[2];
    const double n2 = f.slow[0] * f.fast[1] - f.slow[1] * f.fast[0];
    const double norm = sqrt(n0 * n0 + n1 * n1 + n2 * n2);
    const double dot = n0 * f.origin[0] + n1 * f.origin[1] + n2 * f.origin[2];
    f.plane_m = norm > 0 ? fabs(dot) / norm : 0;
    return f;
}

/* The middle of a tile, whether or not the frame's edge cuts it. */
static void tile_middle(const panel_frame *f, const h5bragg_panel *p, uint32_t tile_row,
                        uint32_t tile_column, double v[3])
{
    const double i = (double)(TILE_EDGE * tile_row + TILE_EDGE / 2) - (double)p->slow_start;
    const double j = (double)(TILE_EDGE * tile_column + TILE_EDGE / 2) - (double)p->fast_start;
    for (int k = 0; k < 3; k++)
        v[k] = f->origin[k] + i * f->slow[k] + j * f->fast[k];
}

/* With z > 0 in the form without cancellation near the beam. */
double ring_map_scatter(const double v[3])
{
    const double t2 = v[0] * v[0] + v[1] * v[1];
    const double r = sqrt(t2 + v[2] * v[2]);
    if (!(r > 0))
        return 0;
    if (v[2] > 0)
        return sqrt(2.0 * (t2 / (r * (r + v[2]))));
    return sqrt(2.0 * (1.0 - v[2] / r));
}

/*
 * Polarization (1 + cos^2(2 theta) - p cos(2 phi) sin^2(2 theta)) / 2 and solid angle relative to a
 * tile at normal incidence at the reference distance, plane D^2 / r^3: (D / r)^3 on a flat panel.
 */
static double normalisation_of(const map_maker *m, const panel_frame *f, const double v[3])
{
    const double x2 = v[0] * v[0];
    const double y2 = v[1] * v[1];
    const double z2 = v[2] * v[2];
    const double r2 = x2 + y2 + z2;
    double result = 1.0;
    if (!(r2 > 0))
        return result;
    if (m->params->use_polarization)
        result = 0.5 * (1.0 + (z2 - m->params->polarization * (x2 - y2)) / r2);
    if (m->params->use_solid_angle) {
        const double d = m->geometry->distance_m;
        result = result * (f->plane_m * (d * d) / (r2 * sqrt(r2)));
    }
    return result;
}

static void fill_class_bounds(class_bounds *bounds)
{
    for (int k = 0; k <= NCLASSES; k++)
        bounds->lower[k] = portable_exp((k - CLASS_LIMIT - 0.5) * CLASS_STEP);
}

/* Class of a normalisation; `near` is a guess, usually the neighbour's. */
static uint8_t class_of(const class_bounds *bounds, double normalisation, uint8_t near)
{
    int k = near;
    while (k > 0 && normalisation < bounds->lower[k])
        k--;
    while (k < NCLASSES - 1 && normalisation >= bounds->lower[k + 1])
        k++;
    return (uint8_t)k;
}

/* Tiles [first, stop) of one axis that lie in [start, stop) pixels; the frame's edge may cut the
 * last. */
static void tiles_within(uint32_t start, uint32_t stop, uint32_t n, uint32_t *first, uint32_t *last)
{
    *first = (start + TILE_EDGE - 1) / TILE_EDGE;
    *last = stop == n ? (stop + TILE_EDGE - 1) / TILE_EDGE : stop / TILE_EDGE;
}

/* Radial coordinate and class of the tiles of a panel. */
static void measure_panel(map_maker *m, const h5bragg_panel *p, double *low, double *high)
{
    const panel_frame f = panel_frame_of(p);
    uint32_t row, last_row, first_column, last_column;
    tiles_within(p->slow_start, p->slow_stop, m->map->ny, &row, &last_row);
    tiles_within(p->fast_start, p->fast_stop, m->map->nx, &first_column, &last_column);
    for (; row < last_row; row++) {
        uint8_t k = CLASS_LIMIT;
        for (uint32_t column = first_column; column < last_column; column++) {
            const size_t tile = (size_t)row * m->map->ntx + column;
            double v[3];
            tile_middle(&f, p, row, column, v);
            const double s = ring_map_scatter(v);
            *low = s < *low ? s : *low;
            *high = s > *high ? s : *high;
            k = class_of(&m->bounds, normalisation_of(m, &f, v), k);
            m->scatter[tile] = s;
            m->tile_class[tile] = k;
        }
    }
}

/* One ring per two pixels of the first panel's fast axis, at small angles. */
static uint32_t auto_bins(const h5bragg_geometry *g, double range)
{
    const float *f = g->panels[0].fast_m;
    const double pitch = sqrt((double)f[0] * f[0] + (double)f[1] * f[1] + (double)f[2] * f[2]);
    const double bins = ceil(range * g->distance_m / (2.0 * pitch));
    return bins < 1 ? 1 : bins > AUTO_MAX_BINS ? AUTO_MAX_BINS : (uint32_t)bins;
}

static h5bragg_status allocate_tiles(map_maker *m)
{
    const size_t ntiles = ring_map_ntiles(m->map);
    m->map->cell = malloc(ntiles * sizeof *m->map->cell);
    m->scatter = malloc(ntiles * sizeof *m->scatter);
    m->tile_class = malloc(ntiles);
    if (!m->map->cell || !m->scatter || !m->tile_class)
        return H5BRAGG_NO_MEMORY;
    memset(m->map->cell, 0xFF, ntiles * sizeof *m->map->cell);
    memset(m->tile_class, BLANK, ntiles);
    return H5BRAGG_OK;
}

static h5bragg_status allocate_rings(map_maker *m, uint32_t nbins)
{
    m->map->nbins = nbins;
    m->map->first_cell = calloc(nbins + 1u, sizeof *m->map->first_cell);
    m->class_min = malloc(nbins);
    m->class_max = calloc(nbins, 1);
    if (!m->map->first_cell || !m->class_min || !m->class_max)
        return H5BRAGG_NO_MEMORY;
    memset(m->class_min, 0xFF, nbins);
    return H5BRAGG_OK;
}

/* Ring of every tile, into cell[] for now, and the classes that occur in each ring. */
static void find_rings(map_maker *m)
{
    ring_map *map = m->map;
    const double bins_per_scatter = 1.0 / map->scatter_width;
    for (size_t tile = 0; tile < ring_map_ntiles(map); tile++) {
        const uint8_t k = m->tile_class[tile];
        if (k == BLANK)
            continue;
        const double position = (m->scatter[tile] - map->scatter_min) * bins_per_scatter;
        const uint32_t ring = position < map->nbins - 1 ? (uint32_t)position : map->nbins - 1;
        map->cell[tile] = (uint16_t)ring;
        m->class_min[ring] = k < m->class_min[ring] ? k : m->class_min[ring];
        m->class_max[ring] = k > m->class_max[ring] ? k : m->class_max[ring];
    }
}

static h5bragg_status number_cells(map_maker *m)
{
    ring_map *map = m->map;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        const int low = m->class_min[ring];
        const int high = m->class_max[ring];
        map->first_cell[ring + 1] =
            map->first_cell[ring] + (uint32_t)(high < low ? 0 : high - low + 1);
    }
    map->ncells = map->first_cell[map->nbins];
    if (map->ncells > BRAGG_MAX_CELLS)
        return H5BRAGG_BAD_PARAMETER;
    map->ring = malloc((map->ncells + 1u) * sizeof *map->ring);
    map->normalisation = malloc((map->ncells + 1u) * sizeof *map->normalisation);
    map->root = malloc((map->ncells + 1u) * sizeof *map->root);
    if (!map->ring || !map->normalisation || !map->root)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t ring = 0; ring < map->nbins; ring++) {
        for (uint32_t c = map->first_cell[ring]; c < map->first_cell[ring + 1]; c++) {
            const int k = m->class_min[ring] + (int)(c - map->first_cell[ring]) - CLASS_LIMIT;
            map->ring[c] = (uint16_t)ring;
            map->normalisation[c] = portable_exp(k * CLASS_STEP);
            map->root[c] = sqrt(map->normalisation[c]);
        }
    }
    return H5BRAGG_OK;
}

static void rings_to_cells(map_maker *m)
{
    ring_map *map = m->map;
    for (size_t tile = 0; tile < ring_map_ntiles(map); tile++) {
        const uint8_t k = m->tile_class[tile];
        if (k == BLANK)
            continue;
        const uint32_t ring = map->cell[tile];
        map->cell[tile] = (uint16_t)(map->first_cell[ring] + k - m->class_min[ring]);
    }
}

static h5bragg_status find_spans(ring_map *map)
{
    const uint32_t nblocks = ring_map_nblocks(map);
    const size_t n = (size_t)nblocks * ((map->nty + MACRO_EDGE - 1) / MACRO_EDGE);
    map->span = malloc(n * sizeof *map->span);
    if (!map->span)
        return H5BRAGG_NO_MEMORY;
    for (size_t k = 0; k < n; k++)
        map->span[k] = (cell_span){BRAGG_NO_CELL, 0};
    for (size_t tile = 0; tile < ring_map_ntiles(map); tile++) {
        const size_t row = tile / map->ntx / MACRO_EDGE;
        cell_span *span = &map->span[row * nblocks + tile % map->ntx / MACRO_EDGE];
        const uint16_t cell = map->cell[tile];
        span->least = cell < span->least ? cell : span->least;
        span->most = cell > span->most ? cell : span->most;
    }
    return H5BRAGG_OK;
}

/* Of every cell, odd ones apart, and of every ring. */
static h5bragg_status count_tiles(ring_map *map)
{
    uint32_t *of_cell = calloc(2u * map->ncells + 1u, sizeof *of_cell);
    map->ntiles = calloc(2u * map->nbins, sizeof *map->ntiles);
    for (size_t tile = 0; tile < ring_map_ntiles(map) && of_cell; tile++) {
        const uint32_t is_odd = (uint32_t)(tile / map->ntx + tile % map->ntx) & 1;
        if (map->cell[tile] != BRAGG_NO_CELL)
            of_cell[2u * map->cell[tile] + is_odd]++;
    }
    const int has_memory = of_cell && map->ntiles;
    for (uint32_t c = 0; c < map->ncells && has_memory; c++) {
        const uint32_t ntiles = of_cell[2 * c] + of_cell[2 * c + 1];
        map->most_ntiles = ntiles > map->most_ntiles ? ntiles : map->most_ntiles;
        map->ntiles[2u * map->ring[c]] += of_cell[2 * c];
        map->ntiles[2u * map->ring[c] + 1] += of_cell[2 * c + 1];
    }
    free(of_cell);
    return has_memory ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

static h5bragg_status fill_map(map_maker *m)
{
    const h5bragg_geometry *g = m->geometry;
    double low = 4.0;
    double high = 0.0;
    h5bragg_status status = allocate_tiles(m);
    if (status)
        return status;
    fill_class_bounds(&m->bounds);
    for (uint32_t n = 0; n < g->npanels; n++)
        measure_panel(m, &g->panels[n], &low, &high);
    const double range = high > low ? high - low : 0;
    const uint32_t nbins = m->params->radial_bins ? m->params->radial_bins : auto_bins(g, range);
    m->map->scatter_min = low < 4.0 ? low : 0;
    m->map->scatter_width = range > 0 ? range / nbins : 1.0;
    status = allocate_rings(m, nbins);
    if (status)
        return status;
    find_rings(m);
    status = number_cells(m);
    if (status)
        return status;
    rings_to_cells(m);
    status = find_spans(m->map);
    return status ? status : count_tiles(m->map);
}

h5bragg_status ring_map_make(const h5bragg_geometry *geometry, const h5bragg_params *params,
                             ring_map **result)
{
    map_maker m = {.geometry = geometry, .params = params};
    m.map = calloc(1, sizeof *m.map);
    if (!m.map)
        return H5BRAGG_NO_MEMORY;
    m.map->ny = geometry->ny;
    m.map->nx = geometry->nx;
    m.map->nty = (geometry->ny + TILE_EDGE - 1) / TILE_EDGE;
    m.map->ntx = (geometry->nx + TILE_EDGE - 1) / TILE_EDGE;
    const h5bragg_status status = fill_map(&m);
    free(m.scatter);
    free(m.tile_class);
    free(m.class_min);
    free(m.class_max);
    if (status) {
        ring_map_free(m.map);
        m.map = NULL;
    }
    *result = m.map;
    return status;
}

void ring_map_free(ring_map *map)
{
    if (!map)
        return;
    free(map->cell);
    free(map->span);
    free(map->first_cell);
    free(map->ring);
    free(map->normalisation);
    free(map->root);
    free(map->ntiles);
    free(map);
}
