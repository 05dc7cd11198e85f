/* SPDX-License-Identifier: MIT */
/* Checks and serialises detector geometry: docs/format.md, "Geometry". */
#include "geometry.h"

#include <math.h>
#include <stdlib.h>

#include "settings.h"

/* Pixels and distances beyond this are not detectors, and squares must stay finite. */
static const double MAX_LENGTH_M = 1e6;

static int is_length(double x) { return x > 0 && x < MAX_LENGTH_M; }

static int is_vector(const float v[3])
{
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += fabs((double)v[k]);
    return sum < MAX_LENGTH_M; /* false for NaN */
}

static double squared(const float v[3])
{
    return (double)v[0] * v[0] + (double)v[1] * v[1] + (double)v[2] * v[2];
}

static int panel_is_usable(const h5bragg_panel *p, uint32_t ny, uint32_t nx)
{
    if (p->slow_start >= p->slow_stop || p->slow_stop > ny)
        return 0;
    if (p->fast_start >= p->fast_stop || p->fast_stop > nx)
        return 0;
    if (!is_vector(p->origin_m) || !is_vector(p->slow_m) || !is_vector(p->fast_m))
        return 0;
    return squared(p->slow_m) > 1e-20 && squared(p->fast_m) > 1e-20;
}

static int panels_overlap(const h5bragg_panel *a, const h5bragg_panel *b)
{
    return a->slow_start < b->slow_stop && b->slow_start < a->slow_stop &&
           a->fast_start < b->fast_stop && b->fast_start < a->fast_stop;
}

h5bragg_status bragg_geometry_check(const h5bragg_geometry *g)
{
    if (!g || !g->panels)
        return H5BRAGG_BAD_ARGUMENT;
    if (g->ny == 0 || g->nx == 0 || g->ny > BRAGG_MAX_SIDE || g->nx > BRAGG_MAX_SIDE)
        return H5BRAGG_BAD_SHAPE;
    if (!is_length(g->distance_m) || !(g->wavelength_m >= 0 && g->wavelength_m < 1.0f))
        return H5BRAGG_BAD_GEOMETRY;
    if (g->npanels == 0 || g->npanels > H5BRAGG_MAX_PANELS)
        return H5BRAGG_BAD_GEOMETRY;
    for (uint32_t i = 0; i < g->npanels; i++) {
        if (!panel_is_usable(&g->panels[i], g->ny, g->nx))
            return H5BRAGG_BAD_GEOMETRY;
        for (uint32_t k = 0; k < i; k++) {
            if (panels_overlap(&g->panels[i], &g->panels[k]))
                return H5BRAGG_BAD_GEOMETRY;
        }
    }
    return H5BRAGG_OK;
}

/* Rotates (slow, fast, beam) components by rot1, rot2, rot3 in turn, in pyFAI's sense. */
static void rotate(const h5bragg_flat *flat, double v[3])
{
    const double c1 = cos(flat->rot1), s1 = sin(flat->rot1);
    const double c2 = cos(flat->rot2), s2 = sin(flat->rot2);
    const double c3 = cos(flat->rot3), s3 = sin(flat->rot3);
    const double a[3] = {v[0], c1 * v[1] + s1 * v[2], c1 * v[2] - s1 * v[1]};
    const double b[3] = {c2 * a[0] - s2 * a[2], a[1], s2 * a[0] + c2 * a[2]};
    v[0] = c3 * b[0] - s3 * b[1];
    v[1] = s3 * b[0] + c3 * b[1];
    v[2] = b[2];
}

/* One (slow, fast, beam) vector of the untilted detector in laboratory (x, y, z). */
static void to_laboratory(const h5bragg_flat *flat, double slow, double fast, double beam,
                          float lab[3])
{
    double v[3] = {slow, fast, beam};
    rotate(flat, v);
    lab[0] = (float)v[1];
    lab[1] = (float)v[0];
    lab[2] = (float)v[2];
}

