# SPDX-License-Identifier: MIT
"""Why a peak is in one list and not in the other: h5bragg's and pyFAI's (docs/peaks.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from real_frames import RealFrame

from h5bragg import Peaks, SparsifyParams, background

SNR = 4.0
LEAST_HIGH = 3
# pyFAI adds a noise of one count in quadrature to sigma.
NOISE = 1.0
# So much may two programs' backgrounds of a ring differ.
BACKGROUND_COUNTS = 0.5


@dataclass(frozen=True)
class Backgrounds:
    """Expected counts of each pixel, NaN where there is no ring."""

    corrected: NDArray[np.float64]  # for polarization and solid angle
    ring_mean: NDArray[np.float64]  # as pyFAI was asked for it

    @staticmethod
    def of(real: RealFrame, params: SparsifyParams) -> Backgrounds:
        plain = replace(params, polarization=None, solid_angle=False)
        return Backgrounds(expected(real, params), expected(real, plain))


def expected(real: RealFrame, params: SparsifyParams) -> NDArray[np.float64]:
    ring, normalisation = real.geometry.ring_map(params)
    mean = np.append(background(real.pixels, real.geometry, params).mean, np.nan)
    return mean[np.minimum(ring, len(mean) - 1)] * normalisation


def patch_of(values: NDArray[np.generic], slow: int, fast: int) -> NDArray[np.generic]:
    return values[max(0, slow - 2) : slow + 3, max(0, fast - 2) : fast + 3]


def number_high(
    counts: NDArray[np.integer], mean: NDArray[np.float64], noise: float
) -> tuple[int, bool]:
    """How many pixels of a patch are above the cut, and whether the largest is."""
    with np.errstate(invalid="ignore"):
        high = (counts >= 0) & (counts - mean > SNR * np.sqrt(mean + noise**2))
    return int(high.sum()), bool(high[counts == counts.max()].any())


def missing_kinds(
    real: RealFrame, params: SparsifyParams, pixels: Iterable[tuple[int, int]]
) -> Counter[str]:
    """Why pyFAI's peaks at these pixels are not in our list."""
    mean = Backgrounds.of(real, params).corrected
    kinds: Counter[str] = Counter()
    for slow, fast in pixels:
        counts = patch_of(real.pixels, slow, fast)
        own = real.pixels[slow, fast]
        quantile = mean[slow, fast] + SNR * np.sqrt(mean[slow, fast]) + (SNR**2 - 1) / 6
        if (counts == own).sum() > 1:
            kinds["equal pixels"] += 1
        elif own <= quantile:
            kinds["chance"] += 1
        else:
            kinds["other"] += 1
    return kinds


def extra_kinds(real: RealFrame, params: SparsifyParams, peaks: Peaks) -> Counter[str]:
    """Why these peaks of ours are not in pyFAI's list."""
    backgrounds = Backgrounds.of(real, params)
    kinds: Counter[str] = Counter()
    for slow, fast in zip(peaks.slow.tolist(), peaks.fast.tolist(), strict=True):
        counts = patch_of(real.pixels, slow, fast)
        ring = patch_of(backgrounds.ring_mean, slow, fast)
        higher = np.fmax(ring, patch_of(backgrounds.corrected, slow, fast)) + BACKGROUND_COUNTS
        with_floor = number_high(counts, ring, NOISE)
        if number_high(counts, ring, 0)[0] < LEAST_HIGH:
            kinds["ring mean"] += 1
        elif with_floor[0] < LEAST_HIGH or not with_floor[1]:
            kinds["noise floor"] += 1
        elif (counts == counts.max()).sum() > 1:
            kinds["equal pixels"] += 1
        elif number_high(counts, higher, NOISE)[0] < LEAST_HIGH:
            kinds["at the cut"] += 1
        else:
            kinds["other"] += 1
    return kinds
