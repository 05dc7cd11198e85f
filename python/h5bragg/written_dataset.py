# SPDX-License-Identifier: MIT
"""The dataset that `FrameWriter` writes to: whether it is one, and back to what it was."""

from __future__ import annotations

from contextlib import suppress

import h5py

from ._clib import FILTER_ID
from .errors import GeometryError, ParameterError
from .geometry import Geometry
from .geometry.stack_shape import flat_shape


def shrink(dataset: h5py.Dataset, nframes: int) -> None:
    """Take a dataset back to so many frames after a chunk could not be written."""
    if nframes >= dataset.shape[0]:
        return
    with suppress(OSError, RuntimeError, ValueError):
        # HDF5 remembers the chunk that it looked up last, here one that is not in the dataset.
        # Removing that, it would remove the chunk before it; so it is to look up another.
        last = max(0, nframes - 1) // dataset.chunks[0] * dataset.chunks[0]
        dataset.id.read_direct_chunk((last, *(0,) * (dataset.ndim - 1)))
    with suppress(OSError, RuntimeError):
        dataset.resize(nframes, axis=0)


def frames_per_chunk(dataset: h5py.Dataset, geometry: Geometry, start: int) -> int:
    """Check a dataset; return how many frames a chunk of it has."""
    shape = tuple(geometry.shape)
    if dataset.ndim < 3 or flat_shape(dataset.shape[1:]) != shape:
        raise GeometryError(
            f"{dataset.name} has shape {dataset.shape}, but the geometry is for {shape}: give the "
            "geometry of these frames"
        )
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
    if filters != [FILTER_ID] or dataset.chunks[1:] != dataset.shape[1:]:
        raise ParameterError(
            f"{dataset.name} has not h5bragg's filter alone, or not chunks of whole frames: create "
            f"it with chunks={(1, *dataset.shape[1:])}, **h5bragg.Bragg(geometry)"
        )
    per_chunk = int(dataset.chunks[0])
    if start % per_chunk:
        raise ParameterError(
            f"frame {start} is not the first of a chunk of {per_chunk}: start at a multiple"
        )
    return per_chunk
