/* SPDX-License-Identifier: MIT */
/* h5z_dataset.h - is a dataset about to be created one that the filter can serve? */
#ifndef H5BRAGG_H5Z_DATASET_H
#define H5BRAGG_H5Z_DATASET_H

#include "h5bragg.h"
#include "h5z_report.h"
#include "hdf5_symbols.h"

/*
 * Checks pixel type, chunk shape, parameters and place in the filter pipeline, and returns the
 * cd_values completed with type and shape and the flags of the filter.  Returns whether all is
 * well; else `sentence` says what to change.
 */
int bragg_dataset_check(const bragg_hdf5 *hdf5, hdf5_id dcpl, hdf5_id type,
                        uint32_t words[H5BRAGG_CONFIG_NWORDS], unsigned *flags,
                        char sentence[BRAGG_SENTENCE_NBYTES]);

#endif
