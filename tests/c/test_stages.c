/* SPDX-License-Identifier: MIT */
/*
 * Encoding in stages gives the bytes of h5bragg_encode: here the encoder's own stages stand in for
 * the kernels of a GPU, and what they find is handed over as kernels do it.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "frame_encoder.h"
#include "h5bragg_peaks.h"
#include "within_tiles.h"

/* Not all tiles fit in whole vectors; the last ones are whole, but for one. */
enum { NY = 76, NX = 90, NPIXELS = NY * NX, NTY = 19, NTX = 23, NTILES = NTY * NTX };
enum { MAX_CELLS = 4096, MAX_WITHIN = 1 << 20, CAPACITY = 1 << 20, GAP = 40 };

static uint16_t frame[NPIXELS];
static uint32_t count[MAX_CELLS * HISTOGRAM_NCOUNTS];
static uint32_t absent[MAX_CELLS];
static h5bragg_large_pixel large[NPIXELS];
static h5bragg_cell_rule rule[MAX_CELLS];
static uint8_t exact[NPIXELS * 2];
static uint16_t above[NTILES];
static uint8_t excess[NPIXELS * 2];
static uint32_t within[MAX_WITHIN];
static uint32_t squares[2][MAX_CELLS];
static uint8_t expected_chunk[CAPACITY];
static uint8_t chunk[CAPACITY];

static h5bragg_geometry geometry_of(h5bragg_panel *panel)
{
    const h5bragg_flat flat = {NY, NX, 1e-4F, 1e-4F, 0.05F, 30, 41, 1e-10F, 0, 0, 0};
    CHECK(h5bragg_flat_panel(&flat, panel) == H5BRAGG_OK);
    return (h5bragg_geometry){NY, NX, 0.05F, 1e-10F, 1, panel, NULL};
}

/* Counts of about this mean, some peaks, a gap. */
static void make_frame(unsigned *state, uint32_t mean)
{
    for (uint32_t i = 0; i < NPIXELS; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < 4 * mean; k++)
            n += random_bits(state) % 4 == 0;
        frame[i] = (uint16_t)(random_bits(state) % 200 == 0 ? n + random_bits(state) % 400 : n);
    }
    for (uint32_t j = 0; j < NX; j++)
        frame[GAP * NX + j] = UINT16_MAX;
}

/* What a pass over the pixels counts. */
static h5bragg_counts count_pixels(const h5bragg_tiles *tiles)
{
    h5bragg_counts counts = {.absent = absent, .count = count, .large = large};
    memset(absent, 0, sizeof absent);
    memset(count, 0, sizeof count);
    for (uint32_t place = NTILES * TILE_NPIXELS; place-- > 0;) { /* large ones in another order */
        const uint32_t tile = place / TILE_NPIXELS;
        const uint32_t i = tile / NTX * TILE_EDGE + place % TILE_NPIXELS / TILE_EDGE;
        const uint32_t j = tile % NTX * TILE_EDGE + place % TILE_EDGE;
        const int is_inside = i < NY && j < NX;
        const uint32_t value = is_inside ? frame[i * NX + j] : 0;
        const int is_valid = is_inside && value < UINT16_MAX - 1;
        counts.total += is_valid ? value : 0;
        if (!is_valid)
            absent[tiles->cell[tile]]++;
        else if (value < HISTOGRAM_NCOUNTS)
            count[tiles->cell[tile] * HISTOGRAM_NCOUNTS + value] += value > 0;
        else
            large[counts.nlarge++] = (h5bragg_large_pixel){place, value};
    }
    return counts;
}

