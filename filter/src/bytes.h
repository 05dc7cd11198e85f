/* SPDX-License-Identifier: MIT */
/*
 * Little-endian numbers in byte streams (docs/format.md, "Numbers").  A reader never passes its
 * end: it turns `failed` and gives zeros, and the caller checks once.  A writer likewise.
 */
#ifndef BRAGG_BYTES_H
#define BRAGG_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
    int failed;
} byte_reader;

typedef struct byte_writer {
    uint8_t *at;
    uint8_t *end;
    int failed;
} byte_writer;

static inline uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load_u64(const uint8_t *p)
{
    return load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static inline uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline void store_u32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
    p[2] = (uint8_t)(x >> 16);
    p[3] = (uint8_t)(x >> 24);
}

static inline size_t bytes_left(const byte_reader *r) { return (size_t)(r->end - r->at); }

/* The next n bytes, or NULL. */
static inline const uint8_t *read_bytes(byte_reader *r, size_t n)
{
    if (r->failed || bytes_left(r) < n) {
        r->failed = 1;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static inline uint8_t read_u8(byte_reader *r)
{
    const uint8_t *p = read_bytes(r, 1);
    return p ? p[0] : 0;
}

static inline uint32_t read_u32(byte_reader *r)
{
    const uint8_t *p = read_bytes(r, 4);
    return p ? load_u32(p) : 0;
}

static inline uint64_t read_u64(byte_reader *r)
{
    const uint64_t low = read_u32(r);
    return low | (uint64_t)read_u32(r) << 32;
}

static inline float float_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float read_f32(byte_reader *r) { return float_from_bits(read_u32(r)); }

/* Base-128 number, low bits first, at most ten bytes. */
static inline uint64_t read_varint(byte_reader *r)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t b = read_u8(r);
        x |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80))
            return x;
    }
    r->failed = 1;
    return 0;
}

/* Room for n bytes, or NULL. */
static inline uint8_t *write_bytes(byte_writer *w, size_t n)
{
    if (w->failed || (size_t)(w->end - w->at) < n) {
        w->failed = 1;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    return p;
}

static inline void write_u8(byte_writer *w, uint8_t x)
{
    uint8_t *p = write_bytes(w, 1);
    if (p)
        p[0] = x;
}

static inline void write_u32(byte_writer *w, uint32_t x)
{
    uint8_t *p = write_bytes(w, 4);
    if (p)
        store_u32(p, x);
}

static inline void write_u64(byte_writer *w, uint64_t x)
{
    write_u32(w, (uint32_t)x);
    write_u32(w, (uint32_t)(x >> 32));
}

static inline void write_f32(byte_writer *w, float x) { write_u32(w, bits_of_float(x)); }

static inline void write_varint(byte_writer *w, uint64_t x)
{
    while (x >= 0x80) {
        write_u8(w, (uint8_t)(x | 0x80));
        x >>= 7;
    }
    write_u8(w, (uint8_t)x);
}

/* Signed numbers as unsigned ones: 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ... */
static inline uint64_t zigzag(int64_t x) { return x < 0 ? ~((uint64_t)x << 1) : (uint64_t)x << 1; }

static inline int64_t unzigzag(uint64_t x)
{
    return x & 1 ? (int64_t) ~(x >> 1) : (int64_t)(x >> 1);
}

#endif
