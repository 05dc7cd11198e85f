# SPDX-License-Identifier: MIT
"""What encode, decode, inspect and unpack take and give: arrays, buffers and clear refusals."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import ChunkError, Geometry, GeometryError, ParameterError, SparsifyParams

Simulate = Callable[..., NDArray[np.integer]]
DTYPES = ["uint8", "uint16", "uint32", "int16", "int32"]


@pytest.fixture(scope="module")
def chunk(small_frame: Simulate, small_geometry: Geometry) -> bytes:
    return h5bragg.encode(small_frame(), small_geometry)


@pytest.fixture(scope="module")
def triple(small_frame: Simulate, small_geometry: Geometry) -> bytes:
    """A chunk of three frames."""
    frames = np.stack([small_frame(seed=seed) for seed in range(3)])
    return h5bragg.encode(frames, small_geometry)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixel_type_is_kept(dtype: str, small_frame: Simulate, small_geometry: Geometry) -> None:
    restored = h5bragg.decode(h5bragg.encode(small_frame(dtype), small_geometry))
    assert restored.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_byte_order_changes_nothing_but_the_note_of_it(
    dtype: str, small_frame: Simulate, small_geometry: Geometry
) -> None:
    frame = small_frame(dtype)
    swapped = frame.astype(frame.dtype.newbyteorder())
    plain, other = (h5bragg.encode(f, small_geometry) for f in (frame, swapped))
    np.testing.assert_array_equal(h5bragg.decode(plain), h5bragg.decode(other))
    assert h5bragg.decode(other).dtype.isnative
    notes = {h5bragg.inspect(c).file_big_endian for c in (plain, other)}
    assert notes == {True, False}


@pytest.mark.parametrize(
    "relayout",
    [
        np.asfortranarray,
        lambda frame: np.pad(frame, 3)[3:-3, 3:-3],
        lambda frame: frame[::-1, ::-1].copy()[::-1, ::-1],
        lambda frame: frame[None],
        lambda frame: frame.tolist() and np.array(frame.tolist(), frame.dtype),
    ],
)
def test_memory_layout_does_not_matter(
    relayout: Callable[[NDArray], NDArray],
    chunk: bytes,
    small_frame: Simulate,
    small_geometry: Geometry,
) -> None:
    assert h5bragg.encode(relayout(small_frame()), small_geometry) == chunk


def test_one_frame_comes_back_flat_and_several_as_a_stack(
    chunk: bytes, triple: bytes, small_frame: Simulate
) -> None:
    assert h5bragg.decode(chunk).shape == (160, 200)
    frames = h5bragg.decode(triple)
    assert frames.shape == h5bragg.inspect(triple).shape == (3, 160, 200)
    for number in range(3):
        sparse = h5bragg.unpack(triple, number)
        raw = small_frame(seed=number)
        np.testing.assert_array_equal(sparse.intensity, raw.flat[sparse.index])
        np.testing.assert_array_equal(frames[number].flat[sparse.index], sparse.intensity)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint64", "float32", "complex64", "S2"])
def test_other_pixel_types_are_refused_with_those_that_work(
    dtype: str, small_geometry: Geometry
) -> None:
    with pytest.raises(ParameterError) as caught:
        h5bragg.encode(np.zeros(small_geometry.shape, dtype), small_geometry)
    assert all(name in str(caught.value) for name in [str(np.dtype(dtype)), *DTYPES])


@pytest.mark.parametrize("shape", [(160,), (160, 199), (200, 160), (0, 160, 200), (1, 1, 160, 200)])
def test_other_shapes_are_refused_with_the_right_one(
    shape: tuple[int, ...], small_geometry: Geometry
) -> None:
    with pytest.raises(GeometryError) as caught:
        h5bragg.encode(np.zeros(shape, "u2"), small_geometry)
    assert str(shape) in str(caught.value)
    assert str(small_geometry.shape) in str(caught.value)


def test_mask_codes_outside_the_pixel_type_are_refused(
    small_frame: Simulate, small_geometry: Geometry
) -> None:
    params = SparsifyParams(mask_codes=(-1,))
    with pytest.raises(ParameterError, match="uint16"):
        h5bragg.encode(small_frame(), small_geometry, params)


def test_decoding_into_an_array_fills_that_array(chunk: bytes) -> None:
    out = np.empty((160, 200), np.uint16)
    assert h5bragg.decode(chunk, out=out) is out
    np.testing.assert_array_equal(out, h5bragg.decode(chunk))
    stack = np.zeros((4, 160, 200), np.uint16)
    h5bragg.decode(chunk, out=stack[2:3])
    np.testing.assert_array_equal(stack[2], out)
    assert not stack[[0, 1, 3]].any()


@pytest.mark.parametrize(
    "out",
    [
        np.empty((160, 200), np.int16),
        np.empty((160, 200), ">u2"),
        np.empty((200, 160), np.uint16),
        np.empty((2, 160, 200), np.uint16),
        np.empty((160, 200), np.uint16, order="F"),
        np.empty((160, 400), np.uint16)[:, ::2],
        np.broadcast_to(np.uint16(0), (160, 200)),
    ],
)
def test_unsuitable_output_array_is_refused(chunk: bytes, out: NDArray) -> None:
    with pytest.raises(ParameterError, match=r"^out "):
        h5bragg.decode(chunk, out=out)


def test_unknown_fill_is_refused(chunk: bytes) -> None:
    with pytest.raises(ParameterError, match="'noise' or 'mean'"):
        h5bragg.decode(chunk, fill="zero")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrap", [bytearray, memoryview, lambda c: np.frombuffer(c, np.uint8)])
def test_any_contiguous_buffer_is_a_chunk(chunk: bytes, wrap: Callable[[bytes], object]) -> None:
    np.testing.assert_array_equal(h5bragg.decode(wrap(chunk)), h5bragg.decode(chunk))


@pytest.mark.parametrize("call", [h5bragg.decode, h5bragg.inspect, h5bragg.unpack])
@pytest.mark.parametrize("wrong", ["text", 7, None, b"", b"too short", np.zeros(8, "u1")[::2]])
def test_what_is_no_chunk_is_refused(call: Callable[[object], object], wrong: object) -> None:
    with pytest.raises(ChunkError) as caught:
        call(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frame", [-1, 3])
def test_missing_frame_of_a_chunk_is_refused(triple: bytes, frame: int) -> None:
    with pytest.raises(ParameterError, match="chunk of 3 frames"):
        h5bragg.unpack(triple, frame)


def test_info_tells_the_sizes(triple: bytes) -> None:
    info = h5bragg.inspect(triple)
    assert (info.nframes, info.dtype, info.chunk_nbytes) == (3, np.dtype("u2"), len(triple))
    assert info.frames_nbytes == 3 * 160 * 200 * 2
    assert info.ratio == pytest.approx(info.frames_nbytes / len(triple))
    assert info.sparse_frames + info.lossless_frames == 3
    picked = sum(len(h5bragg.unpack(triple, number).index) for number in range(3))
    assert info.picked_pixels == picked


def test_lossless_frame_unpacks_without_picked_pixels(small_geometry: Geometry) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16 - 2, small_geometry.shape, np.uint16)
    chunk = h5bragg.encode(noise, small_geometry, SparsifyParams(snr_pick=0.01))
    assert h5bragg.inspect(chunk).lossless_frames == 1
    sparse = h5bragg.unpack(chunk)
    assert sparse.is_lossless
    assert len(sparse.index) == 0
    assert "lossless" in repr(sparse)
    np.testing.assert_array_equal(h5bragg.decode(chunk), noise)