/* Lists what the encoder's own stages have chosen. */
static h5bragg_chosen list_chosen(frame_encoder *e)
{
    frame_source *s = &e->source;
    const counts_plane *plane = &s->plane;
    uint8_t *to = exact;
    uint8_t *height = excess;
    memset(within, 0, sizeof within);
    memset(squares, 0, sizeof squares);
    for (uint32_t t = 0; t < NTILES; t++) {
        const h5bragg_cell_rule *r = &rule[s->map->cell[t]];
        const uint8_t *from = plane->value + TILE_EDGE * (t / NTX * plane->stride + t % NTX);
        const int is_exact = s->kept[t] && plane->valid[t] == 0xFFFF && !plane->has_large[t];
        const int is_byte = r->high >= 0 && r->high < BYTE_LOOKUP;
        above[t] = 0;
        for (uint32_t p = 0; p < TILE_NPIXELS; p++) {
            const uint8_t byte = from[p / TILE_EDGE * plane->stride + p % TILE_EDGE];
            if (is_exact)
                *to++ = byte;
            if (e->model.layout.has_local || s->kept[t] || plane->has_large[t] || !is_byte ||
                byte <= r->high)
                continue;
            above[t] |= (uint16_t)(1u << p);
            *height++ = (uint8_t)(byte - r->high - 1);
        }
        if (s->calm[t] && plane->valid[t] == 0xFFFF && r->within_row) {
            within[r->within_first + plane->sum[t]]++;
            squares[0][r->within_row] += plane->squares[t];
        }
    }
    return (h5bragg_chosen){.valid = plane->valid,
                            .sum = plane->sum,
                            .kept = s->kept,
                            .calm = s->calm,
                            .has_large = plane->has_large,
                            .largest = plane->largest,
                            .exact = exact,
                            .above = above,
                            .excess = excess,
                            .within = within,
                            .squares = squares[0],
                            .squares_high = squares[1]};
}

/* All tiles that count for the dispersion are among those measured. */
static void check_within(const frame_encoder *e)
{
    const uint32_t nbins = e->source.map->nbins;
    within_tiles *ring = calloc(nbins, sizeof *ring);
    double nmeasured = 0;
    double nlisted = 0;
    CHECK(ring && !within_tiles_measure(&e->source, &e->model, ring));
    for (uint32_t k = 0; k < nbins; k++)
        nmeasured += ring[k].ntiles;
    for (uint32_t k = 0; k < MAX_WITHIN; k++)
        nlisted += within[k];
    CHECK(nmeasured == nlisted && nlisted > 0);
    free(ring);
}

/* Tiles that others have marked, more than there need be, twice and in any order. */
static void check_marked(const h5bragg_geometry *geometry, const h5bragg_params *params,
                         h5bragg_stages *stages, const h5bragg_counts *counts,
                         h5bragg_chosen chosen)
{
    static uint32_t marked[NTILES];
    static uint8_t limit[2 * (MAX_CELLS + 1)];
    h5bragg_rules rules;
    h5bragg_peak_params peaks;
    h5bragg_peak_list list = {0};
    const h5bragg_peak *found = NULL;
    uint64_t nfound = 0;
    size_t nbytes = 0;
    h5bragg_peak_params_init(&peaks);
    peaks.connected = 0;
    CHECK(!h5bragg_find_peaks(frame, H5BRAGG_U16, geometry, params, &peaks, &list));
    CHECK(list.npeaks > 10 && 2 * list.npeaks < NTILES);
    for (uint32_t k = 0; k < list.npeaks; k++) {
        const h5bragg_peak *peak = &list.peak[list.npeaks - 1 - k];
        marked[2 * k] = peak->slow / TILE_EDGE * NTX + peak->fast / TILE_EDGE;
        marked[2 * k + 1] = k % 2 ? k : marked[2 * k];
    }
    chosen.peak_tile = marked;
    chosen.npeak_tiles = 2 * list.npeaks;
    CHECK(!h5bragg_stages_want_peaks(stages, &peaks));
    CHECK(!h5bragg_stages_model(stages, counts, rule, &rules));
    CHECK(!h5bragg_stages_peak_limits(stages, limit));
    CHECK(!h5bragg_stages_pack(stages, frame, &chosen, chunk, CAPACITY, &nbytes, NULL));
    CHECK(!h5bragg_stages_peaks(stages, &found, &nfound));
    CHECK(nfound == list.npeaks);
    for (uint64_t k = 0; k < nfound; k++)
        CHECK(memcmp(&found[k], &list.peak[k], sizeof *found) == 0);
    marked[0] = NTILES;
    CHECK(!h5bragg_stages_model(stages, counts, rule, &rules));
    CHECK(h5bragg_stages_pack(stages, frame, &chosen, chunk, CAPACITY, &nbytes, NULL) ==
          H5BRAGG_BAD_ARGUMENT);
    CHECK(!h5bragg_stages_want_peaks(stages, NULL));
    h5bragg_peak_list_free(&list);
}

