/* SPDX-License-Identifier: MIT */
/*
 * h5bragg.h - sparsify and densify X-ray diffraction frames.
 *
 * The one public C header of h5bragg: encode, decode, inspect and unpack chunks, describe
 * detectors, and build the cd_values of the HDF5 filter.  No HDF5 type occurs here; C programs
 * that create HDF5 datasets also want H5Zbragg.h.
 *
 * Conventions.  A frame is ny rows (slow axis) of nx pixels (fast axis).  Pixel coordinates count
 * from the outer corner of the first pixel, so the centre of pixel (0, 0) is (0.5, 0.5).  The
 * laboratory frame has its origin in the sample, z along the beam; an untilted detector has its
 * fast axis along x and its slow axis along y.  Lengths are metres, angles radians.
 *
 * Thread safety: every function may be called from any number of threads at once.
 * Nothing prints, nothing reads the environment, and no function keeps a pointer it was given.
 *
 * The Python package reads the declarations between the two CFFI marks.
 */
#ifndef H5BRAGG_H
#define H5BRAGG_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define H5BRAGG_API __declspec(dllexport)
#elif defined(__GNUC__)
#define H5BRAGG_API __attribute__((visibility("default")))
#else
#define H5BRAGG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* CFFI-BEGIN */

/* HDF5 filter identifier, in the private range until The HDF Group assigns one. */
#define H5BRAGG_FILTER_ID 43947
/* Version of the chunk format that h5bragg_encode writes (docs/format.md); all are read, from 1 on.
 */
#define H5BRAGG_FORMAT_VERSION 2
/* Number of 32-bit words in the filter's cd_values: always this many. */
#define H5BRAGG_CONFIG_NWORDS 16
/* Largest number of mask codes, radial bins and panels. */
#define H5BRAGG_MAX_MASK_CODES 2
#define H5BRAGG_MAX_RADIAL_BINS 4096
#define H5BRAGG_MAX_PANELS 1024

/* Outcome of every function that can fail; h5bragg_status_text() gives the sentence. */
typedef enum h5bragg_status {
    H5BRAGG_OK = 0,
    H5BRAGG_NO_MEMORY = 1,
    H5BRAGG_BAD_ARGUMENT = 2,
    H5BRAGG_BAD_SHAPE = 3,
    H5BRAGG_BAD_PIXEL_TYPE = 4,
    H5BRAGG_BAD_PARAMETER = 5,
    H5BRAGG_BAD_MASK_CODE = 6,
    H5BRAGG_BAD_GEOMETRY = 7,
    H5BRAGG_UNKNOWN_GEOMETRY = 8,
    H5BRAGG_BUFFER_TOO_SMALL = 9,
    H5BRAGG_NOT_A_CHUNK = 10,
    H5BRAGG_TRUNCATED = 11,
    H5BRAGG_BAD_CHECKSUM = 12,
    H5BRAGG_BAD_VERSION = 13,
    H5BRAGG_CORRUPT = 14,
    H5BRAGG_BAD_CONFIG = 15,
    H5BRAGG_ENCODER_FAILED = 16,
    H5BRAGG_BAD_PEAK_PARAMETER = 17,
    H5BRAGG_PEAKS_NOT_STORED = 18
} h5bragg_status;

typedef enum h5bragg_pixel_type {
    H5BRAGG_U8 = 0,
    H5BRAGG_U16 = 1,
    H5BRAGG_U32 = 2,
    H5BRAGG_I16 = 3,
    H5BRAGG_I32 = 4
} h5bragg_pixel_type;

/* How the standard deviation of a ring follows from its pixels. */
typedef enum h5bragg_error_model {
    H5BRAGG_POISSON = 0,   /* variance = mean: photon-counting detectors */
    H5BRAGG_AZIMUTHAL = 1, /* variance measured in the ring */
    H5BRAGG_HYBRID = 2     /* clip with the measured variance, pick with variance = mean */
} h5bragg_error_model;

/* What a discarded pixel becomes on reading. */
typedef enum h5bragg_fill {
    H5BRAGG_FILL_NOISE = 0, /* drawn from the ring's distribution under its threshold */
    H5BRAGG_FILL_MEAN = 1   /* the nearest integer to the mean of the ring's background */
} h5bragg_fill;

