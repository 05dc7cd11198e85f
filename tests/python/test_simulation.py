# SPDX-License-Identifier: MIT
"""The simulated scan: repeatable, with gaps, bad pixels, a water ring and Bragg spots."""

from dataclasses import replace

import numpy as np
import pytest

from h5bragg.simulation import Simulation, add_spots

SMALL = Simulation(
    nframes=3, modules=(2, 2), module_shape=(200, 250), gap=(8, 6), pixel_size_m=4e-4
)
TOP = 2**32 - 1


def test_shape_and_mask_follow_the_modules() -> None:
    assert SMALL.shape == (408, 506)
    assert Simulation().shape == (2167, 2070)
    mask = SMALL.pixel_mask
    assert np.all(mask[200:208] == 1)
    assert np.all(mask[:, 250:256] == 1)
    assert np.all(mask[np.ix_([0, 199, 208, 407], [0, 249, 256, 505])] != 1)
    bad = replace(SMALL, bad_fraction=0.01).pixel_mask == 2
    assert np.count_nonzero(bad) == pytest.approx(0.01 * 400 * 500, rel=0.2)


def test_frames_repeat_and_differ_by_index_and_seed() -> None:
    first = SMALL.read(0)
    np.testing.assert_array_equal(first.pixels, SMALL.read(0).pixels)
    assert not np.array_equal(first.pixels, SMALL.read(1).pixels)
    assert not np.array_equal(first.pixels, replace(SMALL, seed=2).read(0).pixels)
    assert (SMALL.read(2).angle_deg, SMALL.read(2).width_deg) == (1.0, 0.5)


def test_mask_codes_are_those_of_eiger_detectors() -> None:
    pixels, mask = SMALL.read(0).pixels, SMALL.pixel_mask
    assert np.all(pixels[mask == 1] == TOP)
    assert np.all(pixels[mask == 2] == TOP - 1)
    assert pixels[mask == 0].max() < TOP - 1


def test_background_counts_are_poisson_around_what_is_expected() -> None:
    dark = replace(SMALL, spot_counts=0.0, background=4.0)
    valid = dark.pixel_mask == 0
    expected = dark.expected_background[valid]
    counts = dark.read(0).pixels[valid].astype(float)
    n = counts.size
    assert abs(np.sum(counts - expected)) < 5 * np.sqrt(expected.sum())
    # Each term of chi^2 has the variance 2 + 1 / mean.
    chi2 = np.sum((counts - expected) ** 2 / expected)
    assert abs(chi2 - n) < 5 * np.sqrt(np.sum(2 + 1 / expected))


def test_the_water_ring_is_where_water_scatters() -> None:
    two_theta = SMALL.geometry.two_theta_rad()
    q = 4e-10 * np.pi * np.sin(two_theta / 2) / SMALL.wavelength_m
    expected = SMALL.expected_background / np.cos(two_theta) ** 3

    def mean_at(value: float) -> float:
        return float(expected[np.abs(q - value) < 0.05].mean())

    assert mean_at(2.0) > 3 * mean_at(1.0)
    assert mean_at(2.0) > 1.5 * mean_at(2.9)


def test_reflections_lie_on_the_ewald_sphere_and_are_recorded() -> None:
    spots = SMALL.spots(0)
    assert len(spots.counts) > 200
    assert spots.counts.max() > 50 * np.median(spots.counts) / 10
    expected = np.zeros((101, 101))
    add_spots(expected, np.array([50.5, 20.2]), np.array([50.5, 80.7]), np.array([100.0, 10.0]))
    assert expected.sum() == pytest.approx(110)
    assert np.unravel_index(np.argmax(expected), expected.shape) == (50, 50)
    bright = SMALL.read(0).pixels[SMALL.pixel_mask == 0] > 40
    assert np.count_nonzero(bright) > 50
    assert (
        np.count_nonzero(replace(SMALL, spot_counts=0.0).read(0).pixels[SMALL.pixel_mask == 0] > 40)
        == 0
    )


def test_spots_outside_the_frame_are_left_out() -> None:
    expected = np.zeros((30, 30))
    positions = np.array([-50.0, 2.0, 29.0, 1e6])
    add_spots(expected, positions, positions, np.full(4, 10.0))
    assert expected.sum() == 0
