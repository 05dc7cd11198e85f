# SPDX-License-Identifier: MIT
"""Restored background has the mean and variance of the raw frame: tested as statistics."""

import numpy as np
import pytest
from ring_statistics import LIMIT, assert_within_chance, compare_rings, discarded, thresholds

from h5bragg import Geometry, SparsifyParams, background, decode, encode, inspect, unpack

SHAPE = (700, 800)
# Without local counts at three thresholds, and as everything is by default.
WAYS = {
    "1 sigma": {"local_counts": 0, "snr_pick": 1},
    "2 sigma": {"local_counts": 0, "snr_pick": 2},
    "3 sigma": {"local_counts": 0, "snr_pick": 3},
    "local": {},
}
both_ways = pytest.mark.parametrize("local_counts", [0, 4])
every_way = pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)


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
    rings.assert_unbiased()
    return chunk, restored


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        pytest.param("thaumatin", {}, id="thaumatin-local"),
        pytest.param("thaumatin", WAYS["2 sigma"], id="thaumatin-2 sigma"),
        pytest.param("fine_slice", {}, id="fine_slice-local", marks=pytest.mark.slow),
        *(
            pytest.param(frame, WAYS[name], id=f"{frame}-{name}", marks=pytest.mark.slow)
            for frame, names in {
                "thaumatin": ("1 sigma", "3 sigma"),
                "fine_slice": ("1 sigma", "2 sigma", "3 sigma"),
                "eiger": WAYS,
            }.items()
            for name in names
        ),
    ],
)
def test_real_frames_come_back_exact_where_picked_and_unbiased_elsewhere(frame, options, request):
    real = request.getfixturevalue(frame)
    params = SparsifyParams(**options)
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
    if frame == "eiger" and options:
        # Nothing is discarded but zeros where a single count is above the threshold.
        assert real.pixels[free].max() == restored[free].max() == 0
        return
    ring, _ = real.geometry.ring_map(params)
    rings = compare_rings(real.pixels, restored, chunk, ring)
    assert len(rings.z_mean) > 100 or params.snr_pick == 1 or frame == "eiger"
    if len(rings.z_mean):
        rings.assert_unbiased()


@pytest.mark.slow
@every_way
@pytest.mark.parametrize("number", [6, 9, 14, 19])
def test_rings_of_more_real_frames_are_unbiased(number, options, real_frame):
    real = real_frame(f"thau_3_2_{number:04d}.cbf.bz2")
    assert_unbiased(real.pixels, SparsifyParams(**options), real.geometry)


def test_a_ring_whose_few_bright_pixels_say_nothing_about_the_variance():
    # Found in a real frame: discarded pixels are 0 or 1, but a few could have been 2.
    shape = (4, 2340)
    geometry = Geometry.flat(
        shape=shape,
        pixel_size_m=1e-4,
        distance_m=0.3,
        beam_center_px=(3002, 1170),
        wavelength_m=1e-10,
    )
    params = SparsifyParams(snr_pick=1, radial_bins=1, polarization=0.99, local_counts=0)
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


@every_way
@pytest.mark.parametrize(
    "mean",
    [
        0.05,
        1,
        10,
        *(pytest.param(m, marks=pytest.mark.slow) for m in (0.02, 0.2, 0.5, 3, 20, 50, 300)),
    ],
)
def test_poisson_background_keeps_mean_and_variance(mean, options):
    geometry, params = plain_geometry((512, 512)), plain_params(**options)
    ring, _ = geometry.ring_map(params)
    frames = np.random.default_rng(int(100 * mean)).poisson(mean, (4, 512, 512)).astype(np.uint16)
    found, comparisons = [], []
    for raw in frames:
        chunk = encode(raw, geometry, params)
        found.append(decode(chunk))
        free = discarded(chunk)
        limit = thresholds(chunk, geometry, params)
        assert np.all(found[-1][free] <= limit[free])
        if raw[free].any():
            comparisons.append(compare_rings(raw, found[-1], chunk, ring))
    restored = np.array(found)
    if comparisons:
        assert_within_chance(np.concatenate([c.z_mean for c in comparisons]), "ring means")
        assert_within_chance(np.concatenate([c.z_variance for c in comparisons]), "ring variances")
    else:  # all counts are above the threshold
        np.testing.assert_array_equal(restored, frames)
    # Drawing n pixels of variance v moves their mean by sqrt(v / n).  The fourth central moment of
    # Poisson counts is 3 v^2 + v; both the raw and the restored variance are samples.
    mean_error = np.sqrt(mean / frames.size)
    variance_error = np.sqrt(2 * (2 * mean**2 + mean) / frames.size)
    assert abs(restored.mean() - frames.mean()) < max(0.001 * mean, 4 * mean_error)
    assert abs(restored.var() - frames.var()) < max(0.005 * mean, 4 * variance_error)


