/* SPDX-License-Identifier: MIT */
/*
 * The HDF5 filter: what HDF5 calls at dataset creation, on every write and on every read.
 *
 * Writing takes geometry and parameters from the cd_values; reading takes all from the chunk and
 * uses the cd_values only to make sure that the chunk is what the dataset expects.  A chunk that is
 * not, or whose dataset says nothing of the kind, is refused before memory is made for it.
 */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#include <sys/mman.h>
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "h5bragg.h"
#include "h5z_dataset.h"
#include "h5z_report.h"
#include "hdf5_symbols.h"
#include "scratch.h"
#include "settings.h"

/* HDF5 shows this name, in some programs it alone, where the plugin is missing. */
#define FILTER_NAME                                                                                \
    "H5Z-BRAGG: to read this, pip install h5bragg and set HDF5_PLUGIN_PATH to what "               \
    "'h5bragg plugin path' prints"

/* The buffer that HDF5 lends to a filter, and the memory functions that go with it. */
typedef struct host_buffer {
    bragg_memory memory;
    size_t nbytes;    /* of data */
    size_t *capacity; /* the host's record of the size of *data */
    void **data;
} host_buffer;

static void replace(const host_buffer *buffer, void *data, size_t capacity)
{
    buffer->memory.release(*buffer->data);
    *buffer->data = data;
    *buffer->capacity = capacity;
}

static uint32_t is_host_big_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* Reverses the bytes of every pixel; `to` may be `from`. */
static void swap_pixels(void *to, const void *from, size_t nbytes, size_t pixel_nbytes)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t i = 0; i + pixel_nbytes <= nbytes; i += pixel_nbytes) {
        for (size_t k = 0; k < pixel_nbytes / 2; k++) {
            const uint8_t low = in[i + k];
            out[i + k] = in[i + pixel_nbytes - 1 - k];
            out[i + pixel_nbytes - 1 - k] = low;
        }
    }
}

static h5bragg_status read_settings(size_t cd_nelmts, const unsigned cd_values[],
                                    bragg_settings *settings)
{
    if (cd_nelmts != H5BRAGG_CONFIG_NWORDS)
        return H5BRAGG_BAD_CONFIG;
    return bragg_settings_from_words(cd_values, settings);
}

/* Bytes of all frames; the limits that bragg_settings_from_words checks keep it below 2^52. */
static uint64_t frames_nbytes(const bragg_settings *settings)
{
    return (uint64_t)settings->nframes * settings->ny * settings->nx *
           h5bragg_pixel_nbytes(settings->type);
}

/* Gives the host a copy of a chunk, in memory of the size of the chunk. */
static h5bragg_status give_copy(const host_buffer *buffer, const void *chunk, size_t nbytes)
{
    void *copy = buffer->memory.allocate(nbytes, 0);
    if (copy == NULL)
        return H5BRAGG_NO_MEMORY;
    memcpy(copy, chunk, nbytes);
    replace(buffer, copy, nbytes);
    return H5BRAGG_OK;
}

/*
 * Encodes frames of native byte order, and gives the chunk to the host.  There must be room for
 * what is as large as the frames.  New memory of that size comes without its pages: their first
 * touch takes several times as long as a copy of the chunk out of memory that is kept.
 */
static h5bragg_status encode_native(const host_buffer *buffer, const bragg_settings *settings,
                                    const void *frames, size_t *out_nbytes)
{
    const size_t capacity = bragg_settings_bound(settings);
    if (capacity == 0)
        return settings->is_registered ? H5BRAGG_UNKNOWN_GEOMETRY : H5BRAGG_BAD_SHAPE;
    void *chunk = scratch_take(capacity);
    if (chunk == NULL)
        return H5BRAGG_NO_MEMORY;
    h5bragg_status status = bragg_encode_settings(settings, frames, chunk, capacity, out_nbytes);
    if (status == H5BRAGG_OK)
        status = give_copy(buffer, chunk, *out_nbytes);
    scratch_give(chunk);
    return status;
}

static h5bragg_status encode_buffer(const host_buffer *buffer, const bragg_settings *settings,
                                    size_t *out_nbytes)
{
    if (buffer->nbytes != frames_nbytes(settings))
        return H5BRAGG_BAD_SHAPE;
    if (settings->params.file_big_endian == is_host_big_endian())
        return encode_native(buffer, settings, *buffer->data, out_nbytes);
    void *native = malloc(buffer->nbytes);
    if (native == NULL)
        return H5BRAGG_NO_MEMORY;
    swap_pixels(native, *buffer->data, buffer->nbytes, h5bragg_pixel_nbytes(settings->type));
    const h5bragg_status status = encode_native(buffer, settings, native, out_nbytes);
    free(native);
    return status;
}

