# SPDX-License-Identifier: MIT
"""Peaks against simulated truth: positions, intensities, and what sigma claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import erf

from h5bragg import Geometry, Peaks, SparsifyParams, find_peaks

EDGE, STEP = 800, 20
# Of spots, a Gaussian: that of the point spread of counting detectors and a small crystal.
WIDTH_PX = 0.7
REACH = 6


@dataclass(frozen=True)
class Scene:
    """A frame of spots on a flat background, one in each square of STEP pixels."""

    frame: NDArray[np.uint32]
    geometry: Geometry
    slow_px: NDArray[np.float64]
    fast_px: NDArray[np.float64]
    counts: NDArray[np.float64]

    def match(self, peaks: Peaks) -> tuple[Peaks, NDArray[np.intp]]:
        """Peaks within 2.5 pixels of a spot, and the numbers of these spots."""
        away, number = cKDTree(np.column_stack([self.slow_px, self.fast_px])).query(
            np.column_stack([peaks.slow_px, peaks.fast_px])
        )
        return peaks[away < 2.5], number[away < 2.5]


def within_pixels(centre: float, first: int) -> NDArray[np.float64]:
    """Shares of a spot's counts in the pixels around it, along one axis."""
    edges = first + np.arange(2 * REACH + 2) - centre
    share: NDArray[np.float64] = np.diff(0.5 * (1 + erf(edges / WIDTH_PX / np.sqrt(2))))
    return share


def scene(background: float, counts: tuple[float, float], seed: int) -> Scene:
    """Spots with counts between two, evenly in their logarithm."""
    random = np.random.default_rng(seed)
    corner = STEP * np.arange(1, EDGE // STEP)
    slow, fast = (
        (grid + random.random(grid.shape)).ravel()
        for grid in np.meshgrid(corner, corner, indexing="ij")
    )
    true = np.exp(random.uniform(*np.log(counts), len(slow)))
    mean = np.full((EDGE, EDGE), background)
    for y, x, total in zip(slow, fast, true, strict=True):
        i, j = int(y) - REACH, int(x) - REACH
        spot = total * np.outer(within_pixels(y, i), within_pixels(x, j))
        mean[i : i + 2 * REACH + 1, j : j + 2 * REACH + 1] += spot
    geometry = Geometry.flat(
        shape=(EDGE, EDGE),
        pixel_size_m=1e-4,
        distance_m=2.0,
        beam_center_px=(EDGE / 2, EDGE / 2),
        wavelength_m=1e-10,
    )
    return Scene(random.poisson(mean).astype(np.uint32), geometry, slow, fast, true)


@pytest.mark.parametrize("background", [0.05, 1.0, 3.0])
@pytest.mark.parametrize("counts", [20, 50, 100, 300, 1000, 5000])
def test_sigma_is_the_error_of_intensities(background: float, counts: float) -> None:
    """Within 15 %, wherever a fifth of the spots is found; the rest are lucky ones."""
    truth = scene(background, (counts, counts), seed=int(counts))
    peaks, number = truth.match(find_peaks(truth.frame, truth.geometry))
    if len(peaks) < 0.2 * len(truth.counts):
        assert counts == 20
        assert background >= 1
        return
    residual = (peaks.intensity - truth.counts[number]) / peaks.sigma
    # 300 residuals or more: their own spread is 4 % at most.
    assert len(residual) >= 300
    assert 0.85 < np.sqrt(np.mean(residual**2)) < 1.15


@pytest.mark.parametrize("background", [0.05, 1.0, 3.0])
def test_positions_are_right_to_a_tenth_of_a_pixel(background: float) -> None:
    truth = scene(background, (50, 5000), seed=4)
    peaks, number = truth.match(find_peaks(truth.frame, truth.geometry))
    assert len(peaks) > 0.9 * len(truth.counts)
    for found, true in ((peaks.slow_px, truth.slow_px), (peaks.fast_px, truth.fast_px)):
        error = found - true[number]
        assert np.sqrt(np.mean(error**2)) < 0.1
        # No bias beyond its own error.
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))


def test_strong_spots_are_found_once_and_nothing_else() -> None:
    truth = scene(1.0, (200, 5000), seed=5)
    peaks = find_peaks(truth.frame, truth.geometry)
    matched, number = truth.match(peaks)
    assert len(np.unique(number)) == len(number)
    # Now and then one of 200 counts falls apart between four pixels, or two lie side by side.
    assert len(matched) > 0.99 * len(truth.counts)
    assert len(peaks) - len(matched) <= 0.005 * len(peaks)


def test_noise_alone_gives_hardly_any_peaks() -> None:
    """The quantile of four sigma is exceeded by 3e-5 of pixels, and two others must be high."""
    random = np.random.default_rng(6)
    geometry = scene(1.0, (50, 50), seed=1).geometry
    for mean in (0.05, 0.5, 3, 20):
        frame = random.poisson(mean, (EDGE, EDGE)).astype(np.uint32)
        assert len(find_peaks(frame, geometry, SparsifyParams())) <= 2
