# SPDX-License-Identifier: MIT
"""A crystal that reflects: which reflections a rotation frame records, where and how strongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Tetragonal thaumatin, in angstrom.
_CELL_A = (58.0, 58.0, 150.0)
_LEAST_SPACING_A = 1.5
_B_FACTOR_A2 = 18.0
_MOSAICITY_DEG = 0.12


@dataclass(frozen=True, eq=False)
class Spots:
    """Reflections of one frame.

    Parameters
    ----------
    tan_slow, tan_fast : ndarray of float64
        Shape (n,): direction of the reflected beam, as its position divided by the distance on
        an upright detector.
    counts : ndarray of float64
        Shape (n,): mean counts.
    """

    tan_slow: NDArray[np.float64]
    tan_fast: NDArray[np.float64]
    counts: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crystal:
    """Reciprocal lattice points in the lab frame and their intensities.

    Parameters
    ----------
    points : ndarray of float64
        Shape (n, 3): (x, y, z) in 1/angstrom at rotation angle 0.
    intensity : ndarray of float64
        Shape (n,): relative to a low-resolution reflection.
    wavelength_a : float
        Wavelength in angstrom.
    """

    points: NDArray[np.float64]
    intensity: NDArray[np.float64]
    wavelength_a: float

    @classmethod
    def random(cls, random: np.random.Generator, *, wavelength_m: float) -> Crystal:
        """Make a crystal in a random orientation.

        Intensities follow Wilson's distribution of acentric reflections and fall off with the
        resolution by a B factor.

        Examples
        --------
        >>> import numpy as np
        >>> crystal = Crystal.random(np.random.default_rng(1), wavelength_m=1e-10)
        >>> len(crystal.spots(0.0, width_deg=0.5, counts=100.0).counts) > 100
        True
        """
        limits = [int(a / _LEAST_SPACING_A) for a in _CELL_A]
        axes = [np.arange(-limit, limit + 1) for limit in limits]
        hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        points = hkl / np.asarray(_CELL_A)
        square = np.sum(points**2, axis=1)
        inside = (square > 0) & (square < _LEAST_SPACING_A**-2)
        points, square = points[inside], square[inside]
        orientation, _ = np.linalg.qr(random.normal(size=(3, 3)))
        wilson = random.exponential(size=len(points))
        intensity = wilson * np.exp(-0.5 * _B_FACTOR_A2 * square)
        return cls(points @ orientation.T, intensity, wavelength_m * 1e10)

    def spots(self, angle_deg: float, *, width_deg: float, counts: float) -> Spots:
        """Return the reflections that a frame records.

        A point reflects while it passes the Ewald sphere; mosaicity and rotation width blur the
        passage into a Gaussian.

        Parameters
        ----------
        angle_deg : float
            Rotation about the fast axis in the middle of the frame.
        width_deg : float
            Rotation during the frame.
        counts : float
            Mean counts of a fully recorded low-resolution reflection.
        """
        angle = np.radians(angle_deg)
        x, y, z = self.points.T
        y, z = y * np.cos(angle) - z * np.sin(angle), y * np.sin(angle) + z * np.cos(angle)
        beam = 1 / self.wavelength_a
        out = beam + z
        distance_to_sphere = np.sqrt(x**2 + y**2 + out**2) - beam
        blur = np.radians(np.hypot(_MOSAICITY_DEG, width_deg / np.sqrt(12)))
        passage = distance_to_sphere / (blur * np.sqrt(x**2 + y**2 + z**2))
        seen = (np.abs(passage) < 3) & (out > 0.2 * beam)
        strength = self.intensity[seen] * np.exp(-0.5 * passage[seen] ** 2)
        return Spots(y[seen] / out[seen], x[seen] / out[seen], counts * strength)