/* The read option: H5BRAGG_FILL=mean restores without noise. */
static int find_fill(h5bragg_fill *fill)
{
    const char *value = getenv("H5BRAGG_FILL");
    *fill = H5BRAGG_FILL_NOISE;
    if (value == NULL || value[0] == '\0' || strcmp(value, "noise") == 0)
        return 1;
    *fill = H5BRAGG_FILL_MEAN;
    return strcmp(value, "mean") == 0;
}

/* Older HDF5 reads past the end of a buffer that is shorter than the dataset's chunk. */
static int is_expected(const h5bragg_info *info, const bragg_settings *settings,
                       char sentence[BRAGG_SENTENCE_NBYTES])
{
    if (info->nframes == settings->nframes && info->ny == settings->ny &&
        info->nx == settings->nx && info->pixel_type == (uint32_t)settings->type)
        return 1;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES,
             "an h5bragg chunk holds %u frames of %u x %u pixels of %zu bytes (type %u), but its "
             "dataset expects %u of %u x %u of %zu bytes (type %d): it belongs to another dataset",
             info->nframes, info->ny, info->nx,
             h5bragg_pixel_nbytes((h5bragg_pixel_type)info->pixel_type), info->pixel_type,
             settings->nframes, settings->ny, settings->nx, h5bragg_pixel_nbytes(settings->type),
             (int)settings->type);
    return 0;
}

/*
 * Asks for pages of 2 MiB for the inside of a large buffer: the first touch of a frame's pages of
 * 4 KiB takes as long as decoding it.  A hint, so that failure is none.
 */
static void prefer_huge_pages(void *memory, size_t nbytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t page = (size_t)2 << 20;
    const size_t before = (page - (uintptr_t)memory % page) % page;
    if (nbytes >= before + page)
        (void)madvise((uint8_t *)memory + before, (nbytes - before) / page * page, MADV_HUGEPAGE);
#else
    (void)memory, (void)nbytes;
#endif
}

static h5bragg_status decode_buffer(const host_buffer *buffer, const h5bragg_info *info,
                                    h5bragg_fill fill, uint32_t is_big_endian, size_t *out_nbytes)
{
    if (info->frames_nbytes > SIZE_MAX)
        return H5BRAGG_NO_MEMORY;
    const size_t nbytes = (size_t)info->frames_nbytes;
    void *frames = buffer->memory.allocate(nbytes, 0);
    if (frames == NULL)
        return H5BRAGG_NO_MEMORY;
    prefer_huge_pages(frames, nbytes);
    const h5bragg_status status =
        h5bragg_decode(*buffer->data, buffer->nbytes, frames, nbytes, fill);
    if (status != H5BRAGG_OK) {
        buffer->memory.release(frames);
        return status;
    }
    if (is_big_endian != is_host_big_endian())
        swap_pixels(frames, frames, nbytes,
                    h5bragg_pixel_nbytes((h5bragg_pixel_type)info->pixel_type));
    replace(buffer, frames, nbytes);
    *out_nbytes = nbytes;
    return status;
}

/* Returns the size of the chunk, or 0 with a sentence. */
static size_t encode_filter(const host_buffer *buffer, size_t cd_nelmts, const unsigned cd_values[],
                            char sentence[BRAGG_SENTENCE_NBYTES])
{
    bragg_settings settings;
    size_t out_nbytes = 0;
    h5bragg_status status = read_settings(cd_nelmts, cd_values, &settings);
    if (status == H5BRAGG_OK)
        status = encode_buffer(buffer, &settings, &out_nbytes);
    if (status == H5BRAGG_OK)
        return out_nbytes;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES, "h5bragg could not encode a chunk: %s",
             h5bragg_status_text(status));
    return 0;
}

/* Returns the size of the frames, or 0 with a sentence. */
static size_t decode_filter(const host_buffer *buffer, size_t cd_nelmts, const unsigned cd_values[],
                            char sentence[BRAGG_SENTENCE_NBYTES])
{
    bragg_settings settings;
    h5bragg_info info;
    h5bragg_fill fill;
    size_t out_nbytes = 0;
    if (!find_fill(&fill)) {
        snprintf(sentence, BRAGG_SENTENCE_NBYTES,
                 "the environment variable H5BRAGG_FILL must be 'noise' or 'mean'");
        return 0;
    }
    /* Without them nothing would say how much memory a chunk may ask for. */
    if (read_settings(cd_nelmts, cd_values, &settings) != H5BRAGG_OK) {
        snprintf(sentence, BRAGG_SENTENCE_NBYTES,
                 "h5bragg could not decode a chunk: the dataset's cd_values are damaged, or not "
                 "those of h5bragg; its chunks can still be decoded with h5bragg.decode");
        return 0;
    }
    h5bragg_status status = h5bragg_inspect(*buffer->data, buffer->nbytes, &info);
    if (status == H5BRAGG_OK) {
        if (!is_expected(&info, &settings, sentence))
            return 0;
        status = decode_buffer(buffer, &info, fill, settings.params.file_big_endian, &out_nbytes);
    }
    if (status == H5BRAGG_OK)
        return out_nbytes;
    snprintf(sentence, BRAGG_SENTENCE_NBYTES, "h5bragg could not decode a chunk: %s",
             h5bragg_status_text(status));
    return 0;
}

