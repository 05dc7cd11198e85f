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
from hdf5_lock import done_beside_the_lock

from h5bragg.bitshuffle import Bitshuffle
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


def raw_chunks(data: h5py.Dataset) -> RawChunks:
    found = RawChunks.of(data)
    assert found is not None
    return found


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "u8"])
@pytest.mark.parametrize("options", [{"cname": "lz4"}, {"cname": "zstd"}, {"cname": "none"}])
def test_frames_are_those_that_hdf5_reads(
    file: h5py.File, dtype: str, options: dict[str, Any]
) -> None:
    data = create(file, stack(dtype), **hdf5plugin.Bitshuffle(**options))
    raw = raw_chunks(data)
    for k in range(3):
        found = raw.read(k)
        assert found is not None
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(found, data[k])


def test_big_endian_frames_and_stacks_of_modules(file: h5py.File) -> None:
    data = create(file, stack("u2", (2, 4, 16, 20)), dtype=">u2")
    for k in range(2):
        np.testing.assert_array_equal(raw_chunks(data).read(k), data[k])


CHUNKS = [(2, 61, 70), (1, 61, 35), (3, 16, 16), (4, 61, 70), (7, 61, 9), (1, 7, 70)]


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_chunks_may_hold_any_part_of_any_frames(file: h5py.File, chunks: tuple[int, ...]) -> None:
    data = create(file, stack("u2", (7, 61, 70)), chunks=chunks)
    raw = raw_chunks(data)
    for k in (0, 1, 2, 3, 4, 5, 6, 0, 6, 3, 3):
        np.testing.assert_array_equal(raw.read(k), data[k])


def test_chunks_of_several_frames_are_decoded_once(file: h5py.File) -> None:
    data = create(file, stack("u2", (20, 61, 70)), chunks=(4, 61, 70))
    raw, decoded = raw_chunks(data), []
    decode = raw._bitshuffle.decode
    raw._bitshuffle.decode = lambda *chunk: (decoded.append(1), decode(*chunk))[1]  # type: ignore[method-assign,func-returns-value]
    for k in range(20):
        found = raw.read(k)
        np.testing.assert_array_equal(found, data[k])
        found[:] = 0  # is the caller's alone
        np.testing.assert_array_equal(raw.read(k), data[k])
    assert len(decoded) == 5
    assert len(raw._slabs) == 2  # and no more are kept


def test_a_chunk_of_several_frames_that_is_missing_is_left_to_hdf5(
    file: h5py.File, path: Path
) -> None:
    data = file.create_dataset("data", (5, 61, 70), "u2", chunks=(2, 61, 35), fillvalue=9, **LZ4)
    data[2:4] = stack("u2")[:2]
    data[4, :, :35] = 3
    raw = raw_chunks(data)
    assert raw.read(0) is None
    assert raw.read(4) is None  # half of it is there
    np.testing.assert_array_equal(raw.read(3), data[3])
    file.close()
    source = Hdf5Source(path, "data")
    assert (source.read(0).pixels == 9).all()
    assert (source.read(4).pixels[:, 35:] == 9).all()
    source.close()


def test_a_damaged_chunk_of_several_frames_is_an_error_of_each(file: h5py.File, path: Path) -> None:
    data = create(file, stack("u2", (4, 61, 70)), chunks=(2, 61, 70))
    chunk = data.id.read_direct_chunk((2, 0, 0))[1]
    data.id.write_direct_chunk((2, 0, 0), chunk[:-1])
    file.close()
    source = Hdf5Source(path, "data")
    source.read(1)
    for k in (2, 3, 2):
        with pytest.raises(InputError, match=rf"frame {k}\) cannot be read .*ends elsewhere"):
            source.read(k)
    source.close()


def test_a_block_size_of_the_writer_is_used(file: h5py.File) -> None:
    data = create(file, stack("u2"), **hdf5plugin.Bitshuffle(nelems=512, cname="lz4"))
    np.testing.assert_array_equal(raw_chunks(data).read(2), data[2])


@pytest.mark.parametrize(
    "options",
    [{"compression": "gzip", "compression_opts": 4}, {"shuffle": True}],
    ids=["gzip", "two filters"],
)
def test_what_is_stored_otherwise_does_not_suit(file: h5py.File, options: dict[str, Any]) -> None:
    assert RawChunks.of(create(file, stack("u2"), **options)) is None


def test_contiguous_virtual_and_single_frames_do_not_suit(file: h5py.File, path: Path) -> None:
    assert RawChunks.of(file.create_dataset("plain", data=stack("u2"))) is None
    assert RawChunks.of(file.create_dataset("one", data=stack("u2")[0], chunks=True)) is None
    layout = h5py.VirtualLayout((3, 61, 70), "u2")
    layout[:] = h5py.VirtualSource(path, "plain", (3, 61, 70))
    assert RawChunks.of(file.create_virtual_dataset("virtual", layout)) is None


