# SPDX-License-Identifier: MIT
"""Geometry: where every pixel of a frame lies, and which of them to leave alone."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._clib import MAX_PANELS, check, ffi, library
from ..errors import GeometryError
from ..params import SparsifyParams, effective_params, params_to_c
from .c_geometry import CGeometry
from .panel import FlatDetector, Panel, angle_of_center, rotation_matrix
from .stack_shape import checked_frame_shape

NO_RING = 65535


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Geometry:
    """A detector of one or many flat panels and its place in the beam.

    Make one with `flat`, `from_flat_detector`, `from_panels` or `from_file`.
    Axes, units and conventions are those of docs/geometry.md: the lab frame has its origin in the
    sample and z along the beam; pixel coordinates count from the outer corner of pixel (0, 0).

    Parameters
    ----------
    shape : tuple of int
        Frame shape (slow, fast).
    panels : tuple of Panel
        Tiles of 4 x 4 pixels, counted from the frame's first pixel, that do not lie on one panel
        altogether belong to no ring and are stored exactly.
    distance_m : float
        Reference length of reported radii, ``radius = distance_m * tan(2 theta)``.
    wavelength_m : float
        Wavelength of the beam; 0 if unknown.
    mask : ndarray of bool or None
        Shape (slow, fast); pixels that are True stay out of the background and are stored exactly.
    flat_detector : FlatDetector or None
        The same detector in eleven numbers, if it is one flat panel that covers the frame.
    polarization : float or None
        Polarization factor if the file names one; used where no `SparsifyParams` are given.

    Raises
    ------
    GeometryError
        The parts contradict one another.
    """

    shape: tuple[int, int]
    panels: tuple[Panel, ...]
    distance_m: float
    wavelength_m: float
    mask: NDArray[np.bool_] | None = None
    flat_detector: FlatDetector | None = None
    polarization: float | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        checked_frame_shape(self.shape)
        if not self.panels or len(self.panels) > MAX_PANELS:
            raise GeometryError(f"a detector has {len(self.panels)} panels: give 1 to {MAX_PANELS}")
        if not (math.isfinite(self.distance_m) and self.distance_m > 0):
            raise GeometryError(f"the distance must be positive, not {self.distance_m} m")
        if not (math.isfinite(self.wavelength_m) and self.wavelength_m >= 0):
            raise GeometryError(f"the wavelength must not be {self.wavelength_m} m")
        _check_panels_tile(self.panels, self.shape)
        if self.mask is not None:
            object.__setattr__(self, "mask", _frozen_mask(self.mask, self.shape))

    @classmethod
    def flat(
        cls,
        *,
        shape: tuple[int, int],
        pixel_size_m: float | tuple[float, float],
        distance_m: float,
        beam_center_px: tuple[float, float],
        wavelength_m: float,
        rotations_rad: tuple[float, float, float] = (0.0, 0.0, 0.0),
        mask: ArrayLike | None = None,
        polarization: float | None = None,
    ) -> Geometry:
        """Describe a flat detector by where the direct beam hits it.

        Parameters
        ----------
        shape : tuple of int
            Frame shape (slow, fast).
        pixel_size_m : float or tuple of float
            Pixel size, one for both axes or (slow, fast).
        distance_m : float
            From the sample to the detector along the direct beam, tilted or not.
        beam_center_px : tuple of float
            Where the direct beam hits, (slow, fast), tilted or not.
        wavelength_m : float
            Wavelength of the beam; 0 if unknown.
        rotations_rad : tuple of float
            pyFAI's rot1, rot2, rot3.
        mask : array_like or None
            Shape (slow, fast), non-zero = masked.
        polarization : float or None
            Polarization factor, for `SparsifyParams.polarization`.

        Raises
        ------
        GeometryError
            A number is impossible.

        Examples
        --------
        >>> from h5bragg import Geometry
        >>> Geometry.flat(shape=(2167, 2070), pixel_size_m=75e-6, distance_m=0.2,
        ...               beam_center_px=(1100.5, 1034.2), wavelength_m=1e-10)
        <Geometry 2167 x 2070 pixels of 75 x 75 um, 1 panel, distance 0.2 m, \