/*
 * One flat panel: the pixels [slow_start, slow_stop) x [fast_start, fast_stop) of the frame.  The
 * centre of its pixel (i, j), counted from its own corner, lies at
 * origin_m + (i + 0.5) * slow_m + (j + 0.5) * fast_m.  Vectors are (x, y, z).
 */
typedef struct h5bragg_panel {
    uint32_t slow_start;
    uint32_t slow_stop;
    uint32_t fast_start;
    uint32_t fast_stop;
    float origin_m[3];
    float slow_m[3];
    float fast_m[3];
} h5bragg_panel;

/*
 * A detector.  Tiles of 4 x 4 pixels, counted from the frame's first pixel, that do not lie on one
 * panel altogether belong to no ring and are stored exactly.  distance_m is the reference length
 * of reported radii.  mask, if not NULL, has ny * nx bytes; pixels with a non-zero byte are kept
 * out of the background and stored exactly.
 */
typedef struct h5bragg_geometry {
    uint32_t ny;
    uint32_t nx;
    float distance_m;
    float wavelength_m;
    uint32_t npanels;
    const h5bragg_panel *panels;
    const uint8_t *mask;
} h5bragg_geometry;

/*
 * One flat, possibly tilted detector, as PONI files describe it: distance_m and the coordinates
 * in pixels of the point of normal incidence, then three rotations in radians applied in the order
 * 1, 2, 3 about the slow axis' direction, the fast axis' direction and the beam (pyFAI's
 * convention). Without rotations the point of normal incidence is the beam centre.
 */
typedef struct h5bragg_flat {
    uint32_t ny;
    uint32_t nx;
    float pixel_slow_m;
    float pixel_fast_m;
    float distance_m;
    float poni_slow_px;
    float poni_fast_px;
    float wavelength_m;
    float rot1;
    float rot2;
    float rot3;
} h5bragg_flat;

/* How to sparsify; h5bragg_params_init() sets the defaults given in brackets. */
typedef struct h5bragg_params {
    double snr_pick;       /* keep pixels above mean + snr_pick * sigma, 1/512..127 [4] */
    double snr_clip;       /* least cut-off of the sigma-clip; 0 = Chauvenet's alone [0] */
    uint32_t cycles;       /* most cycles of the sigma-clip, 0..255 [5] */
    uint32_t error_model;  /* h5bragg_error_model [poisson] */
    uint32_t radial_bins;  /* rings; 0 = one per two pixels, at most 1024 [0] */
    uint32_t local_counts; /* edge of the tiles that keep their sum of counts: 4; 0 = off [4] */
    double local_step;     /* step of the sums in their standard deviations, n/4 to 4 [1.5] */
    double
        local_significance; /* sigma from which on tiles are kept exactly, 1/16..127/16 [2.875] */
    uint32_t coarse_limit;  /* blocks of 16 x 16 pixels that expect fewer counts keep one sum;
                               0 (never), 8, 24 or 64 [24] */
    uint32_t use_polarization; /* non-zero: correct for polarization [1] */
    double polarization;       /* factor, -1..1; 1 = fully along the lab x axis [0.99] */
    uint32_t use_solid_angle;  /* non-zero: correct for the solid angle of a pixel [1] */
    uint32_t seed;             /* of the restored noise [0] */
    uint32_t
        auto_mask_codes;   /* non-zero: max, max-1 of unsigned types; -1, -2, min of signed [1] */
    uint32_t n_mask_codes; /* else: how many of mask_codes mark masked pixels */
    int64_t mask_codes[2]; /* within 126 of the maximum, -127..-1, or the minimum */
    uint32_t file_big_endian; /* non-zero: the HDF5 file type is big-endian [0] */
} h5bragg_params;

/* What a chunk says of itself. */
typedef struct h5bragg_info {
    uint32_t format_version;
    uint32_t nframes;
    uint32_t ny;
    uint32_t nx;
    uint32_t pixel_type;
    uint32_t nbins; /* rings actually used */
    uint32_t npanels;
    uint32_t sparse_frames;   /* frames stored as exact pixels and background */
    uint32_t lossless_frames; /* frames stored whole because that was smaller */
    float wavelength_m;
    float distance_m;
    uint64_t chunk_nbytes;
    uint64_t frames_nbytes; /* of the decoded pixels, all frames */
    uint64_t picked_pixels; /* stored exactly in sparse frames: picked, or of kept or blank tiles */
    uint64_t masked_pixels;
    h5bragg_params params;
} h5bragg_info;

