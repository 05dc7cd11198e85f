# SPDX-License-Identifier: MIT
"""A frame that every machine can make, for timings: background, spots and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import h5bragg


def simulated(
    mean: float, seed: int, *, scale: int = 1
) -> tuple[NDArray[np.uint32], h5bragg.Geometry]:
    """Simulate 4 Mpixel: radial background of a given mean, spots, module gaps.

    With a scale of 2 they are 16 Mpixel, and so on.
    """
    shape = (2167 * scale, 2070 * scale)
    center = (1100.5 * scale, 1034.2 * scale)
    geometry = h5bragg.Geometry.flat(
        shape=shape,
        pixel_size_m=75e-6,
        distance_m=0.2,
        beam_center_px=center,
        wavelength_m=1e-10,
    )
    random = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(y + 0.5 - center[0], x + 0.5 - center[1]) / scale
    profile = np.exp(-radius / 500) + 0.4 * np.exp(-(((radius - 600) / 150) ** 2))
    frame = random.poisson(mean * profile / profile.mean()).astype(np.uint32)
    for _ in range(3000 * scale**2):
        i, j = random.integers(5, 2000 * scale, 2)
        frame[i : i + 3, j : j + 3] += random.poisson(random.exponential(30), (3, 3)).astype("u4")
    for gap in range(512, shape[0], 551):
        frame[gap : gap + 39] = 2**32 - 1
    for gap in range(1030, shape[1], 1040):
        frame[:, gap : gap + 10] = 2**32 - 1
    return frame, geometry