beam (1100.5, 1034.2), wavelength 1 A>
        """
        slow_m, fast_m = _numbers("pixel_size_m", pixel_size_m, 2)
        beam_slow_px, beam_fast_px = _numbers("beam_center_px", beam_center_px, 2)
        rot1, rot2, rot3 = _numbers("rotations_rad", rotations_rad, 3)
        (beam_distance_m,) = _numbers("distance_m", distance_m, 1)
        (wavelength_m,) = _numbers("wavelength_m", wavelength_m, 1)
        # The direct beam's point (0, 0, distance) in the detector's own axes (slow, fast, normal).
        to_detector = rotation_matrix(rot1, rot2, rot3).T
        hit_slow_m, hit_fast_m, normal_m = to_detector @ (0.0, 0.0, beam_distance_m)
        if not (slow_m > 0 and fast_m > 0):
            raise GeometryError(f"the pixel size must be positive, not {pixel_size_m} m")
        ny, nx = checked_frame_shape(shape)
        flat = FlatDetector(
            ny=ny,
            nx=nx,
            pixel_slow_m=slow_m,
            pixel_fast_m=fast_m,
            distance_m=float(normal_m),
            poni_slow_px=float(beam_slow_px - hit_slow_m / slow_m),
            poni_fast_px=float(beam_fast_px - hit_fast_m / fast_m),
            wavelength_m=wavelength_m,
            rot1=rot1,
            rot2=rot2,
            rot3=rot3,
        )
        return cls.from_flat_detector(flat, mask=mask, polarization=polarization)

    @classmethod
    def from_flat_detector(
        cls,
        flat: FlatDetector,
        *,
        mask: ArrayLike | None = None,
        polarization: float | None = None,
    ) -> Geometry:
        """Make the geometry of a `FlatDetector`.

        Parameters
        ----------
        flat : FlatDetector
        mask : array_like or None
            Shape (slow, fast), non-zero = masked.
        polarization : float or None
            Polarization factor, for `SparsifyParams.polarization`.
        """
        return cls(
            shape=flat.shape,
            panels=(flat.panel(),),
            distance_m=flat.distance_m,
            wavelength_m=flat.wavelength_m,
            mask=None if mask is None else _frozen_mask(mask, flat.shape),
            flat_detector=flat,
            polarization=polarization,
        )

    @classmethod
    def from_panels(
        cls,
        panels: Iterable[Panel],
        *,
        shape: tuple[int, int],
        wavelength_m: float,
        distance_m: float | None = None,
        mask: ArrayLike | None = None,
        polarization: float | None = None,
    ) -> Geometry:
        """Put a detector together from flat panels.

        Parameters
        ----------
        panels : iterable of Panel
            They may leave pixels out but not overlap.  Where their edges are no multiples of 4
            pixels, the tiles across them are stored exactly.
        shape : tuple of int
            Frame shape (slow, fast).
        wavelength_m : float
            Wavelength of the beam; 0 if unknown.
        distance_m : float or None
            Reference length of radii; None takes the perpendicular distance of the panel whose
            centre is nearest to the beam.
        mask : array_like or None
            Shape (slow, fast), non-zero = masked.
        polarization : float or None
            Polarization factor, for `SparsifyParams.polarization`.

        Raises
        ------
        GeometryError
            There is no panel, panels overlap, or one reaches out of the frame.
        """
        panels = tuple(panels)
        if distance_m is None:
            distance_m = min(panels, key=angle_of_center).distance_m if panels else 0.0
        ny, nx = checked_frame_shape(shape)
        return cls(
            shape=(ny, nx),
            panels=panels,
            distance_m=float(distance_m),
            wavelength_m=float(wavelength_m),
            mask=None if mask is None else _frozen_mask(mask, shape),
            polarization=polarization,
        )

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, shape: tuple[int, ...] | None = None
    ) -> Geometry:
        """Read a detector from a file: mini-CBF, Eiger/NXmx master, CrystFEL or pyFAI PONI.

        Parameters
        ----------
        path : path
            The kind of file is told from its contents; CBF may be compressed by gzip or bzip2.
        shape : tuple of int or None
            Frame shape (slow, fast) for files that do not say it, such as PONI version 1.
            (module, slow, fast) of a stack becomes (module * slow, fast).

        Raises
        ------
        GeometryError
            The file cannot be read or describes no detector; the sentence says what is missing.
        """
        from .from_file import read_geometry  # noqa: PLC0415  (a cycle)

        return read_geometry(path, shape=shape)

    @property
    def beam_center_px(self) -> tuple[float, float]:
        """Where the direct beam hits the plane of a single-panel detector: (slow, fast) pixels."""
        return self._single_panel().beam_center_px

    @property
    def beam_distance_m(self) -> float:
        """Distance along the direct beam from the sample to a single-panel detector's plane."""
        return self._single_panel().beam_distance_m

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """Pixel size (slow, fast) of a single-panel detector."""
        if self.flat_detector is not None:
            return self.flat_detector.pixel_slow_m, self.flat_detector.pixel_fast_m
        return self._single_panel().pixel_size_m

    def with_mask(self, mask: ArrayLike | None) -> Geometry:
        """Return the same detector with another mask.

        Parameters
        ----------
        mask : array_like or None
            Shape (slow, fast), non-zero = masked; None removes the mask.
        """
        return replace(self, mask=None if mask is None else _frozen_mask(mask, self.shape))

    def two_theta_rad(self) -> NDArray[np.float64]:
        """Return the scattering angle of pixel centres: (slow, fast), NaN on no panel."""
        two_theta = np.full(self.shape, np.nan)
        for panel in self.panels:
            two_theta[slice(*panel.slow), slice(*panel.fast)] = panel.two_theta_rad()
        return two_theta

    def ring_map(
        self, params: SparsifyParams | None = None
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """Return ring and normalisation of every pixel, as the encoder uses them.

        A pixel has those of its tile of 4 x 4 pixels, taken at the middle of the tile.

        Parameters
        ----------
        params : SparsifyParams or None
            Gives the number of rings and the corrections.

        Returns
        -------
        ring : ndarray of uint16
            Shape (slow, fast); 65535 where the tile does not lie on one panel.
        normalisation : ndarray of float32
            Shape (slow, fast); a count divided by it is corrected for polarization and solid
            angle.

        Raises
        ------
        GeometryError
            The C library refuses the geometry.

        Examples
        --------
        >>> from h5bragg import Geometry, SparsifyParams
        >>> geometry = Geometry.flat(shape=(9, 9), pixel_size_m=1e-4, distance_m=0.1,
        ...                          beam_center_px=(4.5, 4.5), wavelength_m=1e-10)
        >>> ring, normalisation = geometry.ring_map(SparsifyParams(radial_bins=6))
        >>> int(ring[4, 4]), bool(ring[0, 0] > ring[4, 0])
        (0, True)
        """
        settings = params_to_c(effective_params(params, self.polarization))
        ring = np.empty(self.shape, np.uint16)
        normalisation = np.empty(self.shape, np.float32)
        with CGeometry(self) as c_geometry:
            status = library().h5bragg_map_pixels(
                c_geometry,
                settings,
                ffi.from_buffer("uint16_t[]", ring),
                ffi.from_buffer("float[]", normalisation),
            )
        check(status, repr(self))
        return ring, normalisation

    def _single_panel(self) -> Panel:
        if len(self.panels) != 1:
            raise GeometryError(
                f"a detector of {len(self.panels)} panels has no single pixel size or beam "
                "centre: ask its panels"
            )
        return self.panels[0]

    def __eq__(self, other: object) -> bool:
        """Compare shape, panels, distance, wavelength, polarization and mask."""
        if not isinstance(other, Geometry):
            return NotImplemented
        if (self.mask is None) != (other.mask is None):
            return False
        same_mask = self.mask is None or np.array_equal(self.mask, np.asarray(other.mask))
        return same_mask and self._numbers() == other._numbers()

    def __hash__(self) -> int:
        """Hash everything but the mask."""
        return hash(self._numbers())

    def _numbers(self) -> tuple[object, ...]:
        return self.shape, self.panels, self.distance_m, self.wavelength_m, self.polarization

    def __repr__(self) -> str:
        """Sum the detector up in one line."""
        parts = [f"{self.shape[0]} x {self.shape[1]} pixels"]
        count = len(self.panels)
        panels = f"{count} panel{'s' if count > 1 else ''}"
        place = f"distance {self.distance_m:.6g} m"
        if count == 1:
            slow_um, fast_um = (1e6 * size for size in self.pixel_size_m)
            parts[0] += f" of {slow_um:.5g} x {fast_um:.5g} um"
            slow, fast = self.beam_center_px
            place = f"distance {self.beam_distance_m:.6g} m, beam ({slow:.6g}, {fast:.6g})"
        parts += [panels, place]
        if self.wavelength_m:
            parts.append(f"wavelength {1e10 * self.wavelength_m:.6g} A")
        if self.mask is not None:
            parts.append(f"{np.count_nonzero(self.mask)} pixels masked")
        return f"<Geometry {', '.join(parts)}>"


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    """Return finite numbers; a single one may stand for all."""
    try:
        if not np.can_cast(np.asarray(value).dtype, float):
            raise TypeError(f"{value!r} is no number")
        numbers = tuple(map(float, np.broadcast_to(np.asarray(value, float), (count,))))
    except (TypeError, ValueError, OverflowError) as error:
        raise GeometryError(
            f"{name}={value!r} is not usable: give {count} number{'s' if count > 1 else ''}"
        ) from error
    if not all(map(math.isfinite, numbers)):
        raise GeometryError(f"{name}={value!r} is not finite")
    return numbers


def _frozen_mask(mask: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a read-only copy of a mask, non-zero = masked."""
    try:
        frozen = np.asarray(mask)
    except ValueError as error:
        raise GeometryError(f"the mask is no array of shape {tuple(shape)}") from error
    if frozen.dtype != bool or frozen.flags.writeable or not frozen.flags.c_contiguous:
        frozen = np.array(frozen != 0, dtype=bool, order="C")
    if frozen.shape != tuple(shape):
        raise GeometryError(f"the mask has shape {frozen.shape}, the frames {tuple(shape)}")
    frozen.flags.writeable = False
    return frozen


def _check_panels_tile(panels: tuple[Panel, ...], shape: tuple[int, int]) -> None:
    """Refuse panels that reach out of the frame or share a pixel."""
    for panel in panels:
        if panel.slow[1] > shape[0] or panel.fast[1] > shape[1]:
            raise GeometryError(
                f"a panel covers rows {panel.slow} and columns {panel.fast}, outside frames of "
                f"shape {tuple(shape)}"
            )
    edges = np.array([(*panel.slow, *panel.fast) for panel in panels])
    start, stop = edges[:, 0::2], edges[:, 1::2]  # (panel, axis)
    shares: NDArray[np.bool_] = np.all(
        (start[:, None] < stop[None]) & (start[None] < stop[:, None]), axis=2
    )
    np.fill_diagonal(shares, False)
    if shares.any():
        panel = panels[int(np.argmax(shares.any(axis=1)))]
        raise GeometryError(f"rows {panel.slow}, columns {panel.fast} are on two panels")
