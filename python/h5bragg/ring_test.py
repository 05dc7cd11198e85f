# SPDX-License-Identifier: MIT
"""Test whether restored rings have the mean and the variance of the raw ones.

The decoder draws as many pixels anew as the encoder discarded, with their mean, ring by ring, and
their variance, but for a deviation of a few percent that single rings may have from the dispersion
of the frame.  So if it is right, mean and variance of a restored ring of n pixels differ from the
raw ring's by no more than two samples do, or these tolerances:

    z_mean     = (m' - m) / sqrt(v' / n + (0.001 m)^2)
    z_variance = (v' - v) / sqrt(2 (c' - v'^2 (n - 3) / (n - 1)) / n + (0.02 v)^2)

m, v raw and m', v', c' restored mean, variance and fourth central moment.  Over the rings, z has
mean 0 and a variance of at most 1, and the largest of N rings is rarely above sqrt(2 ln N).  With
local counts the sum of every tile comes back, to a fraction of its own noise, and z_mean is much
smaller.  Rings of few pixels or few counts, whose z is not normal, are left out; so are those of
few tiles, as what varies along a ring is drawn tile by tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_PIXELS = 2000
LEAST_EVENTS = 100
# What a restored ring may differ by, beside chance, relative to mean and variance.
MEAN_TOLERANCE = 0.001
VARIANCE_TOLERANCE = 0.02
# A ring's chi^2 / n over N rings scatters by sqrt(2 / N); so many of these are still chance.
LIMIT_SIGMA = 4.0


@dataclass(frozen=True, eq=False)
class RingMoments:
    """Power sums of the pixels of each ring, about a common origin.

    Parameters
    ----------
    sums : ndarray of float64
        Shape (5, nbins): sum of x**0 to x**4.
    """

    sums: NDArray[np.float64]

    @classmethod
    def of(cls, ring: NDArray[Any], value: NDArray[Any], nbins: int) -> RingMoments:
        """Sum pixels up.

        Parameters
        ----------
        ring, value : ndarray
            Shape (n,): ring and counts of each pixel.
        nbins : int
            Number of rings.

        Examples
        --------
        >>> import numpy as np
        >>> moments = RingMoments.of(np.array([0, 0, 1]), np.array([1, 3, 5]), 2)
        >>> moments.mean.tolist(), moments.variance.tolist()
        ([2.0, 5.0], [1.0, 0.0])
        """
        x = value.astype(float)
        power = np.ones_like(x)
        sums = np.empty((5, nbins))
        for k in range(5):
            sums[k] = np.bincount(ring, weights=power, minlength=nbins)[:nbins]
            power *= x
        return cls(sums)

    def __add__(self, other: RingMoments) -> RingMoments:
        """Add the pixels of other frames of the same rings."""
        nbins = max(self.sums.shape[1], other.sums.shape[1])
        sums = np.zeros((5, nbins))
        for part in (self.sums, other.sums):
            sums[:, : part.shape[1]] += part
        return RingMoments(sums)

    @property
    def count(self) -> NDArray[np.float64]:
        """Pixels in each ring: shape (nbins,)."""
        count: NDArray[np.float64] = self.sums[0]
        return count

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean counts of each ring: shape (nbins,), NaN in empty rings."""
        return self._ratio(1)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variance of each ring: shape (nbins,)."""
        variance: NDArray[np.float64] = np.maximum(self._ratio(2) - self.mean**2, 0)
        return variance

    @property
    def fourth(self) -> NDArray[np.float64]:
        """Fourth central moment of each ring: shape (nbins,)."""
        m, m2, m3, m4 = (self._ratio(k) for k in (1, 2, 3, 4))
        fourth: NDArray[np.float64] = m4 - 4 * m * m3 + 6 * m**2 * m2 - 3 * m**4
        return fourth

    def _ratio(self, k: int) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio: NDArray[np.float64] = self.sums[k] / self.sums[0]
        return ratio


@dataclass(frozen=True, eq=False)
class RingTest:
    """Outcome of the test over all rings that have enough pixels.

    Parameters
    ----------
    rings : ndarray of int
        Shape (n,): which rings were tested.
    z_mean, z_variance : ndarray of float64
        Shape (n,): see the module's text.
    mean_ratio, variance_ratio : float
        Restored over raw, all rings together.
    """

    rings: NDArray[np.intp]
    z_mean: NDArray[np.float64]
    z_variance: NDArray[np.float64]
    mean_ratio: float
    variance_ratio: float

    @classmethod
    def of(cls, raw: RingMoments, restored: RingMoments) -> RingTest:
        """Compare the rings of raw and restored frames.

        Rings whose pixels all have one value, raw and restored, have nothing to test.

        Examples
        --------
        >>> import numpy as np
        >>> draw = np.random.default_rng(1).poisson
        >>> ring = np.repeat([0, 1], 2000)
        >>> raw, good, bad = (RingMoments.of(ring, draw(mu, 4000), 2) for mu in (4, 4, 5))
        >>> RingTest.of(raw, raw).is_consistent, RingTest.of(raw, bad).is_consistent
        (True, False)
        """
        n = restored.count
        with np.errstate(invalid="ignore", divide="ignore"):
            error_mean = np.sqrt(restored.variance / n + (MEAN_TOLERANCE * raw.mean) ** 2)
            spread = restored.fourth - restored.variance**2 * (n - 3) / (n - 1)
            chance = 2 * np.maximum(spread, 0) / n
            error_variance = np.sqrt(chance + (VARIANCE_TOLERANCE * raw.variance) ** 2)
            events = n * restored.variance * np.minimum(1, restored.variance / restored.fourth)
            tested = (n >= LEAST_PIXELS) & (events >= LEAST_EVENTS) & (chance > 0)
            z_mean = (restored.mean - raw.mean) / error_mean
            z_variance = (restored.variance - raw.variance) / error_variance
        return cls(
            rings=np.flatnonzero(tested),
            z_mean=z_mean[tested],
            z_variance=z_variance[tested],
            mean_ratio=_total_ratio(restored.sums[1], raw.sums[1]),
            variance_ratio=_total_ratio(
                np.nan_to_num(n * restored.variance), np.nan_to_num(n * raw.variance)
            ),
        )

    @property
    def chi2_mean(self) -> float:
        """Mean of z_mean squared: 1 is expected, less with local counts."""
        return _mean_square(self.z_mean)

    @property
    def chi2_variance(self) -> float:
        """Mean of z_variance squared: at most 1 is expected."""
        return _mean_square(self.z_variance)

    @property
    def limit(self) -> float:
        """Largest mean of z squared that chance explains (4 sigma)."""
        return 1 + LIMIT_SIGMA * math.sqrt(2 / max(1, len(self.rings)))

    @property
    def largest(self) -> float:
        """Largest |z| of means and variances."""
        return max(
            (float(np.abs(z).max()) for z in (self.z_mean, self.z_variance) if len(z)), default=0
        )

    @property
    def largest_limit(self) -> float:
        """Largest |z| of one ring among all that chance explains (4 sigma)."""
        return math.sqrt(LIMIT_SIGMA**2 + 2 * math.log(max(1, len(self.rings))))

    @property
    def is_consistent(self) -> bool:
        """Whether means and variances agree within their statistical error."""
        worst = max(self.chi2_mean, self.chi2_variance)
        return worst <= self.limit and self.largest <= self.largest_limit


def _total_ratio(restored: NDArray[np.float64], raw: NDArray[np.float64]) -> float:
    total = float(raw.sum())
    return float(restored.sum()) / total if total else 1.0


def _mean_square(z: NDArray[np.float64]) -> float:
    return float(np.mean(z**2)) if len(z) else 0.0