/* One ring of a background: normalised values are counts divided by the pixel's normalisation. */
typedef struct h5bragg_ring {
    double radius_m; /* distance_m * tan(2 theta) at the middle of the ring */
    double two_theta_rad;
    double mean;      /* normalised background */
    double std;       /* of one pixel of unit normalisation */
    double sem;       /* standard error of the mean */
    uint32_t count;   /* pixels left after sigma-clipping */
    uint32_t npixels; /* valid pixels before */
} h5bragg_ring;

/* The pixels that one sparse frame stores exactly; the caller owns the arrays. */
typedef struct h5bragg_sparse {
    uint64_t capacity; /* in: entries that index and value have room for */
    uint64_t npicked;  /* out: picked pixels and those of kept and blank tiles */
    uint64_t nmasked;  /* out */
    uint32_t *index;   /* slow * nx + fast, ascending */
    int64_t *value;
    uint8_t *mask; /* ny * nx bytes: 0 valid, else 1 + number of the mask code; may be NULL */
    float *mean;   /* nbins, or NULL */
    float *std;    /* nbins, or NULL */
    uint32_t is_lossless; /* out: non-zero if the frame is stored whole; then npicked = 0 */
} h5bragg_sparse;

/* Version of the library, "major.minor.patch". */
H5BRAGG_API const char *h5bragg_version(void);

/* One English sentence for a status; never NULL, never to be freed. */
H5BRAGG_API const char *h5bragg_status_text(h5bragg_status status);

/* Size of one pixel in bytes, 0 for an unknown type. */
H5BRAGG_API size_t h5bragg_pixel_nbytes(h5bragg_pixel_type type);

/* Sets every parameter to its default. */
H5BRAGG_API void h5bragg_params_init(h5bragg_params *params);

/* Checks parameters for frames of one pixel type. */
H5BRAGG_API h5bragg_status h5bragg_params_check(const h5bragg_params *params,
                                                h5bragg_pixel_type type);

/* The single panel that a flat detector amounts to. */
H5BRAGG_API h5bragg_status h5bragg_flat_panel(const h5bragg_flat *flat, h5bragg_panel *panel);

/* Bytes that h5bragg_encode needs in `out` at most; 0 if the size overflows. */
H5BRAGG_API size_t h5bragg_bound(h5bragg_pixel_type type, uint32_t nframes,
                                 const h5bragg_geometry *geometry);

/*
 * Encodes nframes frames of native byte order into one chunk.  *out_nbytes receives its size.
 * The same input gives the same bytes, on every machine.
 */
H5BRAGG_API h5bragg_status h5bragg_encode(const void *frames, h5bragg_pixel_type type,
                                          uint32_t nframes, const h5bragg_geometry *geometry,
                                          const h5bragg_params *params, void *out,
                                          size_t out_capacity, size_t *out_nbytes);

/* What h5bragg_encode does, with a context of its own. */
typedef h5bragg_status h5bragg_encoder(const void *frames, h5bragg_pixel_type type,
                                       uint32_t nframes, const h5bragg_geometry *geometry,
                                       const h5bragg_params *params, void *out, size_t out_capacity,
                                       size_t *out_nbytes, void *context);

/*
 * Lets the HDF5 filter of this process encode with another function, in whatever thread HDF5 calls
 * it; NULL goes back to h5bragg_encode.  Calls that have begun may still be at work when it
 * returns.
 */
H5BRAGG_API void h5bragg_set_encoder(h5bragg_encoder *encode, void *context);

/* Decodes a chunk into frames of native byte order.  out_nbytes must be info.frames_nbytes. */
H5BRAGG_API h5bragg_status h5bragg_decode(const void *chunk, size_t chunk_nbytes, void *out,
                                          size_t out_nbytes, h5bragg_fill fill);

