# SPDX-License-Identifier: MIT
"""Comparing spots: no change where there is none, losses seen, selections that do not mislead."""

import numpy as np
import pytest
from numpy.typing import NDArray

from h5bragg import Geometry, SparsifyParams, decode, encode
from h5bragg.comparison import Comparison
from h5bragg.shells import ShellMap
from h5bragg.simulation import add_spots
from h5bragg.spot_comparison import (
    MOST_PAIRS,
    SpotComparison,
    SpotFrame,
    compare_spots,
)
from h5bragg.spots import find_spots, integrate, off_spots
from h5bragg.verdict import judge

SHAPE = (400, 400)
EVERYWHERE = np.ones(SHAPE, bool)


def expected_frame(background: float = 3.0, scale: float = 1.0) -> NDArray[np.float64]:
    """Mean counts of spots of 10 to 1000 counts, anywhere."""
    random = np.random.default_rng(7)
    slow, fast = random.uniform(12, 388, (2, 500))
    expected = np.full(SHAPE, background)
    add_spots(expected, slow, fast, scale * 10 * 100 ** random.uniform(0, 1, 500))
    return expected


def counted(expected: NDArray[np.float64], seed: int) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).poisson(expected).astype(np.uint16)


def total(frames: list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]) -> SpotComparison:
    """Compare pairs of raw and restored frames, each after the one before."""
    before, sums = None, None
    for raw, restored in frames:
        spots = SpotFrame(raw, restored, EVERYWHERE)
        found = spots.compare(before)
        sums = found if sums is None else sums + found
        before = spots.found
    assert sums is not None
    return sums


def test_equal_frames_are_equal() -> None:
    frames = [counted(expected_frame(), seed) for seed in (1, 2)]
    found = total([(frame, frame) for frame in frames])
    assert found.raw_spots == found.restored_spots == found.found_again > 500
    assert found.only_restored == 0
    assert found.correlation == pytest.approx(1, abs=1e-12)
    for pairs in (found.either, found.elsewhere, found.lattice.total):
        assert pairs.count.min() > 30
        assert pairs.rms_sigma.tolist() == [0] * len(pairs.count)
    for pairs in (found.either, found.elsewhere):
        assert pairs.ratio.tolist() == [1] * 4
        assert pairs.ratio_error.tolist() == [0] * 4


def test_a_second_counting_is_as_good_and_looks_so() -> None:
    expected = expected_frame()
    frames = [(counted(expected, seed), counted(expected, 100 + seed)) for seed in range(6)]
    found = total(frames)
    for pairs in (found.either, found.elsewhere):
        z = (pairs.ratio - 1) / pairs.ratio_error
        assert np.abs(z).max() < 4
    assert abs(found.lattice.mean_sigma[0]) < 4 * found.lattice.mean_sigma_error[0]
    # Of two countings the difference has twice the variance of one.
    n = found.lattice.count[0]
    assert found.lattice.rms_sigma[0] ** 2 == pytest.approx(2, abs=2 * 4 * (2 / n) ** 0.5)


def test_where_raw_noise_chose_a_second_counting_seems_to_lose() -> None:
    """Why spots of the raw frame alone are not what intensities are compared at."""
    slow, fast = np.meshgrid(np.arange(20, 380, 16) + 0.5, np.arange(20, 380, 16) + 0.5)
    expected = np.full(SHAPE, 3.0)
    add_spots(expected, slow.reshape(-1), fast.reshape(-1), np.full(slow.size, 25.0))
    raw, restored = counted(expected, 1), counted(expected, 2)
    places, _ = find_spots(raw, EVERYWHERE)
    background = off_spots(EVERYWHERE, places)
    before, after = (
        integrate(frame, EVERYWHERE, background, places).counts.sum() for frame in (raw, restored)
    )
    assert after < 0.9 * before
    found = total([(raw, restored)]).either.total
    assert abs(found.ratio[0] - 1) < 4 * found.ratio_error[0]


def test_lost_intensity_is_measured() -> None:
    raw, faded = expected_frame(), expected_frame(scale=0.8)
    found = total([(counted(raw, i), counted(faded, 100 + i)) for i in range(6)])
    for index in range(4):
        ratio, error = found.elsewhere.ratio[index], found.elsewhere.ratio_error[index]
        assert ratio == pytest.approx(0.8, abs=4 * error)
        assert error < 0.05
    assert found.found_again < 0.98 * found.raw_spots


def test_the_error_of_a_ratio_is_its_scatter() -> None:
    expected = expected_frame()
    ratios, errors = [], []
    for seed in range(8):
        found = compare_spots(counted(expected, seed), counted(expected, 50 + seed), EVERYWHERE)
        ratios.append(found.either.ratio)
        errors.append(found.either.ratio_error)
    z2 = np.square((np.array(ratios) - 1) / np.array(errors))
    assert z2.mean() == pytest.approx(1, abs=4 * (2 / z2.size) ** 0.5)


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    return Geometry.flat(
        shape=SHAPE, pixel_size_m=1e-4, distance_m=0.1,
        beam_center_px=(200, 200), wavelength_m=1e-10, polarization=None,
    )  # fmt: skip


def through(geometry: Geometry, params: SparsifyParams) -> Comparison:
    """Spots and background of three frames that the codec had."""
    shells, result = ShellMap(geometry), Comparison()
    before = None
    for seed in range(3):
        raw = counted(expected_frame(), seed)
        restored = decode(encode(raw, geometry, params))
        frame = SpotFrame(raw, restored, EVERYWHERE)
        sums = shells.sums(raw, restored, frame.background)
        result.add(Comparison(frames=1, spots=frame.compare(before), shells=sums))
        before = frame.found
    return result


def test_the_defaults_keep_weak_spots(geometry: Geometry) -> None:
    found = through(geometry, SparsifyParams())
    assert found.spots is not None
    assert found.spots.found_again > 0.98 * found.spots.raw_spots
    assert found.spots.elsewhere.ratio[0] == pytest.approx(
        1, abs=0.03 + 4 * found.spots.elsewhere.ratio_error[0]
    )
    assert found.spots.elsewhere.rms_sigma.max() < 1
    assert judge(found).level == "same"


def test_plain_sparsification_at_3_sigma_loses_weak_spots_and_the_figures_say_so(
    geometry: Geometry,
) -> None:
    found = through(geometry, SparsifyParams(local_counts=0, snr_pick=3))
    assert found.spots is not None
    assert found.spots.found_again < 0.96 * found.spots.raw_spots
    assert found.spots.elsewhere.ratio[0] < 0.9
    assert found.spots.either.ratio[0] < 0.8
    verdict = judge(found)
    assert verdict.level in ("weak", "changed")
    assert "of their raw intensity" in verdict.sentence


def test_without_spots_nothing_breaks() -> None:
    nothing = np.zeros(SHAPE, np.uint16)
    found = total([(nothing, nothing), (nothing, nothing)])
    assert (found.raw_spots, found.found_again, found.only_restored) == (0, 0, 0)
    assert np.isnan(found.found_again_fraction)
    assert np.isnan(found.correlation)
    assert np.isnan(found.either.ratio).all()


def test_pairs_to_draw_are_bounded() -> None:
    raw = counted(expected_frame(), 1)
    one = compare_spots(raw, raw, EVERYWHERE)
    many = one
    for _ in range(MOST_PAIRS // len(one.pairs) + 2):
        many += one
    assert len(many.pairs) == MOST_PAIRS
    assert many.raw_spots > MOST_PAIRS
