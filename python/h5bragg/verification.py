# SPDX-License-Identifier: MIT
"""Decode every chunk of a file and tell which frames are damaged, and why."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .frame_source import InputError
from .hdf5_links import walk_datasets
from .sparse_dataset import Progress, SparseDataset, is_sparse
from .threads import ordered_map


@dataclass(frozen=True, kw_only=True)
class DamagedFrames:
    """Frames of one chunk that cannot be read.

    Parameters
    ----------
    first, last : int
        Numbers of the first and the last of them.
    error : str
        Name of the class of `h5bragg.errors` that says what is wrong, or "InputError" where HDF5
        itself cannot fetch the chunk or the dataset cannot be read at all.
    sentence : str
        What is wrong, in words.

    Examples
    --------
    >>> str(DamagedFrames(first=3, last=3, error="ChecksumError", sentence="it is damaged"))
    'frame 3: ChecksumError: it is damaged'
    """

    first: int
    last: int
    error: str
    sentence: str

    def __str__(self) -> str:
        """Say which and why in one line."""
        frames = f"frame {self.first}"
        if self.last > self.first:
            frames = f"frames {self.first} to {self.last}"
        return f"{frames}: {self.error}: {self.sentence}"


@dataclass(frozen=True, kw_only=True)
class DatasetVerification:
    """What came of decoding all frames of one dataset.

    Parameters
    ----------
    name : str
        Path in the file.
    nframes : int
        Number of its frames.
    good_frames, raw_frames, unwritten_frames : int
        Frames that decode, frames that HDF5 stored without the filter (nothing can be told of
        them but that they are complete), and frames that were never written.
    damaged : tuple of DamagedFrames
        All other frames.
    """

    name: str
    nframes: int
    good_frames: int
    raw_frames: int
    unwritten_frames: int
    damaged: tuple[DamagedFrames, ...]


def verify(
    file: h5py.File, *, threads: int | None = None, progress: Progress = lambda _: None
) -> list[DatasetVerification]:
    """Decode every frame that h5bragg compressed, in threads.

    Parameters
    ----------
    file : h5py.File
    threads : int or None
        None means one a CPU, at most 16.
    progress : callable
        Called with the number of frames that have just been decoded.

    Returns
    -------
    list of DatasetVerification
        One for each dataset with the h5bragg filter, linked files included; damage is in them and
        raises nothing.

    Examples
    --------
    >>> import h5py, h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> with h5py.File("frames.h5", "w", driver="core", backing_store=False) as file:
    ...     data = file.create_dataset("data", data=np.zeros((2, 64, 80), "u2"),
    ...                                chunks=(1, 64, 80), **h5bragg.Bragg(geometry))
    ...     data.id.write_direct_chunk((1, 0, 0), b"no chunk")
    ...     [found] = verify(file)
    >>> found.good_frames, str(found.damaged[0])
    (1, 'frame 1: NotAChunkError: these bytes are not an h5bragg chunk')
    """
    found = [data for data in walk_datasets(file) if is_sparse(data)]
    return [_verify_dataset(data, threads, progress) for data in found]


def count_frames(file: h5py.File) -> int:
    """Return how many frames `verify` will look at."""
    found = [data for data in walk_datasets(file) if is_sparse(data)]
    return sum(int(data.shape[0]) if data.ndim > 2 else 1 for data in found)


def _verify_dataset(
    data: h5py.Dataset, threads: int | None, progress: Progress
) -> DatasetVerification:
    try:
        sparse = SparseDataset(data)
    except InputError as error:
        nframes = int(data.shape[0])
        return _summary(data.name, nframes, [(nframes, _damage(0, nframes - 1, error))])
    room = threading.local()
    counts: list[tuple[int, DamagedFrames | str]] = []

    def verify_chunk(start: int) -> tuple[int, DamagedFrames | str]:
        count = min(sparse.frames_per_chunk, sparse.nframes - start)
        try:
            return count, _decode(sparse, start, room)
        except InputError as error:
            return count, _damage(start, start + count - 1, error)

    with ordered_map(verify_chunk, sparse.starts(), threads=threads) as results:
        for count, what in results:
            counts.append((count, what))
            progress(count)
    return _summary(data.name, sparse.nframes, counts)


def _decode(sparse: SparseDataset, start: int, room: threading.local) -> str:
    """Decode a chunk into the memory of this thread and tell how it is stored."""
    stored = sparse.read_chunk(start)
    if stored is None:
        return "unwritten"
    # Before there is room for its frames: the dataset's shape may be as wrong as the chunk.
    sparse.check_chunk(stored)
    if not stored.is_encoded:
        return "raw"
    frames: NDArray[Any] | None = getattr(room, "frames", None)
    if frames is None:
        frames = room.frames = np.empty(sparse.chunk_shape, sparse.data.dtype.newbyteorder("="))
    sparse.decode_stored(stored, frames)
    return "good"


def _damage(first: int, last: int, error: InputError) -> DamagedFrames:
    reason = error.__cause__ if error.__cause__ is not None else error
    known = type(reason).__module__ == "h5bragg.errors"
    return DamagedFrames(
        first=first,
        last=last,
        error=type(reason).__name__ if known else "InputError",
        sentence=" ".join(str(reason if known else error).split()),
    )


def _summary(
    name: str, nframes: int, counts: list[tuple[int, DamagedFrames | str]]
) -> DatasetVerification:
    def total(kind: str) -> int:
        return sum(count for count, what in counts if what == kind)

    return DatasetVerification(
        name=name,
        nframes=nframes,
        good_frames=total("good"),
        raw_frames=total("raw"),
        unwritten_frames=total("unwritten"),
        damaged=tuple(what for _, what in counts if isinstance(what, DamagedFrames)),
    )
