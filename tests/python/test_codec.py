# SPDX-License-Identifier: MIT
"""Chunks: exactness, determinism, bounds, damage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_statistics import discarded

import h5bragg
from h5bragg import ChunkError, Geometry, Panel, SparsifyParams, decode, encode, inspect, unpack

DTYPES = ("uint8", "uint16", "uint32", "int16", "int32")
HEADER_NBYTES = 256
both_ways = pytest.mark.parametrize("local_counts", [0, 4])


def flat(shape):
    return Geometry.flat(
        shape=shape, pixel_size_m=1e-4, distance_m=0.1, beam_center_px=(10, 20), wavelength_m=1e-10
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@both_ways
def test_picked_and_masked_pixels_are_exact(
    dtype, error_model, local_counts, small_frame, small_geometry
):
    raw = small_frame(dtype)
    raw[100, 100] = np.iinfo(dtype).max - 2
    params = SparsifyParams(error_model=error_model, local_counts=local_counts)
    chunk = encode(raw, small_geometry, params)
    restored = decode(chunk)
    free = discarded(chunk)
    assert restored.dtype == raw.dtype
    assert free.mean() > 0.5
    np.testing.assert_array_equal(restored[~free], raw[~free])
    assert not free[100, 100]


@both_ways
@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u4", "i4"])
def test_four_byte_counts_beyond_float_precision_are_exact(
    dtype, byte_order, local_counts, small_frame, small_geometry
):
    """Single bright pixels and whole peaks of neighbours, in every frame of a chunk."""
    frames = np.stack([small_frame({"u4": "uint32", "i4": "int32"}[dtype], k) for k in range(3)])
    top = np.iinfo(dtype).max
    bright = [2**24 + 1, 2**25 + 3, 2**30 + 7, 2**31 - 5] + [2**31 + 3, top - 5] * (dtype == "u4")
    for k, value in enumerate(bright):
        frames[:, 20 + 7 * k, 30] = value
    odd = 2**24 + 1 + 2 * np.arange(49).reshape(7, 7)
    frames[1, 100:107, 101:108] = odd
    params = SparsifyParams(local_counts=local_counts)
    restored = decode(encode(frames.astype(byte_order + dtype), small_geometry, params))
    for k, value in enumerate(bright):
        assert restored[:, 20 + 7 * k, 30].tolist() == [value] * 3
    np.testing.assert_array_equal(restored[1, 100:107, 101:108], odd)


@both_ways
@pytest.mark.parametrize("offset", [2**24, -(2**24), 2**30, -(2**30)])
def test_backgrounds_beyond_float_precision_keep_their_deviation(
    offset, local_counts, small_geometry
):
    raw = offset + np.round(np.random.default_rng(1).normal(0, 20, small_geometry.shape))
    raw = raw.astype("int32")
    raw[50, 60] = offset + 2**20 + 1
    params = SparsifyParams(
        error_model="azimuthal", polarization=None, solid_angle=False, radial_bins=1,
        local_counts=local_counts, mask_codes=(),
    )  # fmt: skip
    chunk = encode(raw, small_geometry, params)
    restored = decode(chunk)
    free = discarded(chunk)
    np.testing.assert_array_equal(restored[~free], raw[~free])
    assert restored[50, 60] == raw[50, 60]
    if abs(offset) == 2**30:
        return  # steps of the ring's mean are 64 counts, three deviations: all may be stored
    # 32 000 pixels: the standard error is 0.11 of the mean and 0.08 of the deviation.
    before, after = (frame[free].astype(float) - offset for frame in (raw, restored))
    assert abs(after.mean() - before.mean()) < 0.6
    assert after.std() == pytest.approx(before.std(), abs=0.5)


@pytest.mark.slow
@both_ways
def test_a_frame_of_16_million_pixels_round_trips(local_counts):
    shape = (4362, 4148)
    geometry = flat(shape)
    raw = np.random.default_rng(6).poisson(0.7, shape).astype("uint32")
    raw[514:551] = 2**32 - 1
    raw[:, 1030:1040] = 2**32 - 1
    raw[::97, ::89] = 2**24 + 1
    raw[-1, -1] = 2**32 - 3
    params = SparsifyParams(local_counts=local_counts)
    chunk = encode(raw, geometry, params)
    restored = decode(chunk)
    free = discarded(chunk)
    assert 0.5 < free.mean() < 0.99
    np.testing.assert_array_equal(restored[~free], raw[~free])
    assert not free[-1, -1]
    assert not free[::97, ::89].any()
    assert restored[free].mean() == pytest.approx(raw[free].mean(), rel=0.001)


def test_every_mask_code_survives_over_the_whole_type(small_geometry):
    for dtype, codes in (("uint16", (2**16 - 1, 2**16 - 2)), ("int32", (-1, -2, -(2**31)))):
        raw = np.ones(small_geometry.shape, dtype)
        for k, code in enumerate(codes):
            raw[10 * k : 10 * k + 3, 5:50] = code
            raw[40 + k, 60 + k] = code
        chunk = encode(raw, small_geometry)
        restored = decode(chunk)
        for k, code in enumerate(codes):
            np.testing.assert_array_equal(restored == code, raw == code)
            np.testing.assert_array_equal(unpack(chunk).mask == k + 1, raw == code)


def test_custom_mask_codes(small_geometry):
    raw = np.random.default_rng(0).poisson(2, small_geometry.shape).astype("int32")
    raw[3:9] = -100
    raw[20, 20] = 2**31 - 5
    chunk = encode(raw, small_geometry, SparsifyParams(mask_codes=(-100, 2**31 - 5)))
    assert inspect(chunk).masked_pixels == 6 * 200 + 1
    np.testing.assert_array_equal(decode(chunk) == -100, raw == -100)
    assert decode(chunk)[20, 20] == 2**31 - 5


def test_same_frame_gives_same_bytes_and_same_pixels(small_frame, small_geometry):
    raw = small_frame()
    first = encode(raw, small_geometry)
    assert encode(np.asfortranarray(raw), small_geometry) == first
    swapped = encode(raw.astype(">u2"), small_geometry)
    np.testing.assert_array_equal(decode(swapped), decode(first))
    np.testing.assert_array_equal(decode(first), decode(first))


@both_ways
@pytest.mark.parametrize("dtype", [*DTYPES, ">u2", ">u4", ">i2", ">i4"])
def test_several_frames_a_chunk_equal_frames_alone(
    dtype, local_counts, small_frame, small_geometry
):
    native = np.dtype(dtype).newbyteorder("=").name
    stack = np.stack([small_frame(native, seed=k) for k in range(3)])
    stack[1] = 0
    params = SparsifyParams(local_counts=local_counts)
    together = decode(encode(stack.astype(dtype), small_geometry, params))
    alone = [decode(encode(frame, small_geometry, params)) for frame in stack]
    assert together.dtype == stack.dtype
    np.testing.assert_array_equal(together, alone)


def test_static_mask_keeps_pixels_out_of_the_background_and_exact(small_geometry):
    raw = np.random.default_rng(1).poisson(2, small_geometry.shape).astype("uint16")
    mask = np.zeros(small_geometry.shape, bool)
    mask[60:90, 30:120] = True
    raw[mask] = 500
    masked = small_geometry.with_mask(mask)
    restored = decode(encode(raw, masked))
    np.testing.assert_array_equal(restored[mask], raw[mask])
    found = h5bragg.background(raw, masked)
    assert found.npixels.sum() == np.count_nonzero(~mask)
    assert np.all(found.mean[found.count > 50] < 3)


def test_pixels_on_no_panel_are_exact():
    panels = [
        Panel(
            slow=(0, 40),
            fast=(first, first + 30),
            origin_m=(1e-4 * first - 3e-3, -2e-3, 0.1),
            slow_m=(0, 1e-4, 0),
            fast_m=(1e-4, 0, 0),
        )
        for first in (0, 35)
    ]
    geometry = Geometry.from_panels(
        shape=(40, 70), panels=panels, distance_m=0.1, wavelength_m=1e-10
    )
    raw = np.random.default_rng(2).poisson(4, (40, 70)).astype("int32")
    raw[:, 30:35] = np.arange(-100, 100).reshape(40, 5) * 1000
    raw[:, 65:] = 7
    chunk = encode(raw, geometry, SparsifyParams(mask_codes=()))
    np.testing.assert_array_equal(decode(chunk)[:, 30:35], raw[:, 30:35])
    np.testing.assert_array_equal(decode(chunk)[:, 65:], raw[:, 65:])
    assert len(inspect(chunk).geometry.panels) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chunk_is_never_larger_than_the_frame_and_a_header(dtype, small_geometry):
    info = np.iinfo(dtype)
    random = np.random.default_rng(3)
    raw = random.integers(info.min, info.max, small_geometry.shape, dtype=dtype, endpoint=True)
    chunk = encode(raw, small_geometry)
    assert len(chunk) <= raw.nbytes + HEADER_NBYTES
    assert inspect(chunk).lossless_frames == 1
    assert unpack(chunk).is_lossless
    np.testing.assert_array_equal(decode(chunk), raw)


def test_mean_fill_is_noise_free_and_exact_where_picked(small_frame, small_geometry):
    chunk = encode(small_frame(), small_geometry, SparsifyParams(radial_bins=1, local_counts=0))
    smooth = decode(chunk, fill="mean")
    free = discarded(chunk)
    np.testing.assert_array_equal(smooth[~free], small_frame()[~free])
    assert len(np.unique(smooth[free])) < 5


def test_inspect_returns_what_was_encoded(small_frame, small_geometry):
    params = SparsifyParams(
        snr_pick=1.5, snr_clip=3, cycles=7, error_model="hybrid", radial_bins=33, seed=9,
        polarization=None, solid_angle=False, local_step=0.75, local_significance=2.1875,
        coarse_limit=64,
    )  # fmt: skip
    info = inspect(encode(small_frame(), small_geometry, params))
    assert info.params == params
    assert info.nbins == 33
    assert info.shape == small_geometry.shape
    assert info.dtype == np.uint16
    assert info.geometry.distance_m == pytest.approx(small_geometry.distance_m)
    assert (info.sparse_frames, info.lossless_frames) == (1, 0)


@both_ways
def test_every_changed_byte_is_detected(local_counts):
    raw = np.random.default_rng(4).poisson(0.3, (30, 40)).astype("uint16")
    chunk = encode(raw, flat((30, 40)), SparsifyParams(local_counts=local_counts))
    for at in range(len(chunk)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(chunk)
            damaged[at] ^= flip
            with pytest.raises(ChunkError):
                decode(bytes(damaged))


@both_ways
def test_every_truncation_is_refused(local_counts):
    raw = np.random.default_rng(5).poisson(2, (30, 40)).astype("uint16")
    chunk = encode(raw, flat((30, 40)), SparsifyParams(local_counts=local_counts))
    for length in range(len(chunk)):
        with pytest.raises(ChunkError):
            decode(chunk[:length])
    with pytest.raises(ChunkError):
        decode(chunk + b"\0")


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("cycles", [0, 1, 2, 5])
@both_ways
def test_a_ring_that_clipping_would_empty_keeps_a_finite_background(
    error_model, cycles, local_counts
):
    raw = np.zeros((3, 10), "uint32")
    raw[0, 9] = 1808685358
    params = SparsifyParams(
        error_model=error_model, radial_bins=9, cycles=cycles, snr_pick=1, local_counts=local_counts
    )
    found = h5bragg.background(raw, flat(raw.shape), params)
    assert np.all(np.isfinite(found.mean))
    assert np.all(np.isfinite(found.std))
    chunk = encode(raw, flat(raw.shape), params)
    restored = decode(chunk)
    free = discarded(chunk)
    np.testing.assert_array_equal(restored[~free], raw[~free])


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(DTYPES),
    mean=st.floats(0, 200),
    snr_pick=st.floats(0.01, 20),
    error_model=st.sampled_from(["poisson", "azimuthal", "hybrid"]),
    bins=st.integers(0, 50),
    cycles=st.integers(0, 8),
    local=st.fixed_dictionaries(
        {
            "local_counts": st.sampled_from([0, 4]),
            "local_step": st.integers(1, 16).map(lambda quarters: quarters / 4),
            "local_significance": st.floats(0.0625, 7.9375),
            "coarse_limit": st.sampled_from([0, 8, 24, 64]),
        }
    ),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_any_frame_round_trips(  # noqa: PLR0917
    shape, dtype, mean, snr_pick, error_model, bins, cycles, local, seed
):
    random = np.random.default_rng(seed)
    raw = random.poisson(mean, shape)
    peaks = random.random(shape) < 0.05
    info = np.iinfo(dtype)
    raw[peaks] = random.integers(info.min, info.max, np.count_nonzero(peaks), endpoint=True)
    raw = np.clip(raw, info.min, info.max).astype(dtype)
    params = SparsifyParams(
        snr_pick=snr_pick, error_model=error_model, radial_bins=bins, cycles=cycles, seed=seed,
        **local,
    )  # fmt: skip
    chunk = encode(raw, flat(shape), params)
    restored = decode(chunk)
    if unpack(chunk).is_lossless:
        np.testing.assert_array_equal(restored, raw)
        return
    free = discarded(chunk)
    np.testing.assert_array_equal(restored[~free], raw[~free])
    assert encode(raw, flat(shape), params) == chunk
