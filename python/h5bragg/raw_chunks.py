# SPDX-License-Identifier: MIT
"""Frames stored with bitshuffle, as Eiger writes them, decompressed in any number of threads.

HDF5 lets one thread in at a time, and decompresses in there.  So chunks are read as they are, and
decoded outside of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .bitshuffle import Bitshuffle

_BITSHUFFLE_ID = 32008
_KEPT_FRAMES = 8  # in chunks of several, but no fewer than _KEPT_SLABS of these
_KEPT_SLABS = 2


@dataclass
class _Slab:
    """Frames that share chunks; None until they are read, or where HDF5 must read them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    is_read: bool = False
    frames: NDArray[Any] | None = None


class RawChunks:
    """Frames of a dataset with bitshuffle alone, whatever of them its chunks hold.

    Of chunks of several frames the last ones are kept, as the next frame will be one of theirs.

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
        self._shape, self._dtype, self._chunk = dataset.shape[1:], dataset.dtype, dataset.chunks
        self._kept = max(_KEPT_SLABS, _KEPT_FRAMES // self._chunk[0])
        self._slabs: OrderedDict[int, _Slab] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> RawChunks | None:
        """Return the frames of a dataset, None of one that is stored otherwise."""
        if dataset.chunks is None or dataset.is_virtual or dataset.ndim < 3:
            return None
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k) for k in range(plist.get_nfilters())]
        if [found[0] for found in filters] == [_BITSHUFFLE_ID]:
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
            None where a chunk is missing, not compressed, or cannot be read: HDF5 knows what to
            do or to say then.

        Raises
        ------
        ValueError
            A chunk is damaged.  HDF5 is not asked, as its filter may crash on such.
        """
        local = index % self._chunk[0]
        if self._chunk[0] == 1:
            frames = self._read_slab(index)
            return None if frames is None else frames[0]
        slab = self._slab(index - local)
        with slab.lock:  # whoever comes next waits for these frames, and not for others
            if not slab.is_read:
                slab.frames = self._read_slab(index - local)
                slab.is_read = True
        return None if slab.frames is None else slab.frames[local].copy()

    def _slab(self, start: int) -> _Slab:
        """Return the slab of the frames from `start` on, and forget those that nobody has used."""
        with self._lock:
            slab = self._slabs.setdefault(start, _Slab())
            self._slabs.move_to_end(start)
            while len(self._slabs) > self._kept:
                self._slabs.popitem(last=False)
            return slab

    def _read_slab(self, start: int) -> NDArray[Any] | None:
        """Read all frames of the chunks that begin with a frame."""
        nframes, *steps = self._chunk
        out = np.empty((nframes, *self._shape), self._dtype)
        ranges = (range(0, n, step) for n, step in zip(self._shape, steps, strict=True))
        for corner in product(*ranges):
            chunk = self._stored((start, *corner))
            if chunk is None:
                return None
            if self._chunk[1:] == self._shape:
                return self._bitshuffle.decode(chunk, out)
            part = self._bitshuffle.decode(chunk, np.empty(self._chunk, self._dtype))
            place = (slice(k, k + step) for k, step in zip(corner, steps, strict=True))
            there = (slice(None), *place)
            to = out[there]
            to[...] = part[tuple(slice(0, n) for n in to.shape)]
        return out

    def _stored(self, corner: tuple[int, ...]) -> bytes | None:
        """Return a chunk as it is stored; None where HDF5 must read it."""
        try:
            skipped, chunk = self._dataset.id.read_direct_chunk(corner)
        except (OSError, RuntimeError, ValueError, MemoryError):  # the last of a missing chunk
            return None
        return None if skipped else bytes(chunk)
