# SPDX-License-Identifier: MIT
"""What is checked of a chunk's bytes before memory is made for its frames."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from ._clib import STATUS, check, ffi, library
from .errors import ChunkError, ForeignChunkError, ParameterError
from .pixels import DTYPES

# A chunk says itself how much memory its frames take; HDF5's chunks are below this until 2.0.
MOST_NBYTES = 2**32


def chunk_buffer(chunk: Any) -> Any:
    """View the bytes of a chunk as a C array, not copied.

    Raises
    ------
    ChunkError
        It is no contiguous bytes-like object.
    """
    try:
        return ffi.from_buffer("uint8_t[]", chunk)
    except (TypeError, ValueError, BufferError) as error:
        raise ChunkError(
            f"a chunk is a contiguous bytes-like object, not {type(chunk).__name__}"
        ) from error


def read_info(buffer: Any) -> Any:
    """Read the h5bragg_info of a chunk, whose pixel type is one that this package knows.

    Parameters
    ----------
    buffer : cffi array of uint8_t
        See `chunk_buffer`.

    Raises
    ------
    ChunkError
        The bytes are no chunk, or damaged.
    """
    info = ffi.new("h5bragg_info *")
    check(library().h5bragg_inspect(buffer, len(buffer), info))
    if info.pixel_type not in DTYPES:
        check(STATUS["H5BRAGG_CORRUPT"])
    return info


def check_nbytes(info: Any, max_nbytes: int) -> None:
    """Refuse a chunk whose frames take more memory than was agreed.

    Parameters
    ----------
    info : h5bragg_info
    max_nbytes : int

    Raises
    ------
    ForeignChunkError
    """
    if info.frames_nbytes > max_nbytes:
        raise ForeignChunkError(
            f"the chunk of {info.chunk_nbytes} bytes says that its frames take "
            f"{info.frames_nbytes} bytes, more than {max_nbytes}: give a larger max_nbytes if you "
            "know that they do"
        )


def check_frame_number(frame: Any, nframes: int) -> None:
    """Refuse a number that is not that of one of a chunk's frames.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> check_frame_number(2, 2)
    Traceback (most recent call last):
    ...
    h5bragg.errors.ParameterError: frame 2 is not in a chunk of 2 frames
    """
    if not isinstance(frame, SupportsIndex) or not 0 <= frame.__index__() < nframes:
        raise ParameterError(f"frame {frame!r} is not in a chunk of {nframes} frames")


def check_expected(info: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a chunk whose frames are not those that its dataset expects.

    Parameters
    ----------
    info : h5bragg_info
    shape : tuple of int
        (frame, slow, fast) of the dataset's chunks.
    dtype : numpy.dtype
        Pixel type in any byte order.

    Raises
    ------
    ForeignChunkError

    Examples
    --------
    >>> import h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> chunk = h5bragg.encode(np.zeros((64, 80), "uint16"), geometry)
    >>> check_expected(read_info(chunk_buffer(chunk)), (1, 64, 80), np.dtype("uint32"))
    Traceback (most recent call last):
    ...
    h5bragg.errors.ForeignChunkError: the chunk holds 1 frame of 64 x 80 pixels of uint16, but \
its dataset expects 1 frame of 64 x 80 pixels of uint32: it belongs to another dataset
    """
    found = (info.nframes, info.ny, info.nx)
    expected = dtype.newbyteorder("=")
    if found != shape or DTYPES[info.pixel_type] != expected:
        raise ForeignChunkError(
            f"the chunk holds {_describe(found, DTYPES[info.pixel_type])}, but its dataset "
            f"expects {_describe(shape, expected)}: it belongs to another dataset"
        )


def _describe(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    frames = "1 frame" if shape[0] == 1 else f"{shape[0]} frames"
    return f"{frames} of {shape[1]} x {shape[2]} pixels of {dtype}"
