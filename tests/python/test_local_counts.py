# SPDX-License-Identifier: MIT
"""Local counts: small blocks keep their counts, so shadows and weak spots survive."""

import numpy as np
import pytest
from ring_statistics import LIMIT, discarded, thresholds

from h5bragg import Geometry, ParameterError, SparsifyParams, decode, encode, inspect

SIDE = 512
GEOMETRY = Geometry.flat(
    shape=(SIDE, SIDE),
    pixel_size_m=75e-6,
    distance_m=0.2,
    beam_center_px=(250.5, 260.2),
    wavelength_m=1e-10,
)


def params(**options):
    return SparsifyParams(
        **{"snr_pick": 4, "local_counts": 4, "polarization": None, "solid_angle": False, **options}
    )


def block_sums(frame, edge=4):
    return frame.astype(float).reshape(SIDE // edge, edge, SIDE // edge, edge).sum((1, 3))


def poisson(mean, seed=1):
    return np.random.default_rng(seed).poisson(mean, (SIDE, SIDE)).astype(np.uint32)


@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3, 1, 3, 10, 50])
def test_block_sums_are_kept_to_a_fraction_of_their_noise_and_unbiased(mean):
    raw = poisson(mean)
    error = block_sums(decode(encode(raw, GEOMETRY, params()))) - block_sums(raw)
    # A step of at most one standard deviation leaves an error of 1 / sqrt(12) of it, and rounding
    # to whole counts at most half a count.
    assert error.var() <= 16 * mean / 12 + 0.25
    # The error of a block is independent of the others'; rounding at zero may leave 0.1 %.
    assert abs(error.mean()) < LIMIT * error.std() / np.sqrt(error.size) + 0.001 * 16 * mean


@pytest.mark.parametrize("edge", [2, 3, 4, 8, 15])
@pytest.mark.parametrize("mean", [0.3, 3, 20])
def test_mean_and_variance_of_the_frame_are_kept(edge, mean):
    raw = poisson(mean)
    restored = decode(encode(raw, GEOMETRY, params(local_counts=edge)))
    assert restored.mean() == pytest.approx(raw.mean(), rel=0.002)
    # The quantisation of the sums adds up to 1/12 of their variance, which is 1 / edge^2 of all.
    added = 1 / (12 * edge**2)
    sampling = np.sqrt((2 + 1 / mean) / raw.size)
    assert (
        -LIMIT * sampling - 0.004
        < restored.var() / raw.var() - 1
        < LIMIT * sampling + added + 0.004
    )


@pytest.mark.parametrize("mean", [0.3, 1, 3, 10])
def test_a_shadow_comes_back(mean):
    y, x = np.ogrid[:SIDE, :SIDE]
    angle = np.degrees(np.arctan2(y - 250, x - 260))
    raw = poisson(np.where(np.abs(angle - 40) < 15, 0.4 * mean, mean))
    inside = (np.abs(angle - 40) < 12) & (np.hypot(y - 250, x - 260) > 50)
    restored = decode(encode(raw, GEOMETRY, params()))
    assert restored[inside].mean() == pytest.approx(raw[inside].mean(), rel=0.02)
    flat = decode(encode(raw, GEOMETRY, params(local_counts=0)))
    assert flat[inside].mean() > 1.5 * raw[inside].mean()


@pytest.mark.parametrize("mean", [0.3, 1, 3])
def test_weak_spots_keep_their_intensity(mean):
    raw = poisson(mean)
    random = np.random.default_rng(2)
    centres = np.stack(np.meshgrid(range(20, SIDE - 20, 24), range(20, SIDE - 20, 24)), -1)
    centres = centres.reshape(-1, 2) + random.integers(-4, 5, (len(centres) ** 2, 2))
    for centre in centres:
        photons = centre + np.round(random.normal(size=(25, 2))).astype(int)
        np.add.at(raw, tuple(photons.T), 1)

    def intensities(frame):
        boxes = np.array([frame[i - 3 : i + 4, j - 3 : j + 4].sum(dtype=float) for i, j in centres])
        return boxes - 49 * mean

    def recovered(**options):
        restored = decode(encode(raw, GEOMETRY, params(**options)))
        return intensities(restored).mean() / intensities(raw).mean()

    assert recovered() > 0.92
    assert recovered(local_counts=0) < 0.8


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_all_that_is_exact_stays_exact(dtype, error_model, small_frame, small_geometry):
    raw = small_frame(dtype)
    options = SparsifyParams(snr_pick=3, local_counts=4, error_model=error_model)
    chunk = encode(raw, small_geometry, options)
    restored = decode(chunk)
    free = discarded(chunk)
    assert 0.3 < free.mean() < 0.95
    np.testing.assert_array_equal(restored[~free], raw[~free])
    assert np.all(restored[free] <= thresholds(chunk, small_geometry, options)[free])
    np.testing.assert_array_equal(decode(chunk), restored)
    assert encode(raw, small_geometry, options) == chunk
    assert inspect(chunk).params.local_counts == 4


def test_charge_integrating_frames_keep_their_block_sums():
    raw = np.random.default_rng(3).normal(2, 40, (SIDE, SIDE)).round().astype(np.int32)
    options = params(error_model="azimuthal", mask_codes=(), snr_pick=5)
    error = block_sums(decode(encode(raw, GEOMETRY, options))) - block_sums(raw)
    assert error.var() <= 16 * 40**2 / 10
    assert abs(error.mean()) < LIMIT * error.std() / np.sqrt(error.size)


def test_a_static_mask_is_exact_and_takes_no_part():
    raw = poisson(2)
    mask = np.zeros(raw.shape, bool)
    mask[100:133, 200:277] = True
    raw[mask] = 40
    restored = decode(encode(raw, GEOMETRY.with_mask(mask), params()))
    np.testing.assert_array_equal(restored[mask], raw[mask])
    outside = block_sums(np.where(mask, 0, restored)) - block_sums(np.where(mask, 0, raw))
    assert outside.var() <= 16 * 2 / 12 + 0.25


@pytest.mark.parametrize("edge", [1, 16, -1, 2.5])
def test_other_edges_are_refused(edge):
    with pytest.raises(ParameterError, match="local_counts"):
        SparsifyParams(local_counts=edge)
