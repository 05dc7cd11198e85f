# SPDX-License-Identifier: MIT
"""Input frames of every format that FabIO opens: CBF, EDF, TIFF and many more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from numpy.typing import NDArray

from .errors import GeometryError
from .experiment import Experiment, read_experiment
from .frame_source import Frame, InputError, as_stored, stored_dtype
from .geometry.file_head import read_head

_CBF_BINARY_START = b"\x0c\x1a\x04\xd5"
# Most headers end in the first piece; beamlines put whole CIF templates into others.
_CBF_HEADER_NBYTES = (1 << 16, 1 << 20)
# Formats of one frame a file, which need not be opened to be counted.
_SINGLE_FRAME_SUFFIXES = {".cbf", ".img", ".mccd"}
_COMPRESSED_SUFFIXES = {".gz", ".bz2"}


class _ErrorCollector(logging.Handler):
    """Keeps FabIO's error messages by thread: FabIO logs damage and returns padded frames."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message if its thread is inside `collect`."""
        messages = getattr(self._local, "messages", None)
        if messages is not None:
            messages.append(record.getMessage())

    @contextmanager
    def collect(self) -> Iterator[list[str]]:
        """Collect the messages of this thread during a `with` block."""
        self._local.messages = []
        try:
            yield self._local.messages
        finally:
            self._local.messages = None


_collector = _ErrorCollector()
logging.getLogger("fabio").addHandler(_collector)


class FabioSource:
    """Frames of one file that FabIO reads.

    Parameters
    ----------
    path : Path
    like : FabioSource or None
        An earlier file of the same series, whose frame shape and pixel type this one is taken to
        share until it is read; spares opening thousands of single-frame files twice.

    Raises
    ------
    InputError
        FabIO cannot read the file, or its pixels are no integer counts.
    """

    def __init__(self, path: Path, like: FabioSource | None = None) -> None:
        self.path = path
        self._image: Any = None
        self._lock = threading.Lock()
        self.nframes: int
        self.shape: tuple[int, int]
        self.dtype: np.dtype[Any]
        if like is not None and _format_suffix(path) in _SINGLE_FRAME_SUFFIXES:
            self.nframes, self.shape, self.dtype = 1, like.shape, like.dtype
            self._experiment = like.experiment
            return
        image, pixels = _open(path)
        self.nframes = int(image.nframes)
        self.shape = (int(pixels.shape[0]), int(pixels.shape[1]))
        self.dtype = stored_dtype(pixels.dtype, str(path))
        self._experiment = read_experiment(image.header)
        if self.nframes > 1:
            self._image = image

    @property
    def files(self) -> tuple[Path, ...]:
        """The file itself."""
        return (self.path,)

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """None: these formats have no datasets."""
        return ()

    @property
    def experiment(self) -> Experiment:
        """What the header of the first frame says."""
        return self._experiment

    @property
    def pixel_mask(self) -> NDArray[np.uint32] | None:
        """None: these formats mark masked pixels in the frame."""
        return None

    def read(self, index: int) -> Frame:
        """Read one frame.

        Parameters
        ----------
        index : int
            From 0 to nframes - 1.

        Raises
        ------
        InputError
            The frame is damaged, or a value does not fit the stored type.
        """
        if self._image is None:
            image, pixels = _open(self.path)
        else:
            # Frames of one file share its file handle.
            with self._lock:
                image, pixels = _read(self.path, lambda: self._image.get_frame(index))
        stored = as_stored(pixels, stored_dtype(pixels.dtype, str(self.path)), str(self.path))
        header = read_experiment(image.header)
        return Frame(stored, header.angle_deg, header.width_deg)

    def close(self) -> None:
        """Release the file."""
        if self._image is not None:
            self._image.close()


def _open(path: Path) -> tuple[Any, NDArray[Any]]:
    """Open a file and read its first frame."""
    if _format_suffix(path) == ".cbf":
        _check_cbf_header(path)
    return _read(path, lambda: fabio.open(str(path)))


def _read(path: Path, open_image: Any) -> tuple[Any, NDArray[Any]]:
    """Run a FabIO call that yields an image, and turn every kind of failure into one error."""
    try:
        with _collector.collect() as messages:
            image = open_image()
            pixels = image.data
    except Exception as error:  # FabIO's readers raise whatever their parsing runs into
        raise InputError(_damaged(path, str(error) or type(error).__name__)) from error
    if pixels is None or messages or getattr(image, "incomplete_file", False):
        raise InputError(_damaged(path, "; ".join(messages) or "it ends early"))
    pixels = np.asarray(pixels)
    if pixels.ndim != 2 or not pixels.size:
        raise InputError(f"{path} holds no two-dimensional frame but shape {pixels.shape}")
    return image, pixels


def _damaged(path: Path, reason: str) -> str:
    reason = " ".join(reason.split())[:200]
    return f"{path} cannot be read as a frame, is it truncated or no image? ({reason})"


def _format_suffix(path: Path) -> str:
    """Return the suffix that tells the format, without that of a compressor."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _check_cbf_header(path: Path) -> None:
    """Refuse a CBF file that ends within its header: FabIO would search it for ever."""
    try:
        heads = (read_head(path, nbytes) for nbytes in _CBF_HEADER_NBYTES)
        is_whole = any(_CBF_BINARY_START in head for head in heads)
    except GeometryError as error:
        raise InputError(_damaged(path, str(error))) from error
    if not is_whole:
        raise InputError(_damaged(path, "no binary section follows its header"))
