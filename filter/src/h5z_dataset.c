/* SPDX-License-Identifier: MIT */
/*
 * What the filter asks of a dataset at its creation, when a mistake is still cheap: chunks that
 * hold whole frames of the geometry's shape, pixels of a type it can store, and no filter before
 * it that would hand it something else than pixels.
 */
#include "h5z_dataset.h"

#include <stdio.h>

#include "settings.h"

#define MAX_NFRAMES 65535u

/* A pixel type as people write it, and what to use in its place. */
typedef struct type_advice {
    char name[24];
    const char *instead;
} type_advice;

/* Shape of a chunk. */
typedef struct chunk_shape {
    int rank;
    hdf5_size size[HDF5_MAX_RANK];
} chunk_shape;

static int describe_integer(size_t nbytes, int is_unsigned, h5bragg_pixel_type *type,
                            type_advice *advice)
{
    if (nbytes == 1 && is_unsigned)
        *type = H5BRAGG_U8;
    else if (nbytes == 2)
        *type = is_unsigned ? H5BRAGG_U16 : H5BRAGG_I16;
    else if (nbytes == 4)
        *type = is_unsigned ? H5BRAGG_U32 : H5BRAGG_I32;
    else {
        snprintf(advice->name, sizeof(advice->name), "%s%zu", is_unsigned ? "uint" : "int",
                 8 * nbytes);
        advice->instead = nbytes == 1 ? "int16" : is_unsigned ? "uint32" : "int32";
        return 0;
    }
    return 1;
}

static int find_pixel_type(const bragg_hdf5 *hdf5, hdf5_id type_id, h5bragg_pixel_type *type,
                           char sentence[BRAGG_SENTENCE_NBYTES])
{
    const int type_class = hdf5->type_class(type_id);
    const size_t nbytes = hdf5->type_size(type_id);
    type_advice advice = {"non-integer", "uint32"};
    if (type_class == HDF5_TYPE_INTEGER) {
        const int is_unsigned = hdf5->type_sign(type_id) == HDF5_SIGN_NONE;
        if (describe_integer(nbytes, is_unsigned, type, &advice))
            return 1;
    } else if (type_class == HDF5_TYPE_FLOAT) {
        snprintf(advice.name, sizeof(advice.name), "float%zu", 8 * nbytes);
        advice.instead = "int32";
    }
    snprintf(sentence, BRAGG_SENTENCE_NBYTES,
             "h5bragg cannot store %s pixels: convert them to %s, or any of uint8, uint16, uint32, "
             "int16 and int32, before creating the dataset",
             advice.name, advice.instead);
    return 0;
}

