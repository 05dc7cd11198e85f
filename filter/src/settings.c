/* SPDX-License-Identifier: MIT */
/* Parameter words: docs/format.md, "Parameter words". */
#include "settings.h"

#include <math.h>
#include <string.h>

#include "bytes.h"
#include "pixel.h"

/* No array of encoder or decoder has more for a pixel: what fits this, fits their sizes. */
enum { MOST_NBYTES_OF_PIXEL = 64 };

/* Word 0: magic, layout version, cycles and flags. */
#define WORDS_MAGIC 0xB5u
#define WORDS_LAYOUT 1u
enum {
    FLAG_ERROR_MODEL = 3u,
    FLAG_SOLID_ANGLE = 1u << 2,
    FLAG_POLARIZATION = 1u << 3,
    FLAG_AUTO_MASK = 1u << 4,
    FLAG_REGISTERED = 1u << 5,
    COARSE_LIMIT_SHIFT = 6
};
static const double SNR_UNIT = 512.0;
static const double POLARIZATION_UNIT = 32767.0;
static const double STEP_UNIT = 4.0;
static const double SIGNIFICANCE_UNIT = 16.0;
static const uint32_t TYPE_UNSET = 0xFF;
/* The one field of word 6 that parameters, not frames, fill. */
static const uint32_t SIGNIFICANCE_FIELD = 0x7Fu << 9;
enum { SIGNIFICANCE_SHIFT = 9 };

/* What local_counts and coarse_limit may be; the latter's place in the list is its code. */
enum { LOCAL_OFF = 0, LOCAL_ON = 4 };
static const uint32_t COARSE_LIMITS[] = {0, 8, 24, 64};
enum { N_COARSE_LIMITS = sizeof COARSE_LIMITS / sizeof *COARSE_LIMITS };

/* A mask code is stored as its distance from the maximum of this type, or from zero. */
static const h5bragg_pixel_type ALL_TYPES[] = {H5BRAGG_U8, H5BRAGG_I16, H5BRAGG_U16, H5BRAGG_I32,
                                               H5BRAGG_U32};
enum { CODE_NONE = 0, CODE_MINIMUM = -128, CODE_REACH = 127, REFERENCE_NONE = 0 };

/* Type whose maximum lies at most 126 above `value`, as 1 + type; REFERENCE_NONE if there is none.
 */
static uint32_t reference_type(int64_t value)
{
    for (size_t k = 0; k < sizeof ALL_TYPES / sizeof *ALL_TYPES; k++) {
        const int64_t distance = pixel_maximum(ALL_TYPES[k]) - value;
        if (distance >= 0 && distance < CODE_REACH)
            return 1 + (uint32_t)ALL_TYPES[k];
    }
    return REFERENCE_NONE;
}

/* The byte for one mask code; *reference is set for codes near a maximum. 0 if impossible. */
static int encode_mask_code(int64_t value, uint32_t *reference)
{
    if (value == INT16_MIN || value == INT32_MIN)
        return CODE_MINIMUM;
    if (value < 0)
        return value >= -CODE_REACH ? (int)value : CODE_NONE;
    const uint32_t found = reference_type(value);
    if (found == REFERENCE_NONE || (*reference != REFERENCE_NONE && *reference != found))
        return CODE_NONE;
    *reference = found;
    return (int)(pixel_maximum((h5bragg_pixel_type)(found - 1)) - value) + 1;
}

static int64_t decode_mask_code(int code, h5bragg_pixel_type type)
{
    if (code == CODE_MINIMUM)
        return pixel_minimum(type);
    return code < 0 ? code : pixel_maximum(type) + 1 - code;
}

