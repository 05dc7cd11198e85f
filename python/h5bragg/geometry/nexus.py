# SPDX-License-Identifier: MIT
"""Read the detector from an Eiger or NXmx master file; the data files need not be there.

Modules that say where they are (NXdetector_module) count first; a detector without them is
placed by beam centre and distance.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .detector import Geometry
from .nexus_fields import child_groups, find_dataset, find_quantity, read_scalar, read_text
from .nexus_modules import read_modules, stack_rank
from .stack_shape import check_pixel_count, flat_shape
from .units import to_si, wavelength_of_energy_m

# What h5py and NumPy raise where the bytes of a file make no sense is any of these.
_UNREADABLE = (
    OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip
_ALTERNATIVE = "add it to the master or give the geometry in a PONI file"


def read_nexus(path: Path, *, shape: tuple[int, ...] | None = None) -> Geometry:
    """Read the detector from a master file.

    Parameters
    ----------
    path : Path
    shape : tuple of int or None
        Shape of the data of one frame, (slow, fast) or (module, slow, fast), for files that do not
        say it.

    Raises
    ------
    GeometryError
        The file is damaged or does not describe one detector.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file, shape)
    except GeometryError:
        raise
    except _UNREADABLE as error:
        raise GeometryError(f"the HDF5 file is truncated or damaged: {error}") from error


def _read(file: h5py.File, shape: tuple[int, ...] | None) -> Geometry:
    entry, detector = _find_detector(file)
    rank = stack_rank(detector)
    mask = _pixel_mask(detector, rank)
    geometry = _read_detector(entry, detector, _shape(entry, detector, mask, shape, rank))
    if mask is None or not mask.any():
        return geometry
    return geometry.with_mask(mask.reshape(flat_shape(mask.shape)))


def _find_detector(file: h5py.File) -> tuple[h5py.Group, h5py.Group]:
    """Return the entry and the one detector of a file."""
    found = [
        (entry, detector)
        for entry in child_groups(file, "NXentry", "entry")
        for instrument in child_groups(entry, "NXinstrument", "instrument")
        for detector in child_groups(instrument, "NXdetector", "detector")
        if find_dataset(detector, "x_pixel_size") is not None
        or any(True for _ in child_groups(detector, "NXdetector_module"))
    ]
    if not found:
        raise GeometryError(
            "the HDF5 file describes no detector (entry/instrument/detector/x_pixel_size): give "
            "the master file that belongs to the data"
        )
    if len(found) > 1:
        names = ", ".join(detector.name for _, detector in found)
        raise GeometryError(f"the HDF5 file describes {len(found)} detectors ({names}): keep one")
    return found[0]


def _read_detector(entry: h5py.Group, detector: h5py.Group, shape: tuple[int, ...]) -> Geometry:
    wavelength_m = _wavelength_m(entry, detector)
    placed = read_modules(detector, shape, wavelength_m)
    return placed or _read_simple(detector, flat_shape(shape), wavelength_m)


def _read_simple(detector: h5py.Group, shape: tuple[int, int], wavelength_m: float) -> Geometry:
    """Place an upright detector by beam centre and distance."""
    _refuse_swing(detector)
    pixel_slow_m = _required(detector, "y_pixel_size")
    pixel_fast_m = _required(detector, "x_pixel_size")
    distance_m = _required(detector, "distance", "detector_distance")
    return Geometry.flat(
        shape=shape,
        pixel_size_m=(pixel_slow_m, pixel_fast_m),
        distance_m=distance_m,
        beam_center_px=(
            _beam_center_px(detector, "beam_center_y", pixel_slow_m),
            _beam_center_px(detector, "beam_center_x", pixel_fast_m),
        ),
        wavelength_m=wavelength_m,
    )


def _required(detector: h5py.Group, *names: str) -> float:
    """Return a positive length in metres."""
    value = find_quantity(detector, *names, quantity="length", default_unit="m")
    if value is None:
        raise GeometryError(f"{detector.name} does not say {' or '.join(names)}: {_ALTERNATIVE}")
    if not value > 0:
        raise GeometryError(f"{names[0]} in {detector.name} is {value:g} m: it must be positive")
    return value


