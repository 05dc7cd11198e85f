# SPDX-License-Identifier: MIT
"""Restored background has the mean and variance of the raw frame: tested as statistics."""

import numpy as np
import pytest
from ring_statistics import LIMIT, assert_standard_normal, compare_rings, discarded, thresholds

from h5bragg import Geometry, SparsifyParams, background, decode, encode, unpack

SHAPE = (700, 800)


def plain_geometry(shape=SHAPE):
    return Geometry.flat(
        shape=shape,
        pixel_size_m=75e-6,
        distance_m=0.2,
        beam_center_px=(shape[0] / 2 + 3, shape[1] / 2 - 5),
        wavelength_m=1e-10,
    )


def plain_params(**options):
    """Unit normalisation and few rings: the simulated background is flat."""
    return SparsifyParams(polarization=None, solid_angle=False, **{"radial_bins": 20, **options})


def assert_unbiased(raw, params, geometry):
    chunk = encode(raw, geometry, params)
    restored = decode(chunk)
    ring, _ = geometry.ring_map(params)
    rings = compare_rings(raw, restored, chunk, ring)
    assert_standard_normal(rings.z_mean, "ring means")
    assert_standard_normal(rings.z_variance, "ring variances")
    return chunk, restored


@pytest.mark.parametrize("snr_pick", [1, 2, 3])
@pytest.mark.parametrize("frame", ["thaumatin", "fine_slice", "eiger"])
def test_real_frames_come_back_exact_where_picked_and_unbiased_elsewhere(frame, snr_pick, request):
    real = request.getfixturevalue(frame)
    params = SparsifyParams(snr_pick=snr_pick)
    chunk = encode(real.pixels, real.geometry, params)
    restored = decode(chunk)
    sparse = unpack(chunk)
    free = discarded(chunk)
    np.testing.assert_array_equal(restored[~free], real.pixels[~free])
    np.testing.assert_array_equal(sparse.intensity, real.pixels.ravel()[sparse.index])
    np.testing.assert_array_equal(sparse.mask > 0, real.pixels < 0)
    np.testing.assert_array_equal(sparse.mask[sparse.mask > 0], -real.pixels[sparse.mask > 0])
    assert np.all(restored[free] <= thresholds(chunk, real.geometry, params)[free])
    assert np.all(restored[free] >= 0)
    np.testing.assert_array_equal(decode(chunk), restored)
    if frame == "eiger":
        # Nothing is discarded but zeros where a single count is above the threshold.
        assert real.pixels[free].max() == restored[free].max() == 0
        return
    ring, _ = real.geometry.ring_map(params)
    rings = compare_rings(real.pixels, restored, chunk, ring)
    assert len(rings.z_mean) > 100 or snr_pick == 1
    if len(rings.z_mean):
        assert_standard_normal(rings.z_mean, "ring means")
        assert_standard_normal(rings.z_variance, "ring variances")


@pytest.mark.slow
@pytest.mark.parametrize("snr_pick", [1, 2, 3])
@pytest.mark.parametrize("number", [6, 9, 14, 19])
def test_rings_of_more_real_frames_are_unbiased(number, snr_pick, real_frame):
    real = real_frame(f"thau_3_2_{number:04d}.cbf.bz2")
    assert_unbiased(real.pixels, SparsifyParams(snr_pick=snr_pick), real.geometry)


def test_a_ring_whose_few_bright_pixels_say_nothing_about_the_variance():
    # Found in a real frame: discarded pixels are 0 or 1, but a few could have been 2.
    shape = (1, 2340)
    geometry = Geometry.flat(
        shape=shape,
        pixel_size_m=1e-4,
        distance_m=0.3,
        beam_center_px=(3000, 1170),
        wavelength_m=1e-10,
    )
    params = SparsifyParams(snr_pick=1, radial_bins=1, polarization=0.99)
    _, normalisation = geometry.ring_map(params)
    random = np.random.default_rng(11)
    raw = (random.random(shape) < 0.5).astype(np.uint16)
    raw[random.random(shape) < 0.25] = 3
    assert len(np.unique(normalisation)) > 1
    chunk = encode(raw, geometry, params)
    free = discarded(chunk)
    n = np.count_nonzero(free)
    difference = decode(chunk)[free].mean() - raw[free].mean()
    assert abs(difference) < LIMIT * np.sqrt(raw[free].var() / n)


@pytest.mark.parametrize("snr_pick", [1.0, 2.0, 3.0, 6.0])
@pytest.mark.parametrize("mean", [0.02, 0.05, 0.2, 0.5, 1, 3, 10, 50, 300])
def test_poisson_background_keeps_mean_and_variance(mean, snr_pick):
    raw = np.random.default_rng(int(100 * mean)).poisson(mean, SHAPE).astype(np.uint16)
    chunk, restored = encode_and_decode(raw, snr_pick)
    total = np.sqrt(raw.size * mean)
    assert abs(restored.sum(dtype=float) - raw.sum(dtype=float)) < LIMIT * total
    if np.any(raw[discarded(chunk)]):
        assert_unbiased(raw, plain_params(snr_pick=snr_pick), plain_geometry())
    else:
        np.testing.assert_array_equal(restored, raw)


