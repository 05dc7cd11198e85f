# SPDX-License-Identifier: MIT
"""Arrays beside the frames that have an entry a frame: pulse numbers, energies, intensities.

They are copied from the first input with its other metadata.  In an output of several inputs, or
without some frames, they must be put together anew, or entries and frames would not belong
together.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .frames import FrameSequence
from .geometry.nexus_fields import find_dataset, read_text
from .hdf5_frames import Hdf5Source
from .tree_copy import copy_attributes

_log = logging.getLogger("h5bragg")

# Arrays of other things, as NeXus and Eiger files have them, whose length may happen to be the
# number of frames.
_OF_OTHER_THINGS = {
    "beam_center", "countrate_correction_table", "extent", "flatfield", "incident_beam_size",
    "incident_polarization_stokes", "orientation_matrix", "pixel_mask", "ub_matrix", "unit_cell",
    "x_pixel_offset", "y_pixel_offset",
}  # fmt: skip
_NUMBERS = "biuf"
_AT_ONCE_NBYTES = 1 << 24


def keep_frame_arrays(
    file: h5py.File, frames: FrameSequence, numbers: NDArray[np.intp], *, own: Sequence[str]
) -> None:
    """Give the arrays that were copied from the first input the entries of the output's frames.

    Arrays are taken for such if their first dimension is the number of frames of that input; those
    of modules and pixels are not, nor is the rotation axis, which is written by itself.  An array
    that another of the inputs does not have goes: the first one's entries alone would mislead.  So
    does one that cannot be read.

    Parameters
    ----------
    file : h5py.File
        The output, with the metadata of the first input.
    frames : FrameSequence
        All inputs.
    numbers : ndarray of int
        Numbers of the frames in the output, in their order.
    own : sequence of str
        Datasets, and groups of them, that are the output's own.
    """
    first = frames.first
    if not isinstance(first, Hdf5Source) or first.nframes < 2:
        return
    if len(frames.sources) == 1 and len(numbers) == len(frames):
        return
    for path in _paths(file, first, own):
        parts = [_like(source, path, file[path]) for source in frames.sources]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            _replace(file, path, known, numbers)
        else:
            _log.warning("%s is left out: not every input has it for its frames", path)
            del file[path]


def _paths(file: h5py.File, source: Hdf5Source, own: Sequence[str]) -> list[str]:
    """Find the datasets with an entry a frame."""
    axis = [] if source.rotation is None else [source.rotation.path, f"{source.rotation.path}_end"]
    others = tuple(f"{name}/" for name in (*own, *axis))
    found: list[str] = []

    def visit(_: str, item: h5py.HLObject) -> None:
        if not (isinstance(item, h5py.Dataset) and item.ndim and item.shape[0] == source.nframes):
            return
        path = str(item.name)
        is_other = (
            f"{path}/".startswith(others)
            or path.rsplit("/", 1)[1] in _OF_OTHER_THINGS
            or item.shape == source.stack_shape
            or read_text(item.parent.attrs.get("NX_class", "")) == "NXdetector_module"
        )
        if not is_other:
            found.append(path)

    file.visititems(visit)
    return found


def _like(source: object, path: str, data: h5py.Dataset) -> h5py.Dataset | None:
    """Return the same array of a source, None if it has none that fits."""
    if not isinstance(source, Hdf5Source):
        return None
    found = find_dataset(source.file, path)
    if found is None or found.shape != (source.nframes, *data.shape[1:]):
        return None
    are_numbers = found.dtype.kind in _NUMBERS and data.dtype.kind in _NUMBERS
    return found if are_numbers or found.dtype == data.dtype else None


def _replace(
    file: h5py.File, path: str, parts: list[h5py.Dataset], numbers: NDArray[np.intp]
) -> None:
    """Write the entries of some frames of all parts in place of an array."""
    old = file[path]
    dtypes = {part.dtype for part in parts}
    name = f"{path}.new"
    new = file.create_dataset(
        name,
        shape=(len(numbers), *old.shape[1:]),
        dtype=np.result_type(*dtypes) if len(dtypes) > 1 else old.dtype,
        compression="gzip" if old.size and old.id.get_create_plist().get_nfilters() else None,
    )
    copy_attributes(old, new)
    at = 0
    try:
        for rows in _entries(parts, numbers):
            new[at : at + len(rows)] = rows
            at += len(rows)
    except _UnreadableError as error:
        _log.warning("%s is left out: %s", path, error)
        del file[name], file[path]
        return
    del file[path]
    file.move(name, path)


class _UnreadableError(Exception):
    """An array of an input cannot be read: nothing that the output is to fail for."""


def _entries(parts: list[h5py.Dataset], numbers: NDArray[np.intp]) -> Iterator[NDArray[Any]]:
    """Read the entries of some frames, some at a time."""
    start = 0
    for part in parts:
        inside = numbers[(numbers >= start) & (numbers < start + len(part))] - start
        start += len(part)
        entry_nbytes = part.dtype.itemsize * math.prod(part.shape[1:])
        at_once = max(1, _AT_ONCE_NBYTES // max(1, entry_nbytes))
        for k in range(0, len(inside), at_once):
            try:
                rows: NDArray[Any] = part[inside[k : k + at_once]]
            except (OSError, RuntimeError) as error:
                raise _UnreadableError(f"{part.file.filename} has it unreadable") from error
            yield rows
