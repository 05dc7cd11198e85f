# SPDX-License-Identifier: MIT
"""Simulate frames of a rotating protein crystal on a detector of many modules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .experiment import Experiment
from .frame_source import Frame
from .geometry import Geometry
from .simulated_crystal import Crystal, Spots

_POLARIZATION = 0.99


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A rotation scan; a frame source like a file, so it can be compressed like one.

    Parameters
    ----------
    nframes : int
        Number of frames.
    modules : tuple of int
        Number of modules along (slow, fast).
    module_shape, gap : tuple of int
        Pixels of a module, and rows and columns without a sensor between modules.
    pixel_size_m, distance_m, wavelength_m : float
        Detector and beam.
    background : float
        Mean counts at the top of the water ring.
    spot_counts : float
        Mean counts of a low-resolution reflection.
    bad_fraction : float
        Fraction of the pixels that do not work.
    width_deg : float
        Rotation of one frame.
    seed : int
        Of crystal, bad pixels and counting noise.

    Examples
    --------
    >>> simulation = Simulation(nframes=2, modules=(1, 1), module_shape=(60, 80))
    >>> frame = simulation.read(0).pixels
    >>> frame.shape, str(frame.dtype), bool((simulation.read(0).pixels == frame).all())
    ((60, 80), 'uint32', True)
    """

    nframes: int = 8
    modules: tuple[int, int] = (4, 2)
    module_shape: tuple[int, int] = (514, 1030)
    gap: tuple[int, int] = (37, 10)
    pixel_size_m: float = 75e-6
    distance_m: float = 0.15
    wavelength_m: float = 1e-10
    background: float = 3.0
    spot_counts: float = 900.0
    bad_fraction: float = 1e-4
    width_deg: float = 0.5
    seed: int = 1

    @property
    def path(self) -> Path:
        """A name for messages."""
        return Path("simulation")

    @property
    def files(self) -> tuple[Path, ...]:
        """None: nothing is read."""
        return ()

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """None likewise."""
        return ()

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Frame shape (slow, fast)."""
        slow, fast = (
            count * size + (count - 1) * gap
            for count, size, gap in zip(self.modules, self.module_shape, self.gap, strict=True)
        )
        return slow, fast

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type."""
        return np.dtype(np.uint32)

    @cached_property
    def geometry(self) -> Geometry:
        """The detector, upright, the beam a little off its centre."""
        return Geometry.flat(
            shape=self.shape,
            pixel_size_m=self.pixel_size_m,
            distance_m=self.distance_m,
            beam_center_px=(0.515 * self.shape[0], 0.49 * self.shape[1]),
            wavelength_m=self.wavelength_m,
            polarization=_POLARIZATION,
        )

    @property
    def experiment(self) -> Experiment:
        """What a header would say."""
        return Experiment(
            detector="Simulated detector",
            sensor_material="Si",
            sensor_thickness_m=450e-6,
            count_time_s=0.01,
            frame_time_s=0.01,
            saturation_value=2**31,
            width_deg=self.width_deg,
        )

    @cached_property
    def pixel_mask(self) -> NDArray[np.uint32]:
        """1 in the gaps between modules, 2 for bad pixels: shape (slow, fast)."""
        sensor = np.ones((1, 1), bool)
        for axis in (0, 1):
            count, size, gap = self.modules[axis], self.module_shape[axis], self.gap[axis]
            line = np.tile(np.arange(size + gap) < size, count)[: self.shape[axis]]
            sensor = sensor & np.expand_dims(line, 1 - axis)
        bad = self._random(0).random(self.shape) < self.bad_fraction
        mask = np.where(sensor, 2 * bad, 1).astype(np.uint32)
        mask.flags.writeable = False
        return mask

    @cached_property
    def expected_background(self) -> NDArray[np.float64]:
        """Mean counts without the crystal: shape (slow, fast)."""
        slow, fast = np.ogrid[: self.shape[0], : self.shape[1]]
        beam_slow, beam_fast = self.geometry.beam_center_px
        y = (slow + 0.5 - beam_slow) * self.pixel_size_m
        x = (fast + 0.5 - beam_fast) * self.pixel_size_m
        distance = np.sqrt(x**2 + y**2 + self.distance_m**2)
        cos_two_theta = self.distance_m / distance
        sin_theta = np.sqrt((1 - cos_two_theta) / 2)
        q = 4e-10 * np.pi * sin_theta / self.wavelength_m
        # Air scatter fades from the beam outwards; water has its ring at 3.1 A and a shoulder.
        scatter = (
            0.9 * np.exp(-q / 0.25)
            + 0.14
            + 0.78 * np.exp(-0.5 * ((q - 2.0) / np.where(q < 2.0, 0.30, 0.45)) ** 2)
            + 0.22 * np.exp(-0.5 * ((q - 2.9) / 0.4) ** 2)
        )
        polarized = 1 - (1 + _POLARIZATION) / 2 * (x / distance) ** 2
        polarized -= (1 - _POLARIZATION) / 2 * (y / distance) ** 2
        expected: NDArray[np.float64] = self.background * scatter * polarized * cos_two_theta**3
        expected[np.hypot(x, y) < 30 * self.pixel_size_m] *= 0.02  # behind the beam stop
        return expected

    @cached_property
    def crystal(self) -> Crystal:
        """The crystal in its starting orientation."""
        return Crystal.random(self._random(1), wavelength_m=self.wavelength_m)

    def spots(self, index: int) -> Spots:
        """Return the reflections of one frame, those beside the detector included."""
        return self.crystal.spots(
            (index + 0.5) * self.width_deg, width_deg=self.width_deg, counts=self.spot_counts
        )

    def read(self, index: int) -> Frame:
        """Simulate one frame; the same index gives the same frame.

        Parameters
        ----------
        index : int
        """
        expected = self.expected_background.copy()
        spots = self.spots(index)
        slow, fast = (
            center + self.distance_m * tangent / self.pixel_size_m
            for center, tangent in zip(
                self.geometry.beam_center_px, (spots.tan_slow, spots.tan_fast), strict=True
            )
        )
        add_spots(expected, slow, fast, spots.counts)
        pixels = self._random(2 + index).poisson(expected).astype(np.uint32)
        top = np.iinfo(np.uint32).max
        pixels[self.pixel_mask == 1] = top
        pixels[self.pixel_mask == 2] = top - 1
        return Frame(pixels, index * self.width_deg, self.width_deg)

    def close(self) -> None:
        """Nothing is open."""

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream))


