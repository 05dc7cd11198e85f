# SPDX-License-Identifier: MIT
"""Finding and integrating spots: what is known of simulated frames comes out of them."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from h5bragg import spots
from h5bragg.simulation import add_spots
from h5bragg.spots import Places, find_spots, integrate, li_ma_significance, match, off_spots

SHAPE = (300, 400)
EVERYWHERE = np.ones(SHAPE, bool)


def grid(step: int = 20) -> Places:
    """Places well apart, and as far from the edge."""
    slow, fast = np.meshgrid(*(np.arange(15, n - 15, step) for n in SHAPE), indexing="ij")
    return Places(slow.reshape(-1), fast.reshape(-1))


def simulated(
    background: float, counts: float, seed: int = 1, places: Places | None = None
) -> NDArray[np.int64]:
    """A frame of Poisson counts with spots of so many counts in the middle of their pixels."""
    expected = np.full(SHAPE, background)
    where = grid() if places is None else places
    total = np.full(len(where), counts)
    add_spots(expected, where.slow + 0.5, where.fast + 0.5, total)
    return np.random.default_rng(seed).poisson(expected)


@pytest.mark.parametrize("background", [0.02, 0.5, 3.0, 50.0])
def test_bright_spots_are_found_where_they_are_and_nothing_else(background: float) -> None:
    frame = simulated(background, 60 + 25 * math.sqrt(9 * background))
    found, significance = find_spots(frame, EVERYWHERE)
    places = grid()
    assert (match(places, found, SHAPE) >= 0).all()
    assert significance.min() >= 5
    # At 5 sigma chance finds one in 3 million, and there are fewer places than pixels.
    assert len(found) <= len(places) + 2


def test_significance_is_that_of_a_normal_distribution() -> None:
    random = np.random.default_rng(3)
    n, alpha = 200_000, 9 / 120
    for mean in (3.0, 20.0):
        on, off = random.poisson(9 * mean, n), random.poisson(120 * mean, n)
        found = li_ma_significance(on, off, np.full(n, alpha))
        for sigma in (1, 2, 3):
            expected = n * math.erfc(sigma / math.sqrt(2)) / 2
            # Counts are whole numbers: of each, the step to the next is part of a sigma.
            step = math.exp(sigma / math.sqrt(9 * mean))
            count = np.count_nonzero(found > sigma)
            assert expected / step - 4 * math.sqrt(expected) < count
            assert count < expected * step + 4 * math.sqrt(expected)


@pytest.mark.parametrize(("background", "counts"), [(0.1, 20.0), (3.0, 0.0), (3.0, 40.0)])
def test_intensities_and_their_errors_are_right(background: float, counts: float) -> None:
    places = grid()
    valid = off_spots(EVERYWHERE, places)
    sums, z = [], []
    for seed in range(4):
        found = integrate(simulated(background, counts, seed), EVERYWHERE, valid, places)
        assert found.is_usable.all()
        sums.append(found.counts)
        # Of a Gaussian of 0.85 pixels the box holds all but this.
        inside = math.erf(2.5 / 0.85 / math.sqrt(2)) ** 2
        z.append((found.counts - counts * inside) / np.sqrt(found.variance))
    n = 4 * len(places)
    true_variance = counts + 25 * background * (1 + 25 / 120)
    assert np.mean(sums) == pytest.approx(
        counts * inside, abs=4 * math.sqrt(true_variance / n) + 0.001 * counts
    )
    # The variance is estimated from few counts: z is somewhat wider than a normal distribution.
    assert np.var(sums) == pytest.approx(true_variance, rel=4 * math.sqrt(3 / n))
    assert np.mean(np.square(z)) == pytest.approx(1, abs=4 * math.sqrt(2 / n) + 0.1)


def test_background_is_that_of_pixels_off_the_spots() -> None:
    places = Places(np.array([100, 100]), np.array([100, 106]))
    frame = simulated(3.0, 5000.0, places=places)
    valid = EVERYWHERE.copy()
    valid[95:98, 95:105] = False
    frame[~valid] = 10**6
    background = off_spots(valid, places)
    assert not background[~valid].any()
    assert not background[97:104, 97:110].any()
    assert background[104, 100]
    found = integrate(frame, valid, background, places)
    np.testing.assert_allclose(found.counts, 5000, atol=4 * math.sqrt(5100) + 50)
    spoilt = integrate(frame, valid, valid, places)
    assert (spoilt.counts < 4500).all()


def test_spots_at_masked_pixels_and_at_the_edge_are_left_out() -> None:
    places = Places(np.array([4, 50, 50, 50, 295]), np.array([50, 50, 100, 150, 200]))
    frame = simulated(1.0, 0.0)
    for slow, fast in zip(places.slow, places.fast, strict=True):
        frame[max(slow - 1, 0) : slow + 2, fast - 1 : fast + 2] += 20
        frame[slow, fast] += 200
    valid = EVERYWHERE.copy()
    valid[52, 102] = valid[53, 153] = False
    frame[~valid] = 2**31
    found, _ = find_spots(frame, valid)
    assert list(zip(found.slow, found.fast, strict=True)) == [(50, 50), (50, 150)]
    assert integrate(frame, valid, valid, places[1:4]).is_usable.tolist() == [True, False, True]
    assert len(find_spots(frame, np.zeros(SHAPE, bool))[0]) == 0


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = simulated(2.0, 60.0)
    bands = find_spots(frame, EVERYWHERE)
    monkeypatch.setattr(spots, "_BAND_ROWS", 1000)
    whole = find_spots(frame, EVERYWHERE)
    assert len(bands[0]) > 200
    np.testing.assert_array_equal(bands[0].slow, whole[0].slow)
    np.testing.assert_array_equal(bands[0].fast, whole[0].fast)
    np.testing.assert_array_equal(bands[1], whole[1])


def test_of_equal_neighbours_one_is_found() -> None:
    frame = np.zeros(SHAPE, np.uint16)
    frame[40:42, 60:62] = 9
    found, _ = find_spots(frame, EVERYWHERE)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_all_pixel_types(dtype: str) -> None:
    frame = simulated(2.0, 100.0).astype(dtype)
    expected = find_spots(simulated(2.0, 100.0), EVERYWHERE)[0]
    found, _ = find_spots(frame, EVERYWHERE)
    np.testing.assert_array_equal(found.slow, expected.slow)
    background = off_spots(EVERYWHERE, found)
    counts = integrate(frame, EVERYWHERE, background, found).counts
    np.testing.assert_array_equal(
        counts, integrate(simulated(2.0, 100.0), EVERYWHERE, background, found).counts
    )


def test_small_and_negative_frames_have_no_spots() -> None:
    for shape in ((5, 5), (12, 40), (40, 12), (13, 13)):
        assert len(find_spots(np.ones(shape, int), np.ones(shape, bool))[0]) == 0
    random = np.random.default_rng(1)
    noise = np.round(random.normal(-20, 3, SHAPE)).astype(np.int32)
    assert len(find_spots(noise, EVERYWHERE)[0]) == 0


def test_the_nearest_is_matched() -> None:
    places = Places(np.array([10, 50]), np.array([10, 50]))
    others = Places(np.array([12, 11, 53]), np.array([10, 10, 50]))
    assert match(places, others, SHAPE).tolist() == [1, -1]
    assert match(places, others[:0], SHAPE).tolist() == [-1, -1]
    assert match(places[:0], others, SHAPE).tolist() == []
