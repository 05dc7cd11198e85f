# SPDX-License-Identifier: MIT
"""One dataset that h5bragg compressed, read chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ._clib import CONFIG_NWORDS, FILTER_ID
from .chunk_bytes import check_expected, chunk_buffer, read_info
from .chunk_totals import ChunkTotals
from .codec import Fill, decode_expected
from .errors import ChunkError, ForeignChunkError
from .frame_source import InputError
from .geometry.stack_shape import flat_shape
from .threads import OrderedResults, ordered_map

Progress = Callable[[int], None]


@dataclass(frozen=True)
class StoredChunk:
    """One chunk as it is in the file.

    Parameters
    ----------
    start : int
        Number of its first frame.
    nframes : int
        How many of its frames belong to the dataset; a last chunk may hold more.
    data : bytes
        The stored bytes.
    is_encoded : bool
        False if HDF5 stored the frames raw because encoding failed.
    """

    start: int
    nframes: int
    data: bytes
    is_encoded: bool


class SparseDataset:
    """A dataset that h5bragg compressed.

    Parameters
    ----------
    data : h5py.Dataset
        Shape (frame, slow, fast) or (slow, fast), with the h5bragg filter and no other; in the
        place of slow there may be modules and their rows, (frame, module, slow, fast).

    Raises
    ------
    InputError
        It is compressed otherwise.
    """

    def __init__(self, data: h5py.Dataset) -> None:
        plist: Any = data.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        where = f"{data.file.filename} ({data.name})"
        if FILTER_ID not in filters:
            raise InputError(f"{where} is not compressed by h5bragg: give a file that is")
        if filters != [FILTER_ID]:
            raise InputError(
                f"{where} has further HDF5 filters ({filters}): rewrite it with h5bragg's alone"
            )
        self.data = data
        self.where = where
        # Word 5 of the filter's cd_values holds the frame's rows (docs/format.md).
        words = plist.get_filter(0)[2]
        if len(words) != CONFIG_NWORDS:
            raise InputError(
                f"{where} has {len(words)} cd_values of h5bragg instead of {CONFIG_NWORDS}: "
                "decode its chunks with h5bragg.decode"
            )
        axis = _frame_axis(data, words[5] & 0xFFFF, where)
        self.stack_shape: tuple[int, ...] = data.shape[axis:]
        self.frame_shape = flat_shape(self.stack_shape)
        self.nframes = int(data.shape[0]) if axis else 1
        self.frames_per_chunk = int(data.chunks[0]) if axis else 1
        self.chunk_shape = (self.frames_per_chunk, *self.frame_shape)

    def starts(self) -> range:
        """Return the first frame of every chunk."""
        return range(0, self.nframes, self.frames_per_chunk)

    def read_chunk(self, start: int) -> StoredChunk | None:
        """Read one chunk's bytes.

        Parameters
        ----------
        start : int
            Number of its first frame, see `starts`.

        Returns
        -------
        StoredChunk or None
            None if the chunk was never written.

        Raises
        ------
        InputError
            HDF5 cannot read it.
        """
        offset = (start, *(0,) * (self.data.ndim - 1))
        try:
            if self.data.id.get_chunk_info_by_coord(offset).byte_offset is None:
                return None
            filter_mask, data = self.data.id.read_direct_chunk(offset)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{self.where}, frame {start}, cannot be read, is the file truncated? ({error})"
            ) from error
        count = min(self.frames_per_chunk, self.nframes - start)
        return StoredChunk(start, count, bytes(data), not filter_mask & 1)

    def decode_chunk(
        self, start: int, fill: Fill = "noise", out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Read one chunk's frames.

        Parameters
        ----------
        start : int
            Number of its first frame.
        fill : {"noise", "mean"}
            See `decode`.
        out : ndarray or None
            C-contiguous array of the chunk's whole shape (frame, slow, fast) and native byte
            order to read into, encoded frames without a copy; None makes a new one.

        Returns
        -------
        ndarray
            Shape (frame, slow, fast), native byte order; the dataset's fill value, mostly 0, if the
            chunk was never written.

        Raises
        ------
        InputError
            The chunk is damaged; the message names the frame, and `__cause__` is the `ChunkError`.
        """
        stored = self.read_chunk(start)
        if out is None:
            out = np.empty(self.chunk_shape, self.data.dtype.newbyteorder("="))
        if stored is None:
            out[...] = self.data.fillvalue  # as HDF5 reads it
        else:
            self.decode_stored(stored, out, fill)
        return out[: self.nframes - start]

    def check_chunk(self, stored: StoredChunk) -> None:
        """Check what a chunk says of itself: its checksum, and that its frames are the dataset's.

        Parameters
        ----------
        stored : StoredChunk

        Raises
        ------
        InputError
            It is damaged or of another dataset; the message names the frame, and `__cause__` is
            the `ChunkError`.
        """
        with self._named(stored.start):
            if stored.is_encoded:
                info = read_info(chunk_buffer(stored.data))
                check_expected(info, self.chunk_shape, self.data.dtype)
            else:
                self._check_raw(stored)

    def decode_stored(self, stored: StoredChunk, out: NDArray[Any], fill: Fill = "noise") -> None:
        """Decode a chunk's bytes, see `decode_chunk`."""
        with self._named(stored.start):
            if stored.is_encoded:
                decode_expected(stored.data, out, fill=fill)
            else:
                self._check_raw(stored)
                out[...] = np.frombuffer(stored.data, self.data.dtype).reshape(out.shape)

    def _check_raw(self, stored: StoredChunk) -> None:
        nbytes = math.prod(self.chunk_shape) * self.data.dtype.itemsize
        if len(stored.data) != nbytes:
            raise ForeignChunkError(
                f"the chunk was stored raw, with {len(stored.data)} bytes where its frames take "
                f"{nbytes}: it is cut short or belongs to another dataset"
            )

    @contextmanager
    def _named(self, start: int) -> Iterator[None]:
        """Name the frame in errors of its chunk."""
        try:
            yield
        except ChunkError as error:
            raise InputError(f"{self.where}, frame {start}: {error}") from error

    def frames(
        self, *, threads: int | None = None, fill: Fill = "noise"
    ) -> OrderedResults[NDArray[Any]]:
        """Return an iterator over the frames of one chunk after another, decoded in threads.

        Whoever may stop before its end uses ``with``: see `threads.ordered_map`.

        Parameters
        ----------
        threads : int or None
            None means one a CPU.
        fill : {"noise", "mean"}
            See `decode`.
        """
        return ordered_map(
            lambda start: self.decode_chunk(start, fill), self.starts(), threads=threads
        )

    def chunks(self) -> Iterator[StoredChunk]:
        """Yield every chunk that was written."""
        stored = (self.read_chunk(start) for start in self.starts())
        return (chunk for chunk in stored if chunk is not None)

    def totals(self, progress: Progress = lambda _: None) -> ChunkTotals:
        """Sum up how the frames are stored.

        Parameters
        ----------
        progress : callable
            Called with the number of frames that have just been looked at.

        Raises
        ------
        InputError
            A chunk is damaged.
        """
        totals = ChunkTotals()
        for chunk in self.chunks():
            self.check_chunk(chunk)
            if chunk.is_encoded:
                with self._named(chunk.start):
                    totals.add_chunk(chunk.data, nframes=chunk.nframes)
            else:
                nbytes = len(chunk.data) // self.frames_per_chunk * chunk.nframes
                totals.add_unfiltered(
                    nframes=chunk.nframes, raw_nbytes=nbytes, stored_nbytes=len(chunk.data)
                )
            progress(chunk.nframes)
        return totals


def _frame_axis(data: h5py.Dataset, nrows: int, where: str) -> int:
    """Return the dimension where frames of so many rows begin: 1, or 0 for a single frame."""
    for axis in (1, 0):
        stack = data.shape[axis:]
        if len(stack) >= 2 and flat_shape(stack)[0] == nrows:
            return axis
    raise InputError(
        f"{where} has shape {data.shape}, but its frames have {nrows} rows: (frame, slow, fast) or "
        "(frame, module, slow, fast) is needed"
    )


def is_sparse(data: h5py.Dataset) -> bool:
    """Whether a dataset has the h5bragg filter."""
    plist: Any = data.id.get_create_plist()
    return any(plist.get_filter(i)[0] == FILTER_ID for i in range(plist.get_nfilters()))