/* Bytes of both mask codes and their reference; 0 where a code cannot be stored. */
static int pack_mask_codes(const h5bragg_params *params, int codes[2], uint32_t *reference)
{
    codes[0] = codes[1] = CODE_NONE;
    *reference = REFERENCE_NONE;
    if (params->auto_mask_codes)
        return 1;
    for (uint32_t k = 0; k < params->n_mask_codes; k++) {
        codes[k] = encode_mask_code(params->mask_codes[k], reference);
        if (codes[k] == CODE_NONE)
            return 0;
    }
    return 1;
}

/* Code of a coarse limit, N_COARSE_LIMITS if it has none. */
static uint32_t coarse_limit_code(uint32_t limit)
{
    uint32_t code = 0;
    while (code < N_COARSE_LIMITS && COARSE_LIMITS[code] != limit)
        code++;
    return code;
}

static uint32_t in_units(double x, double unit) { return (uint32_t)floor(x * unit + 0.5); }

static int in_range(double x, double low, double high) { return x >= low && x <= high; }

static int check_local(const h5bragg_params *params)
{
    /* Quarters are far apart: a step between them is refused, not rounded. */
    return (params->local_counts == LOCAL_OFF || params->local_counts == LOCAL_ON) &&
           in_range(params->local_step, 1.0 / STEP_UNIT, 4.0) &&
           in_units(params->local_step, STEP_UNIT) == params->local_step * STEP_UNIT &&
           in_range(params->local_significance, 1.0 / SIGNIFICANCE_UNIT,
                    127.0 / SIGNIFICANCE_UNIT) &&
           coarse_limit_code(params->coarse_limit) < N_COARSE_LIMITS;
}

/* Everything that does not depend on the pixel type. */
static h5bragg_status check_untyped(const h5bragg_params *params)
{
    int codes[2];
    uint32_t reference;
    if (!in_range(params->snr_pick, 1.0 / SNR_UNIT, 127.0) || !in_range(params->snr_clip, 0, 127.0))
        return H5BRAGG_BAD_PARAMETER;
    if (params->cycles > 255 || params->error_model > H5BRAGG_HYBRID)
        return H5BRAGG_BAD_PARAMETER;
    if (params->radial_bins > H5BRAGG_MAX_RADIAL_BINS || !check_local(params))
        return H5BRAGG_BAD_PARAMETER;
    if (params->use_polarization && !in_range(params->polarization, -1.0, 1.0))
        return H5BRAGG_BAD_PARAMETER;
    if (params->n_mask_codes > H5BRAGG_MAX_MASK_CODES)
        return H5BRAGG_BAD_MASK_CODE;
    return pack_mask_codes(params, codes, &reference) ? H5BRAGG_OK : H5BRAGG_BAD_MASK_CODE;
}

h5bragg_status h5bragg_params_check(const h5bragg_params *params, h5bragg_pixel_type type)
{
    if (!params)
        return H5BRAGG_BAD_ARGUMENT;
    if (!h5bragg_pixel_nbytes(type))
        return H5BRAGG_BAD_PIXEL_TYPE;
    const h5bragg_status status = check_untyped(params);
    if (status || params->auto_mask_codes)
        return status;
    for (uint32_t k = 0; k < params->n_mask_codes; k++) {
        const int64_t code = params->mask_codes[k];
        const int is_minimum = code == INT16_MIN || code == INT32_MIN;
        if (is_minimum && code != pixel_minimum(type))
            return H5BRAGG_BAD_MASK_CODE;
        if (code < 0 ? pixel_minimum(type) == 0 : reference_type(code) != 1 + (uint32_t)type)
            return H5BRAGG_BAD_MASK_CODE;
    }
    return H5BRAGG_OK;
}

void h5bragg_params_init(h5bragg_params *params)
{
    memset(params, 0, sizeof *params);
    params->snr_pick = 4.0;
    params->cycles = 5;
    params->error_model = H5BRAGG_POISSON;
    params->local_counts = LOCAL_ON;
    params->local_step = 1.5;
    params->local_significance = 2.875;
    params->coarse_limit = 24;
    params->use_polarization = 1;
    params->polarization = 0.99;
    params->use_solid_angle = 1;
    params->auto_mask_codes = 1;
}

