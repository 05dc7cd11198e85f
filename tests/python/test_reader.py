# SPDX-License-Identifier: MIT
"""Reading sparse datasets chunk by chunk, and files made dense."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, ParameterError
from h5bragg.frame_source import InputError
from h5bragg.hdf5_open import open_hdf5
from h5bragg.reader import COMPRESSIONS, densify, find_sparse
from h5bragg.sparse_dataset import SparseDataset

SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def sparse_path(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> Path:
    """A file of five frames, two a chunk, with metadata, links and a second sparse dataset."""
    path = tmp_path / "sparse.h5"
    frames = np.stack([small_frame("uint16", seed) for seed in range(5)])
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", data=frames, chunks=(2, 160, 200), **h5bragg.Bragg(small_geometry)
        )
        data.attrs["interpretation"] = "image"
        file["entry/data/alias"] = h5py.SoftLink("/entry/data/data")
        file["entry/data/same_data"] = data
        file.create_dataset(
            "other", data=frames[0], chunks=(160, 200), **h5bragg.Bragg(small_geometry, snr_pick=4)
        )
        file["entry/sample/name"] = "lysozyme"
        file["entry"].attrs["NX_class"] = "NXentry"
        file["broken"] = h5py.ExternalLink("nowhere.h5", "/data")
    return path


def dense_by_h5py(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in ("entry/data/data", "other")}


def test_frames_are_those_of_h5py(sparse_path: Path) -> None:
    expected = dense_by_h5py(sparse_path)
    with open_hdf5(sparse_path) as file:
        data, other = find_sparse(file)
        assert (data.nframes, data.frames_per_chunk, data.frame_shape) == (5, 2, (160, 200))
        parts = list(data.frames(threads=3))
        assert [len(part) for part in parts] == [2, 2, 1]
        np.testing.assert_array_equal(np.concatenate(parts), expected["entry/data/data"])
        (frame,) = other.frames()
        np.testing.assert_array_equal(frame[0], expected["other"])


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_densify_keeps_frames_and_everything_else(
    tmp_path: Path, sparse_path: Path, compression: str
) -> None:
    output = tmp_path / "dense.h5"
    done: list[int] = []
    with open_hdf5(sparse_path) as source:
        count = densify(source, output, compression=compression, progress=done.append)
    assert count == sum(done) == 6
    for name, frames in dense_by_h5py(sparse_path).items():
        with h5py.File(output) as file:
            np.testing.assert_array_equal(file[name][()], frames)
            filters = file[name].id.get_create_plist()
            numbers = {filters.get_filter(i)[0] for i in range(filters.get_nfilters())}
            assert h5bragg.FILTER_ID not in numbers
            assert (numbers == set()) == (compression == "none")
    with h5py.File(output) as file:
        assert file["entry/data/data"].attrs["interpretation"] == "image"
        assert file["entry/sample/name"][()] == b"lysozyme"
        assert file["entry"].attrs["NX_class"] == "NXentry"
        assert file["entry/data/alias"] == file["entry/data/data"]
        assert file["entry/data/same_data"] == file["entry/data/data"]


def test_densify_without_noise(tmp_path: Path, sparse_path: Path) -> None:
    output = tmp_path / "mean.h5"
    with open_hdf5(sparse_path) as source:
        densify(source, output, fill="mean")
    noisy = dense_by_h5py(sparse_path)["other"]
    smooth = dense_by_h5py(output)["other"]
    valid = noisy < 65534
    np.testing.assert_array_equal(smooth[~valid], noisy[~valid])
    assert smooth[valid].var() < noisy[valid].var()


def test_densify_refuses_what_it_cannot_use(tmp_path: Path, sparse_path: Path) -> None:
    with (
        open_hdf5(sparse_path) as source,
        pytest.raises(ParameterError, match="'szip' is not usable"),
    ):
        densify(source, tmp_path / "x.h5", compression="szip")
    plain = tmp_path / "plain.h5"
    with h5py.File(plain, "w") as file:
        file["data"] = np.zeros((2, 3, 4))
    with open_hdf5(plain) as source, pytest.raises(InputError, match="no dataset that h5bragg"):
        densify(source, tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()


def test_a_damaged_chunk_is_named_and_leaves_no_output(tmp_path: Path, sparse_path: Path) -> None:
    with h5py.File(sparse_path, "a") as file:
        data = file["entry/data/data"]
        _, chunk = data.id.read_direct_chunk((2, 0, 0))
        data.id.write_direct_chunk((2, 0, 0), chunk[:-9] + b"\0" * 9)
    with open_hdf5(sparse_path) as source:
        with pytest.raises(InputError, match=r"sparse\.h5 \(/entry/data/data\), frame 2: "):
            densify(source, tmp_path / "dense.h5")
        np.testing.assert_equal(len(find_sparse(source)[0].decode_chunk(0)), 2)
    assert not (tmp_path / "dense.h5").exists()


def test_totals_tell_sparse_raw_and_missing_frames(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    path = tmp_path / "mixed.h5"
    frame = small_frame("uint16")
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (4, 160, 200), "u2", chunks=(1, 160, 200), **h5bragg.Bragg(small_geometry)
        )
        data[0] = frame
        data.id.write_direct_chunk((1, 0, 0), frame.tobytes(), filter_mask=1)
        data.id.write_direct_chunk((2, 0, 0), h5bragg.encode(np.zeros_like(frame), small_geometry))
    with open_hdf5(path) as file:
        sparse = SparseDataset(file["data"])
        totals = sparse.totals()
        assert (totals.sparse_frames + totals.lossless_frames, totals.unfiltered_frames) == (2, 1)
        assert totals.raw_nbytes == 3 * frame.nbytes
        assert totals.stored_nbytes == file["data"].id.get_storage_size()
        np.testing.assert_array_equal(sparse.decode_chunk(1)[0], frame)
        np.testing.assert_array_equal(sparse.decode_chunk(3)[0], 0)


def test_big_endian_files(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    path = tmp_path / "big.h5"
    frames = np.stack([small_frame("uint32", seed) for seed in range(2)]).astype(">u4")
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data", data=frames, chunks=(1, 160, 200), **h5bragg.Bragg(small_geometry)
        )
    with open_hdf5(path) as file:
        found = np.concatenate(list(find_sparse(file)[0].frames()))
        assert found.dtype == np.dtype("=u4")
        np.testing.assert_array_equal(found, file["data"][()])
    with open_hdf5(path) as source:
        densify(source, tmp_path / "dense.h5")
    with h5py.File(tmp_path / "dense.h5") as file:
        assert file["data"].dtype == np.dtype(">u4")
        np.testing.assert_array_equal(file["data"][()], found)


def test_datasets_with_further_filters_are_refused(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data", data=small_frame()[None], chunks=(1, 160, 200), fletcher32=True,
            **h5bragg.Bragg(small_geometry),
        )  # fmt: skip
    with open_hdf5(path) as file, pytest.raises(InputError, match="further HDF5 filters"):
        find_sparse(file)


def test_files_that_are_no_hdf5_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    for path, match in ((text, "cannot be opened as HDF5"), (tmp_path / "no.h5", "does not exist")):
        with pytest.raises(InputError, match=match):
            open_hdf5(path)
