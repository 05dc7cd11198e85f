# SPDX-License-Identifier: MIT
"""Frames of virtual datasets are read from where they are stored, and are those that HDF5 reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hdf5_lock import done_beside_the_lock

from h5bragg.frame_source import InputError
from h5bragg.hdf5_frames import Hdf5Source
from h5bragg.virtual_chunks import VirtualChunks

SHAPE = (61, 70)
LZ4 = hdf5plugin.Bitshuffle(cname="lz4")


def write_data(path: Path, nframes: int, **options: Any) -> h5py.VirtualSource:
    random = np.random.default_rng(nframes)
    frames = random.poisson(3, (nframes, *SHAPE)).astype("u2")
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=frames, **{"chunks": (1, *SHAPE), **LZ4, **options})
    return h5py.VirtualSource(path.name, "d", frames.shape)


def write_master(path: Path, layout: h5py.VirtualLayout) -> Path:
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("entry/data/data", layout, fillvalue=9)
    return path


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """Seven frames of two files, the second of which has one more at either end; one is missing."""
    layout = h5py.VirtualLayout((8, *SHAPE), "u2")
    layout[0:3] = write_data(tmp_path / "a.h5", 3)
    layout[4:8] = write_data(tmp_path / "b.h5", 6)[1:5]
    return write_master(tmp_path / "master.h5", layout)


def chunks_of(path: Path) -> VirtualChunks | None:
    with h5py.File(path) as file:
        return VirtualChunks.of(file["entry/data/data"])


def test_frames_are_those_that_hdf5_reads(master: Path) -> None:
    with h5py.File(master) as file:
        expected = file["entry/data/data"][()]
    chunks = chunks_of(master)
    assert chunks is not None
    for k in (0, 2, 4, 7):
        np.testing.assert_array_equal(chunks.read(k), expected[k])
    assert [chunks.read(k) for k in (-1, 3, 8)] == [None] * 3
    chunks.close()
    source = Hdf5Source(master)
    for k in range(8):
        np.testing.assert_array_equal(source.read(k).pixels, expected[k])
    assert (source.read(3).pixels == 9).all()
    source.close()


def test_chunks_of_several_frames_are_read_as_others(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((5, *SHAPE), "u2")
    layout[:] = write_data(tmp_path / "a.h5", 7, chunks=(3, *SHAPE))[1:6]
    path = write_master(tmp_path / "master.h5", layout)
    chunks = chunks_of(path)
    assert chunks is not None
    with h5py.File(path) as file:
        for k in range(5):
            np.testing.assert_array_equal(chunks.read(k), file["entry/data/data"][k])
    chunks.close()


def test_reading_waits_for_no_lock_but_that_of_a_chunk(master: Path) -> None:
    chunks = chunks_of(master)
    assert chunks is not None
    raw = chunks._pieces[0].chunks
    chunk = raw._dataset.id.read_direct_chunk((1, 0, 0))[1]
    out = np.empty(SHAPE, "u2")
    found = done_beside_the_lock(lambda: raw._bitshuffle.decode(chunk, out))
    np.testing.assert_array_equal(found, chunks.read(1))
    chunks.close()


def test_a_damaged_chunk_is_named(master: Path) -> None:
    with h5py.File(master.with_name("b.h5"), "r+") as file:
        data = file["d"].id
        data.write_direct_chunk((2, 0, 0), data.read_direct_chunk((2, 0, 0))[1][:-200])
    source = Hdf5Source(master)
    source.read(4)
    with pytest.raises(InputError, match=r"frame 5\) cannot be read \(the bitshuffle chunk"):
        source.read(5)
    source.close()


def test_frames_of_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_data(path, 4)
    with h5py.File(path, "r+") as file:
        layout = h5py.VirtualLayout((4, *SHAPE), "u2")
        layout[:] = h5py.VirtualSource(".", "d", (4, *SHAPE))
        file.create_virtual_dataset("entry/data/data", layout)
    chunks = chunks_of(path)
    assert chunks is not None
    with h5py.File(path) as file:
        np.testing.assert_array_equal(chunks.read(2), file["d"][2])
    chunks.close()


def test_files_that_hdf5_looks_for_elsewhere_are_left_to_it(
    master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDF5_VDS_PREFIX", "/elsewhere")
    assert chunks_of(master) is None


def every_other(tmp_path: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((6, *SHAPE), "u2")
    layout[0:6:2] = write_data(tmp_path / "a.h5", 3)
    layout[1:6:2] = write_data(tmp_path / "b.h5", 3)
    return layout


def halves(tmp_path: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((3, SHAPE[0], 2 * SHAPE[1]), "u2")
    layout[:, :, : SHAPE[1]] = layout[:, :, SHAPE[1] :] = write_data(tmp_path / "a.h5", 3)
    return layout


def of_another_type(tmp_path: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((3, *SHAPE), "u4")
    layout[:] = write_data(tmp_path / "a.h5", 3)
    return layout


def of_two_filters(tmp_path: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((6, *SHAPE), "u2")
    layout[:] = write_data(tmp_path / "a.h5", 6, shuffle=True)
    return layout


def without_its_file(tmp_path: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((3, *SHAPE), "u2")
    layout[:] = write_data(tmp_path / "a.h5", 3)
    (tmp_path / "a.h5").unlink()
    return layout


@pytest.mark.parametrize(
    "layout", [every_other, halves, of_another_type, of_two_filters, without_its_file]
)
def test_what_is_put_together_otherwise_is_left_to_hdf5(tmp_path: Path, layout: Any) -> None:
    assert chunks_of(write_master(tmp_path / "master.h5", layout(tmp_path))) is None
