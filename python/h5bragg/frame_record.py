# SPDX-License-Identifier: MIT
"""FrameRecord: how one frame of a dataset is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .codec import inspect, unpack
from .errors import ChunkError
from .frame_source import InputError
from .sparse_dataset import SparseDataset, StoredChunk

Storage = Literal["sparse", "lossless", "raw", "unwritten"]


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """How one frame is stored.

    Parameters
    ----------
    frame : int
        Its number in the dataset.
    stored : {"sparse", "lossless", "raw", "unwritten"}
        As exact pixels and background; whole because that was smaller; by HDF5 as it was because
        encoding failed; not at all.
    stored_nbytes : int
        Size in the file; that of its chunk divided by the chunk's frames if there are several.
    raw_nbytes : int
        Size of the dense frame.
    exact_pixels, masked_pixels : int or None
        Pixels stored exactly and masked ones, see `ChunkInfo`; None if it is unwritten.  Lossless
        and raw frames do not tell masked pixels apart: all count as exact.

    Examples
    --------
    >>> record = FrameRecord(frame=0, stored="sparse", stored_nbytes=50, raw_nbytes=1000)
    >>> record.ratio
    20.0
    """

    frame: int
    stored: Storage
    stored_nbytes: int
    raw_nbytes: int
    exact_pixels: int | None = None
    masked_pixels: int | None = None

    @property
    def ratio(self) -> float:
        """How many times smaller than the dense frame it is; 0 if it is not stored."""
        return self.raw_nbytes / self.stored_nbytes if self.stored_nbytes else 0.0


def frame_records(sparse: SparseDataset) -> Iterator[FrameRecord]:
    """Yield how each frame of a dataset is stored.

    Parameters
    ----------
    sparse : SparseDataset

    Raises
    ------
    InputError
        A chunk is damaged; the message names the frame.
    """
    for start in sparse.starts():
        chunk = sparse.read_chunk(start)
        if chunk is not None:
            sparse.check_chunk(chunk)
        stop = min(start + sparse.frames_per_chunk, sparse.nframes)
        try:
            for frame in range(start, stop):
                yield _record(sparse, chunk, frame)
        except ChunkError as error:
            raise InputError(f"{sparse.where}, frame {start}: {error}") from error


def _record(sparse: SparseDataset, chunk: StoredChunk | None, frame: int) -> FrameRecord:
    """Tell how one frame of a chunk is stored."""
    npixels = sparse.frame_shape[0] * sparse.frame_shape[1]
    raw_nbytes = npixels * sparse.data.dtype.itemsize
    stored: Storage = "unwritten"
    stored_nbytes, exact, masked = 0, None, None
    if chunk is not None:
        stored_nbytes = len(chunk.data) // sparse.frames_per_chunk
        if chunk.is_encoded:
            stored, exact, masked = _encoded(chunk.data, frame - chunk.start, npixels)
        else:
            stored, exact, masked = "raw", npixels, 0
    return FrameRecord(
        frame=frame,
        stored=stored,
        stored_nbytes=stored_nbytes,
        raw_nbytes=raw_nbytes,
        exact_pixels=exact,
        masked_pixels=masked,
    )


def _encoded(data: bytes, index: int, npixels: int) -> tuple[Storage, int, int]:
    """Return how a frame of an encoded chunk is stored, and its exact and masked pixels."""
    info = inspect(data)
    if info.nframes == 1:
        is_lossless, exact, masked = info.lossless_frames, info.picked_pixels, info.masked_pixels
    else:
        frame = unpack(data, index)
        is_lossless, exact = frame.is_lossless, len(frame.index)
        masked = int(np.count_nonzero(frame.mask))
    if is_lossless:
        return "lossless", npixels, 0
    return "sparse", exact, masked
