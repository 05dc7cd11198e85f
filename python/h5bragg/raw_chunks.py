# SPDX-License-Identifier: MIT
"""Frames stored with bitshuffle, as Eiger writes them, decompressed in any number of threads.

HDF5 lets one thread in at a time, and decompresses in there.  So chunks are read as they are, and
given to the function of hdf5plugin that HDF5 would call, outside of it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from .plugin_probe import FilterClass

_BITSHUFFLE_ID, _REVERSE = 32008, 0x0100  # H5Z_FLAG_REVERSE
_FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_uint,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_uint),
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(ctypes.c_void_p),
)


@cache
def _bitshuffle() -> Callable[..., int]:
    """Find the function, whose library stays loaded; without it what stands for it fails."""
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        library.H5PLget_plugin_info.restype = ctypes.POINTER(FilterClass)
        found = library.H5PLget_plugin_info().contents
        if found.id == _BITSHUFFLE_ID and found.decoder_present:
            return _FUNCTION(found.filter)
    return lambda *_: 0


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    return libc


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
        self._filter = _bitshuffle()
        self._words = (ctypes.c_uint * len(words))(*words)

    @staticmethod
    def suits(dataset: h5py.Dataset) -> bool:
        """Whether the frames of a dataset can be read so."""
        if dataset.chunks is None or dataset.is_virtual or dataset.ndim < 3:
            return False
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        is_frame = dataset.chunks == (1, *dataset.shape[1:])
        return is_frame and filters == [_BITSHUFFLE_ID]

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
        libc = _libc()
        buffer = ctypes.c_void_p(libc.malloc(max(len(chunk), 1)))
        if not buffer:
            return None
        ctypes.memmove(buffer, chunk, len(chunk))
        capacity = ctypes.c_size_t(len(chunk))
        nwords, nbytes = len(self._words), int(np.prod(self._shape)) * self._dtype.itemsize
        try:
            got = self._filter(_REVERSE, nwords, self._words, len(chunk), capacity, buffer)
            if got != nbytes:
                return None
            frame = np.empty(self._shape, self._dtype)
            ctypes.memmove(frame.ctypes.data, buffer, nbytes)
            return frame
        finally:
            libc.free(buffer)
