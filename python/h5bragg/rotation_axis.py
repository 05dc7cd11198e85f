# SPDX-License-Identifier: MIT
"""Find the rotation axis of a scan in an Eiger or NXmx file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .geometry.nexus_fields import child_groups, find_dataset, read_numbers, read_text

_PLACES = ("transformations", "goniometer", "")
_AXES = ("omega", "phi", "chi", "kappa", "alpha", "theta")


@dataclass(frozen=True, eq=False)
class RotationAxis:
    """The axis that turns during a scan.

    Parameters
    ----------
    path : str
        Where its dataset is in the file.
    angles_deg : ndarray of float64
        Shape (nframes,): angle at the start of each frame.
    width_deg : float or None
        Rotation during a frame, if the file tells it.
    """

    path: str
    angles_deg: NDArray[np.float64]
    width_deg: float | None

    def frame(self, index: int) -> tuple[float, float | None]:
        """Return start angle and width of one frame, in degrees."""
        return float(self.angles_deg[index]), self.width_deg


def find_rotation(file: h5py.File, nframes: int) -> RotationAxis | None:
    """Return the axis of the sample that varies from frame to frame.

    Parameters
    ----------
    file : h5py.File
    nframes : int
        Length that the axis must have.

    Returns
    -------
    RotationAxis or None
        Without an axis that varies, the first whose width is not zero, else the first at all.
    """
    found: list[RotationAxis] = []
    for entry in child_groups(file, "NXentry", "entry"):
        for sample in child_groups(entry, "NXsample", "sample"):
            for place in _PLACES:
                group: Any = sample.get(place) if place else sample
                if isinstance(group, h5py.Group):
                    found += _axes_of_length(group, nframes)
    varying = [axis for axis in found if np.ptp(axis.angles_deg) > 0]
    turning = [axis for axis in found if axis.width_deg]
    return next(iter(varying + turning + found), None)


def _axes_of_length(group: h5py.Group, nframes: int) -> list[RotationAxis]:
    """Return the rotation axes of a group with one value a frame."""
    axes = []
    names = [name for name in _AXES if name in group]
    names += [name for name in group if name not in _AXES and _is_rotation(group, name)]
    for name in names:
        dataset = find_dataset(group, name)
        if dataset is None or dataset.shape != (nframes,):
            continue
        angles = read_numbers(dataset)
        width = _width(group, name, angles)
        if read_text(dataset.attrs.get("units", "deg")).startswith("rad"):
            angles, width = np.degrees(angles), None if width is None else float(np.degrees(width))
        axes.append(RotationAxis(dataset.name, angles, width))
    return axes


def _is_rotation(group: h5py.Group, name: str) -> bool:
    dataset = find_dataset(group, name)
    if dataset is None:
        return False
    return read_text(dataset.attrs.get("transformation_type", "")) == "rotation"


def _width(group: h5py.Group, name: str, angles: NDArray[np.float64]) -> float | None:
    """Return the rotation of one frame in the axis' units, from the fields NeXus has for it."""
    for suffix in ("_increment_set", "_increment", "_range_average"):
        dataset = find_dataset(group, name + suffix)
        if dataset is not None:
            return float(np.mean(read_numbers(dataset)))
    end = find_dataset(group, name + "_end")
    if end is not None and end.shape == angles.shape:
        return float(np.mean(read_numbers(end) - angles))
    return float(np.mean(np.diff(angles))) if len(angles) > 1 else None
