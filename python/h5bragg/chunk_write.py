# SPDX-License-Identifier: MIT
"""Chunks of a batch go into an HDF5 dataset in one call, which Python's lock does not interrupt.

With a call for each chunk, the thread that writes waits each time until another one lets go of that
lock; where frames are small that takes longer than writing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil
from numpy.typing import NDArray

from ._clib import ffi, library


@cache
def _write_function() -> Any:
    """Find H5Dwrite_chunk in the HDF5 library that h5py uses; None if it does not show it."""
    try:
        function = ctypes.CDLL(h5py.h5d.__file__).H5Dwrite_chunk
    except (OSError, AttributeError):
        return None
    return ffi.cast("h5bragg_write_chunk *", ctypes.cast(function, ctypes.c_void_p).value)


def write_chunks(
    dataset: h5py.Dataset, start: int, step: int, chunks: Sequence[NDArray[np.uint8]]
) -> Iterator[int]:
    """Write chunks that lie one behind the other along the first axis.

    Parameters
    ----------
    dataset : h5py.Dataset
    start, step : int
        Place of the first chunk, and how far it is to the next one.
    chunks : sequence of ndarray
        The bytes of each.

    Yields
    ------
    int
        How many are written.

    Raises
    ------
    OSError, RuntimeError, ValueError
        As h5py's `write_direct_chunk`, of the first one that cannot be written.

    Examples
    --------
    >>> import h5py, h5bragg, numpy as np
    >>> from h5bragg.chunk_write import write_chunks
    >>> file = h5py.File("chunks.h5", "w", driver="core", backing_store=False)
    >>> data = file.create_dataset("data", (2, 2, 2), "u1", chunks=(1, 2, 2))
    >>> list(write_chunks(data, 0, 1, [np.array([1, 2, 3, 4], "u1"), np.full(4, 7, "u1")]))
    [2]
    >>> data[...].tolist()
    [[[1, 2], [3, 4]], [[7, 7], [7, 7]]]
    """
    offsets = np.zeros((len(chunks), dataset.ndim), np.uint64)
    offsets[:, 0] = start + step * np.arange(len(chunks), dtype=np.uint64)
    done = 0
    while done < len(chunks):
        together = 0
        if _write_function() is not None:
            together = _write_together(dataset, offsets[done:], chunks[done:])
        if together == 0:  # h5py finds out what is wrong with this one, and says it
            dataset.id.write_direct_chunk(tuple(map(int, offsets[done])), chunks[done])
        done += max(together, 1)
        yield done


def _write_together(
    dataset: h5py.Dataset, offsets: NDArray[np.uint64], chunks: Sequence[NDArray[np.uint8]]
) -> int:
    """Write chunks until one fails; return how many were written."""
    pointers = ffi.new("uint8_t *[]", [ffi.from_buffer("uint8_t[]", chunk) for chunk in chunks])
    nbytes = ffi.new("size_t[]", [chunk.nbytes for chunk in chunks])
    places = ffi.from_buffer("uint64_t[]", offsets)
    with phil:  # h5py's lock around HDF5
        written: int = library().h5bragg_chunks_write(
            _write_function(), dataset.id.id, dataset.ndim, places, pointers, nbytes, len(chunks)
        )
    return written