static void check_frame(const h5bragg_params *params)
{
    h5bragg_panel panel;
    const h5bragg_geometry geometry = geometry_of(&panel);
    h5bragg_stages *stages = NULL;
    h5bragg_tiles tiles;
    h5bragg_rules rules;
    bragg_settings settings;
    frame_encoder e;
    size_t expected = 0;
    size_t start = 0;
    size_t nbytes = 0;
    uint32_t is_alone = 1;
    const bragg_frame source = {frame, H5BRAGG_U16, NY, NX};
    CHECK(h5bragg_encode(frame, H5BRAGG_U16, 1, &geometry, params, expected_chunk, CAPACITY,
                         &expected) == H5BRAGG_OK);
    CHECK(h5bragg_stages_make(H5BRAGG_U16, 1, &geometry, params, &stages) == H5BRAGG_OK);
    CHECK(h5bragg_stages_tiles(stages, &tiles) == H5BRAGG_OK);
    CHECK(tiles.nrows == NTY && tiles.ncolumns == NTX && tiles.ncells < MAX_CELLS);
    h5bragg_counts counts = count_pixels(&tiles);
    CHECK(h5bragg_stages_model(stages, &counts, rule, &rules) == H5BRAGG_OK);
    CHECK(rules.is_ready && !rules.is_wide && rules.nwithin <= MAX_WITHIN);
    CHECK(frame_settings_make(H5BRAGG_U16, 1, &geometry, params, &settings) == H5BRAGG_OK);
    CHECK(frame_encoder_make(&settings, &geometry, &e) == H5BRAGG_OK);
    CHECK(frame_encoder_count(&e, &source) == H5BRAGG_OK);
    CHECK(frame_encoder_model(&e) == H5BRAGG_OK);
    CHECK(frame_encoder_choose(&e) == H5BRAGG_OK);
    const h5bragg_chosen chosen = list_chosen(&e);
    check_within(&e);
    CHECK(h5bragg_stages_begin(stages, chunk, CAPACITY, &start) == H5BRAGG_OK);
    CHECK(h5bragg_stages_pack(stages, frame, &chosen, chunk + start, CAPACITY - start, &nbytes,
                              &is_alone) == H5BRAGG_OK);
    CHECK(h5bragg_stages_seal(chunk, start + nbytes) == H5BRAGG_OK);
    CHECK(!is_alone && start + nbytes == expected);
    CHECK(memcmp(chunk, expected_chunk, expected) == 0);
    check_marked(&geometry, params, stages, &counts, chosen);
    /* By itself, and in a job. */
    h5bragg_job job = {.stages = stages,
                       .frame = frame,
                       .out = chunk,
                       .out_capacity = CAPACITY,
                       .is_chunk = 1,
                       .is_by_itself = 1};
    memset(chunk, 0, sizeof chunk);
    CHECK(h5bragg_jobs_model(&job, 1, NULL) == H5BRAGG_OK);
    CHECK(h5bragg_jobs_pack(&job, 1, NULL) == H5BRAGG_OK && job.is_by_itself);
    CHECK(job.out_nbytes == expected && memcmp(chunk, expected_chunk, expected) == 0);
    /* Outputs one behind the other. */
    static uint8_t joined[2 * CAPACITY];
    h5bragg_job packed[3] = {job, job, job};
    packed[0].out_nbytes = 5;
    packed[1].out_nbytes = 0;
    CHECK(h5bragg_jobs_join(packed, 3, NULL, joined) == H5BRAGG_OK);
    CHECK(memcmp(joined, chunk, 5) == 0 && memcmp(joined + 5, chunk, expected) == 0);
    CHECK(h5bragg_jobs_join(packed, 3, NULL, NULL) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_jobs_join(NULL, 3, NULL, joined) == H5BRAGG_BAD_ARGUMENT);
    /* What was chosen is of no use without rules of that frame. */
    CHECK(h5bragg_stages_pack(stages, frame, &chosen, chunk, CAPACITY, &nbytes, NULL) ==
          H5BRAGG_BAD_ARGUMENT);
    /* Counts that contradict the map. */
    absent[tiles.cell[0]] = UINT32_MAX;
    CHECK(h5bragg_stages_model(stages, &counts, rule, &rules) == H5BRAGG_BAD_ARGUMENT);
    absent[tiles.cell[0]] = 0;
    large[0].place = NTILES * TILE_NPIXELS;
    counts.nlarge = 1;
    CHECK(h5bragg_stages_model(stages, &counts, rule, &rules) == H5BRAGG_BAD_ARGUMENT);
    frame_encoder_free(&e);
    h5bragg_stages_free(stages);
}

int main(void)
{
    unsigned state = 7;
    for (uint32_t mean = 1; mean <= 12; mean += 3) {
        h5bragg_params params;
        h5bragg_params_init(&params);
        make_frame(&state, mean);
        check_frame(&params);
        params.local_counts = 0;
        params.snr_pick = 2;
        check_frame(&params);
    }
    return 0;
}
