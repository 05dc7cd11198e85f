# SPDX-License-Identifier: MIT
"""Simulate a rotation data set of known intensities: raw frames, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from dense_file import write_dense
from numpy.typing import NDArray
from photons import place_photons
from reflections import Crystal, Observations, draw_photons, make_crystal, observe
from scene import SHAPE, Scene

RAW_NAME = "raw.h5"
TRUTH_NAME = "truth.npz"


def simulate(
    scene: Scene, folder: Path, *, progress: Callable[[float], None] = lambda _: None
) -> None:
    """Write the raw file and the truth into a folder.

    Parameters
    ----------
    scene : Scene
    folder : Path
    progress : callable
        Called with the part of the work that has just been done.
    """
    crystal = make_crystal(scene)
    observations = observe(crystal, scene)
    photons = draw_photons(observations, np.random.default_rng((scene.noise_seed, 2)))
    bragg = place_photons(
        crystal, observations, photons, scene, progress=lambda part: progress(part / 2)
    )
    _write_truth(folder / TRUTH_NAME, crystal, observations, scene)
    write_dense(folder / RAW_NAME, _frames(bragg, scene, progress), scene)


def _frames(
    bragg: NDArray[np.uint16], scene: Scene, progress: Callable[[float], None]
) -> Iterator[NDArray[np.uint32]]:
    """Add the background, a little more or less of it from frame to frame."""
    random = np.random.default_rng((scene.noise_seed, 4))
    for number, spots in enumerate(bragg):
        turned = 2 * (number + 0.5) * scene.width_deg
        strength = 1 + 0.05 * np.sin(np.radians(turned + 40)) + 0.004 * random.normal()
        background = random.poisson(scene.background * strength)
        yield (background + spots).astype(np.uint32)
        progress(0.5 / scene.nframes)


def _write_truth(path: Path, crystal: Crystal, observations: Observations, scene: Scene) -> None:
    """Write true intensities, unique and of each observation, and the mean background."""
    slow = np.clip(observations.slow_px.astype(int), 0, SHAPE[0] - 1)
    fast = np.clip(observations.fast_px.astype(int), 0, SHAPE[1] - 1)
    np.savez(
        path,
        unique_hkl=crystal.unique_hkl,
        unique_intensity=crystal.intensity,
        unique_spacing_a=crystal.spacing_a,
        observed_slow_px=observations.slow_px,
        observed_fast_px=observations.fast_px,
        observed_frame=np.degrees(observations.angle_rad) / scene.width_deg,
        observed_counts=observations.counts * scene.transmission[slow, fast],
        background=scene.background.astype(np.float32),
        stop_mask=scene.stop_mask,
    )
