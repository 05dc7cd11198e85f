/* SPDX-License-Identifier: MIT */
/*
 * h5bragg_peaks.h - Bragg peaks, from the background that h5bragg.h sparsifies with.
 *
 * A peak is found in what a chunk stores exactly, so a frame, the chunk of it and the encoder give
 * the same list to the last bit, on every machine (docs/peaks.md).  Conventions and thread safety
 * are those of h5bragg.h.
 *
 * The Python package reads the declarations between the two CFFI marks.
 */
#ifndef H5BRAGG_PEAKS_H
#define H5BRAGG_PEAKS_H

#include "h5bragg.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CFFI-BEGIN */

/* What is a peak (docs/peaks.md); h5bragg_peak_params_init() sets the defaults given in brackets.
 */
typedef struct h5bragg_peak_params {
    double snr_pick;    /* least height of its pixels in sigma, 1/512..127 [4] */
    uint32_t patch;     /* edge of the patch around it, 3 or 5 pixels [5] */
    uint32_t connected; /* so many other pixels of the patch must be as high, 0..24 [2] */
} h5bragg_peak_params;

/* A peak; sums are over its patch, as far as its pixels are stored exactly. */
typedef struct h5bragg_peak {
    double slow_px; /* centre of mass of what is above the background */
    double fast_px;
    double intensity;    /* counts above the background */
    double sigma;        /* standard deviation of the intensity: of background and own counts */
    double background;   /* counts of a pixel at its largest one */
    double radius_m;     /* distance_m * tan(2 theta); infinite from 90 degrees on */
    double resolution_a; /* angstrom; 0 if the wavelength is not known */
    int64_t maximum;     /* counts of its largest pixel */
    uint32_t slow;       /* where that is */
    uint32_t fast;
    uint32_t npixels; /* of the patch that are summed */
    uint32_t nhigh;   /* of these that are above snr_pick sigma, the largest included */
} h5bragg_peak;

/* Peaks in the order of their tiles of 4 x 4 pixels.  All zero at first; lists may be used again.
 */
typedef struct h5bragg_peak_list {
    h5bragg_peak *peak;
    uint64_t npeaks;
    uint64_t capacity;
} h5bragg_peak_list;

/* Frees what a list holds; it is all zero afterwards. */
H5BRAGG_API void h5bragg_peak_list_free(h5bragg_peak_list *list);

/* Sets every parameter to its default. */
H5BRAGG_API void h5bragg_peak_params_init(h5bragg_peak_params *peaks);

/*
 * The peaks of one frame of native byte order.  params say how its background is found and what a
 * chunk of it would store; peaks->snr_pick must not be below params->snr_pick.
 */
H5BRAGG_API h5bragg_status h5bragg_find_peaks(const void *frame, h5bragg_pixel_type type,
                                              const h5bragg_geometry *geometry,
                                              const h5bragg_params *params,
                                              const h5bragg_peak_params *peaks,
                                              h5bragg_peak_list *list);

/*
 * The peaks of one frame of a chunk, which is not made dense.  A chunk does not know the mask of
 * its geometry: mask is that, ny * nx bytes, or NULL.
 */
H5BRAGG_API h5bragg_status h5bragg_find_peaks_chunk(const void *chunk, size_t chunk_nbytes,
                                                    uint32_t frame, const uint8_t *mask,
                                                    const h5bragg_peak_params *peaks,
                                                    h5bragg_peak_list *list);

/* h5bragg_encode that also gives the peaks: lists[nframes]. */
H5BRAGG_API h5bragg_status h5bragg_encode_peaks(const void *frames, h5bragg_pixel_type type,
                                                uint32_t nframes, const h5bragg_geometry *geometry,
                                                const h5bragg_params *params, void *out,
                                                size_t out_capacity, size_t *out_nbytes,
                                                const h5bragg_peak_params *peaks,
                                                h5bragg_peak_list *lists);

/* From now on h5bragg_stages_pack finds peaks, too; NULL: no longer. */
H5BRAGG_API h5bragg_status h5bragg_stages_want_peaks(h5bragg_stages *stages,
                                                     const h5bragg_peak_params *peaks);

/*
 * For kernels, after h5bragg_stages_model of a frame that is ready: of every cell the least byte of
 * the largest pixel of a peak, and then that of the others; limit[2 * (ncells + 1)], the last ones
 * of tiles without a cell.  Where peaks are not wanted, or the frame is not ready, all are 255.
 */
H5BRAGG_API h5bragg_status h5bragg_stages_peak_limits(const h5bragg_stages *stages, uint8_t *limit);

/* Those of the frame that was packed last; they are the stages' until the next call. */
H5BRAGG_API h5bragg_status h5bragg_stages_peaks(const h5bragg_stages *stages,
                                                const h5bragg_peak **peaks, uint64_t *npeaks);

/* CFFI-END */

#ifdef __cplusplus
}
#endif

#endif
