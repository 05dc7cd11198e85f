# SPDX-License-Identifier: MIT
"""Read pyFAI's PONI files, versions 1, 2, 2.1 and 3, without pyFAI.

The pose is converted as docs/geometry.md, "PONI files", says.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import GeometryError
from .detector import Geometry
from .known_detectors import find_known_detector
from .panel import FlatDetector
from .stack_shape import checked_frame_shape
from .units import finite_number

_NEWEST_VERSION = 3

# Detectors of pyFAI whose pixels do not lie on one regular flat grid.
_IRREGULAR = (
    "aarhus", "cirpad", "cylindrical", "hex", "imxpad", "jungfrau", "nexus", "pixirad", "rapid",
    "xpad",
)  # fmt: skip


class _Grid(NamedTuple):
    """The pixels of a detector, before it is placed."""

    pixel_slow_m: float
    pixel_fast_m: float
    shape: tuple[int, int]
    orientation: int


def read_poni(path: Path, *, shape: tuple[int, int] | None = None) -> Geometry:
    """Read the detector from a PONI file.

    Parameters
    ----------
    path : Path
    shape : tuple of int or None
        Frame shape (slow, fast), needed where the file gives neither a shape nor the name of a
        well-known detector.

    Raises
    ------
    GeometryError
        A field is missing or unusable.
    """
    fields = _fields(path)
    grid = _grid(fields, shape)
    return Geometry.from_flat_detector(_place(fields, grid))


def _fields(path: Path) -> dict[str, str]:
    """Return `key: value` lines by lower-case key; pyFAI appends, so the last one counts."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise GeometryError("the PONI file is not text") from error
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#") and ":" in line:
            key, value = line.split(":", 1)
            fields[key.strip().lower()] = value.strip()
    version = _number(fields, "poni_version", 1.0)
    if version > _NEWEST_VERSION:
        raise GeometryError(
            f"PONI version {version:g} is newer than {_NEWEST_VERSION}: upgrade h5bragg"
        )
    return fields


def _number(fields: dict[str, str], name: str, default: float | None = None) -> float:
    """Return a number; pyFAI writes None for one that is unknown."""
    text = fields.get(name)
    if text is None or text.lower() == "none":
        if default is None:
            raise GeometryError(f"the PONI file does not say {name.capitalize()}: add it")
        return default
    return finite_number(text, f"{name.capitalize()} in the PONI file")


def _config(fields: dict[str, str]) -> dict[str, Any]:
    """Return the detector's configuration, JSON since version 2."""
    text = fields.get("detector_config", "{}")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers of thousands of digits
        raise GeometryError(f"Detector_config in the PONI file is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise GeometryError(f"Detector_config in the PONI file is {text!r}, not a JSON object")
    # Keys are pixel1 or pixelsize1, depending on the version of pyFAI.
    return {key.lower().replace("pixelsize", "pixel"): value for key, value in config.items()}


def _grid(fields: dict[str, str], shape: tuple[int, int] | None) -> _Grid:
    """Find pixel size, shape and orientation in the file, in our table or in the caller's words."""
    name = fields.get("detector", "Detector")
    config = _config(fields)
    spline = config.get("splinefile") or fields.get("splinefile", "none")
    if str(spline).lower() != "none":
        raise GeometryError(f"distortion files such as {spline} are not supported: correct frames")
    if name.lower().startswith(_IRREGULAR):
        raise GeometryError(f"{name} is not a regular flat detector: give Geometry.from_panels")
    known = find_known_detector(name)
    pixel: list[float] = []
    for axis in ("1", "2"):
        value = config.get(f"pixel{axis}") or fields.get(f"pixelsize{axis}")
        value = value or (known.pixel_m if known else None)
        if value is None:
            raise GeometryError(
                f"the PONI file names {name}, whose pixel size h5bragg does not know: add "
                '"pixel1" and "pixel2" to its Detector_config'
            )
        pixel.append(_positive(value, f"pixel size {axis}"))
    found = shape or config.get("max_shape") or (known.shape if known else None)
    if found is None:
        raise GeometryError(
            f"the PONI file names {name} without a frame shape: give shape=(slow, fast)"
        )
    return _Grid(pixel[0], pixel[1], _shape(found), _orientation(config))


def _positive(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise GeometryError(f"{what} in the PONI file is {value!r}, not a positive number")
    return number


def _shape(value: Any) -> tuple[int, int]:
    try:
        slow, fast = (int(side) for side in value)
    except (TypeError, ValueError, OverflowError) as error:
        raise GeometryError(f"frame shape {value!r} is not (slow, fast)") from error
    return checked_frame_shape((slow, fast))


def _orientation(config: dict[str, Any]) -> int:
    """Return where the frame's first pixel lies: pyFAI's 1 to 4, which takes 3 for granted."""
    orientation = config.get("orientation") or 3
    if orientation not in (1, 2, 3, 4):
        raise GeometryError(f"detector orientation {orientation!r} is not 1, 2, 3 or 4")
    return int(orientation)


def _place(fields: dict[str, str], grid: _Grid) -> FlatDetector:
    """Place the detector; its axes are mirrored where the orientation counts pixels backwards.

    Mirroring an axis of detector and lab together keeps every scattering angle.  The point of
    normal incidence then counts from the other edge, and the rotations about the two other
    axes change their sign.
    """
    distance_m = _number(fields, "distance")
    if not distance_m > 0:
        raise GeometryError(f"Distance in the PONI file is {distance_m:g} m: it must be positive")
    poni_slow_px = _number(fields, "poni1") / grid.pixel_slow_m
    poni_fast_px = _number(fields, "poni2") / grid.pixel_fast_m
    rot1, rot2, rot3 = (_number(fields, f"rot{i}", 0.0) for i in (1, 2, 3))
    if grid.orientation in (1, 2):  # slow axis backwards
        poni_slow_px, rot2, rot3 = grid.shape[0] - poni_slow_px, -rot2, -rot3
    if grid.orientation in (1, 4):  # fast axis backwards
        poni_fast_px, rot1, rot3 = grid.shape[1] - poni_fast_px, -rot1, -rot3
    return FlatDetector(
        ny=grid.shape[0],
        nx=grid.shape[1],
        pixel_slow_m=grid.pixel_slow_m,
        pixel_fast_m=grid.pixel_fast_m,
        distance_m=distance_m,
        poni_slow_px=poni_slow_px,
        poni_fast_px=poni_fast_px,
        wavelength_m=_number(fields, "wavelength", 0.0),
        rot1=rot1,
        rot2=rot2,
        rot3=rot3,
    )
