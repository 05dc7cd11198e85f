/* SPDX-License-Identifier: MIT */
/* Puts numbers that are bytes into a symbol_writer, many at a time (docs/format.md, "Numbers"). */
#ifndef BRAGG_BYTE_NUMBERS_H
#define BRAGG_BYTE_NUMBERS_H

#include "fast_numbers.h"

enum { BYTE_NUMBERS_SLACK = 64 };

/* Puts n numbers with their contexts.  large has room for n bytes and BYTE_NUMBERS_SLACK more. */
typedef void put_bytes_function(symbol_writer *s, const number_symbols *numbers,
                                const uint8_t *number, const uint8_t *context, uint32_t n,
                                uint8_t *large);

/* That of this machine. */
put_bytes_function *put_bytes_kernel(void);

put_bytes_function put_bytes_plain; /* the reference */

#endif
