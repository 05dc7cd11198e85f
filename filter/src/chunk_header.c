/* SPDX-License-Identifier: MIT */
/* Chunk and frame headers: docs/format.md, "Chunk" and "Frame". */
#include "chunk_header.h"

#include "checksum.h"

static const uint8_t MAGIC[4] = {0x89, 'B', 'R', 'G'};
enum { VERSION_AT = 4, SIZE_AT = 8, CHECKSUM_AT = 16, OLDEST_VERSION = 1 };

size_t chunk_header_nbytes(const h5bragg_geometry *g)
{
    return CHUNK_START_NBYTES + 4 * BRAGG_NPARAMETER_WORDS + BRAGG_GEOMETRY_NBYTES +
           (size_t)g->npanels * BRAGG_PANEL_NBYTES + 4;
}

void chunk_header_write(const bragg_settings *s, const h5bragg_geometry *geometry, uint32_t nbins,
                        byte_writer *w)
{
    uint32_t words[H5BRAGG_CONFIG_NWORDS] = {0};
    bragg_params_to_words(&s->params, words);
    bragg_words_set_frames(words, s->type, s->params.file_big_endian != 0, s->nframes, s->ny,
                           s->nx);
    uint8_t *start = write_bytes(w, CHUNK_START_NBYTES);
    if (!start)
        return;
    memset(start, 0, CHUNK_START_NBYTES);
    memcpy(start, MAGIC, sizeof MAGIC);
    store_u32(start + VERSION_AT, H5BRAGG_FORMAT_VERSION);
    for (int k = 0; k < BRAGG_NPARAMETER_WORDS; k++)
        write_u32(w, words[k]);
    bragg_geometry_write(geometry, w);
    write_u32(w, nbins);
}

void chunk_header_seal(uint8_t *chunk, size_t nbytes)
{
    store_u32(chunk + SIZE_AT, (uint32_t)nbytes);
    store_u32(chunk + SIZE_AT + 4, (uint32_t)((uint64_t)nbytes >> 32));
    store_u32(chunk + CHECKSUM_AT,
              bragg_crc32c(0, chunk + CHUNK_START_NBYTES, nbytes - CHUNK_START_NBYTES));
}

/* Magic, version, size and checksum. */
static h5bragg_status check_start(const uint8_t *chunk, size_t nbytes)
{
    if (!chunk || nbytes < sizeof MAGIC || memcmp(chunk, MAGIC, sizeof MAGIC) != 0)
        return H5BRAGG_NOT_A_CHUNK;
    if (nbytes < CHUNK_START_NBYTES)
        return H5BRAGG_TRUNCATED;
    const uint32_t version = load_u32(chunk + VERSION_AT);
    if (version < OLDEST_VERSION || version > H5BRAGG_FORMAT_VERSION)
        return H5BRAGG_BAD_VERSION;
    const uint64_t size = load_u64(chunk + SIZE_AT);
    if (size != nbytes)
        return size > nbytes ? H5BRAGG_TRUNCATED : H5BRAGG_CORRUPT;
    const uint32_t crc = bragg_crc32c(0, chunk + CHUNK_START_NBYTES, nbytes - CHUNK_START_NBYTES);
    return crc == load_u32(chunk + CHECKSUM_AT) ? H5BRAGG_OK : H5BRAGG_BAD_CHECKSUM;
}

h5bragg_status chunk_header_read(const void *chunk, size_t nbytes, chunk_header *header)
{
    uint32_t words[BRAGG_NPARAMETER_WORDS];
    memset(header, 0, sizeof *header);
    h5bragg_status status = check_start(chunk, nbytes);
    if (status)
        return status;
    byte_reader r = {(const uint8_t *)chunk + CHUNK_START_NBYTES, (const uint8_t *)chunk + nbytes,
                     0};
    header->version = load_u32((const uint8_t *)chunk + VERSION_AT);
    for (int k = 0; k < BRAGG_NPARAMETER_WORDS; k++)
        words[k] = read_u32(&r);
    if (r.failed)
        return H5BRAGG_TRUNCATED;
    if (bragg_settings_from_parameter_words(words, &header->settings))
        return H5BRAGG_CORRUPT;
    status = bragg_geometry_read(&r, header->settings.ny, header->settings.nx, &header->geometry);
    if (status)
        return status;
    header->nbins = read_u32(&r);
    header->frames = r;
    if (r.failed || header->nbins == 0 || header->nbins > H5BRAGG_MAX_RADIAL_BINS) {
        chunk_header_free(header);
        return H5BRAGG_CORRUPT;
    }
    return H5BRAGG_OK;
}

void chunk_header_free(chunk_header *header) { bragg_geometry_free(&header->geometry); }

void frame_header_write_sparse(byte_writer *w, const sparse_header *h)
{
    write_u8(w, h->flags);
    write_u8(w, (uint8_t)(h->dispersion & 0xFF));
    write_u64(w, h->seed);
    write_u32(w, h->npicked);
    write_u32(w, h->nexact);
    write_u32(w, h->nmasked);
}

static h5bragg_status read_sparse(byte_reader *body, size_t npixels, sparse_header *h)
{
    h->flags = read_u8(body);
    h->dispersion = (int)(read_u8(body) ^ 0x80u) - 0x80;
    h->seed = read_u64(body);
    h->npicked = read_u32(body);
    h->nexact = read_u32(body);
    h->nmasked = read_u32(body);
    /* No pixel is two of these. */
    if (body->failed || (uint64_t)h->npicked + h->nexact + h->nmasked > npixels ||
        h->flags > FRAME_IS_COUNTING || h->dispersion > FRAME_MAX_DISPERSION ||
        h->dispersion < -FRAME_MAX_DISPERSION)
        return H5BRAGG_CORRUPT;
    return H5BRAGG_OK;
}

h5bragg_status frame_header_read(byte_reader *frames, size_t npixels, frame_header *frame)
{
    memset(frame, 0, sizeof *frame);
    frame->mode = read_u8(frames);
    const uint32_t nbytes = read_u32(frames);
    const uint8_t *start = read_bytes(frames, nbytes);
    if (frames->failed)
        return H5BRAGG_TRUNCATED;
    frame->body = (byte_reader){start, start + nbytes, 0};
    if (frame->mode == FRAME_WHOLE)
        return H5BRAGG_OK;
    if (frame->mode != FRAME_SPARSE)
        return H5BRAGG_CORRUPT;
    return read_sparse(&frame->body, npixels, &frame->sparse);
}
