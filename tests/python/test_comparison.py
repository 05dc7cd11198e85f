# SPDX-License-Identifier: MIT
"""Comparing raw frames with restored ones: agreement, and every kind of disagreement."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from input_files import write_data
from numpy.typing import NDArray
from ring_statistics import thresholds as reference_thresholds

from h5bragg import Geometry, SparsifyParams, decode, encode, inspect, unpack
from h5bragg.comparison import Comparer, Comparison, FramePair, compare_frame, thresholds
from h5bragg.comparison_plot import plot_comparison
from h5bragg.frame_source import InputError
from h5bragg.frames import open_frames
from h5bragg.hdf5_frames import Hdf5Source
from h5bragg.hdf5_open import open_hdf5
from h5bragg.output_file import OutputError
from h5bragg.reader import find_sparse
from h5bragg.ring_test import RingMoments, RingTest
from h5bragg.writer import compress

SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def pair(small_frame: SmallFrame, small_geometry: Geometry) -> FramePair:
    raw = small_frame("uint16")
    chunk = encode(raw, small_geometry)
    return FramePair(raw, decode(chunk), unpack(chunk), inspect(chunk))


def compared(pair: FramePair) -> Comparison:
    return compare_frame(pair, *pair.info.geometry.ring_map(pair.info.params))


def test_a_faithful_frame_is_exact(pair: FramePair) -> None:
    found = compared(pair)
    assert found.is_exact
    assert found.picked_pixels == len(pair.sparse.index) > 40
    assert found.masked_pixels == 4 * 200 + 6
    total = found.picked_pixels + found.masked_pixels + found.discarded_pixels
    assert total == pair.raw.size
    test = found.ring_test()
    assert test is not None
    assert test.is_consistent


def test_a_wrong_picked_pixel_is_found(pair: FramePair) -> None:
    pair.restored.reshape(-1)[pair.sparse.index[3]] += 1
    found = compared(pair)
    assert (found.picked_wrong, found.is_exact) == (1, False)


def test_a_changed_mask_code_is_found(pair: FramePair) -> None:
    pair.restored[81, 7] -= 1
    found = compared(pair)
    assert (found.masked_wrong, found.is_exact) == (1, False)


def test_a_restored_pixel_over_its_threshold_is_found(pair: FramePair) -> None:
    discarded = ~pair.is_picked() & (pair.sparse.mask == 0)
    where = tuple(np.argwhere(discarded)[0])
    limit = thresholds(
        pair.sparse, pair.info.params, *pair.info.geometry.ring_map(pair.info.params)
    )[where]
    pair.restored[where] = limit
    assert compared(pair).is_exact
    pair.restored[where] = limit + 1
    found = compared(pair)
    assert (found.over_threshold, found.raw_over_threshold, found.is_exact) == (1, 0, False)


def test_a_raw_pixel_that_should_have_been_picked_is_found(pair: FramePair) -> None:
    discarded = ~pair.is_picked() & (pair.sparse.mask == 0)
    where = tuple(np.argwhere(discarded)[0])
    pair.raw[where] = 5000
    found = compared(pair)
    assert (found.raw_over_threshold, found.is_exact) == (1, False)


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("local_counts", [0, 4])
def test_thresholds_are_those_of_the_format(
    small_frame: SmallFrame, small_geometry: Geometry, error_model: str, local_counts: int
) -> None:
    params = SparsifyParams(snr_pick=1.5, error_model=error_model, local_counts=local_counts)  # type: ignore[arg-type]
    chunk = encode(small_frame("uint16"), small_geometry, params)
    ring, normalisation = small_geometry.ring_map(params)
    found = thresholds(unpack(chunk), params, ring, normalisation)
    expected = reference_thresholds(chunk, small_geometry, params)
    np.testing.assert_array_equal(found, expected)


def test_a_lossless_frame_must_be_equal_everywhere(pair: FramePair) -> None:
    whole = replace(
        pair,
        restored=pair.raw.copy(),
        sparse=replace(
            pair.sparse,
            is_lossless=True,
            index=pair.sparse.index[:0],
            intensity=pair.sparse.intensity[:0],
        ),
    )
    found = compared(whole)
    assert found.is_exact
    assert found.ring_test() is None
    whole.restored[0, 0] += 1
    assert not compared(whole).is_exact


def test_sums_over_frames_and_sizes(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame("uint16", seed) for seed in range(5)])
    raw_path = write_data(tmp_path / "raw.h5", frames)
    output = tmp_path / "out.h5"
    with open_frames([raw_path]) as raw:
        compress(raw, output, geometry=small_geometry, frames_per_chunk=2)
        with open_hdf5(output) as file:
            found = Comparer(raw, find_sparse(file)[0]).run(threads=2)
            stored = file["entry/data/data"].id.get_storage_size()
    with h5py.File(raw_path) as file:
        bitshuffle = file["entry/data/data"].id.get_storage_size()
    assert (found.frames, found.is_exact) == (5, True)
    assert found.ratio == frames.nbytes / stored
    assert found.bitshuffle_ratio == bitshuffle / stored
    assert found.masked_pixels == 5 * (4 * 200 + 6)


def test_spots_know_the_frame_before_and_the_mask_of_the_input(
    tmp_path: Path,
    small_frame: SmallFrame,
    small_geometry: Geometry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = small_frame("uint16")
    one[120:123, 150:153] += 200
    raw_path = write_data(tmp_path / "raw.h5", np.stack([one] * 5))
    output = tmp_path / "out.h5"
    with open_frames([raw_path]) as raw:
        compress(raw, output, geometry=small_geometry, frames_per_chunk=2)
        with open_hdf5(output) as file:
            found = Comparer(raw, find_sparse(file)[0]).run(threads=3)
        mask = np.zeros(one.shape, np.uint32)
        mask[118:126, 148:156] = 2
        monkeypatch.setattr(Hdf5Source, "pixel_mask", mask)
        with open_hdf5(output) as file:
            masked = Comparer(raw, find_sparse(file)[0]).run(threads=1)
    assert found.spots is not None
    assert masked.spots is not None
    assert found.spots.raw_spots == masked.spots.raw_spots + 5
    # Each frame but the first has one before, in its own chunk or in the last.
    usable = found.spots.elsewhere.total.count[0]
    assert usable == found.spots.raw_spots * 4 / 5 > 4
    assert found.shells is not None
    assert masked.shells is not None
    assert found.shells.sums[0].sum() < one.size * 5


def test_other_frames_are_refused(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame("uint16", seed) for seed in range(2)])
    raw_path = write_data(tmp_path / "raw.h5", frames)
    output = tmp_path / "out.h5"
    with open_frames([raw_path]) as raw:
        compress(raw, output, geometry=small_geometry)
    with (
        open_frames([raw_path, raw_path]) as raw,
        open_hdf5(output) as file,
        pytest.raises(InputError, match="compare the same frames"),
    ):
        Comparer(raw, find_sparse(file)[0])
    with open_frames([raw_path]) as raw, open_hdf5(output) as file:
        comparer = Comparer(raw, find_sparse(file)[0])
        with pytest.raises(InputError, match="frame 2 is not there: give 0 to 1"):
            comparer.pair(2)


def test_a_biased_mean_or_variance_fails_the_ring_test() -> None:
    random = np.random.default_rng(1)
    ring = np.repeat(np.arange(200), 4000)
    raw = RingMoments.of(ring, random.poisson(3, ring.size), 200)
    same = RingMoments.of(ring, random.poisson(np.repeat(raw.mean, 4000)), 200)
    found = RingTest.of(raw, same)
    assert len(found.rings) == 200
    assert 0.5 < found.chi2_mean < found.limit
    assert found.is_consistent or found.chi2_variance > found.limit
    biased = RingTest.of(raw, RingMoments.of(ring, random.poisson(3.15, ring.size), 200))
    assert biased.chi2_mean > biased.limit
    assert biased.mean_ratio == pytest.approx(1.05, abs=0.01)
    wide = random.negative_binomial(12, 0.8, ring.size)  # mean 3, variance 3.75
    spread = RingTest.of(raw, RingMoments.of(ring, wide, 200))
    assert spread.chi2_variance > spread.limit
    assert not spread.is_consistent


def test_one_wrong_ring_among_many_fails_the_ring_test() -> None:
    random = np.random.default_rng(3)
    ring = np.repeat(np.arange(300), 4000)
    mean = np.full(300, 3.0)
    raw = RingMoments.of(ring, random.poisson(3, ring.size), 300)
    mean[:] = raw.mean
    mean[150] += 0.2
    restored = RingMoments.of(ring, random.poisson(np.repeat(mean, 4000)), 300)
    found = RingTest.of(raw, restored)
    assert found.chi2_mean < found.limit
    assert found.largest > found.largest_limit
    assert not found.is_consistent


def test_rings_of_few_counts_are_left_out() -> None:
    ring = np.repeat(np.arange(2), 4000)
    value = np.zeros(8000)
    value[:50] = 1
    value[4000:4400] = 1
    moments = RingMoments.of(ring, value, 2)
    assert RingTest.of(moments, moments).rings.tolist() == [1]


def test_moments_add_up() -> None:
    random = np.random.default_rng(2)
    ring, value = random.integers(0, 5, 1000), random.poisson(4, 1000)
    whole = RingMoments.of(ring, value, 5)
    parts = RingMoments.of(ring[:300], value[:300], 5) + RingMoments.of(ring[300:], value[300:], 7)
    np.testing.assert_allclose(parts.sums[:, :5], whole.sums)
    for i in range(5):
        here = value[ring == i]
        assert whole.mean[i] == pytest.approx(here.mean())
        assert whole.variance[i] == pytest.approx(here.var())
        assert whole.fourth[i] == pytest.approx(np.mean((here - here.mean()) ** 4))


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plot(tmp_path: Path, pair: FramePair, suffix: str) -> None:
    found = compared(pair)
    path = tmp_path / f"plot.{suffix}"
    plot_comparison(path, pair, moments=found.moments, title="A title")
    magic = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]


def test_plot_of_a_frame_without_discarded_pixels_and_of_an_unknown_format(
    tmp_path: Path, pair: FramePair
) -> None:
    plot_comparison(tmp_path / "plot.png", pair, moments=None, title="A title")
    with pytest.raises(OutputError, match="no suffix of a picture"):
        plot_comparison(tmp_path / "plot.xyz", pair, moments=None, title="A title")