def add_spots(
    expected: NDArray[np.float64],
    slow: NDArray[np.float64],
    fast: NDArray[np.float64],
    counts: NDArray[np.float64],
    *,
    sigma_px: float = 0.85,
) -> None:
    """Add Gaussian spots to a frame of mean counts, in place.

    Parameters
    ----------
    expected : ndarray of float64
        Shape (slow, fast).
    slow, fast, counts : ndarray of float64
        Shape (n,): positions in pixels and total counts; spots near the edge are left out.
    sigma_px : float
        Width of a spot.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.zeros((20, 20))
    >>> add_spots(frame, np.array([10.5]), np.array([8.0]), np.array([100.0]))
    >>> round(float(frame.sum()))
    100
    """
    reach = 5
    ny, nx = expected.shape
    inside = (slow > reach) & (slow < ny - reach - 1) & (fast > reach) & (fast < nx - reach - 1)
    slow, fast, counts = slow[inside], fast[inside], counts[inside]
    offset = np.arange(-reach, reach + 1)
    rows = np.floor(slow).astype(int)[:, None] + offset
    columns = np.floor(fast).astype(int)[:, None] + offset

    def profile(index: NDArray[np.int_], center: NDArray[np.float64]) -> NDArray[np.float64]:
        weight: NDArray[np.float64] = np.exp(
            -0.5 * ((index + 0.5 - center[:, None]) / sigma_px) ** 2
        )
        weight /= weight.sum(axis=1, keepdims=True)
        return weight

    patch = counts[:, None, None] * profile(rows, slow)[:, :, None]
    patch = patch * profile(columns, fast)[:, None, :]
    np.add.at(expected, (rows[:, :, None], columns[:, None, :]), patch)