/* HDF5 stores the chunk of an optional filter that fails as it is: no error for its stack. */
static void report_failure(const void *caller, unsigned flags, const char *sentence)
{
    bragg_hdf5 hdf5;
    if ((flags & HDF5_FLAG_DECODE) == 0 && (flags & HDF5_FLAG_OPTIONAL) != 0) {
        bragg_diagnose(sentence);
        return;
    }
    bragg_hdf5_find(caller, &hdf5);
    bragg_report(&hdf5, sentence);
}

static size_t filter_chunk(unsigned flags, size_t cd_nelmts, const unsigned cd_values[],
                           size_t nbytes, size_t *buf_size, void **buf)
{
    const void *caller = __builtin_return_address(0);
    const int is_decode = (flags & HDF5_FLAG_DECODE) != 0;
    host_buffer buffer = {.nbytes = nbytes, .capacity = buf_size, .data = buf};
    char sentence[BRAGG_SENTENCE_NBYTES];
    bragg_memory_find(caller, &buffer.memory);
    const size_t out_nbytes = is_decode ? decode_filter(&buffer, cd_nelmts, cd_values, sentence)
                                        : encode_filter(&buffer, cd_nelmts, cd_values, sentence);
    if (out_nbytes == 0)
        report_failure(caller, flags, sentence);
    return out_nbytes;
}

/*
 * Whether a dataset may be created.  A host that hides its HDF5 cannot be asked about the dataset:
 * there the cd_values must be complete, and filter_chunk checks them.
 */
static int check_creation(const bragg_hdf5 *hdf5, hdf5_id dcpl, hdf5_id type,
                          uint32_t words[H5BRAGG_CONFIG_NWORDS], unsigned *flags)
{
    char sentence[BRAGG_SENTENCE_NBYTES] =
        "h5bragg writes with HDF5 1.10 or newer: update HDF5 (reading works)";
    if (hdf5->state == BRAGG_HDF5_FOUND &&
        bragg_dataset_check(hdf5, dcpl, type, words, flags, sentence))
        return 1;
    bragg_report(hdf5, sentence);
    return 0;
}

static hdf5_tri can_apply(hdf5_id dcpl, hdf5_id type, hdf5_id space)
{
    bragg_hdf5 hdf5;
    uint32_t words[H5BRAGG_CONFIG_NWORDS];
    unsigned flags;
    (void)space;
    bragg_hdf5_find(__builtin_return_address(0), &hdf5);
    if (hdf5.state == BRAGG_HDF5_HIDDEN)
        return 1;
    /* Not 0: with an optional filter HDF5 would create the dataset all the same. */
    return check_creation(&hdf5, dcpl, type, words, &flags) ? 1 : -1;
}

static hdf5_status set_local(hdf5_id dcpl, hdf5_id type, hdf5_id space)
{
    bragg_hdf5 hdf5;
    uint32_t words[H5BRAGG_CONFIG_NWORDS];
    unsigned flags;
    (void)space;
    bragg_hdf5_find(__builtin_return_address(0), &hdf5);
    if (hdf5.state == BRAGG_HDF5_HIDDEN)
        return 0;
    if (!check_creation(&hdf5, dcpl, type, words, &flags))
        return -1;
    return hdf5.modify_filter(dcpl, H5BRAGG_FILTER_ID, flags, H5BRAGG_CONFIG_NWORDS, words);
}

static const hdf5_filter_class FILTER_CLASS = {
    HDF5_FILTER_CLASS_VERSION,
    H5BRAGG_FILTER_ID,
    1,
    1,
    FILTER_NAME,
    can_apply,
    set_local,
    filter_chunk,
};

/* HDF5 looks these two up by name in every file of its plugin path. */
H5BRAGG_API int H5PLget_plugin_type(void);
H5BRAGG_API const void *H5PLget_plugin_info(void);

/* As in H5Zbragg.h.  A name of our own: other plugins that a program links have the two above. */
H5BRAGG_API const void *h5bragg_filter_class(void);

int H5PLget_plugin_type(void) { return HDF5_PLUGIN_TYPE_FILTER; }

const void *H5PLget_plugin_info(void) { return &FILTER_CLASS; }

const void *h5bragg_filter_class(void) { return &FILTER_CLASS; }
