# SPDX-License-Identifier: MIT
"""Read the panels of a detector from its NXdetector_module groups."""

from __future__ import annotations

import h5py
import numpy as np

from ..errors import GeometryError
from .detector import Geometry
from .flat_fit import fit_flat_detector
from .nexus_axes import axis_offset_m, chain_matrix, find_axis, parent_axis, pixel_step_m
from .nexus_fields import child_groups, find_dataset, read_numbers, read_text
from .panel import Panel, half_turn
from .stack_shape import first_row, flat_shape

# A chain that leaves the detector in the sample says nothing about its place.
_NEAREST_DETECTOR_M = 1e-6


def read_modules(
    detector: h5py.Group, shape: tuple[int, ...], wavelength_m: float
) -> Geometry | None:
    """Build the geometry of the modules of a detector.

    Parameters
    ----------
    detector : h5py.Group
        An NXdetector.
    shape : tuple of int
        Shape of the data of one frame: (slow, fast), or (module, slow, fast).
    wavelength_m : float

    Returns
    -------
    Geometry or None
        None if no module says where it is.

    Raises
    ------
    GeometryError
        A module contradicts itself.
    """
    modules = [
        module
        for module in child_groups(detector, "NXdetector_module")
        if _is_placed(module, "fast_pixel_direction") and _is_placed(module, "slow_pixel_direction")
    ]
    panels = [_read_panel(detector, module, shape) for module in modules]
    if not panels or max(panel.distance_m for panel in panels) < _NEAREST_DETECTOR_M:
        return None
    if len(panels) == 1:
        flat = fit_flat_detector(panels[0], flat_shape(shape), wavelength_m)
        if flat is not None:
            return Geometry.from_flat_detector(flat)
    return Geometry.from_panels(panels, shape=flat_shape(shape), wavelength_m=wavelength_m)


def stack_rank(detector: h5py.Group) -> int:
    """Return the dimensions of a frame's data: 3 where modules are a stack, else 2.

    Their `data_origin` has as many numbers.
    """
    origins = (find_dataset(m, "data_origin") for m in child_groups(detector, "NXdetector_module"))
    return 3 if any(origin is not None and origin.size == 3 for origin in origins) else 2


def _is_placed(module: h5py.Group, name: str) -> bool:
    axis = find_dataset(module, name)
    return axis is not None and "vector" in axis.attrs


def _read_panel(detector: h5py.Group, module: h5py.Group, shape: tuple[int, ...]) -> Panel:
    """Read where a module lies, in the frame and in space."""
    *index, slow_start, fast_start = _numbers(module, "data_origin", len(shape))
    *depth, slow_size, fast_size = _numbers(module, "data_size", len(shape))
    if any(size != 1 for size in depth):
        raise GeometryError(f"{module.name}/data_size has more than one module: give each its own")
    if any(not 0 <= i < n for i, n in zip((*index, slow_start), shape[:-1], strict=True)):
        raise GeometryError(f"{module.name}/data_origin is outside data of shape {shape}")
    slow_start += first_row(tuple(index), shape)
    fast_axis, slow_axis = module["fast_pixel_direction"], module["slow_pixel_direction"]
    fast_chain = chain_matrix(_parent(detector, module, fast_axis))
    slow_chain = chain_matrix(_parent(detector, module, slow_axis))
    origin = fast_chain @ np.append(axis_offset_m(fast_axis), 1.0)
    return Panel(
        slow=(slow_start, slow_start + slow_size),
        fast=(fast_start, fast_start + fast_size),
        origin_m=half_turn(origin[:3]),
        slow_m=half_turn(slow_chain[:3, :3] @ pixel_step_m(slow_axis)),
        fast_m=half_turn(fast_chain[:3, :3] @ pixel_step_m(fast_axis)),
    )


def _parent(detector: h5py.Group, module: h5py.Group, axis: h5py.Dataset) -> h5py.Dataset | None:
    """Return what a pixel direction depends on, else the module's offset, else the detector's."""
    if "depends_on" in axis.attrs:
        return parent_axis(axis)
    offset = find_dataset(module, "module_offset")
    if offset is not None and "transformation_type" in offset.attrs:
        return offset
    chain = find_dataset(detector, "depends_on")
    return None if chain is None else find_axis(detector, read_text(chain[()]))


def _numbers(module: h5py.Group, name: str, count: int) -> list[int]:
    dataset = find_dataset(module, name)
    values = np.empty(0) if dataset is None else read_numbers(dataset).ravel()
    if values.size != count:
        which = "two numbers (slow, fast)" if count == 2 else "three numbers (module, slow, fast)"
        raise GeometryError(f"{module.name}/{name} must hold {which}")
    return [int(value) for value in values]
