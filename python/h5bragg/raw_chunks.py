# SPDX-License-Identifier: MIT
"""Frames stored with bitshuffle, as Eiger writes them, decompressed in any number of threads.

HDF5 lets one thread in at a time, and decompresses in there.  So chunks are read as they are, and
decoded outside of it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .bitshuffle import Bitshuffle

_BITSHUFFLE_ID = 32008


class RawChunks:
    """Frames of a dataset whose chunks are a frame each, with bitshuffle alone.

    Parameters
    ----------
    dataset : h5py.Dataset
        One that `of` accepts.
    bitshuffle : Bitshuffle
        Its filter.

    Examples
    --------
    >>> import h5py, hdf5plugin, numpy as np
    >>> from h5bragg.raw_chunks import RawChunks
    >>> file = h5py.File("raw.h5", "w", driver="core", backing_store=False)
    >>> data = file.create_dataset("data", data=np.arange(24, dtype="u2").reshape(2, 3, 4),
    ...                            chunks=(1, 3, 4), **hdf5plugin.Bitshuffle(cname="lz4"))
    >>> RawChunks.of(data).read(1)
    array([[12, 13, 14, 15],
           [16, 17, 18, 19],
           [20, 21, 22, 23]], dtype=uint16)
    """

    def __init__(self, dataset: h5py.Dataset, bitshuffle: Bitshuffle) -> None:
        self._dataset, self._bitshuffle = dataset, bitshuffle
        self._shape, self._dtype = dataset.shape[1:], dataset.dtype

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> RawChunks | None:
        """Return the frames of a dataset, None of one that is stored otherwise."""
        if dataset.chunks is None or dataset.is_virtual or dataset.ndim < 3:
            return None
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k) for k in range(plist.get_nfilters())]
        is_frame = dataset.chunks == (1, *dataset.shape[1:])
        if is_frame and [found[0] for found in filters] == [_BITSHUFFLE_ID]:
            with suppress(ValueError):  # values of another version: HDF5 knows what to say
                return cls(dataset, Bitshuffle(filters[0][2]))
        return None

    def read(self, index: int) -> NDArray[Any] | None:
        """Read a frame.

        Parameters
        ----------
        index : int
            From 0 on.

        Returns
        -------
        ndarray or None
            None where the chunk is missing, not compressed, or cannot be read: HDF5 knows what to
            do or to say then.

        Raises
        ------
        ValueError
            The chunk is damaged.  HDF5 is not asked, as its filter may crash on such.
        """
        try:
            skipped, chunk = self._dataset.id.read_direct_chunk((index, *(0,) * len(self._shape)))
        except (OSError, RuntimeError, ValueError, MemoryError):  # the last of a missing chunk
            return None
        return None if skipped else self._decompressed(chunk)

    def _decompressed(self, chunk: bytes) -> NDArray[Any]:
        return self._bitshuffle.decode(chunk, np.empty(self._shape, self._dtype))