/* Reads a chunk's header and frame headers, after verifying its checksum. */
H5BRAGG_API h5bragg_status h5bragg_inspect(const void *chunk, size_t chunk_nbytes,
                                           h5bragg_info *info);

/* Copies the chunk's panels; capacity must be at least info.npanels. */
H5BRAGG_API h5bragg_status h5bragg_inspect_panels(const void *chunk, size_t chunk_nbytes,
                                                  h5bragg_panel *panels, uint32_t capacity);

/* Takes one frame of a chunk apart without densifying it. */
H5BRAGG_API h5bragg_status h5bragg_unpack(const void *chunk, size_t chunk_nbytes, uint32_t frame,
                                          h5bragg_sparse *sparse);

/* Number of rings that h5bragg_background gives; 0 if geometry or parameters are unusable. */
H5BRAGG_API uint32_t h5bragg_nbins(const h5bragg_geometry *geometry, const h5bragg_params *params);

/* Sigma-clipped background of one frame, ring by ring from the beam outwards. */
H5BRAGG_API h5bragg_status h5bragg_background(const void *frame, h5bragg_pixel_type type,
                                              const h5bragg_geometry *geometry,
                                              const h5bragg_params *params, h5bragg_ring *rings,
                                              uint32_t nrings);

/*
 * Per pixel: ring (65535 where its tile of 4 x 4 pixels does not lie on one panel) and
 * normalisation, those of its tile, as the encoder uses them.  Each array has ny * nx entries;
 * either may be NULL.
 */
H5BRAGG_API h5bragg_status h5bragg_map_pixels(const h5bragg_geometry *geometry,
                                              const h5bragg_params *params, uint16_t *ring,
                                              float *normalisation);

/* cd_values for a flat detector.  set_local of the filter fills in shape and pixel type. */
H5BRAGG_API h5bragg_status h5bragg_config_flat(const h5bragg_flat *flat,
                                               const h5bragg_params *params,
                                               uint32_t cd_values[16]);

/*
 * cd_values for any geometry, which is copied and registered in this process under a hash of its
 * contents: an encoder in another process must register it too; reading needs nothing.
 */
H5BRAGG_API h5bragg_status h5bragg_config_registered(const h5bragg_geometry *geometry,
                                                     const h5bragg_params *params,
                                                     uint32_t cd_values[16]);

/*
 * Encoding in stages, where others go through the pixels, as kernels on a GPU do (docs/gpu.md).
 * They count; h5bragg_stages_model makes rules of the counts; they choose tiles by the rules; and
 * h5bragg_stages_pack makes the frame of a chunk of that: the same bytes as h5bragg_encode.
 *
 * A tile is 4 x 4 pixels, numbered row by row; pixel p of it, 0 to 15, has the place
 * 16 * tile + p.  The byte of a pixel is its value; 0 if it carries a mask code or lies outside of
 * the frame; 255 if the value is negative or above 254 or the pixel is under the mask.
 */
typedef struct h5bragg_stages h5bragg_stages; /* of one thread at a time */

/* What never changes; pointers stay those of the stages. */
typedef struct h5bragg_tiles {
    uint32_t nrows; /* of tiles */
    uint32_t ncolumns;
    uint32_t ncells;    /* tiles of one ring and normalisation are a cell */
    uint32_t has_local; /* local counts are on */
    uint32_t most_sum;  /* largest sum of a tile that is drawn from ready-made patterns */
    uint32_t ncodes;    /* of mask codes, compared as unsigned numbers of the pixel's width */
    uint32_t code[3];
    const uint16_t *cell; /* nrows * ncolumns; 65535 for tiles that lie on no one panel */
    const uint8_t *mask;  /* as of the geometry */
} h5bragg_tiles;

/* A pixel whose value is negative or above 63. */
typedef struct h5bragg_large_pixel {
    uint32_t place;
    uint32_t value; /* modulo 2^32 */
} h5bragg_large_pixel;

/*
 * What there is in a frame.  Counted are pixels of tiles that have a cell, without a mask code and
 * not under the mask.
 */