void bragg_params_to_words(const h5bragg_params *params, uint32_t words[16])
{
    int codes[2];
    uint32_t reference;
    pack_mask_codes(params, codes, &reference);
    const int polarization =
        params->use_polarization ? (int)floor(params->polarization * POLARIZATION_UNIT + 0.5) : 0;
    words[0] = WORDS_MAGIC << 24 | WORDS_LAYOUT << 16 | params->cycles << 8 | params->error_model |
               coarse_limit_code(params->coarse_limit) << COARSE_LIMIT_SHIFT |
               (params->use_solid_angle ? FLAG_SOLID_ANGLE : 0u) |
               (params->use_polarization ? FLAG_POLARIZATION : 0u) |
               (params->auto_mask_codes ? FLAG_AUTO_MASK : 0u);
    words[1] = in_units(params->snr_pick, SNR_UNIT) | in_units(params->snr_clip, SNR_UNIT) << 16;
    words[2] = params->radial_bins | params->local_counts << 16 |
               (in_units(params->local_step, STEP_UNIT) - 1) << 20 | reference << 24;
    words[3] = ((uint32_t)polarization & 0xFFFF) | ((uint32_t)codes[0] & 0xFF) << 16 |
               ((uint32_t)codes[1] & 0xFF) << 24;
    words[4] = params->seed;
    words[6] = in_units(params->local_significance, SIGNIFICANCE_UNIT) << SIGNIFICANCE_SHIFT;
}

void bragg_words_set_frames(uint32_t words[16], h5bragg_pixel_type type, int big_endian,
                            uint32_t nframes, uint32_t ny, uint32_t nx)
{
    words[5] = ny | nx << 16;
    words[6] = (words[6] & SIGNIFICANCE_FIELD) | (uint32_t)type | (big_endian ? 1u << 8 : 0u) |
               nframes << 16;
}

uint32_t bragg_words_ny(const uint32_t words[7]) { return words[5] & 0xFFFF; }
uint32_t bragg_words_nx(const uint32_t words[7]) { return words[5] >> 16; }

/* Signed 16 and 8 bit fields without relying on conversions. */
static int signed_field(uint32_t field, int bits)
{
    const uint32_t sign = 1u << (bits - 1);
    return (int)(field ^ sign) - (int)sign;
}

static h5bragg_status unpack_mask_codes(const uint32_t words[7], h5bragg_pixel_type type,
                                        h5bragg_params *params)
{
    const uint32_t reference = words[2] >> 24;
    if (reference != REFERENCE_NONE && reference != 1 + (uint32_t)type)
        return H5BRAGG_BAD_MASK_CODE;
    const int codes[2] = {signed_field(words[3] >> 16 & 0xFF, 8), signed_field(words[3] >> 24, 8)};
    for (int k = 0; k < 2; k++) {
        if (codes[k] != CODE_NONE)
            params->mask_codes[params->n_mask_codes++] = decode_mask_code(codes[k], type);
    }
    return H5BRAGG_OK;
}

