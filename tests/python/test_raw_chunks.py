# SPDX-License-Identifier: MIT
"""Frames with bitshuffle are read outside of HDF5's lock, and are those that HDF5 reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from h5py._objects import phil

from h5bragg.frame_source import InputError
from h5bragg.hdf5_frames import Hdf5Source
from h5bragg.raw_chunks import RawChunks

LZ4 = hdf5plugin.Bitshuffle(cname="lz4")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.h5"


@pytest.fixture
def file(path: Path) -> Iterator[h5py.File]:
    with h5py.File(path, "w") as file:
        yield file


def stack(dtype: str, shape: tuple[int, ...] = (3, 61, 70)) -> np.ndarray[Any, Any]:
    info = np.iinfo(dtype)
    return np.random.default_rng(5).integers(info.min, info.max, shape, info.dtype, endpoint=True)


def create(file: h5py.File, frames: np.ndarray[Any, Any], **options: Any) -> h5py.Dataset:
    chunks = (1, *frames.shape[1:])
    return file.create_dataset("data", data=frames, **{"chunks": chunks, **LZ4, **options})


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "u8"])
@pytest.mark.parametrize("options", [{"cname": "lz4"}, {"cname": "zstd"}, {"cname": "none"}])
def test_frames_are_those_that_hdf5_reads(
    file: h5py.File, dtype: str, options: dict[str, Any]
) -> None:
    data = create(file, stack(dtype), **hdf5plugin.Bitshuffle(**options))
    assert RawChunks.suits(data)
    for k in range(3):
        found = RawChunks(data).read(k)
        assert found is not None
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(found, data[k])


def test_big_endian_frames_and_stacks_of_modules(file: h5py.File) -> None:
    data = create(file, stack("u2", (2, 4, 16, 20)), dtype=">u2")
    for k in range(2):
        np.testing.assert_array_equal(RawChunks(data).read(k), data[k])


def test_a_block_size_of_the_writer_is_used(file: h5py.File) -> None:
    data = create(file, stack("u2"), **hdf5plugin.Bitshuffle(nelems=512, cname="lz4"))
    np.testing.assert_array_equal(RawChunks(data).read(2), data[2])


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (2, 61, 70)},
        {"chunks": (1, 61, 35)},
        {"compression": "gzip", "compression_opts": 4},
        {"shuffle": True},
    ],
    ids=["two frames a chunk", "half a frame a chunk", "gzip", "two filters"],
)
def test_what_is_stored_otherwise_does_not_suit(file: h5py.File, options: dict[str, Any]) -> None:
    assert not RawChunks.suits(create(file, stack("u2"), **options))


def test_contiguous_virtual_and_single_frames_do_not_suit(file: h5py.File, path: Path) -> None:
    assert not RawChunks.suits(file.create_dataset("plain", data=stack("u2")))
    assert not RawChunks.suits(file.create_dataset("one", data=stack("u2")[0], chunks=True))
    layout = h5py.VirtualLayout((3, 61, 70), "u2")
    layout[:] = h5py.VirtualSource(path, "plain", (3, 61, 70))
    assert not RawChunks.suits(file.create_virtual_dataset("virtual", layout))


def test_what_is_unusual_is_left_to_hdf5(file: h5py.File, path: Path) -> None:
    frames = stack("u2", (5, 61, 70))
    data = create(file, frames)
    missing = file.create_dataset(
        "missing", (2, 61, 70), "u2", chunks=(1, 61, 70), fillvalue=7, **LZ4
    )
    chunk = data.id.read_direct_chunk((1, 0, 0))[1]
    data.id.write_direct_chunk((1, 0, 0), frames[1].tobytes(), filter_mask=1)  # not compressed
    data.id.write_direct_chunk((2, 0, 0), chunk[:12] + b"\0\0\0\1" + chunk[16:])  # of a block
    data.id.write_direct_chunk((3, 0, 0), b"\0" * 12)
    data.id.write_direct_chunk((4, 0, 0), b"\xff" * len(chunk))
    raw = RawChunks(data)
    np.testing.assert_array_equal(raw.read(0), frames[0])
    assert [raw.read(k) for k in range(1, 5)] == [None] * 4
    assert RawChunks(missing).read(0) is None
    file.close()
    source = Hdf5Source(path, "data")
    np.testing.assert_array_equal(source.read(1).pixels, frames[1])
    for k in range(2, 5):
        with pytest.raises(InputError, match=rf"frame {k}\) cannot be read"):
            source.read(k)
    source.close()
    with_fill = Hdf5Source(path, "missing")
    assert (with_fill.read(1).pixels == 7).all()
    with_fill.close()


def test_decompression_waits_for_no_lock_of_hdf5(file: h5py.File) -> None:
    data = create(file, stack("u4"))
    raw, chunk = RawChunks(data), data.id.read_direct_chunk((2, 0, 0))[1]
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(raw._decompressed(chunk)))
    with phil:
        reader.start()
        reader.join(timeout=60)
        assert not reader.is_alive()
    np.testing.assert_array_equal(found[0], data[2])


def test_many_threads_read_what_one_reads(file: h5py.File) -> None:
    frames = stack("u2", (16, 61, 70))
    raw = RawChunks(create(file, frames))
    found: list[Any] = [None] * 64

    def read(k: int) -> None:
        for i in range(k, 64, 4):
            found[i] = raw.read(i % 16)

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.stack(found), np.concatenate([frames] * 4))