def encode_and_decode(raw, snr_pick):
    chunk = encode(raw, plain_geometry(), plain_params(snr_pick=snr_pick))
    return chunk, decode(chunk)


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("mean", [0.5, 3, 40])
def test_over_dispersed_rings_keep_the_measured_variance(mean, error_model):
    random = np.random.default_rng(3)
    raw = random.negative_binomial(2 * mean, 2 / 3, SHAPE).astype(np.int32)  # variance 1.5 x mean
    assert raw.var() > 1.4 * raw.mean()
    assert_unbiased(raw, plain_params(snr_pick=3, error_model=error_model), plain_geometry())


@pytest.mark.parametrize(("mean", "sigma"), [(0, 3), (0, 40), (-5, 8), (500, 60), (20000, 900)])
def test_charge_integrating_frames_with_negative_values(mean, sigma):
    random = np.random.default_rng(4)
    raw = np.round(random.normal(mean, sigma, SHAPE)).astype(np.int32)
    raw[5, 5] = 2**31 - 1
    raw[6, 6] = -(2**31)
    params = plain_params(error_model="azimuthal", mask_codes=(), snr_pick=3)
    _, restored = assert_unbiased(raw, params, plain_geometry())
    assert restored[5, 5] == 2**31 - 1
    assert restored[6, 6] == -(2**31)


def test_restored_noise_never_looks_masked():
    raw = np.round(np.random.default_rng(5).normal(0, 4, SHAPE)).astype(np.int16)
    chunk = encode(raw, plain_geometry(), plain_params(error_model="azimuthal", snr_pick=2))
    for fill in ("noise", "mean"):
        restored = decode(chunk, fill=fill)
        for code in (-1, -2):
            np.testing.assert_array_equal(restored == code, raw == code)


def test_background_of_noise_around_bright_peaks_is_that_of_the_noise():
    random = np.random.default_rng(6)
    raw = random.poisson(0.3, SHAPE)
    clean = background(raw.astype(np.uint32), plain_geometry(), plain_params())
    spots = random.random(SHAPE) < 0.01
    raw[spots] += random.integers(5, 60000, np.count_nonzero(spots))
    found = background(raw.astype(np.uint32), plain_geometry(), plain_params())
    assert np.all(np.abs(found.mean - 0.3) < LIMIT * found.sem + 0.02 * 0.3)
    np.testing.assert_allclose(found.mean, clean.mean, rtol=0.05)


@pytest.mark.parametrize("mean", [0.02, 0.05, 0.1, 0.3, 1, 5, 30, 150, 400])
def test_clipped_poisson_mean_is_unbiased_at_any_count(mean):
    raw = np.random.default_rng(7).poisson(mean, SHAPE).astype(np.uint32)
    for snr_clip in (0, 2.5):
        found = background(raw, plain_geometry(), plain_params(snr_clip=snr_clip, radial_bins=1))
        # Clipping drops pixels, so the standard error is a little above sqrt(mean / n).
        assert abs(found.mean[0] - mean) < LIMIT * 1.2 * np.sqrt(mean / raw.size)


def test_two_pixel_ring_with_a_peak_keeps_its_background():
    geometry = plain_geometry((1, 2))
    found = background(np.array([[1, 99]], np.uint16), geometry, plain_params(radial_bins=1))
    assert found.count[0] >= 1
    assert np.isfinite(found.mean[0])


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("value", [0, 1, 7, 98, 300])
def test_constant_frames_keep_their_mean(value, error_model):
    raw = np.full(SHAPE, value, np.uint16)
    params = plain_params(snr_pick=2, error_model=error_model)
    restored = decode(encode(raw, plain_geometry(), params))
    if value == 0:
        np.testing.assert_array_equal(restored, raw)
    else:
        assert abs(restored.mean() - value) < LIMIT * np.sqrt(value / raw.size) + 1e-3 * value


def test_different_seeds_and_frames_give_independent_noise():
    random = np.random.default_rng(8)
    frames = random.poisson(3, (2, *SHAPE)).astype(np.uint16)
    first = decode(encode(frames[0], plain_geometry(), plain_params()))
    other_seed = decode(encode(frames[0], plain_geometry(), plain_params(seed=1)))
    other_frame = decode(encode(frames[1], plain_geometry(), plain_params()))
    for other in (other_seed, other_frame):
        inside = (first < 6) & (other < 6)
        r = np.corrcoef(first[inside], other[inside])[0, 1]
        assert abs(r) < LIMIT / np.sqrt(np.count_nonzero(inside))


def test_neighbouring_pixels_are_uncorrelated():
    raw = np.full(SHAPE, 0, np.uint16)
    raw[:] = np.random.default_rng(9).poisson(4, SHAPE)
    _, restored = encode_and_decode(raw, 6)
    x = restored.astype(float) - restored.mean()
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 2), (3, 0)):
        a, b = x[: SHAPE[0] - dy, : SHAPE[1] - dx], x[dy:, dx:]
        r = np.mean(a * b) / x.var()
        assert abs(r) < LIMIT / np.sqrt(a.size)
