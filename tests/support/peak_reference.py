# SPDX-License-Identifier: MIT
"""Peaks of a chunk as docs/peaks.md defines them, pixel by pixel: slow, and on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import h5bragg


@dataclass(frozen=True)
class ReferencePeak:
    slow: int
    fast: int
    maximum: int
    npixels: int
    nhigh: int
    slow_px: float
    fast_px: float
    intensity: float
    sigma: float
    background: float
    radius_m: float
    resolution_a: float


@dataclass(frozen=True)
class Pixels:
    """What is known of a frame; arrays of its shape."""

    value: NDArray[np.int64]
    known: NDArray[np.bool_]
    limit: NDArray[np.float64]
    beside: NDArray[np.float64]
    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    panel: NDArray[np.int64]
    drawn: NDArray[np.bool_]


def mask_values(params: h5bragg.SparsifyParams, dtype: np.dtype[Any]) -> list[int]:
    if params.mask_codes is not None:
        return list(params.mask_codes)
    limits = np.iinfo(dtype)
    return [limits.max, limits.max - 1] if dtype.kind == "u" else [-1, -2, int(limits.min)]


def threshold(
    mean: float, sigma: float, snr: float, *, quantile: bool, codes: list[int], counting: bool,
    dtype: np.dtype[Any],
) -> int:  # fmt: skip
    """The largest value that is not above so many sigma: docs/format.md, "Threshold"."""
    cut = mean + snr * sigma
    if quantile and counting and snr > 1 and mean > 0:
        cut += (snr * snr - 1) / 6 * min(2.0, sigma * sigma / mean)
    limits = np.iinfo(dtype)
    least = 0 if counting else int(limits.min)
    found = int(min(max(math.floor(cut), least), int(limits.max)))
    while found in codes and found > limits.min:
        found -= 1
    return found


def pixels_of(
    chunk: bytes, frame: int, snr: float, mask: NDArray[np.bool_] | None, *, counting: bool
) -> Pixels:
    info, sparse = h5bragg.inspect(chunk), h5bragg.unpack(chunk, frame)
    shape, params = sparse.shape, info.params
    ring, normalisation = info.geometry.ring_map(params)
    has_ring = ring < 65535
    # The class of a normalisation, which is rounded to single precision here.
    safe = np.where(has_ring, normalisation, 1).astype(float)
    exact_norm = np.exp(np.round(np.log(safe) * 32) / 32)
    codes = mask_values(params, info.dtype)
    # Means and deviations are squares of multiples of 1/1024.
    root = np.round(np.sqrt(np.abs(sparse.background_mean.astype(float))) * 1024) / 1024
    mean_of = np.sign(sparse.background_mean) * root**2
    std_of = (np.round(np.sqrt(sparse.background_std.astype(float)) * 1024) / 1024) ** 2
    at = np.where(has_ring, ring, 0)
    expected = np.where(has_ring, mean_of[at] * exact_norm, 0)
    sigma = np.sqrt(np.maximum(expected, 0))
    if params.error_model == "azimuthal":
        sigma = np.where(has_ring, std_of[at] * exact_norm, 0)
    value = np.zeros(shape, np.int64)
    known = np.zeros(shape, bool)
    value.ravel()[sparse.index] = sparse.intensity
    known.ravel()[sparse.index] = True
    known &= has_ring
    limit, beside, stored = np.zeros(shape), np.zeros(shape), np.full(shape, -np.inf)
    for key in set(zip(expected[known].tolist(), sigma[known].tolist(), strict=True)):
        here = known & (expected == key[0]) & (sigma == key[1])
        how = {"codes": codes, "counting": counting, "dtype": info.dtype}
        limit[here] = threshold(*key, snr, quantile=True, **how)
        beside[here] = threshold(*key, snr, quantile=False, **how)
        if not params.local_counts:
            stored[here] = threshold(*key, params.snr_pick, quantile=False, **how)
    drawn = has_ring & (sparse.mask == 0) & ~known & (params.local_counts > 0)
    known &= value > stored
    if mask is not None:
        known &= ~mask
        drawn &= ~mask
    panel = np.full(shape, -1)
    for number, p in enumerate(info.geometry.panels):
        panel[slice(*p.slow), slice(*p.fast)] = number
    return Pixels(value, known, limit, beside, expected, sigma**2, panel, drawn)


def reference_peaks(
    chunk: bytes,
    wanted: h5bragg.PeakParams,
    *,
    frame: int = 0,
    mask: NDArray[np.bool_] | None = None,
    counting: bool = True,
) -> list[ReferencePeak]:
    """The peaks of a sparse frame of a chunk, in the order of their tiles."""
    px = pixels_of(chunk, frame, wanted.snr_pick, mask, counting=counting)
    geometry = h5bragg.inspect(chunk).geometry
    found = []
    for slow, fast in np.argwhere(px.known & (px.value > px.limit)).tolist():
        reach = wanted.patch // 2
        square = [
            (i, j)
            for i in range(max(0, slow - reach), min(px.value.shape[0], slow + reach + 1))
            for j in range(max(0, fast - reach), min(px.value.shape[1], fast + reach + 1))
            if px.panel[i, j] == px.panel[slow, fast]
        ]
        patch = [at for at in square if px.known[at]]
        drawn = [at for at in square if px.drawn[at]]
        own = (-px.value[slow, fast], slow, fast)
        high = [at for at in patch if px.value[at] > px.beside[at]]
        if any((-px.value[at], *at) < own for at in patch) or len(high) <= wanted.connected:
            continue
        found.append(measure(px, geometry, (slow, fast), (patch, drawn), len(high)))
    return sorted(found, key=lambda p: (p.slow // 4, p.fast // 4, p.slow, p.fast))


def measure(
    px: Pixels,
    geometry: h5bragg.Geometry,
    largest: tuple[int, int],
    pixels: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    nhigh: int,
) -> ReferencePeak:
    patch, drawn = pixels
    signal = np.array([px.value[at] - px.expected[at] for at in patch])
    mass = np.maximum(signal, 0)
    places = np.array(patch) + 0.5
    slow_px, fast_px = (mass[:, None] * places).sum(0) / mass.sum()
    intensity = float(signal.sum())
    if drawn and intensity > 0:
        here, there = (
            np.exp(-((np.array(at) + 0.5 - (slow_px, fast_px)) ** 2).sum(1) / (2 * 0.7**2))
            for at in (patch, drawn)
        )
        wings = intensity * there / here.sum()
        moments = (mass[:, None] * places).sum(0) + (wings[:, None] * (np.array(drawn) + 0.5)).sum(
            0
        )
        slow_px, fast_px = moments / (mass.sum() + wings.sum())
        intensity += float(wings.sum())
    variance = sum(px.variance[at] for at in patch) + max(intensity, 0)
    panel = geometry.panels[px.panel[largest]]
    i, j = slow_px - panel.slow[0], fast_px - panel.fast[0]
    v = np.float32(panel.origin_m) + i * np.float32(panel.slow_m) + j * np.float32(panel.fast_m)
    two_theta = math.atan2(math.hypot(v[0], v[1]), v[2])
    wavelength_a = 1e10 * float(np.float32(geometry.wavelength_m))
    return ReferencePeak(
        slow=largest[0],
        fast=largest[1],
        maximum=int(px.value[largest]),
        npixels=len(patch),
        nhigh=nhigh,
        slow_px=float(slow_px),
        fast_px=float(fast_px),
        intensity=intensity,
        sigma=math.sqrt(variance),
        background=float(px.expected[largest]),
        radius_m=float(np.float32(geometry.distance_m)) * math.tan(two_theta)
        if two_theta < math.pi / 2
        else math.inf,
        resolution_a=wavelength_a / (2 * math.sin(two_theta / 2)) if wavelength_a else 0.0,
    )


def assert_same_peaks(found: h5bragg.Peaks, want: list[ReferencePeak]) -> None:
    for name in ("slow", "fast", "maximum", "npixels", "nhigh"):
        assert getattr(found, name).tolist() == [getattr(peak, name) for peak in want], name
    for name in ("slow_px", "fast_px", "intensity", "sigma", "background", "radius_m",
                 "resolution_a"):  # fmt: skip
        reference = np.array([getattr(peak, name) for peak in want])
        np.testing.assert_allclose(getattr(found, name), reference, rtol=1e-9, atol=1e-9)
