# SPDX-License-Identifier: MIT
"""Panel and FlatDetector: the two descriptions of a detector surface (docs/geometry.md)."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._clib import check, ffi, library
from ..errors import GeometryError
from .stack_shape import MAX_SIDE, checked_frame_shape

Vector = tuple[float, float, float]

_MOST_M = 1e6  # as in geometry.c
_PANEL_FIELDS: dict[str, tuple[type[int] | type[float], int]] = {
    "slow": (int, 2),
    "fast": (int, 2),
    "origin_m": (float, 3),
    "slow_m": (float, 3),
    "fast_m": (float, 3),
}


@dataclass(frozen=True)
class Panel:
    """A rectangle of the frame that is flat in space.

    The centre of its pixel (i, j), counted from its own corner, lies at
    ``origin_m + (i + 0.5) * slow_m + (j + 0.5) * fast_m``.

    Parameters
    ----------
    slow, fast : tuple of int
        Half-open ranges ``(start, stop)`` of the frame's rows and columns.
    origin_m, slow_m, fast_m : tuple of float
        Outer corner of the first pixel, and the steps from one pixel to the next along the slow
        and the fast axis: (x, y, z) in the lab frame, in metres.

    Raises
    ------
    GeometryError
        A range is empty or negative, a number is not finite, or the two steps are parallel.

    Examples
    --------
    >>> from h5bragg.geometry import Panel
    >>> panel = Panel((0, 2), (0, 3), (0.0, 0.0, 0.1), (0.0, 1e-4, 0.0), (1e-4, 0.0, 0.0))
    >>> panel.shape
    (2, 3)
    """

    slow: tuple[int, int]
    fast: tuple[int, int]
    origin_m: Vector
    slow_m: Vector
    fast_m: Vector

    def __post_init__(self) -> None:
        """Check the numbers, and make them plain Python ones."""
        for name, (kind, count) in _PANEL_FIELDS.items():
            value = getattr(self, name)
            try:
                numbers = tuple(kind(x) for x in value)
            except (TypeError, ValueError, OverflowError) as error:
                raise GeometryError(f"a panel has {name}={value!r}: give numbers") from error
            if len(numbers) != count:
                raise GeometryError(f"a panel has {name}={value!r}: give {count} numbers")
            object.__setattr__(self, name, numbers)
        for start, stop in (self.slow, self.fast):
            if not 0 <= start < stop <= MAX_SIDE:
                raise GeometryError(
                    f"a panel covers pixels {start} to {stop}: give 0 <= start < stop <= {MAX_SIDE}"
                )
        vectors = (self.origin_m, self.slow_m, self.fast_m)
        if not all(abs(x) < _MOST_M for vector in vectors for x in vector):
            raise GeometryError(
                f"a panel's origin and steps must be three finite numbers each, below {_MOST_M:g} m"
            )
        if not np.linalg.norm(np.cross(self.slow_m, self.fast_m)) > 0:
            raise GeometryError("a panel's slow and fast steps are zero or parallel")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels along (slow, fast)."""
        return self.slow[1] - self.slow[0], self.fast[1] - self.fast[0]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector perpendicular to the panel that points away from the sample: (3,)."""
        normal = np.cross(self.slow_m, self.fast_m)
        normal /= np.linalg.norm(normal)
        return normal if normal @ np.asarray(self.origin_m) >= 0 else -normal

    @property
    def distance_m(self) -> float:
        """Perpendicular distance from the sample to the panel's plane."""
        return float(self.normal @ np.asarray(self.origin_m))

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """Pixel size along (slow, fast)."""
        return float(np.linalg.norm(self.slow_m)), float(np.linalg.norm(self.fast_m))

    @property
    def beam_center_px(self) -> tuple[float, float]:
        """Where the direct beam meets the panel's plane: (slow, fast) pixels of the frame.

        Raises
        ------
        GeometryError
            The beam runs parallel to the panel.
        """
        slow, fast, _ = self._beam_hit()
        return float(self.slow[0] + slow), float(self.fast[0] + fast)

    @property
    def beam_distance_m(self) -> float:
        """Distance from the sample to the panel's plane along the direct beam."""
        return float(self._beam_hit()[2])

    def _beam_hit(self) -> NDArray[np.float64]:
        """Solve origin + a * slow + b * fast = (0, 0, d) for (a, b, d)."""
        columns = np.array([self.slow_m, self.fast_m, (0.0, 0.0, -1.0)]).T
        if abs(self.normal[2]) < 1e-9:
            raise GeometryError("the direct beam never meets a panel that is parallel to it")
        hit: NDArray[np.float64] = np.linalg.solve(columns, -np.asarray(self.origin_m))
        return hit

    def two_theta_rad(self) -> NDArray[np.float64]:
        """Return the scattering angle of every pixel centre: shape (slow, fast)."""
        i = (np.arange(self.shape[0]) + 0.5)[:, None]
        j = (np.arange(self.shape[1]) + 0.5)[None, :]
        x, y, z = (
            origin + i * slow + j * fast
            for origin, slow, fast in zip(self.origin_m, self.slow_m, self.fast_m, strict=True)
        )
        np.hypot(x, y, out=x)
        return np.arctan2(x, z, out=x)


