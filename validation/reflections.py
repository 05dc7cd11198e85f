# SPDX-License-Identifier: MIT
"""A crystal of known intensities, and which of its reflections a rotation scan records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ewald import Vectors, diffracted_beam, diffracting_angle, where_on_detector
from numpy.typing import NDArray
from scene import SHAPE, Scene, absorbed, polarization

CELL_A = (79.1, 79.1, 37.3)  # as lysozyme
SPACE_GROUP = "P43212"
LEAST_SPACING_A = 1.6
_B_FACTOR_A2 = 18.0
_COUNTS = 210.0  # brings intensities to counts
_INSTABILITY = 0.03  # random relative error of an observation
_ORIENTATION_DEG = (31.7, 52.3, 17.9)  # about x, y and z
_MARGIN_DEG = 3.0  # reflections this far before and after the scan may reach into it
_BESIDE_PX = 10
# Rotations of the point group 422, as (permuted, signs).
_ROTATIONS = [
    ((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, -1, 1)), ((0, 1, 2), (1, -1, -1)),
    ((0, 1, 2), (-1, 1, -1)), ((1, 0, 2), (-1, 1, 1)), ((1, 0, 2), (1, -1, 1)),
    ((1, 0, 2), (1, 1, -1)), ((1, 0, 2), (-1, -1, -1)),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Crystal:
    """Unique reflections with their true intensities, and all points of the reciprocal lattice.

    Parameters
    ----------
    unique_hkl : ndarray of int
        Shape (unique, 3): h >= k >= 0, l >= 0.
    intensity, spacing_a : ndarray of float64
        Shape (unique,).
    unique_index : ndarray of int
        Shape (points,): which unique reflection a point is equivalent to.
    points : three ndarrays
        Shape (points,) each: in the lab at rotation angle 0, in 1/angstrom.
    """

    unique_hkl: NDArray[np.int_]
    intensity: NDArray[np.float64]
    spacing_a: NDArray[np.float64]
    unique_index: NDArray[np.int_]
    points: Vectors


@dataclass(frozen=True, eq=False)
class Observations:
    """Passages of points through the Ewald sphere that the detector sees; shape (n,) each.

    Parameters
    ----------
    point : ndarray of int
        Index into `Crystal.points`.
    branch, angle_rad : ndarray of float64
        Which of the two passages it is, and when.
    slow_px, fast_px : ndarray of float64
        Where.
    counts : ndarray of float64
        Mean photons in the whole reflection.
    """

    point: NDArray[np.int_]
    branch: NDArray[np.float64]
    angle_rad: NDArray[np.float64]
    slow_px: NDArray[np.float64]
    fast_px: NDArray[np.float64]
    counts: NDArray[np.float64]


def unique_indices(hkl: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return the equivalents with h >= k >= 0 and l >= 0 under the Laue group 4/mmm.

    Examples
    --------
    >>> import numpy as np
    >>> unique_indices(np.array([[-1, 2, -3]])).tolist()
    [[2, 1, 3]]
    """
    size = np.abs(hkl)
    return np.column_stack([size[:, :2].max(1), size[:, :2].min(1), size[:, 2]])


def make_crystal(scene: Scene) -> Crystal:
    """Draw intensities after Wilson's statistics, with a protein's fall-off, for P43212."""
    sphere = _lattice_points(0.97 * LEAST_SPACING_A)
    unique, index = np.unique(unique_indices(sphere), axis=0, return_inverse=True)
    spacing = 1 / np.sqrt(np.sum((unique / np.array(CELL_A)) ** 2, axis=1))
    centric, multiplicity = _centric_and_multiplicity(unique)
    random = np.random.default_rng((scene.seed, 2))
    wilson = np.where(
        centric, random.normal(size=len(unique)) ** 2, random.exponential(size=len(unique))
    )
    intensity = multiplicity * _mean_intensity(spacing) * wilson
    turned = (sphere / np.array(CELL_A)) @ _orientation().T
    x, y, z = np.ascontiguousarray(turned.T)
    return Crystal(unique, intensity, spacing, index.ravel(), (x, y, z))


