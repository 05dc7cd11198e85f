# SPDX-License-Identifier: MIT
"""Recognise a panel that is one flat detector, so that eleven numbers can describe it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .panel import FlatDetector, Panel, rotation_angles

# Steps of 4000 pixels that are off by this fraction end up within a hundredth of a pixel.
_SQUARE_TOLERANCE = 1e-6


def fit_flat_detector(
    panel: Panel, shape: tuple[int, int], wavelength_m: float
) -> FlatDetector | None:
    """Describe a panel by distance, point of normal incidence and rotations.

    The lab's x and y axes are mirrored where that is needed to let the fast axis run along +x
    and the slow axis along +y as far as possible; scattering angles stay as they are.

    Parameters
    ----------
    panel : Panel
    shape : tuple of int
        Frame shape (slow, fast).
    wavelength_m : float
        Wavelength to note in the result.

    Returns
    -------
    FlatDetector or None
        None if the panel does not cover the frame or its axes are not perpendicular.
    """
    if panel.slow != (0, shape[0]) or panel.fast != (0, shape[1]):
        return None
    # pyFAI's order of axes: slow-like y first, then fast-like x, then the beam.
    slow, fast, origin = (_yxz(v) for v in (panel.slow_m, panel.fast_m, panel.origin_m))
    slow_m, fast_m = (float(np.linalg.norm(v)) for v in (slow, fast))
    if abs(slow @ fast) > _SQUARE_TOLERANCE * slow_m * fast_m:
        return None
    mirror = _mirror(slow / slow_m, fast / fast_m, origin)
    slow, fast, origin = slow * mirror, fast * mirror, origin * mirror
    normal = np.cross(slow, fast) / (slow_m * fast_m)
    distance_m = float(normal @ origin)
    if not distance_m > 0:
        return None
    rotation = np.stack([slow / slow_m, fast / fast_m, normal], axis=1)
    rot1, rot2, rot3 = rotation_angles(rotation)
    return FlatDetector(
        ny=shape[0],
        nx=shape[1],
        pixel_slow_m=slow_m,
        pixel_fast_m=fast_m,
        distance_m=distance_m,
        poni_slow_px=-float(origin @ slow) / slow_m**2,
        poni_fast_px=-float(origin @ fast) / fast_m**2,
        wavelength_m=wavelength_m,
        rot1=rot1,
        rot2=rot2,
        rot3=rot3,
    )


def _yxz(vector: tuple[float, float, float]) -> NDArray[np.float64]:
    x, y, z = vector
    return np.array([y, x, z])


def _mirror(
    slow: NDArray[np.float64], fast: NDArray[np.float64], origin: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Choose the signs of the transverse axes: (3,) of +1 or -1, the last +1.

    Seen along the normal that points away from the sample, the fast axis must lie on the same
    side of the slow axis as x lies of y; of the two mirrorings that give this, the one that
    turns the slow axis closer to +y is taken.
    """
    handed = math.copysign(1.0, np.cross(slow, fast) @ origin)
    candidates = [np.array([sign, sign * handed, 1.0]) for sign in (1.0, -1.0)]
    return max(candidates, key=lambda m: m[0] * slow[0] + m[1] * fast[1])
