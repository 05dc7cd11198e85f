# SPDX-License-Identifier: MIT
"""Input frames of real files in many formats, whole and damaged."""

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import pytest
from input_files import write_cbf, write_data, write_master
from numpy.typing import NDArray

from h5bragg import Geometry
from h5bragg.frame_source import InputError
from h5bragg.frames import open_frames

SmallFrame = Callable[..., NDArray[np.integer]]


def read_all(*paths: Path, dataset: str | None = None) -> list[NDArray[Any]]:
    with open_frames(paths, dataset=dataset) as frames:
        found = list(frames)
        assert len(found) == len(frames)
        assert all((f.shape, f.dtype) == (frames.shape, frames.dtype) for f in found)
        return found


def assert_refused(*paths: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_all(*paths)
    assert "\n" not in str(caught.value)


@pytest.fixture
def three(small_frame: SmallFrame) -> NDArray[np.uint16]:
    return np.stack([small_frame("uint16", seed) for seed in range(3)]).astype(np.uint16)


@pytest.mark.parametrize("compressor", [None, gzip, bz2])
def test_cbf(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry, compressor) -> None:
    frame = small_frame("int32")
    path = write_cbf(tmp_path / "a.cbf", frame, small_geometry, angle=12.5)
    if compressor is not None:
        content = path.read_bytes()
        path = tmp_path / {gzip: "a.cbf.gz", bz2: "a.cbf.bz2"}[compressor]
        path.write_bytes(compressor.compress(content))
    with open_frames([path]) as frames:
        found = frames.read(0)
        np.testing.assert_array_equal(found.pixels, frame)
        assert (found.angle_deg, found.width_deg) == (12.5, 0.5)
        experiment = frames.first.experiment
    assert experiment.detector == "Simulated 1M, S/N 1"
    assert experiment.start_time == "2026-01-02T03:04:05.678"
    assert experiment.sensor_material == "Si"
    assert experiment.sensor_thickness_m == 0.00045
    assert (experiment.count_time_s, experiment.frame_time_s) == (0.01, 0.011)
    assert (experiment.saturation_value, experiment.threshold_energy_ev) == (115000, 6400)


def test_multi_frame_edf_keeps_the_order(tmp_path: Path, three: NDArray[Any]) -> None:
    path = tmp_path / "a.edf"
    image = fabio.edfimage.EdfImage(data=three[0])
    for frame in three[1:]:
        image.append_frame(data=frame)
    image.write(str(path))
    np.testing.assert_array_equal(read_all(path), three)


def test_tiff_and_its_order_among_others(tmp_path: Path, three: NDArray[Any]) -> None:
    paths = [tmp_path / f"{name}.tif" for name in "cab"]
    for path, frame in zip(paths, three, strict=True):
        fabio.tifimage.TifImage(data=frame).write(str(path))
    np.testing.assert_array_equal(read_all(*paths), three)


def test_big_endian_frames_become_native(tmp_path: Path, three: NDArray[Any]) -> None:
    path = write_data(tmp_path / "a.h5", three.astype(">u2"))
    found = read_all(path)
    assert found[0].dtype == np.dtype("uint16")
    np.testing.assert_array_equal(found, three)


def test_master_with_linked_bitshuffle_files(
    tmp_path: Path, three: NDArray[Any], small_geometry: Geometry
) -> None:
    files = [
        (write_data(tmp_path / "d1.h5", three[:2]), 2),
        (write_data(tmp_path / "d2.h5", three[2:]), 1),
    ]
    master = write_master(tmp_path / "m_master.h5", files, small_geometry, start=10)
    with open_frames([master]) as frames:
        np.testing.assert_array_equal(list(frames), three)
        assert [frames.read(i).angle_deg for i in range(3)] == pytest.approx([10, 10.1, 10.2])
        assert frames.read(0).width_deg == pytest.approx(0.1)
        assert {path.name for path in frames.files} == {"m_master.h5", "d1.h5", "d2.h5"}


def test_virtual_dataset(tmp_path: Path, three: NDArray[Any]) -> None:
    path = tmp_path / "v.h5"
    layout = h5py.VirtualLayout(three.shape, three.dtype)
    for i in range(3):
        part = write_data(tmp_path / f"part{i}.h5", three[i : i + 1])
        layout[i : i + 1] = h5py.VirtualSource(part.name, "entry/data/data", (1, *three.shape[1:]))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("entry/data/data", layout)
    np.testing.assert_array_equal(read_all(path), three)
    (tmp_path / "part1.h5").unlink()
    assert_refused(path, match=r"virtual dataset of .*part1\.h5, which is missing")


def test_one_2d_dataset_is_one_frame(tmp_path: Path, three: NDArray[Any]) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["measurement/image"] = three[0]
    np.testing.assert_array_equal(read_all(path), three[:1])


def test_dataset_is_named_where_several_may_be_meant(tmp_path: Path, three: NDArray[Any]) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["one"] = three
        file["two"] = three[::-1]
    assert_refused(path, match=r"2 datasets that may be frames \(one, two\): choose .* --dataset")
    np.testing.assert_array_equal(read_all(path, dataset="two"), three[::-1])
    with pytest.raises(InputError, match="has no dataset three"):
        read_all(path, dataset="three")


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8", "bool"])
def test_other_integers_are_stored_where_they_fit(tmp_path: Path, dtype: str) -> None:
    frames = np.random.default_rng(1).integers(0, 2, (2, 30, 40)).astype(dtype)
    path = write_data(tmp_path / "a.h5", frames)
    found = read_all(path)
    np.testing.assert_array_equal(found, frames)
    assert found[0].dtype.name == {"int64": "int32", "uint64": "uint32", "int8": "int16"}.get(
        dtype, "uint8"
    )


def test_64_bit_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    frames = np.zeros((2, 30, 40), np.int64)
    frames[1, 3, 4] = 2**31
    path = write_data(tmp_path / "a.h5", frames)
    assert_refused(
        path, match=r"frame 1\) holds int64 values from 0 to 2147483648.* do not fit int32"
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_values_that_are_no_counts_are_refused(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = np.zeros((2, 30, 40), dtype)
    assert_refused(path, match=f"holds {dtype} values.*convert the frames to one of int16")
    if dtype == "float32":
        edf = tmp_path / "a.edf"
        fabio.edfimage.EdfImage(data=np.zeros((30, 40), dtype)).write(str(edf))
        assert_refused(edf, match="holds float32 values")


@pytest.mark.parametrize("suffix", ["cbf", "edf", "tif", "h5"])
@pytest.mark.parametrize("keep", [0, 1, 10, 200, 600, -40, -700])
def test_truncated_files_are_refused(
    tmp_path: Path, suffix: str, keep: int, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frame = small_frame("uint16").astype(np.uint16)
    path = tmp_path / f"a.{suffix}"
    if suffix == "cbf":
        write_cbf(path, small_frame("int32"), small_geometry)
    elif suffix == "edf":
        fabio.edfimage.EdfImage(data=frame).write(str(path))
    elif suffix == "tif":
        fabio.tifimage.TifImage(data=frame).write(str(path))
    else:
        write_data(path, frame[None])
    whole = path.read_bytes()
    assert len(whole) > 3000
    path.write_bytes(whole[:keep])
    assert_refused(path, match="is empty" if keep == 0 else "cannot be (read|opened)|holds no")


@pytest.mark.parametrize("compressor", [gzip, bz2])
def test_truncated_compressed_cbf_is_refused(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry, compressor
) -> None:
    content = write_cbf(tmp_path / "a.cbf", small_frame("int32"), small_geometry).read_bytes()
    packed = compressor.compress(content)
    path = tmp_path / {gzip: "b.cbf.gz", bz2: "b.cbf.bz2"}[compressor]
    path.write_bytes(packed[: len(packed) // 2])
    assert_refused(path, match="cannot be read")


def test_damaged_cbf_is_refused_by_its_checksum(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    path = write_cbf(tmp_path / "a.cbf", small_frame("int32"), small_geometry)
    content = bytearray(path.read_bytes())
    start = content.index(b"\x0c\x1a\x04\xd5") + 1000
    content[start] ^= 1
    path.write_bytes(bytes(content))
    assert_refused(path, match="[Cc]hecksum")


def test_missing_directory_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.cbf", match="does not exist: check the name")
    assert_refused(tmp_path, match="is a directory: name the files in it")
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    assert_refused(text, match="cannot be read as a frame")
    assert_refused(match="no input was given")
    if os.geteuid():
        text.chmod(0)
        assert_refused(text, match="cannot be read: Permission denied")


def test_frames_that_differ_are_refused(tmp_path: Path, three: NDArray[Any]) -> None:
    a = write_data(tmp_path / "a.h5", three)
    b = write_data(tmp_path / "b.h5", three[:, 1:])
    c = write_data(tmp_path / "c.h5", three.astype(np.uint32))
    assert_refused(a, b, match=r"b\.h5 holds uint16 frames of shape \(159, 200\).*separate files")
    assert_refused(a, c, match=r"c\.h5 holds uint32 frames")


def test_cbf_frames_that_differ_are_refused_when_read(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    a = write_cbf(tmp_path / "a.cbf", small_frame("int32"), small_geometry)
    b = write_cbf(tmp_path / "b.cbf", small_frame("int32")[:-1], small_geometry)
    assert_refused(a, b, match=r"b\.cbf holds int32 frames of shape \(159, 200\)")


def test_master_without_its_data_files_is_refused(
    tmp_path: Path, small_geometry: Geometry, data_path: Path
) -> None:
    absent = [(tmp_path / "absent.h5", 1)]
    master = write_master(tmp_path / "m.h5", absent, small_geometry)
    assert_refused(master, match=r"data_000001 to absent\.h5, which is missing")
    real = data_path / "dectris_eiger_master.h5"
    assert_refused(
        real, match=r"dectris_eiger_data_000001\.h5, which is missing.*beside the master"
    )


def test_unknown_compression_filter_is_refused(tmp_path: Path, three: NDArray[Any]) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, *three.shape[1:]))
        plist.set_filter(40123, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple(three.shape)
        kind = h5py.h5t.py_create(three.dtype)
        group = file.create_group("entry/data")
        h5py.h5d.create(group.id, b"data", kind, space, plist)
    assert_refused(path, match="HDF5 filter 40123 .* not installed: point HDF5_PLUGIN_PATH")


def test_real_frames(data_path: Path) -> None:
    paths = sorted(data_path.glob("thau*.cbf.bz2"))
    with open_frames(paths) as frames:
        assert (len(frames), frames.shape, frames.dtype.name) == (5, (2527, 2463), "int32")
        expected = fabio.open(str(paths[3])).data
        np.testing.assert_array_equal(frames.read(3).pixels, expected)
