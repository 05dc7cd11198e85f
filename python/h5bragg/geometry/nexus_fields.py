# SPDX-License-Identifier: MIT
"""Read single NeXus fields with their units, from files that beamlines write in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py

# Masters compress their pixel masks with the filters that this import registers.
import hdf5plugin  # noqa: F401
import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .units import Quantity, to_si

# Axes may have a value for every frame; a file of no size can claim any number.
_MOST_VALUES = 10_000_000


def read_text(value: Any) -> str:
    """Return text stored as str, bytes or a one-element array of either."""
    array = np.asarray(value)
    item = array.flat[0] if array.size == 1 else ""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def read_numbers(dataset: h5py.Dataset) -> NDArray[np.float64]:
    """Return all values of a dataset as float64, of the dataset's shape.

    Raises
    ------
    GeometryError
        The values are not numbers, far too many, or the file does not give them up.
    """
    if (dataset.size or 0) > _MOST_VALUES:
        raise GeometryError(f"{dataset.name} holds {dataset.size} values: give one, or one a frame")
    if dataset.dtype.kind == "c":
        raise GeometryError(f"{dataset.name} holds complex numbers")
    try:
        return np.asarray(dataset[()], float)
    except (TypeError, ValueError) as error:
        raise GeometryError(f"{dataset.name} does not hold numbers") from error
    except (OSError, RuntimeError) as error:
        raise GeometryError(f"{dataset.name} cannot be read: {error}") from error


def find_dataset(group: h5py.Group, *paths: str) -> h5py.Dataset | None:
    """Return the first of several datasets that exists; links that lead nowhere do not."""
    for path in paths:
        try:
            found = group.get(path)
        except (KeyError, OSError, RuntimeError):
            continue
        if isinstance(found, h5py.Dataset):
            return found
    return None


def find_quantity(
    group: h5py.Group, *paths: str, quantity: Quantity, default_unit: str
) -> float | None:
    """Return the first of several scalars in SI units; None if there is none.

    Parameters
    ----------
    group : h5py.Group
    *paths : str
        Names to try, in this order.
    quantity : {"length", "angle", "energy"}
    default_unit : str
        Taken where the dataset has no `units` attribute.
    """
    dataset = find_dataset(group, *paths)
    if dataset is None:
        return None
    units = read_text(dataset.attrs.get("units", default_unit)) or default_unit
    return to_si(read_scalar(dataset), units, quantity)


def read_scalar(dataset: h5py.Dataset) -> float:
    """Return the value of a scalar, or of an array whose values are all the same."""
    values = read_numbers(dataset)
    if values.size == 0 or not np.all(np.isfinite(values)):
        raise GeometryError(f"{dataset.name} has no finite value")
    if np.ptp(values) > 1e-6 * float(np.abs(values).max()):
        raise GeometryError(f"{dataset.name} varies: one geometry describes all frames")
    return float(values.flat[0])


def child_groups(group: h5py.Group, nx_class: str, *names: str) -> Iterator[h5py.Group]:
    """Yield the subgroups of a NeXus class, or of one of these names where no class is given."""
    for name in group:
        child = group.get(name) if group.get(name, getclass=True) is not None else None
        if isinstance(child, h5py.Group):
            found = read_text(child.attrs.get("NX_class", ""))
            if found == nx_class or (not found and name in names):
                yield child
