# SPDX-License-Identifier: MIT
"""Write one NXmx file that DIALS, XDS (through durin), CrystFEL and h5py open.

Metadata of an HDF5 input is copied as it is; what the NeXus application definition NXmx asks for
and the input does not say is added, never overwritten.  Only /entry/data and the pixel_mask are
the output's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .experiment import Experiment
from .filter import Bragg
from .geometry import Geometry, Panel
from .geometry.nexus_fields import child_groups
from .geometry.stack_shape import split_row
from .hdf5_frames import Hdf5Source
from .hdf5_links import object_key
from .tree_copy import copy_tree

DATA_PATH = "/entry/data/data"
_DETECTOR = "/entry/instrument/detector"
_DET_Z = f"{_DETECTOR}/transformations/det_z"
# DIALS insists on a sensor with a thickness; with this one its parallax correction is nothing.
_NO_PARALLAX_M = 1e-9
_OMEGA = "/entry/sample/transformations/omega"


def copy_metadata(source: Hdf5Source, file: h5py.File) -> None:
    """Copy everything but image stacks from an HDF5 input; a link takes the place of its frames.

    Parameters
    ----------
    source : Hdf5Source
    file : h5py.File
        The output, still empty.
    """
    frames = {object_key(data) for data in source.datasets}

    def is_image(data: h5py.Dataset, group: h5py.Group, name: str) -> bool:
        if frames == {object_key(data)}:
            # A CrystFEL geometry names the place where the input had its frames.
            group[name] = h5py.SoftLink(DATA_PATH)
            return True
        is_stack = data.ndim > 2 and data.shape[1:] == source.stack_shape
        return is_stack or object_key(data) in frames

    copy_tree(source.file, file, is_image)


def create_data(
    file: h5py.File,
    *,
    nframes: int,
    dtype: np.dtype[Any],
    bragg: Bragg,
    stack_shape: tuple[int, ...] | None = None,
    frames_per_chunk: int = 1,
    may_shrink: bool = False,
) -> h5py.Dataset:
    """Create the dataset for the frames: /entry/data/data.

    Parameters
    ----------
    file : h5py.File
    nframes : int
    dtype : numpy.dtype
        Pixel type.
    bragg : Bragg
        The filter, which also gives the frame shape.
    stack_shape : tuple of int or None
        Shape of a frame that is kept as (module, slow, fast).
    frames_per_chunk : int
        Frames that are encoded together.
    may_shrink : bool
        It may turn out that there are fewer frames.

    Returns
    -------
    h5py.Dataset
        Shape (nframes, slow, fast), or (nframes, module, slow, fast).
    """
    entry = _group(file, "entry", "NXentry")
    _attribute(entry, "default", "data")
    group = _group(entry, "data", "NXdata")
    for name in list(group):
        del group[name]
    group.attrs["signal"] = np.bytes_("data")
    shape = stack_shape or bragg.geometry.shape
    return group.create_dataset(
        "data",
        shape=(nframes, *shape),
        maxshape=(nframes, *shape) if may_shrink else None,
        dtype=dtype,
        chunks=(frames_per_chunk, *shape),
        **bragg,
    )


def write_metadata(
    file: h5py.File,
    geometry: Geometry,
    experiment: Experiment,
    *,
    stack_shape: tuple[int, ...] | None = None,
) -> None:
    """Add what NXmx asks for and the file does not hold yet.

    Parameters
    ----------
    file : h5py.File
        The output, with the copied metadata if there is any.
    geometry : Geometry
        Detector and wavelength.
    experiment : Experiment
        Values of a text header.
    stack_shape : tuple of int or None
        Shape of a frame that is kept as (module, slow, fast).
    """
    entry = _group(file, "entry", "NXentry")
    _field(entry, "definition", "NXmx")
    if experiment.start_time:
        _field(entry, "start_time", experiment.start_time)
    instrument = _group(entry, "instrument", "NXinstrument")
    _field(instrument, "name", experiment.detector or "unknown")
    if geometry.wavelength_m:
        beam = _group(instrument, "beam", "NXbeam")
        _field(beam, "incident_wavelength", _shortest(geometry.wavelength_m * 1e10), "angstrom")
    detector = _group(instrument, "detector", "NXdetector")
    _write_detector(detector, experiment)
    _write_geometry(detector, geometry, stack_shape or geometry.shape)
    sample = _group(entry, "sample", "NXsample")
    _field(sample, "name", "unknown")


def write_pixel_mask(file: h5py.File, mask: NDArray[np.uint32]) -> None:
    """Write the pixel_mask, replacing a copied one.

    Parameters
    ----------
    file : h5py.File
    mask : ndarray of uint32
        Shape of the data of one frame, bits of NXmx.
    """
    detector = file[_DETECTOR]
    if detector.get("pixel_mask", getlink=True) is not None:
        del detector["pixel_mask"]
    # gzip is the one filter that every HDF5 has.
    detector.create_dataset("pixel_mask", data=mask, compression="gzip", shuffle=True)


def write_rotation(
    file: h5py.File,
    angles_deg: Sequence[float],
    width_deg: float | None,
    axis: tuple[float, float, float],
) -> None:
    """Write the rotation angles, unless the copied metadata has an axis of its own.

    Parameters
    ----------
    file : h5py.File
    angles_deg : sequence of float
        Angle at the start of each frame; empty if they are not known.
    width_deg : float or None
        Rotation during a frame.
    axis : tuple of float
        Unit vector in NeXus' McStas frame.
    """
    sample = file["/entry/sample"]
    if "depends_on" in sample:
        return
    if not len(angles_deg):
        _field(sample, "depends_on", ".")
        return
    _field(sample, "depends_on", _OMEGA)
    group = _group(sample, "transformations", "NXtransformations")
    angles = np.asarray(angles_deg, float)
    _axis(group, "omega", angles, kind="rotation", vector=axis, depends_on=".", units="deg")
    if width_deg is not None:
        _field(group, "omega_increment_set", width_deg, "deg")
        _field(group, "omega_end", angles + width_deg, "deg")


def extend_rotation(file: h5py.File, path: str, angles_deg: Sequence[float]) -> None:
    """Give a copied rotation axis the angles of all inputs instead of the first one's.

    Without angles the axis goes: those of the first input alone would mislead.

    Parameters
    ----------
    file : h5py.File
    path : str
        The copied axis.
    angles_deg : sequence of float
        Angle at the start of each frame of the output; empty if they are not known.
    """
    old = file[path]
    attributes = dict(old.attrs)
    ends = f"{path}_end"
    width = float(np.mean(file[ends][()] - old[()])) if ends in file else None
    start = np.asarray(angles_deg, float)
    columns = {path: start} if width is None else {path: start, ends: start + width}
    for name, values in columns.items():
        del file[name]
        if not len(angles_deg):
            continue
        data = file.create_dataset(name, data=values)
        data.attrs.update({**attributes, "units": _text("deg")})


def _write_detector(detector: h5py.Group, experiment: Experiment) -> None:
    """Write the header's values about the detector."""
    _field(detector, "description", experiment.detector or "unknown")
    _field(detector, "type", "Pixel")
    _field(detector, "underload_value", 0)
    values: tuple[tuple[str, Any, str | None], ...] = (
        ("sensor_material", experiment.sensor_material or "Si", None),
        ("sensor_thickness", experiment.sensor_thickness_m or _NO_PARALLAX_M, "m"),
        ("count_time", experiment.count_time_s, "s"),
        ("frame_time", experiment.frame_time_s, "s"),
        ("threshold_energy", experiment.threshold_energy_ev, "eV"),
        ("saturation_value", experiment.saturation_value, None),
    )
    for name, value, units in values:
        if value is not None:
            _field(detector, name, value, units)