@every_way
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_a_frame_of_zeros_stays_a_frame_of_zeros(dtype, options):
    chunk = encode(np.zeros(SHAPE, dtype), plain_geometry(), SparsifyParams(**options))
    assert not decode(chunk).any()
    assert not decode(chunk, fill="mean").any()
    assert inspect(chunk).sparse_frames == 1


def negative_binomial(mean, random):
    return random.negative_binomial(2 * mean, 2 / 3, SHAPE)  # variance 1.5 x mean


def multiplied(factor):
    return lambda mean, random: factor * random.poisson(mean, SHAPE)


@both_ways
@pytest.mark.parametrize("error_model", ["azimuthal", "hybrid"])
@pytest.mark.parametrize("mean", [0.5, 3, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "simulate",
    [negative_binomial, multiplied(2), multiplied(3)],
    ids=["negative binomial", "times 2", "times 3"],
)
def test_over_dispersed_rings_keep_mean_and_variance(simulate, mean, error_model, local_counts):
    raw = simulate(mean, np.random.default_rng(3)).astype(np.int32)
    assert raw.var() > 1.4 * raw.mean()
    assert_moments_are_kept(raw, error_model=error_model, local_counts=local_counts)


@both_ways
@pytest.mark.parametrize("dtype", [pytest.param("int16", marks=pytest.mark.slow), "int32"])
@pytest.mark.parametrize(
    ("error_model", "mean"),
    [("azimuthal", 0), ("azimuthal", 30), ("azimuthal", 1000), ("hybrid", 0), ("hybrid", 30)],
)
@pytest.mark.parametrize("sigma", [2, 10, 100])
def test_integers_whose_deviation_is_not_tied_to_their_mean_keep_both(
    sigma, mean, error_model, dtype, local_counts
):
    raw = np.round(np.random.default_rng(4).normal(mean, sigma, SHAPE)).astype(dtype)
    assert_moments_are_kept(raw, error_model=error_model, local_counts=local_counts, mask_codes=())


def assert_moments_are_kept(raw, **options):
    """Of the discarded pixels, to 2 % of the variance and 1 % of the deviation or of the mean."""
    params = plain_params(snr_pick=4, **options)
    chunk = encode(raw, plain_geometry(), params)
    restored = decode(chunk)
    free = discarded(chunk)
    np.testing.assert_array_equal(restored[~free], raw[~free])
    n = np.count_nonzero(free)
    if n < 1000:
        return  # hybrid, but the mean says nothing about the deviation: everything is picked
    before, after = raw[free].astype(float), restored[free].astype(float)
    sigma = before.std()
    fourth = np.mean((before - before.mean()) ** 4)
    tolerance = max(0.001 * abs(before.mean()), 0.01 * sigma)
    assert abs(after.mean() - before.mean()) < tolerance + LIMIT * sigma / np.sqrt(n)
    chance = LIMIT * np.sqrt(2 * (fourth / sigma**4 - 1) / n)
    assert abs(after.var() / before.var() - 1) < max(0.02, chance)


@both_ways
@pytest.mark.parametrize(("mean", "sigma"), [(0, 3), (0, 40), (-5, 8), (500, 60), (20000, 900)])
def test_charge_integrating_frames_with_negative_values(mean, sigma, local_counts):
    random = np.random.default_rng(4)
    raw = np.round(random.normal(mean, sigma, SHAPE)).astype(np.int32)
    raw[5, 5] = 2**31 - 1
    raw[6, 6] = -(2**31)
    params = plain_params(
        error_model="azimuthal", mask_codes=(), snr_pick=3, local_counts=local_counts
    )
    _, restored = assert_unbiased(raw, params, plain_geometry())
    assert restored[5, 5] == 2**31 - 1
    assert restored[6, 6] == -(2**31)


@both_ways
def test_restored_noise_never_looks_masked(local_counts):
    raw = np.round(np.random.default_rng(5).normal(0, 4, SHAPE)).astype(np.int16)
    params = plain_params(error_model="azimuthal", snr_pick=2, local_counts=local_counts)
    chunk = encode(raw, plain_geometry(), params)
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


@both_ways
@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("value", [0, 1, 7, 98, 300])
def test_constant_frames_keep_their_mean(value, error_model, local_counts):
    raw = np.full(SHAPE, value, np.uint16)
    params = plain_params(snr_pick=2, error_model=error_model, local_counts=local_counts)
    restored = decode(encode(raw, plain_geometry(), params))
    if value == 0:
        np.testing.assert_array_equal(restored, raw)
    else:
        assert abs(restored.mean() - value) < LIMIT * np.sqrt(value / raw.size) + 1e-3 * value


def test_different_seeds_and_frames_give_independent_noise():
    frames = np.random.default_rng(8).poisson(3, (2, *SHAPE)).astype(np.uint16)

    def restored(frame, **options):
        return decode(encode(frame, plain_geometry(), plain_params(**options)))

    # With local counts, restored frames of one raw frame share the sums of its tiles.
    plain = restored(frames[0], local_counts=0)
    for first, other in (
        (plain, restored(frames[0], local_counts=0, seed=1)),
        (plain, restored(frames[1], local_counts=0)),
        (restored(frames[0]), restored(frames[1])),
    ):
        inside = (first < 6) & (other < 6)
        r = np.corrcoef(first[inside], other[inside])[0, 1]
        assert abs(r) < LIMIT / np.sqrt(np.count_nonzero(inside))


def correlation(x, dy, dx):
    a, b = x[: SHAPE[0] - dy, : SHAPE[1] - dx], x[dy:, dx:]
    return np.mean(a * b) / x.var()


# A pattern has 64 variants, and 256 pairs of their pixels become neighbours in tiles: for one sum
# that leaves a correlation of about 1 / sqrt(64 * 256), less for a mixture of sums.
NEAR, NEIGHBOURS = 1 / 128, ((0, 1), (1, 0), (1, 1), (0, 2), (3, 0))
FAR = ((0, 4), (8, 0), (16, 16))


@pytest.mark.parametrize("mean", [0.3, 4, 20])
def test_neighbouring_pixels_are_uncorrelated(mean):
    raw = np.random.default_rng(9).poisson(mean, SHAPE).astype(np.uint16)
    restored = decode(encode(raw, plain_geometry(), plain_params(snr_pick=4, local_counts=0)))
    x = restored.astype(float) - restored.mean()
    for dy, dx in (*NEIGHBOURS, *FAR):
        allowed = NEAR if max(dx, dy) < 4 else 0
        assert abs(correlation(x, dy, dx)) < allowed + LIMIT / np.sqrt(x.size)


# Pixels within a tile make up for one another; between tiles there is nothing.
@pytest.mark.parametrize("mean", [0.3, 4, 20])
def test_with_local_counts_parts_of_tiles_scatter_less_than_chance(mean):
    raw = np.random.default_rng(9).poisson(mean, SHAPE).astype(np.uint16)
    restored = decode(encode(raw, plain_geometry(), plain_params(snr_pick=4))).astype(float)
    x = restored - restored.mean()
    for dy, dx in FAR:
        assert abs(correlation(x, dy, dx)) < LIMIT / np.sqrt(x.size)
    assert correlation(x, 0, 1) < -0.1
    assert correlation(x, 1, 0) < -0.1
    halves = x.reshape(SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum((1, 3))
    assert halves.var() < 0.9 * 4 * x.var()


@pytest.mark.parametrize("mean", [0.3, 4, 20])
def test_no_pixel_of_a_tile_is_special(mean):
    raw = np.random.default_rng(10).poisson(mean, SHAPE).astype(np.uint16)
    restored = decode(encode(raw, plain_geometry(), plain_params(snr_pick=4))).astype(float)
    places = restored.reshape(SHAPE[0] // 4, 4, SHAPE[1] // 4, 4)
    n = places.shape[0] * places.shape[2]
    # Of independent pixels these were chi-squared with 15 degrees of freedom; as the pixels of a
    # tile make up for one another, their means differ less than that.
    error = restored.std() / np.sqrt(n)
    assert np.sum(((places.mean((0, 2)) - restored.mean()) / error) ** 2) < 60
    kurtosis = np.mean((restored - restored.mean()) ** 4) / restored.var() ** 2
    spread = (places.var((0, 2)) / restored.var() - 1) / np.sqrt((kurtosis - 1) / n)
    assert np.sum(spread**2) < 60
