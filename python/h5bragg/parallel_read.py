# SPDX-License-Identifier: MIT
"""read_frames: many frames of a dataset into one array, decoded in parallel.

HDF5 decodes chunk by chunk under its global lock.  Here the lock is held only while the stored
bytes of a chunk are fetched; decoding runs in threads, each straight into its place of the result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .codec import Fill
from .errors import ParameterError
from .sparse_dataset import SparseDataset, is_sparse
from .threads import ordered_map

Selection = int | slice | Sequence[int] | NDArray[Any]


def read_frames(
    dataset: h5py.Dataset,
    selection: Selection = slice(None),
    *,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
    fill: Fill = "noise",
) -> NDArray[Any]:
    """Read frames of a dataset into one array, on all CPUs.

    Parameters
    ----------
    dataset : h5py.Dataset
        Shape (frame, slow, fast), or (frame, module, slow, fast).  One that h5bragg did not
        compress is read through HDF5.
    selection : int, slice or sequence of int
        Which frames, as NumPy selects: in any order, from the end, repeated.
    threads : int or None
        Decoding threads; None means one a CPU, at most 16.
    out : ndarray or None
        C-contiguous array of native byte order to read into, which spares the cost of fresh
        memory; None makes a new one.
    fill : {"noise", "mean"}
        See `h5bragg.decode`.

    Returns
    -------
    ndarray
        Shape (n, slow, fast), or (slow, fast) for a single number, with the modules between where
        the dataset has them; `out` if it was given.

    Raises
    ------
    IndexError
        A frame is not in the dataset.
    ParameterError
        `out` or the dataset's shape does not suit.
    h5bragg.frame_source.InputError
        A chunk is damaged; the message names its frame.

    Examples
    --------
    >>> import h5py, h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> frames = np.random.default_rng(1).poisson(3, (5, 64, 80)).astype("uint16")
    >>> with h5py.File("frames.h5", "w", driver="core", backing_store=False) as file:
    ...     data = file.create_dataset("data", data=frames, chunks=(1, 64, 80),
    ...                                **h5bragg.Bragg(geometry))
    ...     h5bragg.read_frames(data, slice(1, 4), threads=2).shape
    (3, 64, 80)
    """
    if dataset.ndim < 3:
        raise ParameterError(
            f"{dataset.name} has {dataset.ndim} dimensions: give a dataset of shape "
            "(frame, slow, fast) or (frame, module, slow, fast)"
        )
    try:
        numbers = np.arange(dataset.shape[0])[selection]
    except OverflowError as error:
        raise IndexError(f"no dataset has a frame of number {selection}") from error
    frames = _target(dataset, numbers, out)
    if is_sparse(dataset):
        sparse = SparseDataset(dataset)
        stack = frames.reshape(-1, *sparse.frame_shape)
        _read_sparse(sparse, numbers.ravel(), stack, threads, fill)
    else:
        stack = frames.reshape(-1, *dataset.shape[1:])
        for place, number in enumerate(numbers.ravel()):
            dataset.read_direct(stack, np.s_[number], np.s_[place])
    return frames


def _target(
    dataset: h5py.Dataset, numbers: NDArray[np.intp], out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the array to read into, checked."""
    shape = (*numbers.shape, *dataset.shape[1:])
    dtype = dataset.dtype.newbyteorder("=")
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise ParameterError(
            f"out is a {out.dtype} array of shape {out.shape}: give a C-contiguous one of "
            f"{dtype} and shape {shape}"
        )
    return out


def _read_sparse(
    data: SparseDataset,
    numbers: NDArray[np.intp],
    stack: NDArray[Any],
    threads: int | None,
    fill: Fill,
) -> None:
    """Read each chunk once and put its frames where they are wanted."""
    wanted: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place, number in enumerate(numbers.tolist()):
        first = number - number % data.frames_per_chunk
        wanted[first].append((place, number - first))

    def read(first: int) -> None:
        places = wanted[first]
        at = places[0][0]
        in_place = data.frames_per_chunk == 1
        frames = data.decode_chunk(first, fill, out=stack[at : at + 1] if in_place else None)
        for place, number in places[1:] if in_place else places:
            stack[place] = frames[number]

    with ordered_map(read, wanted, threads=threads) as results:
        for _ in results:
            pass