@dataclass(frozen=True, kw_only=True)
class FlatDetector:
    """One flat, possibly tilted detector in eleven numbers, as PONI files describe it.

    Parameters
    ----------
    ny, nx : int
        Rows (slow axis) and columns (fast axis) of the frame.
    pixel_slow_m, pixel_fast_m : float
        Pixel size.
    distance_m : float
        Perpendicular distance from the sample to the detector.
    poni_slow_px, poni_fast_px : float
        Point of normal incidence, the foot of that perpendicular.
    wavelength_m : float
        Wavelength of the beam; 0 if unknown.
    rot1, rot2, rot3 : float
        Rotations in radians, in pyFAI's convention (docs/geometry.md).
    """

    ny: int
    nx: int
    pixel_slow_m: float
    pixel_fast_m: float
    distance_m: float
    poni_slow_px: float
    poni_fast_px: float
    wavelength_m: float
    rot1: float = 0.0
    rot2: float = 0.0
    rot3: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        lengths = (self.pixel_slow_m, self.pixel_fast_m, self.distance_m)
        checked_frame_shape(self.shape)
        if not all(map(math.isfinite, astuple(self))):
            raise GeometryError("a detector's numbers must all be finite")
        if not min(lengths) > 0:
            raise GeometryError(
                "pixel size and distance must be positive, not "
                f"{self.pixel_slow_m} x {self.pixel_fast_m} m and {self.distance_m} m"
            )
        if self.wavelength_m < 0:
            raise GeometryError(f"wavelength {self.wavelength_m} m is negative")

    @property
    def shape(self) -> tuple[int, int]:
        """Frame shape (slow, fast)."""
        return self.ny, self.nx

    def panel(self) -> Panel:
        """Return the single panel that this detector amounts to, as the C library computes it.

        Examples
        --------
        >>> from h5bragg.geometry import FlatDetector
        >>> flat = FlatDetector(ny=10, nx=20, pixel_slow_m=1e-4, pixel_fast_m=1e-4, distance_m=0.1,
        ...                     poni_slow_px=5, poni_fast_px=8, wavelength_m=1e-10)
        >>> [round(x, 6) for x in flat.panel().origin_m]
        [-0.0008, -0.0005, 0.1]
        """
        panel = ffi.new("h5bragg_panel *")
        check(library().h5bragg_flat_panel(flat_to_c(self), panel))
        return panel_from_c(panel)


def rotation_matrix(rot1: float, rot2: float, rot3: float) -> NDArray[np.float64]:
    """Return pyFAI's rotation rot3 @ rot2 @ rot1 on (slow, fast, beam) vectors: shape (3, 3).

    The first two turn the left-handed way round axes 1 and 2, the third the right-handed way.
    """
    c1, s1, c2, s2 = math.cos(rot1), math.sin(rot1), math.cos(rot2), math.sin(rot2)
    c3, s3 = math.cos(rot3), math.sin(rot3)
    about_1 = np.array([[1, 0, 0], [0, c1, s1], [0, -s1, c1]])
    about_2 = np.array([[c2, 0, -s2], [0, 1, 0], [s2, 0, c2]])
    about_3 = np.array([[c3, -s3, 0], [s3, c3, 0], [0, 0, 1]])
    matrix: NDArray[np.float64] = about_3 @ about_2 @ about_1
    return matrix


def rotation_angles(matrix: NDArray[np.float64]) -> tuple[float, float, float]:
    """Find the angles (rot1, rot2, rot3) of which `rotation_matrix` makes this matrix.

    Its third row is (sin rot2, -cos rot2 sin rot1, cos rot2 cos rot1) and its first column
    (cos rot3 cos rot2, sin rot3 cos rot2, sin rot2).

    Examples
    --------
    >>> from h5bragg.geometry.panel import rotation_angles, rotation_matrix
    >>> [round(angle, 9) for angle in rotation_angles(rotation_matrix(0.1, -0.2, 3.0))]
    [0.1, -0.2, 3.0]
    """
    rot1 = math.atan2(-matrix[2, 1], matrix[2, 2])
    rot2 = math.asin(min(1.0, max(-1.0, matrix[2, 0])))
    rot3 = math.atan2(matrix[1, 0], matrix[0, 0])
    return rot1, rot2, rot3


def flat_to_c(flat: FlatDetector) -> Any:
    """Return the h5bragg_flat (cffi pointer) of a FlatDetector."""
    struct = ffi.new("h5bragg_flat *")
    for name, value in vars(flat).items():
        setattr(struct, name, value)
    return struct


def panel_from_c(struct: Any) -> Panel:
    """Return the Panel of an h5bragg_panel (cffi struct or pointer)."""
    return Panel(
        slow=(struct.slow_start, struct.slow_stop),
        fast=(struct.fast_start, struct.fast_stop),
        origin_m=_vector(struct.origin_m),
        slow_m=_vector(struct.slow_m),
        fast_m=_vector(struct.fast_m),
    )


def fill_panel(struct: Any, panel: Panel) -> None:
    """Write a Panel into an h5bragg_panel."""
    struct.slow_start, struct.slow_stop = panel.slow
    struct.fast_start, struct.fast_stop = panel.fast
    struct.origin_m = panel.origin_m
    struct.slow_m = panel.slow_m
    struct.fast_m = panel.fast_m


def angle_of_center(panel: Panel) -> float:
    """Return the scattering angle of a panel's centre, in radians."""
    middle = (
        np.asarray(panel.origin_m)
        + panel.shape[0] / 2 * np.asarray(panel.slow_m)
        + panel.shape[1] / 2 * np.asarray(panel.fast_m)
    )
    return math.atan2(math.hypot(middle[0], middle[1]), middle[2])


def half_turn(vector: NDArray[np.float64]) -> Vector:
    """Turn a vector by half a turn about the beam, between our lab frame and that of others.

    NeXus and CrystFEL have x to the left and y up, seen along the beam; frames run to the right
    and down.
    """
    x, y, z = vector
    return -float(x), -float(y), float(z)


def _vector(array: Any) -> Vector:
    return float(array[0]), float(array[1]), float(array[2])
