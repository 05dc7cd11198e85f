# SPDX-License-Identifier: MIT
"""Frames stored with bitshuffle, as Eiger writes them, decompressed in any number of threads.

HDF5 lets one thread in at a time, and decompresses in there.  So chunks are read as they are, and
given to the function of hdf5plugin that HDF5 would call, outside of it.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
from numpy.typing import NDArray

from .plugin_call import DECODE, FilterCall

_BITSHUFFLE_ID = 32008


@cache
def _bitshuffle() -> list[Path]:
    """Find the plugin; there is none that can be loaded in some builds of hdf5plugin."""
    found = []
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        with suppress(OSError):
            ctypes.CDLL(str(path))
            found.append(path)
    return found


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
        self._call = FilterCall(_bitshuffle()[0], words)
        self._dataset, self._shape, self._dtype = dataset, dataset.shape[1:], dataset.dtype

    @staticmethod
    def suits(dataset: h5py.Dataset) -> bool:
        """Whether the frames of a dataset can be read so."""
        if dataset.chunks is None or dataset.is_virtual or dataset.ndim < 3:
            return False
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        is_frame = dataset.chunks == (1, *dataset.shape[1:])
        return is_frame and filters == [_BITSHUFFLE_ID] and bool(_bitshuffle())

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
        try:
            pixels = self._call.apply(DECODE, chunk).view(self._dtype)
            frame: NDArray[Any] = pixels.reshape(self._shape)
        except (RuntimeError, ValueError):  # damaged, or of another size
            return None
        return frame