/* Appends "(1, 2, 3)", as Python writes a shape. */
static void append_shape(char *text, size_t capacity, const chunk_shape *shape)
{
    size_t used = 0;
    for (int k = 0; k < shape->rank && used < capacity; k++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%llu", k == 0 ? "(" : ", ",
                                 (unsigned long long)shape->size[k]);
    if (used < capacity)
        snprintf(text + used, capacity - used, shape->rank == 1 ? ",)" : ")");
}

/* Chunks that would do in the place of `chunk`: one frame each. */
static chunk_shape one_frame_chunk(const chunk_shape *chunk, uint32_t ny, uint32_t nx)
{
    chunk_shape wanted = {chunk->rank < 2 ? 3 : chunk->rank, {0}};
    for (int k = 0; k < wanted.rank - 2; k++)
        wanted.size[k] = 1;
    wanted.size[wanted.rank - 2] = ny;
    wanted.size[wanted.rank - 1] = nx;
    return wanted;
}

/*
 * The first dimension of a frame in a chunk, -1 if the chunk cuts frames.  A frame's rows are those
 * of one dimension or, of four and more, of several: modules that lie one behind the other.  HDF5
 * does not say how many modules the dataset has, so that a chunk of rows from several frames can
 * only be told from a stack in three dimensions, where there are none.
 */
static int find_frame(const chunk_shape *chunk, uint32_t ny, uint32_t nx)
{
    const int last = chunk->rank - 2;
    hdf5_size nrows = 1;
    if (chunk->rank < 2 || chunk->size[chunk->rank - 1] != nx)
        return -1;
    for (int k = last; k >= 0 && (k == last || chunk->rank > 3); k--) {
        /* HDF5 limits each side to 32 bits, and ny the product before. */
        nrows *= chunk->size[k];
        if (nrows == ny)
            return k;
        if (nrows > ny)
            return -1;
    }
    return -1;
}

/* Frames of shape (ny, nx) in a chunk, 0 if it cuts them; MAX_NFRAMES + 1 means too many. */
static hdf5_size count_frames(const chunk_shape *chunk, uint32_t ny, uint32_t nx)
{
    const int first = find_frame(chunk, ny, nx);
    if (first < 0)
        return 0;
    hdf5_size nframes = 1;
    for (int k = 0; k < first; k++) {
        /* HDF5 limits each side to 32 bits, so this product cannot overflow. */
        nframes *= chunk->size[k];
        if (nframes > MAX_NFRAMES)
            return MAX_NFRAMES + 1;
    }
    return nframes;
}

static int find_nframes(const bragg_hdf5 *hdf5, hdf5_id dcpl, uint32_t ny, uint32_t nx,
                        uint32_t *nframes, char sentence[BRAGG_SENTENCE_NBYTES])
{
    chunk_shape chunk;
    chunk.rank = hdf5->get_chunk(dcpl, HDF5_MAX_RANK, chunk.size);
    if (chunk.rank < 1 || chunk.rank > HDF5_MAX_RANK) {
        snprintf(sentence, BRAGG_SENTENCE_NBYTES,
                 "h5bragg needs a chunked dataset: create it with chunks=(1, %u, %u)", ny, nx);
        return 0;
    }
    *nframes = (uint32_t)count_frames(&chunk, ny, nx);
    if (*nframes > 0 && *nframes <= MAX_NFRAMES)
        return 1;
    char got[64];
    char wanted[64];
    const chunk_shape advice = one_frame_chunk(&chunk, ny, nx);
    append_shape(got, sizeof(got), &chunk);
    append_shape(wanted, sizeof(wanted), &advice);
    snprintf(sentence, BRAGG_SENTENCE_NBYTES,
             "h5bragg stores %s frames of the geometry, %u rows of %u pixels, in a chunk: create "
             "the dataset with chunks=%s%s, not %s",
             *nframes == 0 ? "whole" : "at most 65535", ny, nx, wanted,
             chunk.rank > 3 ? " or with all modules of a stack in a chunk" : "", got);
    return 0;
}

static int find_words(const bragg_hdf5 *hdf5, hdf5_id dcpl, uint32_t words[H5BRAGG_CONFIG_NWORDS],
                      unsigned *flags, char sentence[BRAGG_SENTENCE_NBYTES])
{
    size_t nwords = H5BRAGG_CONFIG_NWORDS;
    unsigned config;
    const hdf5_status status =
        hdf5->get_filter_by_id(dcpl, H5BRAGG_FILTER_ID, flags, &nwords, words, 0, NULL, &config);
    if (status >= 0 && nwords == H5BRAGG_CONFIG_NWORDS)
        return 1;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES,
             "h5bragg needs its %d cd_values, not %zu: take them from h5bragg.Bragg in Python or "
             "h5bragg_config_flat in C",
             H5BRAGG_CONFIG_NWORDS, nwords);
    return 0;
}

/* A filter before this one, such as shuffle, would make it see something else than pixels. */
static int check_is_first(const bragg_hdf5 *hdf5, hdf5_id dcpl,
                          char sentence[BRAGG_SENTENCE_NBYTES])
{
    unsigned flags;
    unsigned config;
    size_t nwords = 0;
    const int id = hdf5->get_filter(dcpl, 0, &flags, &nwords, NULL, 0, NULL, &config);
    if (id == H5BRAGG_FILTER_ID)
        return 1;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES,
             "h5bragg must be the first filter of a dataset, but filter %d stands before it: "
             "create the dataset without that filter (shuffle is number 2)",
             id);
    return 0;
}

static int check_words(const uint32_t words[H5BRAGG_CONFIG_NWORDS],
                       char sentence[BRAGG_SENTENCE_NBYTES])
{
    bragg_settings settings;
    const h5bragg_status status = bragg_settings_from_words(words, &settings);
    if (status == H5BRAGG_OK)
        return 1;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES, "h5bragg cannot use the dataset's cd_values: %s",
             h5bragg_status_text(status));
    return 0;
}

int bragg_dataset_check(const bragg_hdf5 *hdf5, hdf5_id dcpl, hdf5_id type,
                        uint32_t words[H5BRAGG_CONFIG_NWORDS], unsigned *flags,
                        char sentence[BRAGG_SENTENCE_NBYTES])
{
    h5bragg_pixel_type pixel_type;
    uint32_t nframes;
    if (!find_words(hdf5, dcpl, words, flags, sentence) || !check_is_first(hdf5, dcpl, sentence) ||
        !find_pixel_type(hdf5, type, &pixel_type, sentence))
        return 0;
    const uint32_t ny = bragg_words_ny(words);
    const uint32_t nx = bragg_words_nx(words);
    const int is_big_endian = hdf5->type_order(type) == HDF5_ORDER_BIG_ENDIAN;
    /* Checked as if for one frame: only words known to be good tell the frame's shape. */
    bragg_words_set_frames(words, pixel_type, is_big_endian, 1, ny, nx);
    if (!check_words(words, sentence) || !find_nframes(hdf5, dcpl, ny, nx, &nframes, sentence))
        return 0;
    bragg_words_set_frames(words, pixel_type, is_big_endian, nframes, ny, nx);
    return 1;
}
