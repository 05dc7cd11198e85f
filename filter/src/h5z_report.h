/* SPDX-License-Identifier: MIT */
/* h5z_report.h - how the plugin tells the user of a host program what is wrong. */
#ifndef H5BRAGG_H5Z_REPORT_H
#define H5BRAGG_H5Z_REPORT_H

#include "hdf5_symbols.h"

/* Room for one sentence. */
#define BRAGG_SENTENCE_NBYTES 400

/*
 * Puts the sentence on the host's HDF5 error stack.  It also goes to standard error if that was
 * impossible, or if the environment variable H5BRAGG_DIAGNOSTIC is 1.
 */
void bragg_report(const bragg_hdf5 *hdf5, const char *sentence);

/* For what HDF5 takes as no error: standard error alone, if H5BRAGG_DIAGNOSTIC is 1. */
void bragg_diagnose(const char *sentence);

#endif
