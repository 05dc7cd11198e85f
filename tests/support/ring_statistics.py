# SPDX-License-Identifier: MIT
"""Statistical tests of restored background against the raw frame, ring by ring.

Over the N discarded pixels of a ring the encoder fits a distribution whose mean m and variance v
are those of the raw pixels, and the decoder draws N independent pixels from it. So, given the raw
frame,

    z_mean = (sum restored - sum raw) / sqrt(N v)
    z_variance = (sum (restored - m)^2 - sum (raw - m)^2) / sqrt(N (m4 - v^2))

with m4 the fourth central moment (the larger of raw and restored: in a ring of zeros and ones alone
m4 = v^2, which the drawn pixels need not share) are standard normal if the restoration is unbiased.
Rings with too few events for a normal approximation are left out. Three figures are tested for
both: the sum of all rings, the sum of squares (chi-squared with one degree of freedom a ring), and
the largest (Bonferroni).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h5bragg import Geometry, SparsifyParams, unpack

LEAST_EVENTS = 100
# Two-sided probability 1e-6 of a normal variate: a right codec fails one test in a million.
LIMIT = 4.9


@dataclass(frozen=True)
class RingComparison:
    """Ring sums over the discarded pixels of a frame."""

    z_mean: NDArray[np.float64]
    z_variance: NDArray[np.float64]


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
    return np.floor(expected + params.snr_pick * sigma)


def discarded(chunk: bytes) -> NDArray[np.bool_]:
    """Pixels that are neither picked nor masked, shape (slow, fast)."""
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
        z_variance = total(spread) / np.sqrt(n * (fourth - variance**2))
    events = np.minimum(n * variance, n * variance**2 / np.maximum(fourth, 1e-300))
    usable = (events > LEAST_EVENTS) & np.isfinite(z_mean) & np.isfinite(z_variance)
    return RingComparison(z_mean[usable], z_variance[usable])


def assert_standard_normal(z: NDArray[np.float64], what: str) -> None:
    """Fails if z is not a sample of independent standard normal variates."""
    n = len(z)
    assert n > 0, f"{what}: no ring has enough pixels for the test"
    total = z.sum() / np.sqrt(n)
    assert abs(total) < LIMIT, f"{what}: the sum over {n} rings is {total:.2f} sigma from zero"
    squares = (np.sum(z**2) - n) / np.sqrt(2 * n)
    assert abs(squares) < LIMIT + 2 / np.sqrt(n), (
        f"{what}: chi-squared of {n} rings is {squares:.2f} sigma off"
    )
    # Bonferroni; the tail of a normal variate falls like exp(-z^2 / 2).
    largest = np.sqrt(LIMIT**2 + 2 * np.log(n))
    assert np.abs(z).max() < largest, f"{what}: a ring is {np.abs(z).max():.2f} sigma off"
