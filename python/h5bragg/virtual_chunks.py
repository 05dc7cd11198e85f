# SPDX-License-Identifier: MIT
"""Frames of a virtual dataset, read from where they are stored, in any number of threads.

Masters of some beamlines put the frames of their data files together so.  HDF5 would decompress
them one after the other: see raw_chunks.py.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import h5py
from h5py import h5s
from numpy.typing import NDArray

from .hdf5_links import source_path
from .raw_chunks import RawChunks

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Piece:
    """Frames from number `start` up to `stop` are those of another dataset from `first` on."""

    start: int
    stop: int
    first: int
    chunks: RawChunks


class VirtualChunks:
    """Frames of a virtual dataset that are frames of others, which `RawChunks` reads.

    Examples
    --------
    >>> import h5py, hdf5plugin, numpy as np
    >>> from h5bragg.virtual_chunks import VirtualChunks
    >>> frames = np.arange(24, dtype="u2").reshape(2, 3, 4)
    >>> with h5py.File("data.h5", "w") as file:
    ...     _ = file.create_dataset("data", data=frames, chunks=(1, 3, 4),
    ...                             **hdf5plugin.Bitshuffle(cname="lz4"))
    >>> layout = h5py.VirtualLayout((2, 3, 4), "u2")
    >>> layout[:] = h5py.VirtualSource("data.h5", "data", (2, 3, 4))
    >>> with h5py.File("master.h5", "w") as file:
    ...     chunks = VirtualChunks.of(file.create_virtual_dataset("data", layout))
    ...     frame = chunks.read(1)
    ...     chunks.close()
    >>> frame
    array([[12, 13, 14, 15],
           [16, 17, 18, 19],
           [20, 21, 22, 23]], dtype=uint16)
    """

    def __init__(self, pieces: list[_Piece], sources: _Sources) -> None:
        self._pieces, self._sources = pieces, sources
        self._starts = [piece.start for piece in pieces]

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> VirtualChunks | None:
        """Return the frames of a virtual dataset, None where something about it is unusual.

        So it is if HDF5 has been told to look for its files elsewhere.
        """
        if not dataset.is_virtual or dataset.ndim < 3 or os.environ.get("HDF5_VDS_PREFIX"):
            return None
        sources = _Sources(dataset)
        pieces = [_piece(dataset, source, sources) for source in dataset.virtual_sources()]
        found = sorted((piece for piece in pieces if piece), key=lambda piece: piece.start)
        is_one_behind_the_other = all(a.stop <= b.start for a, b in pairwise(found))
        if found and len(found) == len(pieces) and is_one_behind_the_other:
            return cls(found, sources)
        sources.close()
        return None

    def read(self, index: int) -> NDArray[Any] | None:
        """Read a frame, as `RawChunks` does; None also where no dataset has it."""
        which = bisect_right(self._starts, index) - 1
        if which < 0 or index >= self._pieces[which].stop:
            return None
        piece = self._pieces[which]
        return piece.chunks.read(piece.first + index - piece.start)

    def close(self) -> None:
        """Close the files."""
        self._sources.close()


class _Sources:
    """Files that a virtual dataset takes frames from, each opened once."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._files: dict[str, h5py.File] = {}
        self._known: dict[tuple[str, str], tuple[Shape, RawChunks] | None] = {}

    def find(self, file_name: str, name: str) -> tuple[Shape, RawChunks] | None:
        """Return the shape and the frames of a dataset, None of one with frames of another kind."""
        if (file_name, name) not in self._known:
            self._known[file_name, name] = None
            with suppress(OSError, KeyError):  # missing or unreadable: HDF5 knows what to do
                if file_name not in self._files:
                    self._files[file_name] = h5py.File(source_path(self._dataset, file_name))
                self._known[file_name, name] = self._look_at(self._files[file_name][name])
        return self._known[file_name, name]

    def _look_at(self, data: h5py.HLObject) -> tuple[Shape, RawChunks] | None:
        if not isinstance(data, h5py.Dataset) or data.dtype != self._dataset.dtype:
            return None
        chunks = RawChunks.of(data)
        is_alike = data.shape[1:] == self._dataset.shape[1:]
        return (data.shape, chunks) if chunks and is_alike else None

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _piece(dataset: h5py.Dataset, source: Any, sources: _Sources) -> _Piece | None:
    """Return what a part of a virtual dataset stands for."""
    to = _whole_frames(source.vspace, dataset.shape)
    if to is None or "%" in source.file_name + source.dset_name:  # one of many files, by number
        return None
    found = sources.find(source.file_name, source.dset_name)
    taken = _whole_frames(source.src_space, found[0]) if found else None
    if found and taken and taken[1] - taken[0] == to[1] - to[0]:
        return _Piece(*to, taken[0], found[1])
    return None


def _whole_frames(space: h5s.SpaceID, shape: Shape) -> tuple[int, int] | None:
    """Return which frames a selection of whole frames, side by side, begins and ends with."""
    if space.get_select_type() == h5s.SEL_ALL:
        return 0, shape[0]
    if space.get_select_type() != h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    start, stride, count, block = space.get_regular_hyperslab()
    if h5s.UNLIMITED in (*count, *block):
        return None
    has_gaps = any(n > 1 and s != b for n, s, b in zip(count, stride, block, strict=True))
    size = [n * b for n, b in zip(count, block, strict=True)]
    if has_gaps or any(start[1:]) or tuple(size[1:]) != tuple(shape[1:]):
        return None
    return int(start[0]), int(start[0]) + int(size[0])
