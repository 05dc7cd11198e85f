# SPDX-License-Identifier: MIT
"""ChunkTotals: how the frames of a dataset are stored, summed over its chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .codec import ChunkInfo, inspect, unpack


@dataclass
class ChunkTotals:
    """Sums over chunks.

    Parameters
    ----------
    sparse_frames : int
        Frames stored as exact pixels and background.
    lossless_frames : int
        Frames stored whole because that was smaller.
    unfiltered_frames : int
        Frames that HDF5 stored raw because encoding failed.
    picked_pixels, sparse_pixels : int
        Pixels stored exactly (see `ChunkInfo`), and all pixels, of the sparse frames.
    masked_pixels : int
        Masked pixels of all frames.
    raw_nbytes, stored_nbytes : int
        Size of the dense frames and of the stored chunks.

    Examples
    --------
    >>> totals = ChunkTotals(raw_nbytes=1000, stored_nbytes=50)
    >>> totals.ratio
    20.0
    """

    sparse_frames: int = 0
    lossless_frames: int = 0
    unfiltered_frames: int = 0
    picked_pixels: int = 0
    sparse_pixels: int = 0
    masked_pixels: int = 0
    raw_nbytes: int = 0
    stored_nbytes: int = 0

    @property
    def ratio(self) -> float:
        """How many times smaller than the dense frames the chunks are."""
        return self.raw_nbytes / self.stored_nbytes if self.stored_nbytes else 0.0

    @property
    def picked_fraction(self) -> float:
        """Fraction of the sparse frames' pixels that are stored exactly."""
        return self.picked_pixels / self.sparse_pixels if self.sparse_pixels else 0.0

    def add_chunk(self, chunk: bytes | NDArray[np.uint8], *, nframes: int) -> ChunkInfo:
        """Add one encoded chunk.

        Parameters
        ----------
        chunk : bytes or ndarray of uint8
        nframes : int
            How many of its frames belong to the dataset; a last chunk may hold more.

        Returns
        -------
        ChunkInfo
            What the chunk says of itself.

        Raises
        ------
        ChunkError
            The bytes are no chunk, or damaged.
        """
        info = inspect(chunk)
        frame_nbytes = info.frames_nbytes // info.nframes
        self.raw_nbytes += frame_nbytes * nframes
        self.stored_nbytes += len(chunk)
        self.picked_pixels += info.picked_pixels
        self.masked_pixels += info.masked_pixels
        whole = info.lossless_frames
        if nframes < info.nframes:
            whole = sum(unpack(chunk, frame).is_lossless for frame in range(nframes))
        self.lossless_frames += whole
        self.sparse_frames += nframes - whole
        self.sparse_pixels += (nframes - whole) * frame_nbytes // info.dtype.itemsize
        return info

    def add_unfiltered(self, *, nframes: int, raw_nbytes: int, stored_nbytes: int) -> None:
        """Add one chunk that HDF5 stored without the filter."""
        self.unfiltered_frames += nframes
        self.raw_nbytes += raw_nbytes
        self.stored_nbytes += stored_nbytes
