# SPDX-License-Identifier: MIT
"""Local counts: tiles keep their counts, so shadows and weak spots survive."""

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
    return SparsifyParams(**{"polarization": None, "solid_angle": False, **options})


def block_sums(frame, edge=4):
    return frame.astype(float).reshape(SIDE // edge, edge, SIDE // edge, edge).sum((1, 3))


def poisson(mean, seed=1):
    return np.random.default_rng(seed).poisson(mean, (SIDE, SIDE)).astype(np.uint32)


@pytest.mark.parametrize("step", [0.25, 1, 2])
@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3, 1, 3, 10, 50])
def test_sums_of_tiles_are_kept_to_a_fraction_of_their_noise_and_unbiased(mean, step):
    raw = poisson(mean)
    # Tiles of a coarse block have no sum of their own.
    options = params(local_step=step, coarse_limit=0)
    error = block_sums(decode(encode(raw, GEOMETRY, options))) - block_sums(raw)
    # A step of at most so many standard deviations leaves an error of 1 / sqrt(12) of it, and
    # rounding to whole counts at most half a count.
    assert error.var() <= step**2 * 16 * mean / 12 + 0.25
    # The error of a block is independent of the others'; rounding at zero may leave 0.1 %.
    assert abs(error.mean()) < LIMIT * error.std() / np.sqrt(error.size) + 0.001 * 16 * mean


@pytest.mark.parametrize("limit", [8, 24, 64])
@pytest.mark.parametrize("mean", [0.005, 0.02, 0.08])
def test_sums_of_coarse_blocks_are_kept(mean, limit):
    raw = poisson(mean)
    chunk = encode(raw, GEOMETRY, params(coarse_limit=limit, local_step=1))
    error = block_sums(decode(chunk), 16)
    error -= block_sums(raw, 16)
    assert error.var() <= 256 * mean / 12 + 0.25
    assert abs(error.mean()) < LIMIT * error.std() / np.sqrt(error.size) + 0.001 * 256 * mean
    # Where only odd blocks at the rim are coarse, a frequency table may cost more than they save.
    table = 0 if 256 * mean < limit else 16
    assert len(chunk) <= len(encode(raw, GEOMETRY, params(coarse_limit=0, local_step=1))) + table


@pytest.mark.parametrize("step", [0.25, 1, 2, 4])
@pytest.mark.parametrize("mean", [0.02, 0.3, 3, 20])
def test_mean_and_variance_of_the_frame_are_kept(step, mean):
    raw = poisson(mean)
    restored = decode(encode(raw, GEOMETRY, params(local_step=step)))
    # The error of a sum is at most step / sqrt(12) of its deviation; counts of 0.02 have few.
    error = np.sqrt((step**2 / 12) * mean / raw.size)
    assert abs(restored.mean() - raw.mean()) < max(0.001 * mean, LIMIT * error)
    # The variance within tiles is lowered by what the quantisation of the sums adds.
    sampling = np.sqrt(2 * (2 + 1 / mean) / raw.size)
    assert abs(restored.var() / raw.var() - 1) < max(0.005, LIMIT * sampling)


def test_larger_steps_and_significance_make_smaller_chunks():
    raw = poisson(3)
    for name, values in (
        ("local_step", (0.25, 0.5, 1, 2, 4)),
        ("local_significance", (2, 2.5, 3, 4, 6)),
    ):
        sizes = [len(encode(raw, GEOMETRY, params(**{name: value}))) for value in values]
        assert sizes == sorted(sizes, reverse=True)
        assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("mean", [0.05, 0.3, 1, 3, 10, 50])
def test_a_shadow_comes_back(mean):
    y, x = np.ogrid[:SIDE, :SIDE]
    angle = np.degrees(np.arctan2(y - 250, x - 260))
    raw = poisson(np.where(np.abs(angle - 40) < 15, 0.4 * mean, mean))
    inside = (np.abs(angle - 40) < 12) & (np.hypot(y - 250, x - 260) > 50)
    restored = decode(encode(raw, GEOMETRY, params()))
    assert restored[inside].mean() == pytest.approx(raw[inside].mean(), rel=0.02)
    if mean > 0.1:  # else every count is above the threshold
        flat = decode(encode(raw, GEOMETRY, params(local_counts=0)))
        assert flat[inside].mean() > 1.5 * raw[inside].mean()


def box_sums(frame, centres, half):
    return np.array(
        [
            frame[i - half : i + half + 1, j - half : j + half + 1].sum(dtype=float)
            for i, j in centres
        ]
    )


def integrate(frame, centres):
    """7 x 7 pixels above the local background, as benchmarks/rate_distortion.py does."""
    around = (box_sums(frame, centres, 7) - box_sums(frame, centres, 5)) / (15**2 - 11**2)
    return box_sums(frame, centres, 3) - 7**2 * around


