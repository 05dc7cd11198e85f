# SPDX-License-Identifier: MIT
"""Frames stored with bitshuffle, as Eiger writes them, decompressed in any number of threads.

HDF5 lets one thread in at a time, and decompresses in there.  So chunks are read as they are, and
given to the function of hdf5plugin that HDF5 would call, outside of it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cffi
import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

_BITSHUFFLE_ID, _REVERSE = 32008, 0x0100  # H5Z_FLAG_REVERSE

_ffi = cffi.FFI()
_ffi.cdef("""
    typedef size_t h5z_function(unsigned flags, size_t nwords, const unsigned *words,
                                size_t nbytes, size_t *capacity, void **buffer);
    typedef struct {
        int version;
        int id;
        unsigned has_encoder;
        unsigned has_decoder;
        const char *name;
        void *can_apply;
        void *set_local;
        h5z_function *filter;
    } h5z_class2;
    const h5z_class2 *H5PLget_plugin_info(void);
    void *malloc(size_t nbytes);
    void free(void *memory);
""")


@cache
def _bitshuffle() -> tuple[Any, Any] | None:
    """Find the function, and the library that keeps it loaded; None if hdf5plugin lacks it."""
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        try:
            library = _ffi.dlopen(str(path))
        except OSError:
            continue
        found = library.H5PLget_plugin_info()
        if found and found.id == _BITSHUFFLE_ID and found.has_decoder:
            return found.filter, library
    return None


@cache
def _libc() -> Any:
    return _ffi.dlopen(None)


class RawChunks:
    """Frames of a dataset whose chunks are a frame each, with bitshuffle alone.

    Parameters
    ----------
    dataset : h5py.Dataset
        One that `suits`.

    Examples
    --------
    >>> import h5py, hdf5plugin, numpy as np
    >>> from h5bragg.raw_chunks import RawChunks
    >>> file = h5py.File("raw.h5", "w", driver="core", backing_store=False)
    >>> data = file.create_dataset("data", data=np.arange(24, dtype="u2").reshape(2, 3, 4),
    ...                            chunks=(1, 3, 4), **hdf5plugin.Bitshuffle(cname="lz4"))
    >>> RawChunks.suits(data)
    True
    >>> RawChunks(data).read(1)
    array([[12, 13, 14, 15],
           [16, 17, 18, 19],
           [20, 21, 22, 23]], dtype=uint16)
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        words = dataset.id.get_create_plist().get_filter(0)[2]
        self._dataset, self._shape, self._dtype = dataset, dataset.shape[1:], dataset.dtype
        self._words, self._nwords = _ffi.new("unsigned[]", list(words)), len(words)

    @staticmethod
    def suits(dataset: h5py.Dataset) -> bool:
        """Whether the frames of a dataset can be read so."""
        if dataset.chunks is None or dataset.is_virtual or dataset.ndim < 3:
            return False
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        is_frame = dataset.chunks == (1, *dataset.shape[1:])
        return is_frame and filters == [_BITSHUFFLE_ID] and _bitshuffle() is not None

    def read(self, index: int) -> NDArray[Any] | None:
        """Read a frame.

        Parameters
        ----------
        index : int
            From 0 on.

        Returns
        -------
        ndarray or None
            None where something is unusual: HDF5 knows what to do or to say then.
        """
        try:
            skipped, chunk = self._dataset.id.read_direct_chunk((index, *(0,) * len(self._shape)))
        except (OSError, RuntimeError, ValueError, MemoryError):  # the last of a missing chunk
            return None
        return None if skipped else self._decompressed(chunk)

    def _decompressed(self, chunk: bytes) -> NDArray[Any] | None:
        """Call the filter as HDF5 does: it frees what it is given, and returns another buffer."""
        found, libc = _bitshuffle(), _libc()
        buffer = _ffi.new("void **", libc.malloc(max(len(chunk), 1)))
        if found is None or not buffer[0]:
            return None
        _ffi.memmove(buffer[0], chunk, len(chunk))
        capacity = _ffi.new("size_t *", len(chunk))
        try:
            nbytes = found[0](_REVERSE, self._nwords, self._words, len(chunk), capacity, buffer)
            if nbytes != int(np.prod(self._shape)) * self._dtype.itemsize:
                return None
            pixels = np.frombuffer(_ffi.buffer(buffer[0], nbytes), self._dtype)
            frame: NDArray[Any] = pixels.reshape(self._shape).copy()
            return frame
        finally:
            libc.free(buffer[0])
