# SPDX-License-Identifier: MIT
"""Filters whose functions are timed: bitshuffle-LZ4 and ours, called as HDF5 does, without HDF5."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import h5bragg
from h5bragg.plugin_probe import FilterClass

Parameters = dict[str, Any]  # what differs from the defaults, see SparsifyParams

DECODE = 0x0100  # H5Z_FLAG_REVERSE
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
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    return libc


class FilterCall:
    """One filter of a plugin file with its cd_values, called on buffers of the C library.

    As in HDF5, the function frees the buffer it is given and returns another one.

    Parameters
    ----------
    plugin : Path
    cd_values : sequence of int

    Raises
    ------
    OSError
        The file is no library that can be loaded.
    """

    def __init__(self, plugin: Path, cd_values: Sequence[int]) -> None:
        self._library = ctypes.CDLL(str(plugin))
        self._library.H5PLget_plugin_info.restype = ctypes.POINTER(FilterClass)
        self._function = _FUNCTION(self._library.H5PLget_plugin_info().contents.filter)
        self._words = (ctypes.c_uint * len(cd_values))(*cd_values)

    def prepare(self, data: bytes | NDArray[np.uint8]) -> tuple[ctypes.c_size_t, ctypes.c_void_p]:
        """Copy bytes into a malloc'ed buffer, ready for `run`."""
        nbytes = len(data)
        buffer = ctypes.c_void_p(_libc().malloc(max(nbytes, 1)))
        if not buffer:
            raise MemoryError(f"no {nbytes} bytes of memory for a chunk")
        source = data if isinstance(data, bytes) else data.ctypes.data
        ctypes.memmove(buffer, source, nbytes)
        return ctypes.c_size_t(nbytes), buffer

    def run(
        self, flags: int, size: ctypes.c_size_t, buffer: ctypes.c_void_p
    ) -> tuple[int, ctypes.c_void_p]:
        """Call the filter on a malloc'ed buffer; return the size and the new buffer.

        Raises
        ------
        RuntimeError
            The filter failed; the buffer is released.
        """
        references = ctypes.byref(size), ctypes.byref(buffer)
        nbytes: int = self._function(flags, len(self._words), self._words, size.value, *references)
        if nbytes == 0:
            self.release(buffer)
            raise RuntimeError("the filter failed")
        return nbytes, buffer

    def apply(self, flags: int, data: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Filter bytes into a new array."""
        nbytes, buffer = self.run(flags, *self.prepare(data))
        result = np.empty(nbytes, np.uint8)
        ctypes.memmove(result.ctypes.data, buffer, nbytes)
        self.release(buffer)
        return result

    @staticmethod
    def release(buffer: ctypes.c_void_p) -> None:
        """Free what `run` returned."""
        _libc().free(buffer)


def bitshuffle_lz4(itemsize: int) -> FilterCall:
    """Bitshuffle-LZ4 of hdf5plugin, with the cd_values that its set_local would write."""
    plugin = next(Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"))
    return FilterCall(plugin, (0, 4, itemsize, 0, 2))


def bragg(
    frame: NDArray[np.integer], geometry: h5bragg.Geometry, parameters: Parameters
) -> FilterCall:
    """Our filter, with the cd_values that HDF5 stores for such a dataset."""
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        options = h5bragg.Bragg(geometry, **parameters)
        data = file.create_dataset(
            "x", (1, *frame.shape), frame.dtype, chunks=(1, *frame.shape), **options
        )
        words = data.id.get_create_plist().get_filter(0)[2]
    return FilterCall(Path(h5bragg.get_config()["library"]), words)