def _write_geometry(detector: h5py.Group, geometry: Geometry, stack_shape: tuple[int, ...]) -> None:
    """Write pixel size, distance, beam centre and the place of every panel."""
    slow_m, fast_m = map(_shortest, geometry.panels[0].pixel_size_m)
    _field(detector, "x_pixel_size", fast_m, "m")
    _field(detector, "y_pixel_size", slow_m, "m")
    if "detector_distance" not in detector:
        _field(detector, "distance", _shortest(geometry.distance_m), "m")
    if len(geometry.panels) == 1:
        beam_slow, beam_fast = map(_shortest, geometry.beam_center_px)
        _field(detector, "beam_center_x", beam_fast, "pixel")
        _field(detector, "beam_center_y", beam_slow, "pixel")
    if any(True for _ in child_groups(detector, "NXdetector_module")):
        return
    group = _group(detector, "transformations", "NXtransformations")
    _axis(group, "det_z", _shortest(geometry.distance_m), kind="translation", vector=(0, 0, 1),
          depends_on=".", units="m")  # fmt: skip
    _field(detector, "depends_on", _DET_Z)
    for i, panel in enumerate(geometry.panels):
        name = "module" if len(geometry.panels) == 1 else f"module_{i:04d}"
        module = _group(detector, name, "NXdetector_module")
        index = split_row(panel.slow[0], stack_shape)
        _field(module, "data_origin", np.array([*index, panel.fast[0]]))
        _field(module, "data_size", np.array([*(1,) * (len(index) - 1), *panel.shape]))
        _write_module(module, panel, geometry.distance_m)


