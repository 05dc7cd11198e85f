/* SPDX-License-Identifier: MIT */
/*
 * hdf5_symbols.c - finds, at run time, the HDF5 library that called the plugin.
 *
 * A process may hold several HDF5 libraries, most of them loaded privately by Python wheels, so
 * neither the global symbol scope nor the list of loaded objects tells which of them is asking.
 * The return address of a callback does: it lies inside the caller's own code.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* dladdr */
#endif

#include "hdf5_symbols.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The loaded object in which symbols are looked up. */
typedef struct host_image {
    void *handle;
    const void *base;
} host_image;

/* Opens the object around `caller`; the main program has no file name to reopen, only NULL. */
static host_image open_image(const void *caller)
{
    host_image image = {NULL, NULL};
    Dl_info info;
    if (caller == NULL || dladdr(caller, &info) == 0)
        return image;
    image.base = info.dli_fbase;
    if (info.dli_fname != NULL)
        image.handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (image.handle == NULL)
        image.handle = dlopen(NULL, RTLD_LAZY);
    return image;
}

/* A symbol of the image itself: one found in its dependencies belongs to another library. */
static void *find(const host_image *image, const char *name)
{
    Dl_info info;
    void *symbol = dlsym(image->handle, name);
    if (symbol == NULL || dladdr(symbol, &info) == 0 || info.dli_fbase != image->base)
        return NULL;
    return symbol;
}

/* POSIX makes function and object pointers interchangeable; ISO C wants it said with memcpy. */
#define FIND(image, target, name)                                                                  \
    do {                                                                                           \
        void *symbol_ = find(image, name);                                                         \
        memcpy(&(target), &symbol_, sizeof(symbol_));                                              \
    } while (0)

static bragg_hdf5_state find_version(const host_image *image)
{
    unsigned version[3];
    hdf5_status (*get_libversion)(unsigned *, unsigned *, unsigned *);
    FIND(image, get_libversion, "H5get_libversion");
    if (get_libversion == NULL || get_libversion(&version[0], &version[1], &version[2]) < 0)
        return BRAGG_HDF5_HIDDEN;
    if (version[0] < 1 || (version[0] == 1 && version[1] < 10))
        return BRAGG_HDF5_TOO_OLD;
    return BRAGG_HDF5_FOUND;
}

static void find_error_functions(const host_image *image, bragg_hdf5 *hdf5)
{
    /* The identifiers of error classes are variables of the library. */
    const hdf5_id *error_class = find(image, "H5E_ERR_CLS_g");
    const hdf5_id *major = find(image, "H5E_PLINE_g");
    const hdf5_id *minor = find(image, "H5E_BADVALUE_g");
    FIND(image, hdf5->create_stack, "H5Ecreate_stack");
    FIND(image, hdf5->push_error, "H5Epush2");
    FIND(image, hdf5->set_current_stack, "H5Eset_current_stack");
    /* A program that uses these variables itself may hold the only copies that are filled in. */
    const int has_ids = error_class != NULL && major != NULL && minor != NULL && *error_class > 0 &&
                        *major > 0 && *minor > 0;
    if (has_ids && hdf5->create_stack != NULL && hdf5->set_current_stack != NULL) {
        hdf5->error_class = *error_class;
        hdf5->error_major = *major;
        hdf5->error_minor = *minor;
    } else {
        hdf5->push_error = NULL;
    }
}

/* The functions without which no dataset can be looked at; returns whether all are there. */
static int find_dataset_functions(const host_image *image, bragg_hdf5 *hdf5)
{
    FIND(image, hdf5->get_filter, "H5Pget_filter2");
    FIND(image, hdf5->get_chunk, "H5Pget_chunk");
    FIND(image, hdf5->get_filter_by_id, "H5Pget_filter_by_id2");
    FIND(image, hdf5->modify_filter, "H5Pmodify_filter");
    FIND(image, hdf5->type_class, "H5Tget_class");
    FIND(image, hdf5->type_size, "H5Tget_size");
    FIND(image, hdf5->type_sign, "H5Tget_sign");
    FIND(image, hdf5->type_order, "H5Tget_order");
    return hdf5->get_filter != NULL && hdf5->get_chunk != NULL && hdf5->get_filter_by_id != NULL &&
           hdf5->modify_filter != NULL && hdf5->type_class != NULL && hdf5->type_size != NULL &&
           hdf5->type_sign != NULL && hdf5->type_order != NULL;
}

void bragg_hdf5_find(const void *caller, bragg_hdf5 *hdf5)
{
    memset(hdf5, 0, sizeof(*hdf5));
    hdf5->state = BRAGG_HDF5_HIDDEN;
    const host_image image = open_image(caller);
    if (image.handle == NULL)
        return;
    hdf5->state = find_version(&image);
    if (hdf5->state == BRAGG_HDF5_FOUND) {
        find_error_functions(&image, hdf5);
        if (!find_dataset_functions(&image, hdf5))
            hdf5->state = BRAGG_HDF5_HIDDEN;
    }
    /* Gives back a reference alone: the caller stays loaded while it runs. */
    dlclose(image.handle);
}

static void *allocate_here(size_t nbytes, unsigned char clear)
{
    return clear ? calloc(nbytes, 1) : malloc(nbytes);
}

static int release_here(void *memory)
{
    free(memory);
    return 0;
}

void bragg_memory_find(const void *caller, bragg_memory *memory)
{
    bragg_memory host = {NULL, NULL};
#if !defined(__linux__)
    const host_image image = open_image(caller);
    if (image.handle != NULL) {
        FIND(&image, host.allocate, "H5allocate_memory");
        FIND(&image, host.release, "H5free_memory");
        dlclose(image.handle);
    }
#else
    (void)caller;
#endif
    const bragg_memory here = {allocate_here, release_here};
    *memory = host.allocate != NULL && host.release != NULL ? host : here;
}
