# SPDX-License-Identifier: MIT
"""Scene: beam, detector, scatter without the crystal, and what conditions change in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from h5bragg import Geometry
from h5bragg.experiment import Experiment

SHAPE = (1065, 1030)  # two modules of an Eiger 1M, slow and fast
MODULE_GAP = slice(514, 551)  # rows without a sensor
PIXEL_M = 75e-6
DISTANCE_M = 75e-3
BEAM_PX = (529.6, 517.3)  # slow, fast
WAVELENGTH_A = 0.9
SENSOR_M = 450e-6
ABSORPTION_PER_M = 3091.06  # silicon at 0.9 A, as cctbx has it
POLARIZED_FRACTION = 0.999  # what dxtbx takes for granted, as a fraction and not a factor
BAD_PIXELS = 400

# Rings of hexagonal ice in angstrom, and how strong they are beside one another.
_ICE_RINGS = {3.897: 1.0, 3.669: 0.8, 3.441: 0.9, 2.671: 0.4, 2.249: 0.5, 2.072: 0.4, 1.948: 0.3,
              1.918: 0.3, 1.883: 0.15, 1.721: 0.15}  # fmt: skip
_ICE_WIDTH_PER_A = 0.0012
_STOP_RADIUS_M = 2.2e-3
_STOP_TRANSMISSION = 0.002
_ARM_TRANSMISSION = 0.45
_MARGIN_PX = 4  # DIALS masks this much around the beam stop

# What each condition changes in the plain scene.
CONDITIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "aniso": {"shadow": True},
    "ice": {"ice": True},
    "high": {"background_scale": 10.0},
    "low": {"background_scale": 0.1},
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a simulated data set depends on.

    Parameters
    ----------
    nframes : int
        Number of frames.
    width_deg : float
        Rotation of one frame, about the fast axis.
    background_scale : float
        Factor of the background; with 1 it is 0.16 to 2.2 counts a pixel.
    shadow : bool
        A loop or holder takes a third of the scatter on one side of the detector.
    ice : bool
        Add ice rings, of uneven strength along the ring.
    seed : int
        Of structure factors and bad pixels.
    noise_seed : int
        Of the counting noise: another one is an independent repeat.
    """

    nframes: int = 120
    width_deg: float = 0.5
    background_scale: float = 1.0
    shadow: bool = False
    ice: bool = False
    seed: int = 11
    noise_seed: int = 11

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters, for a cache key."""
        return asdict(self)

    @cached_property
    def geometry(self) -> Geometry:
        """The detector, upright."""
        return Geometry.flat(
            shape=SHAPE,
            pixel_size_m=PIXEL_M,
            distance_m=DISTANCE_M,
            beam_center_px=BEAM_PX,
            wavelength_m=WAVELENGTH_A * 1e-10,
            polarization=2 * POLARIZED_FRACTION - 1,
        )

    @property
    def experiment(self) -> Experiment:
        """What a header would say."""
        return Experiment(
            detector="Simulated Eiger 1M",
            start_time="2026-01-01T00:00:00",
            sensor_material="Si",
            sensor_thickness_m=SENSOR_M,
            count_time_s=0.01,
            frame_time_s=0.01,
            saturation_value=2**31 - 10,
            width_deg=self.width_deg,
        )

    @cached_property
    def pixel_mask(self) -> NDArray[np.uint32]:
        """1 between the modules, 2 for bad pixels: shape (slow, fast)."""
        mask = np.zeros(SHAPE, np.uint32)
        bad = np.random.default_rng((self.seed, 1)).choice(mask.size, BAD_PIXELS, replace=False)
        mask.ravel()[bad] = 2
        mask[MODULE_GAP] = 1
        return mask

    @cached_property
    def transmission(self) -> NDArray[np.float64]:
        """What beam stop, its arm and the shadow let through: shape (slow, fast)."""
        x, y = _positions_m()
        through = np.ones(SHAPE)
        through[np.hypot(x, y) < _STOP_RADIUS_M] = _STOP_TRANSMISSION
        through[(np.abs(x + 0.03 * y) < 0.5e-3) & (y > 0)] *= _ARM_TRANSMISSION
        if self.shadow:
            beyond_edge = (0.8 * x + 0.6 * y - 18e-3) / 0.8e-3
            through *= 1 - 0.35 / (1 + np.exp(-beyond_edge))
        return through

    @cached_property
    def stop_mask(self) -> NDArray[np.bool_]:
        """Pixels that a user masks in DIALS: beam stop and arm, and a few pixels around.

        No detector's pixel_mask has them, so h5bragg does not know of them.
        """
        x, y = _positions_m()
        margin = _MARGIN_PX * PIXEL_M
        arm = (np.abs(x + 0.03 * y) < 0.5e-3 + margin) & (y > -margin)
        return np.asarray((np.hypot(x, y) < _STOP_RADIUS_M + margin) | arm)

    @cached_property
    def background(self) -> NDArray[np.float64]:
        """Mean counts a frame without the crystal: shape (slow, fast)."""
        x, y = _positions_m()
        radius = np.hypot(x, y)
        two_theta = np.arctan2(radius, DISTANCE_M)
        per_d = 2 * np.sin(two_theta / 2) / WAVELENGTH_A
        scatter = 2.2 * self.background_scale * _water_and_air(per_d)
        if self.ice:
            scatter += _ice(per_d, np.arctan2(y, x))
        cosine = np.cos(two_theta)
        up = y / np.hypot(radius, DISTANCE_M)
        caught = absorbed(cosine) / absorbed(np.ones(()))
        return scatter * polarization(cosine, up) * cosine**3 * caught * self.transmission


def absorbed(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of the photons that the sensor absorbs, by the cosine of their angle."""
    return np.asarray(1 - np.exp(-ABSORPTION_PER_M * SENSOR_M / cosine))


def polarization(cosine: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the polarization factor as DIALS has it.

    Parameters
    ----------
    cosine : ndarray of float64
        Cosine of the scattering angle.
    up : ndarray of float64
        Component of the scattered beam's direction along the polarization's normal.
    """
    fraction = POLARIZED_FRACTION
    return np.asarray((1 - 2 * fraction) * (1 - up**2) + fraction * (1 + cosine**2))


def _positions_m() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where pixels are from the beam centre, along the fast and the slow axis."""
    slow, fast = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    return (fast - BEAM_PX[1]) * PIXEL_M, (slow - BEAM_PX[0]) * PIXEL_M


def _water_and_air(per_d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return smooth scatter by 1/d in 1/angstrom: water's two rings and air around the beam."""
    water = 1.15 * np.exp(-(((per_d - 1 / 3.25) / 0.055) ** 2))
    water += 0.55 * np.exp(-(((per_d - 1 / 2.15) / 0.09) ** 2))
    air = np.exp(-per_d / 0.12) + 3.2 * np.exp(-per_d / 0.02)
    return np.asarray(0.12 + water + air)


def _ice(per_d: NDArray[np.float64], azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ice rings; each is stronger on two opposite sides, every ring on other ones."""
    scatter = np.zeros_like(per_d)
    for number, (spacing, strength) in enumerate(_ICE_RINGS.items()):
        ring = np.exp(-0.5 * ((per_d - 1 / spacing) / _ICE_WIDTH_PER_A) ** 2)
        scatter += 8 * strength * ring * (1 + 0.5 * np.cos(2 * azimuth - number))
    return scatter
