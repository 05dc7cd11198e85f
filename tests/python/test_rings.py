# SPDX-License-Identifier: MIT
"""background(): rings as the encoder sees them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, GeometryError, ParameterError, SparsifyParams

Simulate = Callable[..., NDArray[np.integer]]


def test_rings_hold_the_valid_pixels_of_the_ring_map(
    small_frame: Simulate, small_geometry: Geometry
) -> None:
    frame = small_frame()
    rings = h5bragg.background(frame, small_geometry)
    ring, _ = small_geometry.ring_map()
    valid = frame < 65534
    np.testing.assert_array_equal(rings.npixels, np.bincount(ring[valid], minlength=ring.max() + 1))
    assert np.all(rings.count <= rings.npixels)
    assert rings.count.sum() < rings.npixels.sum()


def test_radius_and_angle_belong_together_and_to_the_pixels(
    small_frame: Simulate, small_geometry: Geometry
) -> None:
    rings = h5bragg.background(small_frame(), small_geometry, SparsifyParams(radial_bins=20))
    radius = small_geometry.distance_m * np.tan(rings.two_theta_rad)
    np.testing.assert_allclose(rings.radius_m, radius, rtol=1e-6)
    ring, _ = small_geometry.ring_map(SparsifyParams(radial_bins=20))
    two_theta = small_geometry.two_theta_rad()
    for number in range(20):
        inside = two_theta[ring == number]
        assert inside.min() <= rings.two_theta_rad[number] <= inside.max()


def test_mean_deviation_and_error_are_those_of_a_flat_poisson_frame(
    small_geometry: Geometry,
) -> None:
    """A flat 4 counts: z-scores of the ring means against their sem have unit variance."""
    frame = np.random.default_rng(3).poisson(4, small_geometry.shape).astype("u2")
    off = SparsifyParams(polarization=None, solid_angle=False)
    rings = h5bragg.background(frame, small_geometry, off)
    large = rings.npixels > 100
    score = ((rings.mean - 4) / rings.sem)[large]
    # 6 standard errors of the mean and of the variance of so many normal scores.
    assert abs(score.mean()) < 6 / np.sqrt(len(score))
    assert abs(score.var() - 1) < 6 * np.sqrt(2 / len(score))
    np.testing.assert_allclose(rings.std[large], np.sqrt(rings.mean[large]), rtol=1e-6)


def test_polarization_of_the_geometry_is_the_default(
    small_frame: Simulate, small_geometry: Geometry
) -> None:
    named = Geometry.from_flat_detector(small_geometry.flat_detector, polarization=-0.9)
    found = h5bragg.background(small_frame(), named)
    wanted = h5bragg.background(small_frame(), named, SparsifyParams(polarization=-0.9))
    np.testing.assert_array_equal(found.mean, wanted.mean)
    other = h5bragg.background(small_frame(), named, SparsifyParams())
    assert not np.array_equal(found.mean, other.mean)


def test_background_is_of_one_frame_of_a_supported_type(small_geometry: Geometry) -> None:
    with pytest.raises(GeometryError, match="one frame"):
        h5bragg.background(np.zeros((2, *small_geometry.shape), "u2"), small_geometry)
    with pytest.raises(GeometryError, match="do not fit"):
        h5bragg.background(np.zeros((5, 5), "u2"), small_geometry)
    with pytest.raises(ParameterError, match="float64"):
        h5bragg.background(np.zeros(small_geometry.shape), small_geometry)


def test_rings_share_a_stored_mean_from_which_none_is_further_than_twice_its_standard_error(
    small_geometry: Geometry,
) -> None:
    frame = np.random.default_rng(5).poisson(4, small_geometry.shape).astype("u2")
    off = SparsifyParams(polarization=None, solid_angle=False)
    rings = h5bragg.background(frame, small_geometry, off)
    stored = h5bragg.unpack(h5bragg.encode(frame, small_geometry, off)).background_mean
    used = rings.npixels > 0
    half_step = 0.25 / np.sqrt(np.maximum(rings.npixels, 1))  # of roots, in full tiles; and a bit
    rounding = 2 * np.sqrt(stored) * half_step + half_step**2
    assert np.all(np.abs(stored - rings.mean)[used] <= (2 * rings.sem + 1.01 * rounding)[used])
    assert len(np.unique(stored)) < 0.8 * len(np.unique(rings.mean))
