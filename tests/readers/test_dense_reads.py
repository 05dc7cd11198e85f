# SPDX-License-Identifier: MIT
"""Every HDF5 program gets the same dense bytes, and gets them again on the next read."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import (
    Sample,
    decode_sample,
    make_frames,
    make_geometry,
    need_program,
    read_chunks,
    read_with_h5dump,
    read_with_python,
    run_host,
)

from h5bragg import Bragg, decode, encode

DTYPES = ["u1", "u2", "u4", "i2", "i4", ">u2", ">i4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_hosts_return_the_decoded_chunks(
    python_host: str, make_sample: Callable[..., Sample], tmp_path: Path, dtype: str
) -> None:
    sample = make_sample(dtype)
    restored = read_with_python(python_host, sample, tmp_path / "out.npy")
    assert restored.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(restored, decode_sample(sample))


@pytest.mark.parametrize("dtype", DTYPES)
def test_h5dump_returns_the_decoded_chunks(
    make_sample: Callable[..., Sample], tmp_path: Path, dtype: str
) -> None:
    sample = make_sample(dtype)
    restored = read_with_h5dump(sample, tmp_path / "out.bin")
    np.testing.assert_array_equal(restored, decode_sample(sample))


def test_hosts_read_stacks_of_modules(python_host: str, tmp_path: Path) -> None:
    geometry, frames = make_geometry((240, 130)), make_frames(2, (240, 130), "u2", seed=9)
    stacks = frames.reshape(2, 4, 60, 130)
    path = tmp_path / "stack.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=stacks, chunks=(1, 4, 60, 130), **Bragg(geometry))
    out = tmp_path / "out.npy"
    restored = read_with_python(python_host, Sample(path, "data", stacks, geometry), out)
    expected = [decode(encode(frame, geometry)) for frame in frames]
    np.testing.assert_array_equal(restored, np.reshape(expected, stacks.shape))


def test_h5dump_and_h5ls_name_the_filter(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample()
    dumped = run_host(need_program("h5dump"), "-pH", sample.path)
    listed = run_host(need_program("h5ls"), "-rv", sample.path)
    assert "H5Z-BRAGG" in dumped.stdout
    assert "H5Z-BRAGG" in listed.stdout


def test_the_frames_are_sparse_yet_their_masked_pixels_are_exact(
    make_sample: Callable[..., Sample],
) -> None:
    sample = make_sample("i4")
    restored = decode_sample(sample)
    assert (restored != sample.frames).mean() > 0.1
    np.testing.assert_array_equal(restored[sample.frames < 0], sample.frames[sample.frames < 0])
    np.testing.assert_array_equal(restored < 0, sample.frames < 0)


@pytest.mark.parametrize(("count", "frames_per_chunk"), [(4, 4), (5, 2)])
def test_chunks_of_several_frames(
    python_host: str,
    make_sample: Callable[..., Sample],
    tmp_path: Path,
    count: int,
    frames_per_chunk: int,
) -> None:
    """The last chunk of five frames in twos is an edge chunk, which HDF5 hands over full-size."""
    sample = make_sample("u2", count=count, frames_per_chunk=frames_per_chunk)
    restored = read_with_python(python_host, sample, tmp_path / "out.npy")
    np.testing.assert_array_equal(restored, decode_sample(sample)[:count])


def test_two_reads_are_identical(
    python_host: str, make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    first = read_with_python(python_host, sample, tmp_path / "first.npy")
    second = read_with_python(python_host, sample, tmp_path / "second.npy")
    np.testing.assert_array_equal(first, second)


def test_reading_strips_of_a_frame_gives_the_whole_frame(
    make_sample: Callable[..., Sample],
) -> None:
    """Each strip decodes the frame anew where the chunk cache is too small to hold it."""
    sample = make_sample()
    with h5py.File(sample.path, "r", rdcc_nbytes=0) as file:
        dataset = file[sample.name]
        strips = [dataset[1, start : start + 40] for start in range(0, dataset.shape[1], 40)]
    np.testing.assert_array_equal(np.concatenate(strips), decode_sample(sample)[1])


def test_writing_strips_of_a_frame_keeps_its_spots(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    """HDF5 then decodes and encodes the chunk again and again; picked pixels stay exact."""
    sample = make_sample()
    source = h5py.File(sample.path, "r")
    with source, h5py.File(tmp_path / "strips.h5", "w", rdcc_nbytes=0) as file:
        plist = source[sample.name].id.get_create_plist()
        space = source[sample.name].id.get_space()
        created = h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT32, space, plist)
        dataset = h5py.Dataset(created)
        for start in range(0, dataset.shape[1], 60):
            dataset[0, start : start + 60] = sample.frames[0, start : start + 60]
        spots = (sample.frames[0] > 100) & (sample.frames[0] < 2**31)
        assert spots.sum() > 5
        np.testing.assert_array_equal(dataset[0][spots], sample.frames[0][spots])


@pytest.mark.parametrize("fill", ["noise", "mean"])
def test_the_fill_is_a_read_option(
    python_host: str, make_sample: Callable[..., Sample], tmp_path: Path, fill: str
) -> None:
    sample = make_sample()
    restored = read_with_python(python_host, sample, tmp_path / "out.npy", H5BRAGG_FILL=fill)
    np.testing.assert_array_equal(restored, decode_sample(sample, fill))
    assert (decode_sample(sample, "noise") != decode_sample(sample, "mean")).any()


@pytest.mark.parametrize("fill", ["noise", "mean"])
def test_the_fill_is_an_option_of_h5dump_as_well(
    make_sample: Callable[..., Sample], tmp_path: Path, fill: str
) -> None:
    sample = make_sample()
    restored = read_with_h5dump(sample, tmp_path / "out.bin", H5BRAGG_FILL=fill)
    np.testing.assert_array_equal(restored, decode_sample(sample, fill))


def test_an_unknown_fill_is_an_error(
    python_host: str, make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    with pytest.raises(AssertionError, match="H5BRAGG_FILL must be 'noise' or 'mean'"):
        read_with_python(python_host, sample, tmp_path / "out.npy", H5BRAGG_FILL="average")


def test_chunks_are_those_of_encode(make_sample: Callable[..., Sample]) -> None:
    """Filter and library write the same bytes."""
    import h5bragg

    sample = make_sample("u2")
    expected = [h5bragg.encode(frame, sample.geometry) for frame in sample.frames]
    assert read_chunks(sample) == expected
