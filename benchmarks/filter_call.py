# SPDX-License-Identifier: MIT
"""Call the callback of an HDF5 filter plugin as HDF5 does, without HDF5 around it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import h5bragg

Parameters = dict[str, Any]  # what differs from the defaults, see SparsifyParams

DECODE = 0x0100
_LIBC = ctypes.CDLL(None)
_LIBC.malloc.restype = ctypes.c_void_p
_LIBC.malloc.argtypes = [ctypes.c_size_t]
_LIBC.free.argtypes = [ctypes.c_void_p]
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_uint,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_uint),
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(ctypes.c_void_p),
)


class _FilterClass(ctypes.Structure):
    """H5Z_class2_t."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", _CALLBACK),
    ]


class FilterCall:
    """One filter of a plugin file with its cd_values, called on buffers of the C library.

    As in HDF5, the callback frees the buffer it is given and returns another one.
    """

    def __init__(self, plugin: Path, cd_values: Sequence[int]) -> None:
        self._library = ctypes.CDLL(str(plugin))
        self._library.H5PLget_plugin_info.restype = ctypes.POINTER(_FilterClass)
        self._class = self._library.H5PLget_plugin_info().contents
        self._words = (ctypes.c_uint * len(cd_values))(*cd_values)

    def _call(self, flags: int, data: NDArray[np.uint8]) -> tuple[int, ctypes.c_void_p]:
        size = ctypes.c_size_t(data.nbytes)
        buffer = ctypes.c_void_p(_LIBC.malloc(data.nbytes))
        ctypes.memmove(buffer, data.ctypes.data, data.nbytes)
        return self.run(flags, size, buffer)

    def run(
        self, flags: int, size: ctypes.c_size_t, buffer: ctypes.c_void_p
    ) -> tuple[int, ctypes.c_void_p]:
        """Call the filter on a malloc'ed buffer; returns the size and the new buffer."""
        nbytes = self._class.filter(
            flags,
            len(self._words),
            self._words,
            size.value,
            ctypes.byref(size),
            ctypes.byref(buffer),
        )
        if nbytes == 0:
            raise RuntimeError("the filter failed")
        return nbytes, buffer

    def apply(self, flags: int, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Filter bytes into a new array."""
        nbytes, buffer = self._call(flags, data)
        result = np.empty(nbytes, np.uint8)
        ctypes.memmove(result.ctypes.data, buffer, nbytes)
        _LIBC.free(buffer)
        return result

    def prepare(self, data: NDArray[np.uint8]) -> tuple[ctypes.c_size_t, ctypes.c_void_p]:
        """Copy bytes into a malloc'ed buffer, ready for `run`."""
        buffer = ctypes.c_void_p(_LIBC.malloc(data.nbytes))
        ctypes.memmove(buffer, data.ctypes.data, data.nbytes)
        return ctypes.c_size_t(data.nbytes), buffer

    @staticmethod
    def release(buffer: ctypes.c_void_p) -> None:
        """Free what `run` returned."""
        _LIBC.free(buffer)


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
