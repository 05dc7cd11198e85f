/* SPDX-License-Identifier: MIT */
/* Cells of a frame from its profile: docs/format.md, "Threshold". */
#include "frame_model.h"
#include "scratch.h"

/* Moments beyond this are counted as this: 64-bit arithmetic then holds every sum. */
static const double MAX_MOMENT = 1073741824.0;
static const double TILE_SUM_UNITS = 4096.0; /* 16 pixels in units of 1/256 */

h5bragg_status frame_model_make(const ring_map *map, const h5bragg_params *params,
                                h5bragg_pixel_type type, uint32_t format_version,
                                frame_model *model)
{
    memset(model, 0, sizeof *model);
    model->format_version = format_version;
    model->noise = (noise_frame){map, params, bragg_mask_codes_of(params, type), type, 0};
    model->layout =
        (profile_layout){format_version, map->ntiles, map->nbins,
                         params->error_model == H5BRAGG_AZIMUTHAL, params->local_counts > 0};
    const size_t ncells = map->ncells + 1u;
    model->profile = scratch_take(map->nbins * sizeof *model->profile);
    model->range = scratch_take(ncells * sizeof *model->range);
    model->expected = scratch_take(ncells * sizeof *model->expected);
    model->variance = scratch_take(ncells * sizeof *model->variance);
    const int is_complete = model->profile && model->range && model->expected && model->variance;
    return is_complete ? H5BRAGG_OK : H5BRAGG_NO_MEMORY;
}

void frame_model_free(frame_model *model)
{
    noise_tables_free(model->tables);
    pattern_book_release(model->book);
    scratch_give(model->profile);
    scratch_give(model->range);
    scratch_give(model->expected);
    scratch_give(model->variance);
    memset(model, 0, sizeof *model);
}

h5bragg_status frame_model_set_ranges(frame_model *model)
{
    return noise_ranges(&model->noise, model->profile, model->range);
}

/* Of a moment, which is not negative. */
static uint64_t in_units(double moment)
{
    const double limited = moment < MAX_MOMENT ? moment : MAX_MOMENT;
    return (uint64_t)(int64_t)(limited * TILE_SUM_UNITS + 0.5);
}

/* Nobody asks for them without local counts. */
static void set_sums(frame_model *model)
{
    const ring_map *map = model->noise.map;
    for (uint32_t c = 0; c < map->ncells; c++) {
        const ring_profile *ring = &model->profile[map->ring[c]];
        if (ring->is_general) {
            const cell_moments m = noise_moments(model->tables, c);
            model->expected[c] = in_units(m.mean);
            model->variance[c] = in_units(m.variance);
        } else {
            model->expected[c] = in_units(profile_level_mean(ring) * map->normalisation[c]);
            model->variance[c] = model->expected[c];
        }
    }
}

static pattern_kind kind_of_patterns(const frame_model *model)
{
    if (model->format_version == 1 || !model->layout.has_local)
        return (pattern_kind){PATTERNS_SHUFFLED, model->dispersion, 0};
    const double quarters = 4.0 * model->noise.params->local_step;
    return (pattern_kind){PATTERNS_ARRANGED, model->dispersion, (uint32_t)quarters};
}

h5bragg_status frame_model_make_tables(frame_model *model)
{
    int has_general = 0;
    noise_tables_free(model->tables);
    model->tables = NULL;
    for (uint32_t ring = 0; ring < model->layout.nbins; ring++)
        has_general |= model->profile[ring].is_general;
    if (!has_general)
        return H5BRAGG_OK;
    return noise_tables_make(&model->noise, model->profile, model->range, &model->tables);
}

h5bragg_status frame_model_complete(frame_model *model)
{
    const h5bragg_status status = frame_model_make_tables(model);
    if (!status && model->layout.has_local)
        set_sums(model);
    pattern_book_release(model->book);
    model->book = NULL;
    return status ? status : pattern_book_acquire(kind_of_patterns(model), &model->book);
}

void frame_model_count_general(const frame_model *model, uint32_t *before)
{
    before[0] = 0;
    for (uint32_t c = 0; c < model->noise.map->ncells; c++)
        before[c + 1] = before[c] + !model->range[c].is_pattern;
}