@pytest.mark.parametrize("mean", [0.05, 0.3, 1, 3, 10])
def test_weak_spots_keep_their_intensity(mean):
    raw = [poisson(mean, seed) for seed in range(4)]
    random = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(range(20, SIDE - 20, 24), range(20, SIDE - 20, 24)), -1)
    centres = grid.reshape(-1, 2) + random.integers(-4, 5, (grid.size // 2, 2))
    for frame in raw:
        photons = np.exp(random.uniform(np.log(12), np.log(40), len(centres)))
        which = np.repeat(np.arange(len(centres)), random.poisson(photons))
        at = centres[which] + np.round(random.normal(size=(len(which), 2))).astype(int)
        np.add.at(frame, tuple(at.T), 1)
    before = np.array([integrate(frame, centres) for frame in raw])

    def recovered(**options):
        restored = [decode(encode(frame, GEOMETRY, params(**options))) for frame in raw]
        return np.array([integrate(frame, centres) for frame in restored])

    found = recovered()
    # Raw and restored share most of their noise, so this ratio is known to about 1 %.
    assert found.mean() / before.mean() > 0.92
    assert found.std() < 1.15 * before.std()
    if mean > 0.1:  # else every count is above the threshold
        assert recovered(local_counts=0, snr_pick=3).mean() / before.mean() < 0.8


@pytest.mark.parametrize(("mean", "neighbours_are_exact"), [(0.02, False), (1, True)])
def test_where_counts_are_rare_only_tiles_that_hold_some_are_exact(mean, neighbours_are_exact):
    raw = poisson(mean)
    raw[96:112, 96:112] = 0
    raw[101:103, 101:103] = 12  # inside one tile; boxes around it touch its neighbours
    free = discarded(encode(raw, GEOMETRY, params()))
    assert not free[100:104, 100:104].any()
    assert np.all(free[96:100, 100:104] != neighbours_are_exact)
    assert np.all(free[100:104, 104:108] != neighbours_are_exact)


@pytest.mark.parametrize(("significance", "is_drawn"), [(3, False), (3.5, True)])
def test_above_three_sigma_faint_tiles_need_a_pixel_that_stands_out(significance, is_drawn):
    raw = poisson(1)
    raw[96:112, 96:112] = 0
    raw[102:104, 102:104] = raw[102, 104] = 5  # one box, three tiles
    raw[104, 102] = 1
    free = discarded(encode(raw, GEOMETRY, params(local_significance=significance)))
    assert not free[100:104, 100:108].any()
    assert np.all(free[104:108, 100:104] == is_drawn)


@pytest.mark.parametrize(("significance", "is_drawn"), [(3, False), (3.5, True)])
def test_above_three_sigma_wings_of_peaks_are_drawn(significance, is_drawn):
    raw = poisson(1)
    raw[96:112, 96:112] = 0
    raw[101, 101] = 60  # the boxes around it end a pixel before the tile below
    raw[104:108, 100:104] = 2
    free = discarded(encode(raw, GEOMETRY, params(local_significance=significance)))
    assert not free[100:104, 100:104].any()
    assert np.all(free[104:108, 100:104] == is_drawn)


def test_wings_of_peaks_are_exact_where_counts_are_rare_if_they_hold_many():
    raw = poisson(0.05)
    raw[88:120, 88:120] = 0
    raw[102, 102] = 60  # boxes around it touch the tile to the right and the one below
    raw[101, 105:107] = 3
    raw[105:107, 101] = 2
    free = discarded(encode(raw, GEOMETRY, params()))
    assert not free[100:104, 100:108].any()
    assert free[104:108, 100:104].all()


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_all_that_is_exact_stays_exact(dtype, error_model, small_frame, small_geometry):
    raw = small_frame(dtype)
    options = SparsifyParams(error_model=error_model)
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
    options = params(error_model="azimuthal", mask_codes=(), local_step=1)
    error = block_sums(decode(encode(raw, GEOMETRY, options))) - block_sums(raw)
    assert error.var() <= 16 * 40**2 / 10
    assert abs(error.mean()) < LIMIT * error.std() / np.sqrt(error.size)


def test_a_static_mask_is_exact_and_takes_no_part():
    raw = poisson(2)
    mask = np.zeros(raw.shape, bool)
    mask[100:133, 200:277] = True
    raw[mask] = 40
    restored = decode(encode(raw, GEOMETRY.with_mask(mask), params(local_step=1)))
    np.testing.assert_array_equal(restored[mask], raw[mask])
    outside = block_sums(np.where(mask, 0, restored)) - block_sums(np.where(mask, 0, raw))
    assert outside.var() <= 16 * 2 / 12 + 0.25


@pytest.mark.parametrize("edge", [1, 2, 3, 8, 15, 16, -1, 2.5])
def test_other_edges_are_refused(edge):
    with pytest.raises(ParameterError, match="local_counts"):
        SparsifyParams(local_counts=edge)
