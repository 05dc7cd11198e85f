/* SPDX-License-Identifier: MIT */
/* Files that C tests read and write whole. */
#ifndef BRAGG_TEST_FILES_H
#define BRAGG_TEST_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

/* The contents of a file; for the caller to free. */
typedef struct file_bytes {
    uint8_t *data;
    size_t nbytes;
} file_bytes;

static inline file_bytes make_bytes(size_t nbytes)
{
    const file_bytes made = {malloc(nbytes), nbytes};
    CHECK(made.data);
    return made;
}

static inline file_bytes read_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    const long size = ftell(file);
    CHECK(size > 0);
    rewind(file);
    const file_bytes content = make_bytes((size_t)size);
    CHECK(fread(content.data, 1, content.nbytes, file) == content.nbytes);
    fclose(file);
    return content;
}

#endif