h5bragg_status h5bragg_flat_panel(const h5bragg_flat *flat, h5bragg_panel *panel)
{
    if (!flat || !panel)
        return H5BRAGG_BAD_ARGUMENT;
    const double slow = flat->pixel_slow_m;
    const double fast = flat->pixel_fast_m;
    const double rotations =
        fabs((double)flat->rot1) + fabs((double)flat->rot2) + fabs((double)flat->rot3);
    if (!is_length(slow) || !is_length(fast) || !is_length(flat->distance_m) || !(rotations < 100))
        return H5BRAGG_BAD_GEOMETRY;
    panel->slow_start = panel->fast_start = 0;
    panel->slow_stop = flat->ny;
    panel->fast_stop = flat->nx;
    to_laboratory(flat, -slow * flat->poni_slow_px, -fast * flat->poni_fast_px, flat->distance_m,
                  panel->origin_m);
    to_laboratory(flat, slow, 0, 0, panel->slow_m);
    to_laboratory(flat, 0, fast, 0, panel->fast_m);
    const h5bragg_geometry g = {.ny = flat->ny,
                                .nx = flat->nx,
                                .distance_m = flat->distance_m,
                                .wavelength_m = flat->wavelength_m,
                                .npanels = 1,
                                .panels = panel};
    return bragg_geometry_check(&g);
}

void bragg_geometry_write(const h5bragg_geometry *g, byte_writer *w)
{
    write_f32(w, g->distance_m);
    write_f32(w, g->wavelength_m);
    write_u32(w, g->npanels);
    for (uint32_t i = 0; i < g->npanels; i++) {
        const h5bragg_panel *p = &g->panels[i];
        write_u32(w, p->slow_start | p->slow_stop << 16);
        write_u32(w, p->fast_start | p->fast_stop << 16);
        for (int k = 0; k < 3; k++)
            write_f32(w, p->origin_m[k]);
        for (int k = 0; k < 3; k++)
            write_f32(w, p->slow_m[k]);
        for (int k = 0; k < 3; k++)
            write_f32(w, p->fast_m[k]);
    }
}

static void read_panel(byte_reader *r, h5bragg_panel *p)
{
    const uint32_t slow = read_u32(r);
    const uint32_t fast = read_u32(r);
    p->slow_start = slow & 0xFFFF;
    p->slow_stop = slow >> 16;
    p->fast_start = fast & 0xFFFF;
    p->fast_stop = fast >> 16;
    for (int k = 0; k < 3; k++)
        p->origin_m[k] = read_f32(r);
    for (int k = 0; k < 3; k++)
        p->slow_m[k] = read_f32(r);
    for (int k = 0; k < 3; k++)
        p->fast_m[k] = read_f32(r);
}

h5bragg_status bragg_geometry_read(byte_reader *r, uint32_t ny, uint32_t nx,
                                   bragg_owned_geometry *owned)
{
    memset(owned, 0, sizeof *owned);
    h5bragg_geometry *g = &owned->view;
    g->ny = ny;
    g->nx = nx;
    g->distance_m = read_f32(r);
    g->wavelength_m = read_f32(r);
    g->npanels = read_u32(r);
    if (r->failed || bytes_left(r) / BRAGG_PANEL_NBYTES < g->npanels)
        return H5BRAGG_TRUNCATED;
    if (g->npanels == 0 || g->npanels > H5BRAGG_MAX_PANELS)
        return H5BRAGG_CORRUPT;
    owned->panels = malloc(g->npanels * sizeof *owned->panels);
    if (!owned->panels)
        return H5BRAGG_NO_MEMORY;
    for (uint32_t i = 0; i < g->npanels; i++)
        read_panel(r, &owned->panels[i]);
    g->panels = owned->panels;
    const h5bragg_status status = bragg_geometry_check(g);
    if (status) {
        bragg_geometry_free(owned);
        return H5BRAGG_CORRUPT;
    }
    return H5BRAGG_OK;
}

h5bragg_status bragg_geometry_copy(const h5bragg_geometry *g, bragg_owned_geometry *copy)
{
    const size_t nmask = (size_t)g->ny * g->nx;
    memset(copy, 0, sizeof *copy);
    const size_t panels_nbytes = g->npanels * sizeof *g->panels;
    copy->panels = malloc(panels_nbytes);
    copy->mask = g->mask ? malloc(nmask) : NULL;
    if (!copy->panels || (g->mask && !copy->mask)) {
        bragg_geometry_free(copy);
        return H5BRAGG_NO_MEMORY;
    }
    memcpy(copy->panels, g->panels, panels_nbytes);
    if (g->mask)
        memcpy(copy->mask, g->mask, nmask);
    copy->view = *g;
    copy->view.panels = copy->panels;
    copy->view.mask = copy->mask;
    return H5BRAGG_OK;
}

void bragg_geometry_free(bragg_owned_geometry *owned)
{
    free(owned->panels);
    free(owned->mask);
    memset(owned, 0, sizeof *owned);
}
