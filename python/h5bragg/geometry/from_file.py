# SPDX-License-Identifier: MIT
"""Find out what kind of geometry file a path is, and read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ..errors import GeometryError
from .crystfel import read_crystfel
from .crystfel_text import is_crystfel
from .file_head import read_head
from .mini_cbf import read_mini_cbf
from .nexus import read_nexus
from .poni import read_poni
from .stack_shape import checked_shape, flat_shape

if TYPE_CHECKING:
    from .detector import Geometry

_HEAD_NBYTES = 65536
_MOST_CHARACTERS = 600
_KINDS = "a mini-CBF frame, an Eiger/NXmx master, a CrystFEL geometry or a pyFAI PONI file"


def read_geometry(
    path: str | os.PathLike[str], *, shape: tuple[int, ...] | None = None
) -> Geometry:
    """Read a detector from a file, whose kind is told from its contents.

    Parameters and errors are those of `Geometry.from_file`.
    """
    path = Path(path)
    try:
        # Numbers that overflow are refused where they are used: no warning besides.
        with np.errstate(all="ignore"):
            return _read(path, None if shape is None else checked_shape(shape))
    except GeometryError as error:
        # Reasons that come from HDF5 or from damaged text may be long and hold line breaks.
        reason = " ".join(str(error).split())
        if len(reason) > _MOST_CHARACTERS:
            reason = f"{reason[:_MOST_CHARACTERS]} ..."
        raise GeometryError(f"{path}: {reason}") from error


def _read(path: Path, shape: tuple[int, ...] | None) -> Geometry:
    head = read_head(path, _HEAD_NBYTES)
    if not head:
        raise GeometryError(f"the file is empty: give {_KINDS}")
    if h5py.is_hdf5(path):
        return read_nexus(path, shape=shape)
    if head.startswith(b"###CBF"):
        return read_mini_cbf(path)
    if is_crystfel(head):
        return read_crystfel(path, shape=shape)
    if b"poni" in head.lower():
        return read_poni(path, shape=None if shape is None else flat_shape(shape))
    raise GeometryError(f"the file holds no geometry that h5bragg can read: give {_KINDS}")
