# SPDX-License-Identifier: MIT
"""NeXus transformations: where the `depends_on` chain of an axis puts a point."""

from __future__ import annotations

from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .nexus_fields import read_numbers, read_text
from .units import to_si

Matrix = NDArray[np.float64]
_MAX_CHAIN = 64


def chain_matrix(axis: h5py.Dataset | None) -> Matrix:
    """Multiply the transformations from an axis up to the lab.

    Parameters
    ----------
    axis : h5py.Dataset or None
        First transformation to apply; None is the lab itself.

    Returns
    -------
    ndarray
        Homogeneous matrix (4, 4), lengths in metres.

    Raises
    ------
    GeometryError
        The chain is broken or endless, or an axis moves during the scan.
    """
    matrix: Matrix = np.eye(4)
    for _ in range(_MAX_CHAIN):
        if axis is None:
            return matrix
        matrix = _axis_matrix(axis) @ matrix
        axis = parent_axis(axis)
    raise GeometryError("the depends_on chain of the detector goes round in circles")


def parent_axis(axis: h5py.Dataset) -> h5py.Dataset | None:
    """Return the axis that an axis depends on; None at the end of the chain."""
    return find_axis(axis.parent, read_text(axis.attrs.get("depends_on", ".")))


def find_axis(group: h5py.Group, path: str) -> h5py.Dataset | None:
    """Find the axis that a `depends_on` found in `group` names; "." is the lab."""
    if path in ("", "."):
        return None
    target = group.get(path)
    if not isinstance(target, h5py.Dataset):
        raise GeometryError(f"depends_on names {path}, which is missing from {group.name}")
    return target


def pixel_step_m(axis: h5py.Dataset) -> NDArray[np.float64]:
    """Return a pixel direction times the pixel size: (3,) in metres."""
    return _direction(axis) * _constant(axis, "length")


def _axis_matrix(axis: h5py.Dataset) -> Matrix:
    """Return the matrix (4, 4) of one axis: rotate or shift, then add its offset."""
    matrix: Matrix = np.eye(4)
    kind = read_text(axis.attrs.get("transformation_type", ""))
    if kind == "rotation":
        matrix[:3, :3] = _rotation(_direction(axis), _constant(axis, "angle"))
    elif kind == "translation":
        # Some writers put the length of a shift into its vector; DIALS multiplies as well.
        matrix[:3, 3] = _triple(axis, "vector") * _constant(axis, "length")
    else:
        raise GeometryError(f"{axis.name} has transformation_type {kind!r}: it moves nothing")
    matrix[:3, 3] += axis_offset_m(axis)
    return matrix


def axis_offset_m(axis: h5py.Dataset) -> NDArray[np.float64]:
    """Return the offset of an axis: (3,) in metres."""
    if "offset" not in axis.attrs:
        return np.zeros(3)
    units = axis.attrs.get("offset_units", axis.attrs.get("units", "m"))
    return _triple(axis, "offset") * to_si(1.0, read_text(units), "length")


def _constant(axis: h5py.Dataset, quantity: Literal["length", "angle"]) -> float:
    """Return the one value of an axis in SI units."""
    values = read_numbers(axis)
    if values.size == 0 or not np.all(np.isfinite(values)):
        raise GeometryError(f"{axis.name} has no finite value")
    if np.ptp(values) > 1e-9 * max(1.0, float(np.abs(values).max())):
        raise GeometryError(
            f"{axis.name} moves during the scan: split it, one geometry describes all frames"
        )
    default = "m" if quantity == "length" else "deg"
    units = read_text(axis.attrs.get("units", default))
    return to_si(float(values.flat[0]), units, quantity)


def _direction(axis: h5py.Dataset) -> NDArray[np.float64]:
    """Return the direction of an axis, normalised: (3,)."""
    vector = _triple(axis, "vector")
    length = float(np.linalg.norm(vector))
    if not length > 0:
        raise GeometryError(f"{axis.name} has no direction: its vector is {vector.tolist()}")
    return vector / length


def _triple(axis: h5py.Dataset, name: str) -> NDArray[np.float64]:
    value: Any = axis.attrs.get(name)
    try:
        triple = np.asarray(value, float)
    except (TypeError, ValueError):
        triple = np.empty(0)
    if triple.shape != (3,) or not np.all(np.isfinite(triple)):
        raise GeometryError(f"attribute {name} of {axis.name} is {value!r}, not three numbers")
    return triple


def _rotation(vector: NDArray[np.float64], angle_rad: float) -> Matrix:
    """Return the right-handed rotation about a unit vector (Rodrigues): (3, 3)."""
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix: Matrix = (
        np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * (cross @ cross)
    )
    return matrix