typedef struct h5bragg_counts {
    uint64_t total;             /* of all pixels without a code, each modulo 2^32, modulo 2^64 */
    uint32_t has_negative;      /* some pixel without a code is negative */
    const uint32_t *absent;     /* ncells: places of its tiles that are not counted */
    const uint32_t *count;      /* ncells * 64: pixels of each value from 1 to 63 */
    h5bragg_large_pixel *large; /* in any order; it is put in that of places */
    uint64_t nlarge;
} h5bragg_counts;

/* How the tiles of a cell are chosen; docs/gpu.md says it in full. */
typedef struct h5bragg_cell_rule {
    int64_t low;        /* of what can be drawn */
    int64_t high;       /* the threshold */
    double expected;    /* wide frames: background of a pixel */
    double wide_chance; /* as chance and peak, of sums of what pixels are above that */
    double wide_peak;
    uint32_t within_row;   /* of `squares`; 0: not counted */
    uint32_t within_first; /* of `within`: the tiles of sum 0 */
    uint16_t chance;       /* largest sum of a box of 3 x 3 bytes that is no sign of a peak */
    uint16_t peak;         /* and that of one without wings */
    uint16_t least[4];     /* sum of a tile that is worth keeping, by what touches it */
    uint16_t least_pixel;  /* or the largest byte of one that a box touches */
    uint8_t limit;         /* of bytes: below, they are drawn */
    uint8_t is_pattern;
} h5bragg_cell_rule;

/*
 * What else there is to know before tiles are chosen.  Rules of a frame that is not ready are 0. In
 * wide frames pixels that are not counted are nothing in a box; of a box the rows come in the order
 * of their number modulo 3, the sum of three pixels side by side being added to that of the rows
 * before.
 */
typedef struct h5bragg_rules {
    uint32_t is_ready; /* 0: this frame is for h5bragg_stages_pack alone, with chosen = NULL */
    uint32_t is_wide;  /* boxes are of what pixels are above the background, in doubles */
    uint32_t nwithin;  /* counters */
    uint32_t nsquares; /* rows */
} h5bragg_rules;

/*
 * What was chosen; arrays of tiles are in their order.  `kept` and `calm` change where a ring turns
 * out not to be what its rule said.
 */
typedef struct h5bragg_chosen {
    uint16_t *valid;        /* bits of pixels without a mask code */
    uint16_t *sum;          /* of bytes */
    uint8_t *kept;          /* 1: stored pixel by pixel; 0 for tiles without a cell */
    uint8_t *calm;          /* 1: drawn, all bytes below the limit */
    uint8_t *has_large;     /* 1: some byte is 255 */
    uint8_t *largest;       /* byte */
    const uint8_t *exact;   /* bytes of kept tiles and those without a cell, all of whose pixels are
                               valid and no byte 255 */
    const uint16_t *above;  /* without local counts: bits of pixels above the threshold, of other
                               tiles without 255 if the threshold is 0 to 254 */
    const uint8_t *excess;  /* of these: byte - threshold - 1 */
    const uint32_t *within; /* nwithin: calm tiles all of whose pixels are valid, by their sum */
    const uint32_t *squares;      /* nsquares: sums of squares of their bytes, low words */
    const uint32_t *squares_high; /* and high ones */
    const uint32_t *peak_tile;    /* tiles that may have peaks, in any order; NULL: all may */
    uint64_t npeak_tiles;
} h5bragg_chosen;

/* Stages for chunks of nframes frames.  Free with h5bragg_stages_free; NULL is allowed there. */
H5BRAGG_API h5bragg_status h5bragg_stages_make(h5bragg_pixel_type type, uint32_t nframes,
                                               const h5bragg_geometry *geometry,
                                               const h5bragg_params *params,
                                               h5bragg_stages **stages);
H5BRAGG_API void h5bragg_stages_free(h5bragg_stages *stages);

/* What kernels need to know of the geometry. */
H5BRAGG_API h5bragg_status h5bragg_stages_tiles(const h5bragg_stages *stages, h5bragg_tiles *tiles);

/* Background and thresholds of a frame: rule[ncells + 1], the last one of tiles without a cell. */
H5BRAGG_API h5bragg_status h5bragg_stages_model(h5bragg_stages *stages,
                                                const h5bragg_counts *counts,
                                                h5bragg_cell_rule *rule, h5bragg_rules *rules);

