# SPDX-License-Identifier: MIT
"""Input frames: many files of any format as one sequence of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .fabio_frames import FabioSource
from .frame_source import Frame, FrameSource, InputError
from .hdf5_frames import Hdf5Source

_HDF5_SUFFIXES = {".h5", ".hdf5", ".hdf", ".nxs", ".cxi", ".nx5"}


class FrameSequence:
    """Frames of many files in order; a context manager that closes the files.

    Parameters
    ----------
    sources : sequence of FrameSource
        At least one, all of one frame shape and pixel type.

    Raises
    ------
    InputError
        Shapes or types differ.
    """

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        self.sources = tuple(sources)
        first = self.sources[0]
        self.shape: tuple[int, int] = first.shape
        self.dtype: np.dtype[Any] = first.dtype
        for source in self.sources:
            self._check(source.path, source.shape, source.dtype)
        self._starts = [0, *accumulate(source.nframes for source in self.sources)]

    @property
    def first(self) -> FrameSource:
        """The first source, which also gives the metadata."""
        return self.sources[0]

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Shape of a frame as the first file has it: (slow, fast), or (module, slow, fast)."""
        return self.first.stack_shape if isinstance(self.first, Hdf5Source) else self.shape

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that frames are read from."""
        return tuple(path for source in self.sources for path in source.files)

    @property
    def frame_nbytes(self) -> int:
        """Size of one dense frame."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._starts[-1]

    def locate(self, index: int) -> tuple[FrameSource, int]:
        """Return the source of a frame, and the frame's number in it.

        Raises
        ------
        IndexError
            There is no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.sources[which], index - self._starts[which]

    def read(self, index: int) -> Frame:
        """Read one frame; any thread may do so.

        Parameters
        ----------
        index : int
            From 0 to len - 1.

        Raises
        ------
        InputError
            The frame cannot be read, or differs from the first in shape or type.
        """
        source, local = self.locate(index)
        frame = source.read(local)
        shape = (frame.pixels.shape[0], frame.pixels.shape[1])
        self._check(source.path, shape, frame.pixels.dtype)
        return frame

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Read the pixels of one frame after another."""
        return (self.read(index).pixels for index in range(len(self)))

    def __enter__(self) -> FrameSequence:
        """Return the sequence."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        for source in self.sources:
            source.close()

    def _check(self, path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        if (shape, dtype) != (self.shape, self.dtype):
            raise InputError(
                f"{path} holds {dtype} frames of shape {shape}, but {self.first.path} holds "
                f"{self.dtype} frames of shape {self.shape}: compress them to separate files"
            )


def open_frames(
    paths: Sequence[str | os.PathLike[str]], *, dataset: str | None = None
) -> FrameSequence:
    """Open input files of any format as one sequence of frames.

    Parameters
    ----------
    paths : sequence of path
        Files that FabIO opens (CBF, EDF, TIFF, ..., also compressed by gzip or bzip2), and HDF5
        files: Eiger or NXmx masters, data files, virtual datasets, with any filter of hdf5plugin.
    dataset : str or None
        Path of the frames in HDF5 files, where they are in no usual place.

    Returns
    -------
    FrameSequence
        Frames are read when asked for.

    Raises
    ------
    InputError
        A file is missing, damaged, holds no integer frames, or differs from the first.

    Examples
    --------
    >>> import h5py, numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "frames.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["entry/data/data"] = np.zeros((3, 4, 5), "uint16")
    >>> with open_frames([path]) as frames:
    ...     len(frames), frames.shape, str(frames.dtype)
    (3, (4, 5), 'uint16')
    >>> folder.cleanup()
    """
    if not paths:
        raise InputError("no input was given: name at least one file")
    sources: list[FrameSource] = []
    try:
        for path in map(Path, paths):
            sources.append(_open_source(path, sources, dataset))
        return FrameSequence(sources)
    except BaseException:
        for source in sources:
            source.close()
        raise


def _open_source(path: Path, opened: list[FrameSource], dataset: str | None) -> FrameSource:
    """Open one file with the reader that its contents call for."""
    _check_readable(path)
    if h5py.is_hdf5(path) or path.suffix.lower() in _HDF5_SUFFIXES:
        return Hdf5Source(path, dataset)
    like = next((source for source in opened if isinstance(source, FabioSource)), None)
    return FabioSource(path, like)


def _check_readable(path: Path) -> None:
    """Refuse a file that is missing, no file, empty or not ours to read."""
    if path.is_dir():
        raise InputError(f"{path} is a directory: name the files in it")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if is_empty:
        raise InputError(f"{path} is empty: copy it again or leave it out")
