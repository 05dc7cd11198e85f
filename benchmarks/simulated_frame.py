# SPDX-License-Identifier: MIT
"""A frame that every machine can make, for timings: 4 Mpixel of background, spots and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import h5bragg


def simulated(mean: float, seed: int) -> tuple[NDArray[np.uint32], h5bragg.Geometry]:
    """Simulate 4 Mpixel: radial background of a given mean, spots, module gaps."""
    shape = (2167, 2070)
    geometry = h5bragg.Geometry.flat(
        shape=shape,
        pixel_size_m=75e-6,
        distance_m=0.2,
        beam_center_px=(1100.5, 1034.2),
        wavelength_m=1e-10,
    )
    random = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(y + 0.5 - 1100.5, x + 0.5 - 1034.2)
    profile = np.exp(-radius / 500) + 0.4 * np.exp(-(((radius - 600) / 150) ** 2))
    frame = random.poisson(mean * profile / profile.mean()).astype(np.uint32)
    for _ in range(3000):
        i, j = random.integers(5, 2000, 2)
        frame[i : i + 3, j : j + 3] += random.poisson(random.exponential(30), (3, 3)).astype("u4")
    frame[512:551] = frame[1063:1102] = frame[1614:1653] = 2**32 - 1
    frame[:, 1030:1040] = 2**32 - 1
    return frame, geometry
