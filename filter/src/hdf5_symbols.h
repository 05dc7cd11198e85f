/* SPDX-License-Identifier: MIT */
/*
 * hdf5_symbols.h - the part of HDF5's binary interface that the plugin uses, and how it is found.
 *
 * The plugin neither links libhdf5 nor includes its headers: one file must serve every HDF5 from
 * 1.10 on, also the private copies inside Python wheels.  The types below are that interface as
 * all those versions have it.  Functions are looked up, at run time, in the library that called.
 */
#ifndef H5BRAGG_HDF5_SYMBOLS_H
#define H5BRAGG_HDF5_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t hdf5_id;    /* hid_t since HDF5 1.10 */
typedef uint64_t hdf5_size; /* hsize_t */
typedef int hdf5_status;    /* herr_t: negative on failure */
typedef int hdf5_tri;       /* htri_t: 1, 0, or negative on failure */

/* H5Z_class2_t */
typedef struct hdf5_filter_class {
    int version; /* of this struct: 1 */
    int id;
    unsigned encoder_present;
    unsigned decoder_present;
    const char *name;
    hdf5_tri (*can_apply)(hdf5_id dcpl, hdf5_id type, hdf5_id space);
    hdf5_status (*set_local)(hdf5_id dcpl, hdf5_id type, hdf5_id space);
    size_t (*filter)(unsigned flags, size_t cd_nelmts, const unsigned cd_values[], size_t nbytes,
                     size_t *buf_size, void **buf);
} hdf5_filter_class;

#define HDF5_FILTER_CLASS_VERSION 1
#define HDF5_PLUGIN_TYPE_FILTER 0
#define HDF5_FLAG_OPTIONAL 0x0001u
#define HDF5_FLAG_DECODE 0x0100u
#define HDF5_TYPE_INTEGER 0
#define HDF5_TYPE_FLOAT 1
#define HDF5_SIGN_NONE 0
#define HDF5_ORDER_BIG_ENDIAN 1
#define HDF5_MAX_RANK 32

/* What became of the search for the host's HDF5. */
typedef enum bragg_hdf5_state {
    BRAGG_HDF5_FOUND,
    BRAGG_HDF5_HIDDEN, /* the caller exports no symbols, as a statically linked program */
    BRAGG_HDF5_TOO_OLD /* before 1.10 hid_t has 32 bits, so that no call would be right */
} bragg_hdf5_state;

/* The host's functions, under their names in HDF5 without the prefix. */
typedef struct bragg_hdf5 {
    bragg_hdf5_state state;
    int (*get_filter)(hdf5_id dcpl, unsigned index, unsigned *flags, size_t *cd_nelmts,
                      unsigned cd_values[], size_t name_nbytes, char name[], unsigned *config);
    int (*get_chunk)(hdf5_id dcpl, int max_rank, hdf5_size shape[]);
    hdf5_status (*get_filter_by_id)(hdf5_id dcpl, int id, unsigned *flags, size_t *cd_nelmts,
                                    unsigned cd_values[], size_t name_nbytes, char name[],
                                    unsigned *config);
    hdf5_status (*modify_filter)(hdf5_id dcpl, int id, unsigned flags, size_t cd_nelmts,
                                 const unsigned cd_values[]);
    int (*type_class)(hdf5_id type);
    size_t (*type_size)(hdf5_id type);
    int (*type_sign)(hdf5_id type);
    int (*type_order)(hdf5_id type);
    /* The three error functions are NULL together where the host lacks one of them. */
    hdf5_id (*create_stack)(void);
    hdf5_status (*set_current_stack)(hdf5_id stack);
    hdf5_status (*push_error)(hdf5_id stack, const char *file, const char *function, unsigned line,
                              hdf5_id error_class, hdf5_id major, hdf5_id minor, const char *format,
                              ...);
    hdf5_id error_class; /* identifiers for push_error */
    hdf5_id error_major;
    hdf5_id error_minor;
} bragg_hdf5;

/*
 * Finds the HDF5 that contains the code address `caller`, the return address of a callback.
 * Never fails: hdf5->state tells what was found, and pointers are NULL unless it is FOUND.
 * Takes some hundred microseconds, so it is for dataset creation and for errors.
 */
void bragg_hdf5_find(const void *caller, bragg_hdf5 *hdf5);

/* How to allocate buffers that the host frees, and to free buffers of the host. */
typedef struct bragg_memory {
    void *(*allocate)(size_t nbytes, unsigned char clear);
    int (*release)(void *memory);
} bragg_memory;

/*
 * The host's own functions for memory.  On Linux every HDF5 shares malloc() and free() with the
 * plugin, which spares a search on every chunk; elsewhere each library may bring its own.
 */
void bragg_memory_find(const void *caller, bragg_memory *memory);

#endif
