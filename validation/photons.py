# SPDX-License-Identifier: MIT
"""Place Bragg photons one by one, so that shapes, partiality and noise of spots fit together.

Each photon has a mosaic block, a spacing, a direction in the beam, a place in the crystal and a
depth in the sensor of its own; the frame and the pixel follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from ewald import Vectors, diffracted_beam, diffracting_angle, where_on_detector
from numpy.typing import NDArray
from reflections import Crystal, Observations
from scene import ABSORPTION_PER_M, SENSOR_M, SHAPE, WAVELENGTH_A, Scene

_MOSAICITY_DEG = 0.07  # sigma, as the others
_SPACING_SPREAD = 3e-4
_DIVERGENCE = 1e-4
_CRYSTAL_M = 25e-6
_CRYSTAL_EDGE_M = 60e-6
_BATCH = 400_000  # photons at a time: their arrays stay in a cache


def place_photons(
    crystal: Crystal,
    observations: Observations,
    photons: NDArray[np.int64],
    scene: Scene,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.uint16]:
    """Return the Bragg counts of all frames: shape (frames, slow, fast).

    Parameters
    ----------
    crystal, observations
        What diffracts.
    photons : ndarray of int64
        Shape (observations,): how many photons each has.
    scene : Scene
    progress : callable
        Called with the part that has just been done.
    """
    random = np.random.default_rng((scene.noise_seed, 3))
    counts = np.zeros((scene.nframes, *SHAPE), np.uint16)
    flat = counts.reshape(-1)
    total = max(int(photons.sum()), 1)
    for observation in _batches(photons):
        frame, slow, fast = _record(crystal, observations, observation, scene, random)
        inside = (frame >= 0) & (frame < scene.nframes)
        inside &= (slow >= 0) & (slow < SHAPE[0]) & (fast >= 0) & (fast < SHAPE[1])
        pixel = slow[inside] * SHAPE[1] + fast[inside]
        through = scene.transmission.ravel()[pixel]
        kept = random.random(len(pixel)) < through
        index = frame[inside].astype(np.int64) * (SHAPE[0] * SHAPE[1]) + pixel
        np.add.at(flat, index[kept], 1)
        progress(len(observation) / total)
    return counts


def _batches(photons: NDArray[np.int64]) -> Iterator[NDArray[np.int_]]:
    """Yield the observation of each photon, a batch of photons at a time."""
    ends = np.cumsum(photons)
    for start in range(0, int(ends[-1]) if len(ends) else 0, _BATCH):
        stop = min(start + _BATCH, int(ends[-1]))
        yield np.searchsorted(ends, np.arange(start, stop), side="right")


def _record(
    crystal: Crystal,
    observations: Observations,
    observation: NDArray[np.int_],
    scene: Scene,
    random: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return frame, slow and fast index of photons; -1 or beyond where nothing records them."""
    n = len(observation)
    point = observations.point[observation]
    x, y, z = (axis[point] for axis in crystal.points)
    points = _blurred((x, y, z), random)
    expected = observations.angle_rad[observation]
    angle = diffracting_angle(points, observations.branch[observation])
    angle += 2 * np.pi * np.round((expected - angle) / (2 * np.pi))
    bx, by, bz = diffracted_beam(points, angle)
    spread = _DIVERGENCE / WAVELENGTH_A
    bx, by = bx + spread * random.standard_normal(n), by + spread * random.standard_normal(n)
    cosine = -bz / np.sqrt(bx**2 + by**2 + bz**2)
    absorbed = -np.expm1(-ABSORPTION_PER_M * SENSOR_M / cosine)
    path_m = -np.log1p(-random.random(n) * absorbed) / ABSORPTION_PER_M
    edge = _CRYSTAL_EDGE_M
    ox, oy, oz = (np.clip(_CRYSTAL_M * random.standard_normal(n), -edge, edge) for _ in range(3))
    slow, fast = where_on_detector((bx, by, bz), (ox, oy, oz), path_m * cosine)
    frame = np.degrees(angle) / scene.width_deg
    # Where a blurred point never meets the sphere the angle is nan.
    lost = ~(np.abs(angle - expected) < np.radians(20)) | ~(cosine > 0)
    return _floor(frame, lost), _floor(slow, lost), _floor(fast, lost)


def _blurred(points: Vectors, random: np.random.Generator) -> Vectors:
    """Turn each point with its mosaic block, and change its spacing."""
    x, y, z = points
    n = len(x)
    sigma = np.radians(_MOSAICITY_DEG)
    u, v, w = (sigma * random.standard_normal(n) for _ in range(3))
    scale = 1 + _SPACING_SPREAD * random.standard_normal(n)
    return (
        (x + v * z - w * y) * scale,
        (y + w * x - u * z) * scale,
        (z + u * y - v * x) * scale,
    )


def _floor(value: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Round down to indices; -1 where the photon is lost or far outside."""
    bad = lost | ~(np.abs(value) < 1e6)
    return np.floor(np.where(bad, -1.0, value)).astype(np.int32)
