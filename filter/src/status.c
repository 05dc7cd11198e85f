/* SPDX-License-Identifier: MIT */
/* One sentence for every status, and the library's version. */
#include "h5bragg.h"

#ifndef H5BRAGG_VERSION
#error "the build defines H5BRAGG_VERSION"
#endif

const char *h5bragg_version(void) { return H5BRAGG_VERSION; }

const char *h5bragg_status_text(h5bragg_status status)
{
    switch (status) {
    case H5BRAGG_OK:
        return "no error";
    case H5BRAGG_NO_MEMORY:
        return "not enough memory";
    case H5BRAGG_BAD_ARGUMENT:
        return "an argument is missing or out of range";
    case H5BRAGG_BAD_SHAPE:
        return "the frame's shape is zero, too large or not that of the geometry";
    case H5BRAGG_BAD_PIXEL_TYPE:
        return "pixels must be uint8, uint16, uint32, int16 or int32";
    case H5BRAGG_BAD_PARAMETER:
        return "a sparsification parameter is out of range or not available in this version";
    case H5BRAGG_BAD_MASK_CODE:
        return "a mask code must lie within 126 of the pixel type's maximum, between -127 and -1, "
               "or be the type's minimum";
    case H5BRAGG_BAD_GEOMETRY:
        return "the geometry is unusable: a length is not positive and finite, or panels overlap "
               "or "
               "leave the frame";
    case H5BRAGG_UNKNOWN_GEOMETRY:
        return "the dataset's detector geometry is not registered in this process: register it "
               "before writing (reading never needs it)";
    case H5BRAGG_BUFFER_TOO_SMALL:
        return "the output buffer is too small";
    case H5BRAGG_NOT_A_CHUNK:
        return "these bytes are not an h5bragg chunk";
    case H5BRAGG_TRUNCATED:
        return "the chunk is cut short";
    case H5BRAGG_BAD_CHECKSUM:
        return "the chunk is damaged: its checksum does not match";
    case H5BRAGG_BAD_VERSION:
        return "the chunk has a format version that this h5bragg does not read: update h5bragg, or "
               "write the file again if it was written before version 1";
    case H5BRAGG_CORRUPT:
        return "the chunk is damaged: its contents contradict each other";
    case H5BRAGG_BAD_CONFIG:
        return "the filter's cd_values are not those of h5bragg: make them with h5bragg.Bragg or "
               "h5bragg_config_flat";
    case H5BRAGG_ENCODER_FAILED:
        return "the encoder that this process has set for the filter failed";
    case H5BRAGG_BAD_PEAK_PARAMETER:
        return "a peak parameter is out of range: snr_pick is a number above 0, at most 127, patch "
               "is 3 or 5, and connected below the number of pixels of the patch";
    case H5BRAGG_PEAKS_NOT_STORED:
        return "peaks so weak are not stored exactly: ask for peaks with a snr_pick that is at "
               "least that of the stored pixels";
    }
    return "unknown status";
}
