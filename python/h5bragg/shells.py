# SPDX-License-Identifier: MIT
"""Mean background of raw and restored frames by resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Geometry

# Fine bins for a picture; shells for a table are so many of them together.
NBINS = 120
NSHELLS = 6
_BAND_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Shell:
    """The background of one resolution shell.

    Parameters
    ----------
    inner, outer : float
        Where it begins and ends, from the beam outwards, in the unit of `ShellSums`.
    pixels : float
        Background pixels, all frames together.
    raw, restored : float
        Mean counts of these pixels; NaN without any.
    """

    inner: float
    outer: float
    pixels: float
    raw: float
    restored: float

    @property
    def ratio(self) -> float:
        """Restored over raw; NaN where nothing was counted."""
        return self.restored / self.raw if self.raw > 0 else float("nan")

    @property
    def ratio_error(self) -> float:
        """Most that counting statistics make of the ratio's standard error: 1 / sqrt(counts)."""
        return float((self.raw * self.pixels) ** -0.5) if self.raw > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class ShellSums:
    """Sums over the background pixels of raw and restored frames.

    Parameters
    ----------
    edges : ndarray of float64
        Shape (NBINS + 1,): where bins begin and end, in `unit`, from the beam outwards.
    unit : {"A", "pixels"}
        Resolution d in angstrom, or if the wavelength is unknown the distance from the beam in
        pixels, along a detector upright in the beam.
    sums : ndarray of float64
        Shape (3, NBINS): pixels, raw counts, restored counts.
    """

    edges: NDArray[np.float64]
    unit: str
    sums: NDArray[np.float64]

    def __add__(self, other: ShellSums) -> ShellSums:
        """Add other frames of the same bins."""
        return replace(self, sums=self.sums + other.sums)

    @property
    def shells(self) -> list[Shell]:
        """The bins in `NSHELLS` shells, those without pixels left out."""
        return self._shells(NBINS // NSHELLS)

    @property
    def bins(self) -> list[Shell]:
        """Each bin as a shell, those without pixels left out."""
        return self._shells(1)

    def _shells(self, step: int) -> list[Shell]:
        sums = self.sums.reshape(3, -1, step).sum(axis=2)
        inner, outer = self.edges[:-1:step], self.edges[step::step]
        return [
            Shell(
                inner=float(inner[i]),
                outer=float(outer[i]),
                pixels=float(pixels),
                raw=float(raw / pixels),
                restored=float(restored / pixels),
            )
            for i, (pixels, raw, restored) in enumerate(sums.T)
            if pixels
        ]


class ShellMap:
    """Knows the resolution of every pixel, in bins of equal width in 1/d.

    Parameters
    ----------
    geometry : Geometry

    Examples
    --------
    >>> import h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(90, 80), pixel_size_m=1e-3, distance_m=0.1,
    ...                                  beam_center_px=(45, 40), wavelength_m=1e-10)
    >>> everywhere = np.ones(geometry.shape, bool)
    >>> found = ShellMap(geometry).sums(np.full((90, 80), 4), np.full((90, 80), 5), everywhere)
    >>> outermost = found.shells[-1]
    >>> found.unit, round(outermost.outer, 2), outermost.raw, outermost.ratio
    ('A', 1.89, 4.0, 1.25)
    """

    def __init__(self, geometry: Geometry) -> None:
        sine = 2 * np.sin(geometry.two_theta_rad() / 2)  # wavelength / d
        on_panel = np.isfinite(sine)
        low, high = (float(sine[on_panel].min()), float(sine[on_panel].max()))
        high = high if high > low else low + 1
        scaled = np.where(on_panel, (sine - low) * (NBINS / (high - low)), NBINS)
        # The pixel that is farthest out belongs to the last bin.
        inside = np.where(on_panel, np.minimum(scaled, NBINS - 1), NBINS)
        self._bin = inside.astype(np.uint8)
        edges = np.linspace(low, high, NBINS + 1)
        self._unit = "A" if geometry.wavelength_m else "pixels"
        if geometry.wavelength_m:
            with np.errstate(divide="ignore"):
                self._edges = 1e10 * geometry.wavelength_m / edges
        else:
            two_theta = 2 * np.arcsin(np.minimum(edges / 2, 1))
            pixel_m = float(np.mean(geometry.pixel_size_m))
            self._edges = geometry.distance_m / pixel_m * np.tan(two_theta)

    def sums(
        self, raw: NDArray[Any], restored: NDArray[Any], background: NDArray[np.bool_]
    ) -> ShellSums:
        """Sum the background of one frame up.

        Parameters
        ----------
        raw, restored : ndarray of integer
            Shape (slow, fast), counts.
        background : ndarray of bool
            Shape (slow, fast): which pixels count, the same of both frames.
        """
        sums = np.zeros((3, NBINS + 1))
        for start in range(0, len(raw), _BAND_ROWS):
            rows = slice(start, start + _BAND_ROWS)
            here = background[rows]
            index = self._bin[rows][here]
            sums[0] += np.bincount(index, minlength=NBINS + 1)
            for row, frame in ((1, raw), (2, restored)):
                sums[row] += np.bincount(index, frame[rows][here], NBINS + 1)
        return ShellSums(self._edges, self._unit, sums[:, :NBINS])
