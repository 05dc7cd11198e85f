# SPDX-License-Identifier: MIT
"""Small Eiger and NXmx masters."""

import h5py
import numpy as np

SHAPE = (60, 80)
AXES = "entry/instrument/detector/transformations"
MODULE = "entry/instrument/detector/module"


def field(group: h5py.Group, name: str, value: object, units: str | None = None) -> h5py.Dataset:
    """A field, written over an older one of the same name."""
    if name in group:
        del group[name]
    dataset = group.create_dataset(name, data=value)
    if units is not None:
        dataset.attrs["units"] = np.bytes_(units)
    return dataset


def axis(
    file: h5py.File,
    path: str,
    value: object,
    units: str,
    move: tuple[str, tuple[float, float, float]],
    *,
    after: str = ".",
    offset: tuple[float, float, float] | None = None,
) -> None:
    """A NeXus transformation that rotates or shifts along a vector."""
    dataset = field(file, path, value, units)
    dataset.attrs["transformation_type"] = move[0]
    dataset.attrs["vector"] = np.array(move[1], float)
    dataset.attrs["depends_on"] = after
    if offset is not None:
        dataset.attrs["offset"] = np.array(offset, float)
        dataset.attrs["offset_units"] = "mm"


def write_simple(file: h5py.File) -> h5py.Group:
    """An Eiger master of the old kind: beam centre, distance, no transformations."""
    detector = file.create_group("entry/instrument/detector")
    for path in ("entry", "entry/instrument", "entry/instrument/detector"):
        file[path].attrs["NX_class"] = np.bytes_(f"NX{path.split('/')[-1]}")
    field(file, "entry/instrument/beam/incident_wavelength", np.float32(0.98), "angstrom")
    field(detector, "x_pixel_size", np.float32(75e-6), "m")
    field(detector, "y_pixel_size", np.float32(100e-6), "m")
    field(detector, "detector_distance", np.float32(0.2), "m")
    field(detector, "beam_center_x", np.float32(40.5), "pixel")
    field(detector, "beam_center_y", np.float32(20.25), "pixel")
    field(detector, "pixel_mask", np.zeros(SHAPE, np.uint32))
    return detector


def write_module(
    file: h5py.File, path: str = MODULE, origin: tuple[int, int] = (0, 0), size=SHAPE
) -> None:
    """Add an upright module, placed so that the beam hits (20.25, 40.5) of the frame."""
    axis(file, f"{AXES}/det_z", [200.0], "mm", ("translation", (0, 0, 1)))
    module = file.require_group(path)
    module.attrs["NX_class"] = "NXdetector_module"
    field(module, "data_origin", np.array(origin))
    field(module, "data_size", np.array(size))
    corner = ((40.5 - origin[1]) * 0.075, (20.25 - origin[0]) * 0.1, 0)
    axis(file, f"{path}/module_offset", 1.0, "mm", ("translation", corner), after=f"/{AXES}/det_z")
    offset = f"/{path}/module_offset"
    axis(
        file, f"{path}/fast_pixel_direction", 75e-6, "m", ("translation", (-1, 0, 0)), after=offset
    )
    axis(
        file, f"{path}/slow_pixel_direction", 100.0, "um", ("translation", (0, -1, 0)), after=offset
    )