/* Parameters as the fields say; but for mask codes of another type, still to be checked. */
static h5bragg_status unpack_params(const uint32_t words[7], h5bragg_pixel_type type,
                                    h5bragg_params *p)
{
    p->error_model = words[0] & FLAG_ERROR_MODEL;
    p->use_solid_angle = (words[0] & FLAG_SOLID_ANGLE) != 0;
    p->use_polarization = (words[0] & FLAG_POLARIZATION) != 0;
    p->auto_mask_codes = (words[0] & FLAG_AUTO_MASK) != 0;
    p->coarse_limit = COARSE_LIMITS[words[0] >> COARSE_LIMIT_SHIFT & 3];
    p->cycles = words[0] >> 8 & 0xFF;
    p->snr_pick = (words[1] & 0xFFFF) / SNR_UNIT;
    p->snr_clip = (words[1] >> 16) / SNR_UNIT;
    p->radial_bins = words[2] & 0xFFFF;
    p->local_counts = words[2] >> 16 & 0xF;
    p->local_step = ((words[2] >> 20 & 0xF) + 1) / STEP_UNIT;
    p->local_significance =
        ((words[6] & SIGNIFICANCE_FIELD) >> SIGNIFICANCE_SHIFT) / SIGNIFICANCE_UNIT;
    p->polarization = signed_field(words[3] & 0xFFFF, 16) / POLARIZATION_UNIT;
    p->seed = words[4];
    p->file_big_endian = words[6] >> 8 & 1;
    return unpack_mask_codes(words, type, p);
}

int bragg_frame_fits(h5bragg_pixel_type type, uint32_t ny, uint32_t nx)
{
    const uint64_t npixels = (uint64_t)ny * nx;
    return npixels > 0 && npixels * h5bragg_pixel_nbytes(type) <= UINT32_MAX &&
           npixels <= SIZE_MAX / MOST_NBYTES_OF_PIXEL;
}

/* Settings have one set of words: no other may mean the same. */
static int are_canonical(const uint32_t words[7], const bragg_settings *s)
{
    uint32_t again[16] = {0};
    bragg_params_to_words(&s->params, again);
    bragg_words_set_frames(again, s->type, s->params.file_big_endian != 0, s->nframes, s->ny,
                           s->nx);
    return memcmp(words, again, BRAGG_NPARAMETER_WORDS * sizeof *words) == 0;
}

h5bragg_status bragg_settings_from_parameter_words(const uint32_t words[7], bragg_settings *s)
{
    memset(s, 0, sizeof *s);
    if (words[0] >> 24 != WORDS_MAGIC || (words[0] >> 16 & 0xFF) != WORDS_LAYOUT)
        return H5BRAGG_BAD_CONFIG;
    if ((words[6] & 0xFF) == TYPE_UNSET)
        return H5BRAGG_BAD_CONFIG;
    s->type = (h5bragg_pixel_type)(words[6] & 0xFF);
    if (!h5bragg_pixel_nbytes(s->type))
        return H5BRAGG_BAD_PIXEL_TYPE;
    s->ny = bragg_words_ny(words);
    s->nx = bragg_words_nx(words);
    s->nframes = words[6] >> 16;
    if (s->nframes == 0 || !bragg_frame_fits(s->type, s->ny, s->nx))
        return H5BRAGG_BAD_SHAPE;
    h5bragg_status status = unpack_params(words, s->type, &s->params);
    if (!status)
        status = h5bragg_params_check(&s->params, s->type);
    if (status)
        return status;
    return are_canonical(words, s) ? H5BRAGG_OK : H5BRAGG_BAD_CONFIG;
}

/* Words 7 to 15 of a geometry named by its hash. */
static h5bragg_status unpack_hash(const uint32_t words[16], bragg_settings *s)
{
    s->is_registered = 1;
    s->geometry_hash = words[7] | (uint64_t)words[8] << 32;
    for (int k = 9; k < 16; k++) {
        if (words[k] != 0)
            return H5BRAGG_BAD_CONFIG;
    }
    return H5BRAGG_OK;
}

h5bragg_status bragg_settings_from_words(const uint32_t words[16], bragg_settings *s)
{
    /* A chunk's words know no registered geometry. */
    uint32_t in_chunk[BRAGG_NPARAMETER_WORDS];
    memcpy(in_chunk, words, sizeof in_chunk);
    in_chunk[0] &= ~(uint32_t)FLAG_REGISTERED;
    const h5bragg_status status = bragg_settings_from_parameter_words(in_chunk, s);
    if (status)
        return status;
    if (words[0] & FLAG_REGISTERED)
        return unpack_hash(words, s);
    s->flat.ny = s->ny;
    s->flat.nx = s->nx;
    float *const fields[] = {&s->flat.distance_m,   &s->flat.pixel_slow_m, &s->flat.pixel_fast_m,
                             &s->flat.poni_slow_px, &s->flat.poni_fast_px, &s->flat.wavelength_m,
                             &s->flat.rot1,         &s->flat.rot2,         &s->flat.rot3};
    for (int k = 0; k < 9; k++)
        *fields[k] = float_from_bits(words[7 + k]);
    return H5BRAGG_OK;
}