def _beam_center_px(detector: h5py.Group, name: str, pixel_m: float) -> float:
    """Return a beam centre in pixels; some files give it as a length."""
    dataset = find_dataset(detector, name)
    if dataset is None:
        raise GeometryError(f"{detector.name} does not say {name}: {_ALTERNATIVE}")
    units = read_text(dataset.attrs.get("units", "pixel")).lower()
    value = read_scalar(dataset)
    if units in ("", "pixel", "pixels", "px"):
        return value
    return to_si(value, units, "length") / pixel_m


def _wavelength_m(entry: h5py.Group, detector: h5py.Group) -> float:
    """Return the wavelength from the beam, the monochromator or the detector's settings."""
    places = [
        f"{place}/{beam}"
        for place in ("instrument", "sample")
        for beam in ("beam", "monochromator")
    ]
    wavelength_m = find_quantity(
        entry,
        *(f"{place}/incident_wavelength" for place in places),
        *(f"{place}/wavelength" for place in places),
        quantity="length",
        default_unit="angstrom",
    )
    if wavelength_m is None:
        energy_ev = find_quantity(
            entry,
            *(f"{place}/incident_energy" for place in places),
            *(f"{place}/energy" for place in places),
            f"{detector.name}/detectorSpecific/photon_energy",
            quantity="energy",
            default_unit="eV",
        )
        if energy_ev is None:
            raise GeometryError(
                f"{entry.name}/instrument/beam does not say incident_wavelength: {_ALTERNATIVE}"
            )
        wavelength_m = wavelength_of_energy_m(energy_ev)
    if not wavelength_m > 0:
        raise GeometryError(f"the wavelength is {wavelength_m:g} m: it must be positive")
    return wavelength_m


def _pixel_mask(detector: h5py.Group, rank: int) -> NDArray[np.bool_] | None:
    """Return the pixel mask of so many dimensions, True = masked; any bit counts."""
    dataset = find_dataset(detector, "pixel_mask", "detectorSpecific/pixel_mask")
    if dataset is None:
        return None
    if dataset.ndim != rank:
        needed = "(slow, fast)" if rank == 2 else "(module, slow, fast)"
        raise GeometryError(f"{dataset.name} has shape {dataset.shape}: {needed} is needed")
    check_pixel_count(dataset.shape, dataset.name)
    try:
        mask: NDArray[np.bool_] = dataset[()] != 0
    except (OSError, RuntimeError) as error:
        raise GeometryError(f"{dataset.name} cannot be read: {error}") from error
    return mask


def _shape(
    entry: h5py.Group,
    detector: h5py.Group,
    mask: NDArray[np.bool_] | None,
    shape: tuple[int, ...] | None,
    rank: int,
) -> tuple[int, ...]:
    """Find the shape of a frame's data in the mask, the detector's description or the data."""
    if shape is not None and len(shape) >= rank:
        return shape if len(shape) == rank else flat_shape(shape)
    if mask is not None:
        return mask.shape
    sides = [find_dataset(detector, f"detectorSpecific/{axis}_pixels_in_detector") for axis in "yx"]
    if sides[0] is not None and sides[1] is not None:
        return int(read_scalar(sides[0])), int(read_scalar(sides[1]))
    data = find_dataset(entry, "data/data", "data/data_000001") or find_dataset(detector, "data")
    if data is not None and data.ndim >= rank:
        return tuple(int(side) for side in data.shape[-rank:])
    corners = [
        np.asarray(module["data_origin"][()]) + np.asarray(module["data_size"][()])
        for module in child_groups(detector, "NXdetector_module")
        if "data_origin" in module and "data_size" in module
    ]
    if corners and all(corner.shape == (rank,) for corner in corners):
        return tuple(int(side) for side in np.max(corners, axis=0))
    raise GeometryError("the master does not say the frame shape: give shape=(slow, fast)")


def _refuse_swing(detector: h5py.Group) -> None:
    """Refuse a swung-out detector whose axis the file does not describe."""
    two_theta_rad = find_quantity(
        detector,
        "goniometer/two_theta",
        "transformations/two_theta",
        quantity="angle",
        default_unit="deg",
    )
    if two_theta_rad:
        raise GeometryError(
            f"the detector is swung out to 2theta = {np.degrees(two_theta_rad):g} degrees, in a "
            "direction that the master does not tell: calibrate it and give a PONI file"
        )
