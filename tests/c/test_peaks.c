/* SPDX-License-Identifier: MIT */
/*
 * One list of peaks, wherever it comes from: a frame, its chunk, the encoder, the encoder's stages.
 * And no damaged chunk does harm.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "chunk_header.h"
#include "h5bragg_peaks.h"

enum { NY = 75, NX = 94, NPIXELS = NY * NX, NFRAMES = 2, CAPACITY = 1 << 17, NDAMAGED = 600 };

static uint16_t frames[NFRAMES * NPIXELS];
static uint8_t chunk[CAPACITY];
static uint8_t expected[CAPACITY];

static void make_frames(unsigned *state)
{
    for (uint32_t i = 0; i < NFRAMES * NPIXELS; i++)
        frames[i] = (uint16_t)(random_bits(state) % 3);
    for (uint32_t k = 0; k < 80; k++) {
        const uint32_t at = random_bits(state) % (NFRAMES * NPIXELS - NX - 1);
        frames[at] = (uint16_t)(frames[at] + 20 + random_bits(state) % 500);
        frames[at + 1] = (uint16_t)(frames[at + 1] + 15);
        frames[at + NX] = (uint16_t)(frames[at + NX] + 15);
    }
    for (uint32_t j = 0; j < NX; j++)
        frames[40 * NX + j] = UINT16_MAX;
}

static h5bragg_geometry geometry_of(h5bragg_panel *panel)
{
    const h5bragg_flat flat = {NY, NX, 1e-4F, 1e-4F, 0.05F, 30, 41, 1e-10F, 0, 0, 0};
    CHECK(h5bragg_flat_panel(&flat, panel) == H5BRAGG_OK);
    return (h5bragg_geometry){NY, NX, 0.05F, 1e-10F, 1, panel, NULL};
}

static void check_same(const h5bragg_peak *peak, uint64_t npeaks, const h5bragg_peak_list *list)
{
    CHECK(npeaks == list->npeaks);
    for (uint64_t k = 0; k < npeaks; k++)
        CHECK(memcmp(&peak[k], &list->peak[k], sizeof *peak) == 0);
}

/* Lists of the frames, from the encoder. */
static size_t encode(const h5bragg_geometry *g, const h5bragg_params *params,
                     const h5bragg_peak_params *peaks, h5bragg_peak_list *lists)
{
    size_t nbytes = 0;
    size_t alone = 0;
    CHECK(!h5bragg_encode(frames, H5BRAGG_U16, NFRAMES, g, params, expected, CAPACITY, &alone));
    CHECK(!h5bragg_encode_peaks(frames, H5BRAGG_U16, NFRAMES, g, params, chunk, CAPACITY, &nbytes,
                                peaks, lists));
    CHECK(nbytes == alone && memcmp(chunk, expected, nbytes) == 0);
    return nbytes;
}

static void check_stages(const h5bragg_geometry *g, const h5bragg_params *params,
                         const h5bragg_peak_params *peaks, const h5bragg_peak_list *lists)
{
    static uint8_t out[NPIXELS * 2 + 100];
    h5bragg_stages *stages = NULL;
    const h5bragg_peak *peak = NULL;
    uint64_t npeaks = 1;
    size_t nbytes = 0;
    CHECK(!h5bragg_stages_make(H5BRAGG_U16, NFRAMES, g, params, &stages));
    CHECK(!h5bragg_stages_want_peaks(stages, peaks));
    for (uint32_t k = 0; k < NFRAMES; k++) {
        CHECK(!h5bragg_stages_pack(stages, frames + k * NPIXELS, NULL, out, sizeof out, &nbytes,
                                   NULL));
        CHECK(!h5bragg_stages_peaks(stages, &peak, &npeaks));
        check_same(peak, npeaks, &lists[k]);
    }
    CHECK(!h5bragg_stages_want_peaks(stages, NULL));
    CHECK(!h5bragg_stages_pack(stages, frames, NULL, out, sizeof out, &nbytes, NULL));
    CHECK(!h5bragg_stages_peaks(stages, &peak, &npeaks) && npeaks == 0);
    h5bragg_stages_free(stages);
}