h5bragg_status bragg_params_canonical(const h5bragg_params *params, h5bragg_pixel_type type,
                                      h5bragg_params *canonical)
{
    const h5bragg_status status = h5bragg_params_check(params, type);
    if (status)
        return status;
    uint32_t words[16] = {0};
    bragg_settings settings;
    bragg_params_to_words(params, words);
    bragg_words_set_frames(words, type, params->file_big_endian != 0, 1, 1, 1);
    const h5bragg_status packed = bragg_settings_from_parameter_words(words, &settings);
    *canonical = settings.params;
    return packed;
}

bragg_mask_codes bragg_mask_codes_of(const h5bragg_params *params, h5bragg_pixel_type type)
{
    const bragg_mask_codes signed_codes = {3, {-1, -2, pixel_minimum(type)}};
    const bragg_mask_codes unsigned_codes = {2, {pixel_maximum(type), pixel_maximum(type) - 1, 0}};
    const bragg_mask_codes given = {params->n_mask_codes,
                                    {params->mask_codes[0], params->mask_codes[1], 0}};
    if (!params->auto_mask_codes)
        return given;
    return pixel_minimum(type) < 0 ? signed_codes : unsigned_codes;
}

/* Parameters and shape of cd_values whose pixel type is still to be set. */
static h5bragg_status config_start(const h5bragg_params *params, uint32_t ny, uint32_t nx,
                                   uint32_t cd_values[16])
{
    if (!params)
        return H5BRAGG_BAD_ARGUMENT;
    if (ny == 0 || nx == 0 || ny > BRAGG_MAX_SIDE || nx > BRAGG_MAX_SIDE)
        return H5BRAGG_BAD_SHAPE;
    const h5bragg_status status = check_untyped(params);
    if (status)
        return status;
    memset(cd_values, 0, 16 * sizeof *cd_values);
    bragg_params_to_words(params, cd_values);
    cd_values[5] = ny | nx << 16;
    cd_values[6] |= TYPE_UNSET;
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_config_flat(const h5bragg_flat *flat, const h5bragg_params *params,
                                   uint32_t cd_values[16])
{
    h5bragg_panel panel;
    if (!flat || !cd_values)
        return H5BRAGG_BAD_ARGUMENT;
    h5bragg_status status = h5bragg_flat_panel(flat, &panel);
    if (!status)
        status = config_start(params, flat->ny, flat->nx, cd_values);
    if (status)
        return status;
    const float fields[] = {flat->distance_m,   flat->pixel_slow_m, flat->pixel_fast_m,
                            flat->poni_slow_px, flat->poni_fast_px, flat->wavelength_m,
                            flat->rot1,         flat->rot2,         flat->rot3};
    for (int k = 0; k < 9; k++)
        cd_values[7 + k] = bits_of_float(fields[k]);
    return H5BRAGG_OK;
}

h5bragg_status bragg_config_hash(uint64_t hash, const h5bragg_params *params, uint32_t ny,
                                 uint32_t nx, uint32_t cd_values[16])
{
    const h5bragg_status status = config_start(params, ny, nx, cd_values);
    if (status)
        return status;
    cd_values[0] |= FLAG_REGISTERED;
    cd_values[7] = (uint32_t)hash;
    cd_values[8] = (uint32_t)(hash >> 32);
    return H5BRAGG_OK;
}