def test_what_is_unusual_is_left_to_hdf5(file: h5py.File, path: Path) -> None:
    frames = stack("u2", (2, 61, 70))
    data = create(file, frames)
    missing = file.create_dataset(
        "missing", (2, 61, 70), "u2", chunks=(1, 61, 70), fillvalue=7, **LZ4
    )
    data.id.write_direct_chunk((1, 0, 0), frames[1].tobytes(), filter_mask=1)  # not compressed
    raw = raw_chunks(data)
    np.testing.assert_array_equal(raw.read(0), frames[0])
    assert raw.read(1) is None
    assert raw_chunks(missing).read(0) is None
    file.close()
    source = Hdf5Source(path, "data")
    np.testing.assert_array_equal(source.read(1).pixels, frames[1])
    source.close()
    with_fill = Hdf5Source(path, "missing")
    assert (with_fill.read(1).pixels == 7).all()
    with_fill.close()


def damaged(chunk: bytes) -> Iterator[tuple[bytes, str]]:
    """Chunks of the file's frames that bitshuffle itself reads on behind the end of, or refuses."""
    for nbytes in (1, 11):
        yield chunk[:nbytes], "shorter than its header"
    for nbytes in (12, 15, 16, 400, len(chunk) - 300, len(chunk) - 12, len(chunk) - 1):
        yield chunk[:nbytes], "ends elsewhere"
    yield chunk + b"\0", "ends elsewhere"
    for length in (0, 1, 2**31 - 1, 2**31, 2**32 - 1):
        yield chunk[:12] + length.to_bytes(4, "big") + chunk[16:], "ends elsewhere"
    yield (8).to_bytes(8, "big") + chunk[8:], "of 8 bytes, not of 8540"
    yield b"\xff" * len(chunk), "of 18446744073709551615 bytes"
    for block_nbytes in (8, 14, 2**32 - 2):
        words = chunk[:8] + block_nbytes.to_bytes(4, "big") + chunk[12:]
        yield words, "has blocks of" if block_nbytes % 16 else "ends elsewhere"
    yield chunk[:16] + b"\xff" * 64 + chunk[80:], "is damaged"


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
def test_damaged_chunks_are_refused_before_bitshuffle_reads_behind_them(
    file: h5py.File, path: Path, cname: str
) -> None:
    frames = stack("u2", (1, 61, 70)) % 17
    chunk = create(file, frames, **hdf5plugin.Bitshuffle(cname=cname)).id.read_direct_chunk(
        (0, 0, 0)
    )[1]
    chunks = list(damaged(chunk))
    data = file.create_dataset(
        "damaged", (len(chunks), 61, 70), "u2", chunks=(1, 61, 70),
        **hdf5plugin.Bitshuffle(cname=cname),
    )  # fmt: skip
    for k, (content, _) in enumerate(chunks):
        data.id.write_direct_chunk((k, 0, 0), content)
    file.close()
    source = Hdf5Source(path, "damaged")
    for k, (_, words) in enumerate(chunks):
        sentence = rf"frame {k}\) cannot be read \(the bitshuffle chunk .*{words}"
        with pytest.raises(InputError, match=sentence):
            source.read(k)
    source.close()


def test_chunks_without_compression_are_of_one_size(file: h5py.File) -> None:
    data = create(file, stack("u2"), **hdf5plugin.Bitshuffle(cname="none"))
    chunk = data.id.read_direct_chunk((0, 0, 0))[1]
    for content in (b"\0", chunk[:-1], chunk + b"\0"):
        data.id.write_direct_chunk((1, 0, 0), content)
        with pytest.raises(ValueError, match=f"is of {len(content)} bytes, not of {len(chunk)}"):
            raw_chunks(data).read(1)


@pytest.mark.parametrize("words", [(), (0, 4), (0, 4, 0, 0, 2), (0, 4, 2, 0, 7)])
def test_cd_values_of_another_filter_are_refused(words: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"cd_values .* are none of bitshuffle"):
        Bitshuffle(words)


def test_decompression_waits_for_no_lock_of_hdf5(file: h5py.File) -> None:
    data = create(file, stack("u4"))
    raw, chunk = raw_chunks(data), data.id.read_direct_chunk((2, 0, 0))[1]
    out = np.empty((61, 70), "u4")
    np.testing.assert_array_equal(
        done_beside_the_lock(lambda: raw._bitshuffle.decode(chunk, out)), data[2]
    )


@pytest.mark.parametrize("nframes", [1, 3])
def test_many_threads_read_what_one_reads(file: h5py.File, nframes: int) -> None:
    frames = stack("u2", (16, 61, 70))
    raw = raw_chunks(create(file, frames, chunks=(nframes, 61, 70)))
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