static void check_damaged(size_t nbytes, const h5bragg_peak_params *peaks, unsigned *state)
{
    h5bragg_peak_list list = {0};
    static uint8_t damaged[CAPACITY];
    for (uint32_t k = 0; k < NDAMAGED; k++) {
        memcpy(damaged, chunk, nbytes);
        for (uint32_t n = random_bits(state) % 3 + 1; n; n--)
            damaged[CHUNK_START_NBYTES + random_bits(state) % (nbytes - CHUNK_START_NBYTES)] ^=
                (uint8_t)(1u << random_bits(state) % 8);
        chunk_header_seal(damaged, nbytes);
        (void)h5bragg_find_peaks_chunk(damaged, nbytes, k % NFRAMES, NULL, peaks, &list);
    }
    h5bragg_peak_list_free(&list);
}

static void check_mode(const h5bragg_params *params, unsigned *state)
{
    h5bragg_panel panel;
    h5bragg_peak_params peaks;
    h5bragg_peak_list lists[NFRAMES] = {{0}};
    h5bragg_peak_list list = {0};
    const h5bragg_geometry g = geometry_of(&panel);
    h5bragg_peak_params_init(&peaks);
    make_frames(state);
    const size_t nbytes = encode(&g, params, &peaks, lists);
    for (uint32_t k = 0; k < NFRAMES; k++) {
        CHECK(lists[k].npeaks > 20);
        CHECK(!h5bragg_find_peaks_chunk(chunk, nbytes, k, NULL, &peaks, &list));
        check_same(list.peak, list.npeaks, &lists[k]);
        CHECK(!h5bragg_find_peaks(frames + k * NPIXELS, H5BRAGG_U16, &g, params, &peaks, &list));
        check_same(list.peak, list.npeaks, &lists[k]);
    }
    check_stages(&g, params, &peaks, lists);
    check_damaged(nbytes, &peaks, state);
    peaks.snr_pick = params->snr_pick / 2;
    CHECK(h5bragg_find_peaks_chunk(chunk, nbytes, 0, NULL, &peaks, &list) ==
          H5BRAGG_PEAKS_NOT_STORED);
    CHECK(list.npeaks == 0);
    for (uint32_t k = 0; k < NFRAMES; k++)
        h5bragg_peak_list_free(&lists[k]);
    h5bragg_peak_list_free(&list);
}

static void check_arguments(void)
{
    h5bragg_peak_list list = {0};
    h5bragg_peak_params peaks;
    h5bragg_peak_params_init(&peaks);
    CHECK(h5bragg_find_peaks_chunk(NULL, 0, 0, NULL, &peaks, &list) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_find_peaks_chunk(chunk, 3, 0, NULL, &peaks, &list) != H5BRAGG_OK);
    CHECK(h5bragg_find_peaks(NULL, H5BRAGG_U8, NULL, NULL, NULL, NULL) == H5BRAGG_BAD_ARGUMENT);
    CHECK(h5bragg_stages_want_peaks(NULL, NULL) == H5BRAGG_BAD_ARGUMENT);
    peaks.patch = 4;
    CHECK(h5bragg_find_peaks_chunk(chunk, 3, 0, NULL, &peaks, &list) == H5BRAGG_BAD_PEAK_PARAMETER);
    h5bragg_peak_list_free(NULL);
    h5bragg_peak_params_init(NULL);
}

int main(void)
{
    unsigned state = 7;
    h5bragg_params params;
    check_arguments();
    h5bragg_params_init(&params);
    check_mode(&params, &state);
    params.error_model = H5BRAGG_AZIMUTHAL;
    check_mode(&params, &state);
    params.local_counts = 0;
    params.snr_pick = 2;
    check_mode(&params, &state);
    return 0;
}
