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

# A chain that leaves the detector in the sample says nothing about its place.
_NEAREST_DETECTOR_M = 1e-6


def read_modules(
    detector: h5py.Group, shape: tuple[int, int], wavelength_m: float
) -> Geometry | None:
    """Build the geometry of the modules of a detector.

    Parameters
    ----------
    detector : h5py.Group
        An NXdetector.
    shape : tuple of int
        Frame shape (slow, fast).
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
    panels = [_read_panel(detector, module) for module in modules]
    if not panels or max(panel.distance_m for panel in panels) < _NEAREST_DETECTOR_M:
        return None
    if len(panels) == 1:
        flat = fit_flat_detector(panels[0], shape, wavelength_m)
        if flat is not None:
            return Geometry.from_flat_detector(flat)
    return Geometry.from_panels(panels, shape=shape, wavelength_m=wavelength_m)


def _is_placed(module: h5py.Group, name: str) -> bool:
    axis = find_dataset(module, name)
    return axis is not None and "vector" in axis.attrs


def _read_panel(detector: h5py.Group, module: h5py.Group) -> Panel:
    """Read where a module lies, in the frame and in space."""
    (slow_start, fast_start), (slow_size, fast_size) = (
        _pair(module, "data_origin"),
        _pair(module, "data_size"),
    )
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


def _pair(module: h5py.Group, name: str) -> tuple[int, int]:
    dataset = find_dataset(module, name)
    values = np.empty(0) if dataset is None else read_numbers(dataset).ravel()
    if values.size != 2:
        raise GeometryError(f"{module.name}/{name} must hold two numbers (slow, fast)")
    return int(values[0]), int(values[1])