def _write_module(module: h5py.Group, panel: Panel, distance_m: float) -> None:
    """Write the place of one panel in space.

    Our lab frame has x and y along an upright detector's fast and slow axes; McStas' frame has
    both reversed, z along the beam in either.
    """
    offset = _mcstas(panel.origin_m) - (0.0, 0.0, distance_m)
    _axis(module, "module_offset", *_length_and_direction(offset), depends_on=_DET_Z)
    above = f"{module.name}/module_offset"
    for name, step in (("fast", panel.fast_m), ("slow", panel.slow_m)):
        length, direction = _length_and_direction(_mcstas(step))
        _axis(module, f"{name}_pixel_direction", length, direction, depends_on=above)


def _mcstas(vector: ArrayLike) -> NDArray[np.float64]:
    rotated: NDArray[np.float64] = np.asarray(vector, float) * (-1.0, -1.0, 1.0) + 0.0
    return rotated  # adding zero turns -0.0 into 0.0


def _length_and_direction(vector: NDArray[np.float64]) -> tuple[float, tuple[float, ...]]:
    """Split a vector; one of no length gets some direction."""
    length = float(np.linalg.norm(vector))
    if length == 0:
        return 0.0, (1.0, 0.0, 0.0)
    return _shortest(length), tuple(float(part) for part in vector / length)


def _shortest(value: float) -> float:
    """Return the shortest number that rounds to the same float32: panels have no more digits."""
    return float(str(np.float32(value)))


def _axis(
    group: h5py.Group,
    name: str,
    value: ArrayLike,
    vector: Sequence[float],
    *,
    depends_on: str,
    kind: str = "translation",
    units: str = "m",
) -> None:
    """Write one step of a chain of transformations."""
    if name in group:
        return
    _field(group, name, value, units)
    data = group[name]
    data.attrs["transformation_type"] = _text(kind)
    data.attrs["vector"] = np.asarray(vector, float)
    data.attrs["offset"] = np.zeros(3)
    data.attrs["offset_units"] = _text("m")
    data.attrs["depends_on"] = _text(depends_on)


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Return a subgroup of a NeXus class, made if it is missing."""
    group = parent.require_group(name)
    _attribute(group, "NX_class", nx_class)
    return group


def _attribute(group: h5py.Group, name: str, text: str) -> None:
    if name not in group.attrs:
        group.attrs[name] = np.bytes_(text)


def _field(group: h5py.Group, name: str, value: Any, units: str | None = None) -> None:
    """Write one value, unless the file has it already."""
    if group.get(name, getlink=True) is not None:
        return
    data = group.create_dataset(name, data=_text(value) if isinstance(value, str) else value)
    if units is not None:
        data.attrs["units"] = _text(units)


def _text(text: str) -> NDArray[np.bytes_]:
    """Return fixed-length text with room for a final NUL, which durin (XDS) wants."""
    return np.array(text.encode(), f"S{len(text.encode()) + 1}")