def observe(crystal: Crystal, scene: Scene) -> Observations:
    """Return the reflections that a scan records, those that hold a part of one included."""
    point, branch, angle = _passages(crystal, scene)
    x, y, z = (axis[point] for axis in crystal.points)
    beam = diffracted_beam((x, y, z), angle)
    slow, fast = where_on_detector(beam)
    seen = (beam[2] < 0) & (slow > -_BESIDE_PX) & (slow < SHAPE[0] + _BESIDE_PX)
    seen &= (fast > -_BESIDE_PX) & (fast < SHAPE[1] + _BESIDE_PX)
    length = np.sqrt(beam[0] ** 2 + beam[1] ** 2 + beam[2] ** 2)
    up, cosine = beam[1] / length, -beam[2] / length
    lorentz = np.maximum(np.abs(up), 0.02)  # |s1 . (rotation axis x s0)|
    degrees = np.degrees(angle)
    illuminated = 1 + 0.06 * np.sin(np.radians(2 * degrees + 40)) - 0.0006 * degrees
    counts = _COUNTS * crystal.intensity[crystal.unique_index[point]] * illuminated
    counts *= polarization(cosine, up) * absorbed(np.maximum(cosine, 0.01)) / lorentz
    seen &= counts > 0
    return Observations(*(v[seen] for v in (point, branch, angle, slow, fast, counts)))


def draw_photons(observations: Observations, random: np.random.Generator) -> NDArray[np.int64]:
    """Return how many photons each observation has, with the experiment's own random error."""
    unsteady = 1 + _INSTABILITY * random.normal(size=len(observations.counts))
    return random.poisson(observations.counts * np.maximum(unsteady, 0))


def _lattice_points(least_spacing_a: float) -> NDArray[np.int_]:
    """Return the Miller indices in the sphere that the space group does not extinguish."""
    axes = [np.arange(-int(a / least_spacing_a), int(a / least_spacing_a) + 1) for a in CELL_A]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    per_d_square = np.sum((hkl / np.array(CELL_A)) ** 2, axis=1)
    h, k, l = hkl.T  # noqa: E741
    zero_h, zero_k, zero_l = h == 0, k == 0, l == 0
    absent = zero_h & zero_k & (l % 4 != 0)
    absent |= zero_k & zero_l & (h % 2 != 0)
    absent |= zero_h & zero_l & (k % 2 != 0)
    return hkl[(per_d_square > 0) & (per_d_square <= least_spacing_a**-2) & ~absent]


def _centric_and_multiplicity(
    hkl: NDArray[np.int_],
) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
    """Tell which reflections a rotation turns into their Friedel mate, and how many keep them."""
    turned = [hkl[:, order] * signs for order, signs in _ROTATIONS]
    centric = np.any([(mate == -hkl).all(axis=1) for mate in turned], axis=0)
    return centric, np.sum([(mate == hkl).all(axis=1) for mate in turned], axis=0)


def _mean_intensity(spacing_a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a protein's mean intensity: solvent, secondary structure, atoms, disorder."""
    sine_square = 1 / (2 * spacing_a) ** 2  # (sin theta / wavelength)^2
    atoms = np.exp(-2 * (9.0 + _B_FACTOR_A2) * sine_square)
    solvent = 1 - 0.75 * np.exp(-(spacing_a**-2) / 0.006)
    structure = 1 + 0.45 * np.exp(-(((spacing_a - 4.3) / 0.6) ** 2))
    structure -= 0.35 * np.exp(-(((spacing_a - 6.0) / 0.8) ** 2))
    return np.asarray(atoms * solvent * structure)


def _orientation() -> NDArray[np.float64]:
    """Return the rotation of the crystal, about z first."""
    turn = np.eye(3)
    for axis, degrees in enumerate(_ORIENTATION_DEG):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one = np.eye(3)
        j, k = (axis + 1) % 3, (axis + 2) % 3
        one[j, j] = one[k, k] = cosine
        one[j, k], one[k, j] = -sine, sine
        turn = turn @ one
    return turn


def _passages(
    crystal: Crystal, scene: Scene
) -> tuple[NDArray[np.int_], NDArray[np.float64], NDArray[np.float64]]:
    """Return point, branch and angle of all passages through the sphere during the scan."""
    margin = np.radians(_MARGIN_DEG)
    end = np.radians(scene.nframes * scene.width_deg)
    found = []
    for sign in (1.0, -1.0):
        angle = np.mod(diffracting_angle(crystal.points, np.asarray(sign)), 2 * np.pi)
        angle = np.where(angle > 2 * np.pi - margin, angle - 2 * np.pi, angle)
        point = np.flatnonzero(angle < end + margin)  # nan is not
        found.append((point, np.full(len(point), sign), angle[point]))
    points, branches, angles = zip(*found, strict=True)
    return np.concatenate(points), np.concatenate(branches), np.concatenate(angles)