/*
 * Writes a frame of native byte order: after h5bragg_stages_model what was chosen of it, or, if
 * chosen is NULL, by itself.  `out` needs room for the frame and 5 bytes.  *is_alone, unless NULL,
 * tells that it was by itself after all: where a ring turns out not to be what its rule said, and
 * local counts are off.
 */
H5BRAGG_API h5bragg_status h5bragg_stages_pack(h5bragg_stages *stages, const void *frame,
                                               const h5bragg_chosen *chosen, void *out,
                                               size_t out_capacity, size_t *out_nbytes,
                                               uint32_t *is_alone);

/* A frame on its way through the stages; each has stages of its own. */
typedef struct h5bragg_job {
    h5bragg_stages *stages;
    const h5bragg_counts *counts;
    h5bragg_cell_rule *rule;
    h5bragg_rules rules; /* out, of h5bragg_jobs_model */
    const void *frame;
    const h5bragg_chosen *chosen; /* not looked at where rules.is_ready is 0 */
    void *out;
    uint64_t out_capacity;
    uint64_t out_nbytes;   /* out, of h5bragg_jobs_pack, as the last two */
    uint32_t is_chunk;     /* in: the frame is all of a chunk, and that is what to write */
    uint32_t is_by_itself; /* in: counts are no use; out: see h5bragg_stages_pack */
    uint8_t *peak_limit;   /* unless NULL, out of h5bragg_jobs_model: h5bragg_stages_peak_limits */
    h5bragg_status status;
} h5bragg_job;

/*
 * Threads for jobs, 1 to 1024, which any number of callers share: each job is one thread's, those
 * that come first are begun first.  The system may give fewer; where it gives none, and in the
 * child of a process that forks, callers work for themselves.
 */
typedef struct h5bragg_pool h5bragg_pool;
H5BRAGG_API h5bragg_status h5bragg_pool_make(uint32_t nthreads, h5bragg_pool **pool);

/* Frees a pool that nobody uses any more; NULL is allowed. */
H5BRAGG_API void h5bragg_pool_free(h5bragg_pool *pool);

/* memcpy of something large, in the threads of a pool. */
H5BRAGG_API void h5bragg_pool_copy(h5bragg_pool *pool, void *to, const void *from, size_t nbytes);

/*
 * h5bragg_stages_model and h5bragg_stages_pack of many frames, in the threads of a pool, or in this
 * one if it is NULL; returns the first status that is not H5BRAGG_OK.
 */
H5BRAGG_API h5bragg_status h5bragg_jobs_model(h5bragg_job *jobs, uint32_t njobs,
                                              h5bragg_pool *pool);
H5BRAGG_API h5bragg_status h5bragg_jobs_pack(h5bragg_job *jobs, uint32_t njobs, h5bragg_pool *pool);

/* Copies what the jobs have put out, the sum of all out_nbytes, one behind the other. */
H5BRAGG_API h5bragg_status h5bragg_jobs_join(h5bragg_job *jobs, uint32_t njobs, h5bragg_pool *pool,
                                             void *to);

/* A chunk is its start, frames one behind the other, and sealed. */
H5BRAGG_API h5bragg_status h5bragg_stages_begin(const h5bragg_stages *stages, void *out,
                                                size_t out_capacity, size_t *out_nbytes);
H5BRAGG_API h5bragg_status h5bragg_stages_seal(void *chunk, size_t chunk_nbytes);

/*
 * H5Dwrite_chunk of the HDF5 library that has opened the file, 1.10.3 or later: dataset, transfer
 * properties, filters left out, offset of the chunk, its bytes.
 */
typedef int h5bragg_write_chunk(int64_t, int64_t, uint32_t, const uint64_t *, size_t, const void *);

/*
 * Calls it for chunks one after the other; `rank` numbers are the offset of each.  Returns how many
 * were written before one failed.  The caller keeps others out of that library meanwhile.
 */
H5BRAGG_API uint32_t h5bragg_chunks_write(h5bragg_write_chunk *write, int64_t dataset,
                                          uint32_t rank, const uint64_t *offset,
                                          const uint8_t *const *chunk, const size_t *nbytes,
                                          uint32_t nchunks);

/* CFFI-END */

#ifdef __cplusplus
}
#endif
#endif
