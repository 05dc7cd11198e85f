# SPDX-License-Identifier: MIT
"""Statistical tests of restored background against the raw frame, ring by ring.

The encoder keeps the mean of the N discarded pixels of a ring, and the decoder draws N pixels anew.
Rings of counts share one dispersion a frame, so that the variance of a raw and of a restored ring
are two samples of one distribution. So

    z_mean = (sum restored - sum raw) / sqrt(N v)
    z_variance = (sum (restored - m)^2 - sum (raw - m)^2) / sqrt(2 N (m4 - v^2))

with m, v and m4 the raw mean, variance and fourth central moment (m4 the larger of raw and
restored: in a ring of zeros and ones alone m4 = v^2, which the drawn pixels need not share) are
standard normal if the restoration is unbiased, and smaller where more is stored: with local counts
the sum of every tile. Rings with too few events for a normal approximation are left out. Three
figures are tested for both, against chance from above: the sum of all rings, the sum of squares
(chi-squared with one degree of freedom a ring), and the largest (Bonferroni). All rings together
may differ by 0.1 % of the mean and 0.5 % of the variance, as levels and dispersion are rounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h5bragg import Geometry, SparsifyParams, decode, unpack

LEAST_EVENTS = 100
# Two-sided probability 1e-6 of a normal variate: a right codec fails one test in a million.
LIMIT = 4.9


@dataclass(frozen=True)
class RingComparison:
    """Ring sums over the discarded pixels of a frame."""

    z_mean: NDArray[np.float64]
    z_variance: NDArray[np.float64]
    mean_ratio: float
    variance_ratio: float

    def assert_unbiased(self) -> None:
        """Fails if means or variances differ by more than chance and rounding explain."""
        assert_within_chance(self.z_mean, "means", is_total_known=abs(self.mean_ratio - 1) < 0.001)
        is_total_known = abs(self.variance_ratio - 1) < 0.005
        assert_within_chance(self.z_variance, "variances", is_total_known=is_total_known)


def thresholds(chunk: bytes, geometry: Geometry, params: SparsifyParams) -> NDArray[np.float64]:
    """The picking threshold of every pixel by the formula of docs/format.md (NaN off panels)."""
    ring, normalisation = geometry.ring_map(params)
    sparse = unpack(chunk)
    background = np.append(sparse.background_mean, np.nan).astype(float)
    std = np.append(sparse.background_std, np.nan).astype(float)
    ring = np.minimum(ring, len(sparse.background_mean))
    norm = np.exp(np.round(32 * np.log(np.maximum(normalisation, 1e-6).astype(float))) / 32)
    expected = background[ring] * norm
    sigma = (
        std[ring] * norm if params.error_model == "azimuthal" else np.sqrt(np.maximum(expected, 0))
    )
    upper = expected + params.snr_pick * sigma
    is_counting = bool(np.all(decode(chunk)[sparse.mask == 0] >= 0))
    if params.local_counts and is_counting and params.snr_pick > 1:
        # The quantile of a Poisson distribution to third order.
        skew = np.minimum(sigma**2 / np.where(expected > 0, expected, np.inf), 2)
        upper += (params.snr_pick**2 - 1) / 6 * skew
    return np.floor(upper)


def discarded(chunk: bytes) -> NDArray[np.bool_]:
    """Pixels stored neither exactly nor by a mask code, shape (slow, fast)."""
    sparse = unpack(chunk)
    free = (sparse.mask == 0).ravel()
    free[sparse.index] = False
    return free.reshape(sparse.shape)


def compare_rings(
    raw: NDArray[np.integer], restored: NDArray[np.integer], chunk: bytes, ring: NDArray[np.uint16]
) -> RingComparison:
    """Standardised differences of ring means and variances of the discarded pixels."""
    free = discarded(chunk)
    r, before, after = ring[free], raw[free].astype(float), restored[free].astype(float)
    nbins = int(r.max()) + 1

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(r, values, nbins)

    with np.errstate(divide="ignore", invalid="ignore"):
        n = total(np.ones(len(r)))
        mean = total(before) / n
        variance = total((before - mean[r]) ** 2) / n
        fourth = total((before - mean[r]) ** 4) / n
        fourth = np.maximum(fourth, total((after - mean[r]) ** 4) / n)
        z_mean = total(after - before) / np.sqrt(n * variance)
        spread = (after - mean[r]) ** 2 - (before - mean[r]) ** 2
        z_variance = total(spread) / np.sqrt(2 * n * (fourth - variance**2))
    events = np.minimum(n * variance, n * variance**2 / np.maximum(fourth, 1e-300))
    usable = (events > LEAST_EVENTS) & np.isfinite(z_mean) & np.isfinite(z_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_ratio = after.sum() / before.sum()
        variance_ratio = 1 + spread.sum() / (n * variance)[n > 0].sum()
    return RingComparison(z_mean[usable], z_variance[usable], mean_ratio, variance_ratio)


def assert_within_chance(
    z: NDArray[np.float64], what: str, *, is_total_known: bool = False
) -> None:
    """Fails if z is wider than a sample of independent standard normal variates."""
    n = len(z)
    assert n > 0, f"{what}: no ring has enough pixels for the test"
    total = z.sum() / np.sqrt(n)
    assert is_total_known or abs(total) < LIMIT, (
        f"{what}: the sum over {n} rings is {total:.2f} sigma from zero"
    )
    squares = (np.sum(z**2) - n) / np.sqrt(2 * n)
    assert squares < LIMIT + 2 / np.sqrt(n), (
        f"{what}: chi-squared of {n} rings is {squares:.2f} sigma off"
    )
    # Bonferroni; the tail of a normal variate falls like exp(-z^2 / 2).
    largest = np.sqrt(LIMIT**2 + 2 * np.log(n))
    assert np.abs(z).max() < largest, f"{what}: a ring is {np.abs(z).max():.2f} sigma off"
