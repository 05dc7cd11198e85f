# SPDX-License-Identifier: MIT
"""Peaks: one list, wherever they are looked for, and the one that docs/peaks.md defines."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from peak_reference import assert_same_peaks, reference_peaks

import h5bragg
from h5bragg import (
    Geometry,
    GeometryError,
    ParameterError,
    PeakParams,
    Peaks,
    SparsifyParams,
    find_peaks,
)

GOLDEN = sorted((Path(__file__).resolve().parents[1] / "data").glob("*/*.chunk"))
Simulate = Callable[..., NDArray[Any]]
NO_SUMS = SparsifyParams(local_counts=0, snr_pick=2)
# A spot, brightest in its middle.
SPOT = np.array([[2, 9, 4], [11, 60, 17], [4, 15, 5]])


def assert_identical(found: Peaks, want: Peaks) -> None:
    for field in fields(Peaks):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(want, field.name))


def with_spots(frame: NDArray[Any], seed: int = 3, count: int = 60) -> NDArray[Any]:
    """Add spots, also across gaps and edges; masked pixels stay masked."""
    random = np.random.default_rng(seed)
    masked = frame < 0 if frame.dtype.kind == "i" else frame >= np.iinfo(frame.dtype).max - 1
    padded = np.zeros((frame.shape[0] + 4, frame.shape[1] + 4))
    for slow, fast in random.integers(0, np.array(frame.shape) + 1, (count, 2)):
        padded[slow : slow + 3, fast : fast + 3] += random.poisson(SPOT * random.exponential(1))
    added = np.minimum(frame + padded[2:-2, 2:-2], np.iinfo(frame.dtype).max - 2)
    return np.where(masked, frame, added).astype(frame.dtype)


def flat(counts: int = 0, shape: tuple[int, int] = (64, 80)) -> NDArray[np.uint16]:
    return np.full(shape, counts, np.uint16)


def geometry_of(shape: tuple[int, int] = (64, 80)) -> Geometry:
    return Geometry.flat(
        shape=shape,
        pixel_size_m=1e-4,
        distance_m=0.1,
        beam_center_px=(30.2, 41.7),
        wavelength_m=1e-10,
    )


def two_panels(geometry: Geometry) -> Geometry:
    """Cut a detector in two between pixels 99 and 100, where tiles meet."""
    panel = geometry.panels[0]
    origin = np.array(panel.origin_m) + 100 * np.array(panel.fast_m)
    right = replace(panel, fast=(100, 200), origin_m=tuple(origin + np.array([2e-4, 0, 0])))
    return Geometry.from_panels(
        [replace(panel, fast=(0, 100)), right],
        shape=geometry.shape,
        distance_m=geometry.distance_m,
        wavelength_m=geometry.wavelength_m,
    )


PARAMS = {
    "default": SparsifyParams(),
    "no sums": NO_SUMS,
    "careful": SparsifyParams.preset("careful"),
    "azimuthal": SparsifyParams(error_model="azimuthal"),
    "azimuthal without sums": replace(NO_SUMS, error_model="azimuthal"),
    "hybrid, wide rings": SparsifyParams(error_model="hybrid", radial_bins=9),
    "weak": SparsifyParams(snr_pick=1),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
@pytest.mark.parametrize("params", PARAMS.values(), ids=list(PARAMS))
def test_frame_chunk_and_sparse_frame_have_the_peaks_of_the_definition(
    small_geometry: Geometry, small_frame: Simulate, params: SparsifyParams, dtype: str
) -> None:
    frame = with_spots(small_frame(dtype, seed=1))
    chunk = h5bragg.encode(frame, small_geometry, params)
    assert h5bragg.inspect(chunk).sparse_frames == 1
    for wanted in (PeakParams(), PeakParams(snr_pick=5, patch=3, connected=1)):
        found = find_peaks(frame, small_geometry, params, peaks=wanted)
        assert_identical(find_peaks(chunk, peaks=wanted), found)
        assert_identical(find_peaks(h5bragg.unpack(chunk), peaks=wanted), found)
        assert_same_peaks(found, reference_peaks(chunk, wanted))
        assert len(found) > 10


@pytest.mark.parametrize("params", [SparsifyParams(), NO_SUMS], ids=["sums", "no sums"])
def test_frames_with_negative_pixels(small_geometry: Geometry, params: SparsifyParams) -> None:
    random = np.random.default_rng(5)
    frame = with_spots(random.normal(0, 3, small_geometry.shape).round().astype("int32"))
    params = replace(params, error_model="azimuthal", mask_codes=(-(2**31),))
    chunk = h5bragg.encode(frame, small_geometry, params)
    found = find_peaks(frame, small_geometry, params)
    assert_identical(find_peaks(chunk), found)
    assert_same_peaks(found, reference_peaks(chunk, PeakParams(), counting=False))
    assert len(found) > 5


@pytest.mark.parametrize("params", [SparsifyParams(), NO_SUMS], ids=["sums", "no sums"])
def test_peaks_do_not_reach_across_the_border_of_panels(
    small_geometry: Geometry, small_frame: Simulate, params: SparsifyParams
) -> None:
    geometry = two_panels(small_geometry)
    frame = with_spots(small_frame())
    frame[20:23, 98:101] = SPOT * 4  # its middle is the last pixel of the left panel
    frame[21, 100] = 239
    chunk = h5bragg.encode(frame, geometry, params)
    found = find_peaks(frame, geometry, params, peaks=PeakParams(connected=1))
    assert_identical(find_peaks(chunk, peaks=PeakParams(connected=1)), found)
    assert_same_peaks(found, reference_peaks(chunk, PeakParams(connected=1)))
    there = {(21, 99), (21, 100)}
    assert there <= set(zip(found.slow.tolist(), found.fast.tolist(), strict=True))


@pytest.mark.parametrize("params", [SparsifyParams(), NO_SUMS], ids=["sums", "no sums"])
def test_pixels_under_the_mask_are_no_peaks(
    small_geometry: Geometry, small_frame: Simulate, params: SparsifyParams
) -> None:
    mask = np.zeros(small_geometry.shape, bool)
    mask[40:60, 30:50] = mask[5, 5] = True
    geometry = small_geometry.with_mask(mask)
    frame = with_spots(small_frame(), count=200)
    frame[5, 5] = 900
    chunk = h5bragg.encode(frame, geometry, params)
    found = find_peaks(frame, geometry, params)
    assert_identical(find_peaks(chunk, geometry), found)
    assert_identical(find_peaks(h5bragg.unpack(chunk), geometry), found)
    assert_same_peaks(found, reference_peaks(chunk, PeakParams(), mask=mask))
    assert not mask[found.slow, found.fast].any()
    assert len(find_peaks(chunk)) > len(found)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_chunks_of_every_version_give_the_peaks_of_the_definition(path: Path) -> None:
    chunk = path.read_bytes()
    info = h5bragg.inspect(chunk)
    wanted = PeakParams(snr_pick=max(info.params.snr_pick, 3), connected=1)
    pixels = h5bragg.decode(chunk).reshape(info.nframes, *info.shape[-2:])
    for number in range(info.nframes):
        found = find_peaks(chunk, peaks=wanted, frame=number)
        if h5bragg.unpack(chunk, number).is_lossless:
            assert_identical(
                found, find_peaks(pixels[number], info.geometry, info.params, peaks=wanted)
            )
            continue
        mask = h5bragg.unpack(chunk, number).mask
        counting = bool((pixels[number][mask == 0] >= 0).all())
        want = reference_peaks(chunk, wanted, frame=number, counting=counting)
        assert_same_peaks(found, want)


def test_a_frame_that_is_stored_whole_has_its_peaks(small_geometry: Geometry) -> None:
    random = np.random.default_rng(2)
    frame = with_spots(random.integers(0, 254, small_geometry.shape).astype("uint8"))
    params = SparsifyParams(snr_pick=1, local_significance=0.0625)
    chunk = h5bragg.encode(frame, small_geometry, params)
    assert h5bragg.inspect(chunk).lossless_frames == 1
    wanted = PeakParams(connected=0)
    found = find_peaks(frame, small_geometry, params, peaks=wanted)
    assert_identical(find_peaks(chunk, peaks=wanted), found)
    assert_identical(find_peaks(h5bragg.unpack(chunk), peaks=wanted), found)


def test_each_frame_of_a_chunk_has_its_own_peaks(
    small_geometry: Geometry, small_frame: Simulate
) -> None:
    frames = np.stack([with_spots(small_frame(seed=k), seed=k) for k in range(3)])
    chunk = h5bragg.encode(frames, small_geometry)
    for k, frame in enumerate(frames):
        assert_identical(find_peaks(chunk, frame=k), find_peaks(frame, small_geometry))
        assert_identical(find_peaks(h5bragg.unpack(chunk, k)), find_peaks(frame, small_geometry))


def test_a_peak_is_where_its_counts_are() -> None:
    frame = flat()
    frame[20:23, 30:33] = SPOT
    peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(patch=3))
    centre = (SPOT * np.arange(3)[:, None]).sum() / SPOT.sum()
    assert len(peaks) == 1
    assert (peaks.slow[0], peaks.fast[0], peaks.maximum[0]) == (21, 31, 60)
    np.testing.assert_allclose(peaks.slow_px, 20.5 + centre)
    np.testing.assert_allclose(peaks.intensity, SPOT.sum())
    np.testing.assert_allclose(peaks.sigma, np.sqrt(SPOT.sum()))
    np.testing.assert_allclose(peaks.snr, np.sqrt(SPOT.sum()))


@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (2, 3), (5, 1), (1, 9), (6, 7)])
def test_equal_neighbours_are_one_peak(shape: tuple[int, int]) -> None:
    for offset in range(5):
        frame = flat()
        frame[20 + offset :, 30 - offset :][: shape[0], : shape[1]] = 50
        peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(connected=1))
        assert (peaks.slow.tolist(), peaks.fast.tolist()) == ([20 + offset], [30 - offset])


@pytest.mark.parametrize("at", [(0, 0), (0, 77), (61, 0), (61, 77), (30, 0), (61, 40)])
def test_peaks_at_the_edge_of_the_frame_are_found(at: tuple[int, int]) -> None:
    frame = flat()
    frame[at[0] :, at[1] :][:3, :3] = SPOT
    peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(patch=3))
    assert (peaks.slow.tolist(), peaks.fast.tolist()) == ([at[0] + 1], [at[1] + 1])
    assert peaks.intensity[0] == SPOT.sum()


def test_masked_neighbours_are_left_out_and_do_not_hide_a_peak() -> None:
    frame = flat()
    frame[20:23, 30:33] = SPOT
    frame[21, 32] = 65535
    frame[:, 33] = 65534
    peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(patch=3))
    assert (peaks.slow.tolist(), peaks.fast.tolist()) == ([21], [31])
    assert peaks.intensity[0] == SPOT.sum() - SPOT[1, 2]


def test_connected_says_how_many_pixels_a_peak_has_at_least() -> None:
    frame = flat()
    for n in range(1, 7):
        frame[10, 10 * n : 10 * n + n] = 50
    for connected in range(5):
        peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(connected=connected))
        longest = [n for n in range(1, 7) if min(n, 3) > connected]
        assert peaks.fast.tolist() == [10 * n for n in longest]


def test_resolution_and_radius_are_those_of_the_place() -> None:
    geometry = Geometry.flat(
        shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1, beam_center_px=(20.5, 400.5),
        wavelength_m=1.2e-10,
    )  # fmt: skip
    frame = flat()
    frame[19:22, 9:12] = [[0, 30, 0], [30, 90, 30], [0, 30, 0]]
    peaks = find_peaks(frame, geometry, peaks=PeakParams(patch=3))
    np.testing.assert_allclose(peaks.radius_m, 390e-4, rtol=1e-6)
    two_theta = np.arctan(390e-4 / 0.1)
    np.testing.assert_allclose(peaks.resolution_a, 1.2 / (2 * np.sin(two_theta / 2)), rtol=1e-6)


def test_without_a_wavelength_the_resolution_is_zero() -> None:
    frame = flat()
    frame[20:23, 30:33] = SPOT
    geometry = Geometry.flat(
        shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1, beam_center_px=(30, 41), wavelength_m=0
    )
    assert find_peaks(frame, geometry).resolution_a.tolist() == [0]


def test_peaks_can_be_selected() -> None:
    frame = flat()
    frame[20:23, 30:33] = SPOT
    frame[40:43, 50:53] = 2 * SPOT
    peaks = find_peaks(frame, geometry_of(), peaks=PeakParams(patch=3))
    assert peaks[peaks.snr > 15].slow.tolist() == [41]
    assert repr(peaks[:1]) == f"<Peaks: 1, together {SPOT.sum()} counts>"


def test_a_frame_of_masked_pixels_has_no_peaks() -> None:
    frame = flat(65535)
    assert len(find_peaks(frame, geometry_of())) == 0
    assert len(find_peaks(h5bragg.encode(frame, geometry_of()))) == 0


def test_peaks_weaker_than_what_is_stored_are_refused() -> None:
    frame, geometry = flat(3), geometry_of()
    chunk = h5bragg.encode(frame, geometry)
    weak = PeakParams(snr_pick=3)
    said = r"^peaks of 3 sigma where 4 sigma are stored: peaks so weak are not stored exactly: ask"
    for call in (
        lambda: find_peaks(frame, geometry, peaks=weak),
        lambda: find_peaks(chunk, peaks=weak),
        lambda: find_peaks(h5bragg.unpack(chunk), peaks=weak),
    ):
        with pytest.raises(ParameterError, match=said):
            call()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"snr_pick": 0}, "snr_pick=0 is not usable"),
        ({"snr_pick": float("nan")}, "snr_pick=nan is not usable"),
        ({"patch": 4}, "patch=4 is not usable: give 3 or 5"),
        ({"connected": 9, "patch": 3}, "connected=9 is not usable: give 0 to 8"),
        ({"connected": -1}, "connected=-1 is not usable"),
    ],
)
def test_unusable_parameters_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        PeakParams(**values)


def test_a_frame_needs_a_geometry_that_fits() -> None:
    with pytest.raises(GeometryError, match="need its geometry"):
        find_peaks(flat())
    with pytest.raises(GeometryError, match="do not fit the geometry"):
        find_peaks(flat(), geometry_of((80, 64)))
    with pytest.raises(GeometryError, match="of one frame"):
        find_peaks(flat()[np.newaxis], geometry_of())


def test_a_mask_of_another_shape_is_refused() -> None:
    chunk = h5bragg.encode(flat(), geometry_of())
    other = geometry_of((80, 64)).with_mask(np.ones((80, 64), bool))
    with pytest.raises(GeometryError, match=r"frames of shape \(64, 80\)"):
        find_peaks(chunk, other)


@pytest.mark.parametrize("number", [1, -1, 2**40])
def test_a_frame_that_is_not_in_the_chunk_is_refused(number: int) -> None:
    chunk = h5bragg.encode(flat(), geometry_of())
    with pytest.raises(ParameterError, match=f"frame {number} is not in a chunk of 1 frame"):
        find_peaks(chunk, frame=number)


def test_damaged_chunks_are_refused() -> None:
    chunk = bytearray(h5bragg.encode(flat(), geometry_of()))
    chunk[-1] ^= 1
    with pytest.raises(h5bragg.ChunkError, match="checksum"):
        find_peaks(bytes(chunk))


def test_wings_that_are_not_stored_are_those_of_a_spot() -> None:
    """Of a spot of the width that is assumed no counts are lost where its tiles are not kept."""
    frame = flat()
    spot = 60 * np.exp(-(np.add.outer(*[np.arange(-2, 3) ** 2] * 2)) / (2 * 0.7**2))
    frame[21:26, 31:36] = np.round(spot)  # its first column and row lie in tiles of their own
    chunk = h5bragg.encode(frame, geometry_of())
    known = np.zeros(frame.shape, bool)
    known.ravel()[h5bragg.unpack(chunk).index] = True
    lost = frame[21:26, 31:36][~known[21:26, 31:36]].sum()
    peaks = find_peaks(chunk)
    assert known[21:26, 31:36].sum() == peaks.npixels[0] < 25
    np.testing.assert_allclose(peaks.intensity, spot.sum(), rtol=0.02)
    assert lost > 0
