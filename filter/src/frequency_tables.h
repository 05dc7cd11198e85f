/* SPDX-License-Identifier: MIT */
/* Tables of frequencies in a stream of version 2: docs/format.md, "Tables". */
#ifndef BRAGG_FREQUENCY_TABLES_H
#define BRAGG_FREQUENCY_TABLES_H

#include "bytes.h"

enum { FREQUENCY_NSYMBOLS = 256, FREQUENCY_MAX_NBITS = 31 /* of one symbol in a table */ };

/* Bits put into bytes, low ones first; less than 8 wait in `buffer`. */
typedef struct bit_writer {
    byte_writer *out;
    uint64_t buffer;
    uint32_t nbits;
} bit_writer;

/* Bits taken from bytes, which turn `failed` where they end. */
typedef struct bit_reader {
    byte_reader *in;
    uint64_t buffer;
    uint32_t nbits;
} bit_reader;

/*
 * Writes the table of a context in which `count` symbols were found, all below nsymbols, and puts
 * what a reader will make of it in place of their nsymbols frequencies, whose sum is 2048, or 0 in
 * a context without symbols.
 */
void frequency_table_write(bit_writer *w, uint64_t count, uint16_t *frequency, uint32_t nsymbols);

/* Fills up the last byte. */
void bit_writer_finish(bit_writer *w);

/* Reads a context's frequencies, all 256; 0 if they are not right.  *m is the number given. */
int frequency_table_read(bit_reader *r, uint16_t *frequency, uint32_t *m);

/* Whether what was left of the last byte is zero. */
int bit_reader_finish(const bit_reader *r);

#endif
