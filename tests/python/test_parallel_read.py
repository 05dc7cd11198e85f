# SPDX-License-Identifier: MIT
"""read_frames gives what h5py gives, from any selection, and names a damaged frame."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import h5bragg
from h5bragg import ParameterError, read_frames
from h5bragg.frame_source import InputError

SELECTIONS = [
    slice(None),
    slice(1, 6, 2),
    slice(None, None, -1),
    slice(3, 3),
    [4, 0, 0, 6],
    np.array([True, False, True, False, False, True, False]),
    -1,
    2,
]


@pytest.fixture(params=[1, 3], ids=["one frame a chunk", "three frames a chunk"])
def path(request, tmp_path, small_frame, small_geometry) -> Path:
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data",
            data=np.stack([small_frame("uint16", seed) for seed in range(7)]),
            chunks=(request.param, 160, 200),
            **h5bragg.Bragg(small_geometry),
        )
    return path


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
@pytest.mark.parametrize("threads", [1, 3, None])
def test_any_selection_equals_h5py(path, selection, threads):
    with h5py.File(path, rdcc_nbytes=0) as file:
        expected = file["data"][()][selection]
        found = read_frames(file["data"], selection, threads=threads)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_reads_into_the_given_array(path):
    out = np.zeros((2, 160, 200), "uint16")
    with h5py.File(path, rdcc_nbytes=0) as file:
        assert read_frames(file["data"], [5, 1], out=out) is out
        np.testing.assert_array_equal(out[1], file["data"][1])
        for bad in (out[:1], out.astype("int32"), np.asfortranarray(out)):
            with pytest.raises(ParameterError, match="C-contiguous"):
                read_frames(file["data"], [5, 1], out=bad)


def test_noise_free(path):
    with h5py.File(path, rdcc_nbytes=0) as file:
        _, chunk = file["data"].id.read_direct_chunk((0, 0, 0))
        expected = h5bragg.decode(chunk, fill="mean").reshape(-1, 160, 200)[0]
        np.testing.assert_array_equal(read_frames(file["data"], 0, fill="mean"), expected)
        assert np.any(read_frames(file["data"], 0) != expected)


def test_missing_frame(path):
    with h5py.File(path) as file, pytest.raises(IndexError):
        read_frames(file["data"], 7)


def test_big_endian_and_chunks_never_written(tmp_path, small_frame, small_geometry):
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (3, 160, 200), ">u2", chunks=(1, 160, 200), **h5bragg.Bragg(small_geometry)
        )
        data[1] = small_frame()
    with h5py.File(path, rdcc_nbytes=0) as file:
        np.testing.assert_array_equal(read_frames(file["data"]), file["data"][()])


def test_chunks_never_written_have_the_fill_value(tmp_path, small_frame, small_geometry):
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        data = file.create_dataset(
            "data", (3, 160, 200), "uint16", chunks=(2, 160, 200), fillvalue=7,
            **h5bragg.Bragg(small_geometry),
        )  # fmt: skip
        data[2] = small_frame("uint16", 1)
        np.testing.assert_array_equal(read_frames(data, slice(None)), data[()])
        assert np.all(read_frames(data, 0) == 7)


def test_datasets_of_other_filters_and_shapes(tmp_path, small_frame):
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        plain = file.create_dataset("plain", data=np.stack([small_frame()] * 3), compression="gzip")
        np.testing.assert_array_equal(read_frames(plain, [2, 0]), plain[[0, 2]])
        flat = file.create_dataset("flat", data=small_frame())
        with pytest.raises(ParameterError, match="dimensions"):
            read_frames(flat)


def test_a_damaged_chunk_is_named_and_the_others_stay_readable(path):
    with h5py.File(path, "r+") as file:
        data = file["data"]
        chunk = data.id.get_chunk_info_by_coord((3, 0, 0))
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    with h5py.File(path, rdcc_nbytes=0) as file:
        with pytest.raises(InputError, match="frame 3"):
            read_frames(file["data"])
        assert read_frames(file["data"], [0, 1, 2, 6]).shape == (4, 160, 200)
