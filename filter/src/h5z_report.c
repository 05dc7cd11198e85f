/* SPDX-License-Identifier: MIT */
/*
 * Errors on the host's HDF5 error stack.
 *
 * From 1.14.6 on HDF5 pauses its error stack while a filter runs, and H5Epush2() on a paused stack
 * does nothing, so the reason of a failed read would be lost.  A stack of our own is not paused,
 * and making it the current one copies its records across; HDF5 then adds its own on top, and
 * programs show ours as the innermost cause.  This works alike in every version since 1.10.
 */
#include "h5z_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int push(const bragg_hdf5 *hdf5, const char *sentence)
{
    if (hdf5->push_error == NULL)
        return 0;
    const hdf5_id stack = hdf5->create_stack();
    if (stack < 0)
        return 0;
    hdf5->push_error(stack, "h5bragg", "filter", 0, hdf5->error_class, hdf5->error_major,
                     hdf5->error_minor, "%s", sentence);
    return hdf5->set_current_stack(stack) >= 0; /* closes the stack as well */
}

static void print(const char *sentence) { fprintf(stderr, "h5bragg: %s\n", sentence); }

static int wants_diagnostic(void)
{
    const char *value = getenv("H5BRAGG_DIAGNOSTIC");
    return value != NULL && strcmp(value, "1") == 0;
}

void bragg_report(const bragg_hdf5 *hdf5, const char *sentence)
{
    const int pushed = push(hdf5, sentence);
    if (!pushed || wants_diagnostic())
        print(sentence);
}

void bragg_diagnose(const char *sentence)
{
    if (wants_diagnostic())
        print(sentence);
}
