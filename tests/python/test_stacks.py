# SPDX-License-Identifier: MIT
"""Datasets that keep a frame as a stack of modules: (frame, module, slow, fast)."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from crystfel_files import AGIPD_HEAD, panel_lines
from input_files import Cli, write_data
from numpy.typing import NDArray

import h5bragg
from h5bragg import Bragg, FrameWriter, Geometry, GeometryError, ParameterError
from h5bragg.frame_source import InputError
from h5bragg.hdf5_frames import Hdf5Source
from h5bragg.reader import densify, find_sparse

STACK = (4, 40, 200)  # as flat frames the shape of small_geometry
PLACE = "/entry_1/instrument_1/detector_1/data"
SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def frames(small_frame: SmallFrame) -> NDArray[np.integer]:
    """Five frames of four modules: (frame, module, slow, fast)."""
    return np.stack([small_frame("uint16", seed).reshape(STACK) for seed in range(5)])


@pytest.fixture
def crystfel_path(tmp_path: Path) -> Path:
    """A geometry of four modules of two ASICs each."""
    lines = [AGIPD_HEAD]
    for module in range(4):
        for asic in range(2):
            corner = (100.0 - 110.0 * asic, 90.0 - 45.0 * module)
            name = f"p{module}a{asic}"
            lines += panel_lines(name, (0, 100 * asic), (40, 100), corner, np.pi + 0.01 * module)
            lines.append(f"{name}/dim1 = {module}")
    path = tmp_path / "stack.geom"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def raw_path(tmp_path: Path, frames: NDArray[np.integer]) -> Path:
    return write_data(tmp_path / "raw.h5", frames, PLACE)


def create(file: h5py.File, geometry: Geometry, per_chunk: int = 1, count: int = 5) -> h5py.Dataset:
    shape = (count, *STACK)
    return file.create_dataset(
        "data", shape, "uint16", chunks=(per_chunk, *STACK), **Bragg(geometry)
    )


@pytest.mark.parametrize("per_chunk", [1, 2])
def test_the_filter_stores_the_frames_that_the_stacks_make(
    tmp_path: Path, frames: NDArray[np.integer], small_geometry: Geometry, per_chunk: int
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        create(file, small_geometry, per_chunk)[...] = frames
    with h5py.File(tmp_path / "a.h5", rdcc_nbytes=0) as file:
        _, chunk = file["data"].id.read_direct_chunk((0, 0, 0, 0))
        flat = frames.reshape(5, 160, 200)
        assert chunk == h5bragg.encode(flat[:per_chunk], small_geometry)
        decoded = h5bragg.decode(chunk).reshape(per_chunk, *STACK)
        np.testing.assert_array_equal(file["data"][:per_chunk], decoded)
        expected = file["data"][()][[4, 1]]
        np.testing.assert_array_equal(h5bragg.read_frames(file["data"], [4, 1]), expected)
        np.testing.assert_array_equal(h5bragg.read_frames(file["data"], 4), expected[0])
        (sparse,) = find_sparse(file)
        assert (sparse.nframes, sparse.frame_shape, sparse.stack_shape) == (5, (160, 200), STACK)


@pytest.mark.parametrize("shape", [STACK, (160, 200)], ids=["stacks", "frames"])
def test_frame_writer_takes_stacks_and_frames(
    tmp_path: Path,
    frames: NDArray[np.integer],
    small_geometry: Geometry,
    shape: tuple[int, ...],
) -> None:
    given = frames.reshape(5, *shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = create(file, small_geometry, per_chunk=2)
        with FrameWriter(data, small_geometry, device="cpu") as writer:
            writer.write(given[0])
            writer.write(given[1:])
        create_plain = file.create_dataset("plain", (1, 160, 200), "uint16")
        with pytest.raises(ParameterError, match="filter alone"):
            FrameWriter(create_plain, small_geometry)
        other = Geometry.flat(
            shape=(120, 200), pixel_size_m=1e-4, distance_m=0.1, beam_center_px=(3, 4),
            wavelength_m=1e-10,
        )  # fmt: skip
        with pytest.raises(GeometryError, match="the geometry is for"):
            FrameWriter(data, other)
    with h5py.File(tmp_path / "a.h5", rdcc_nbytes=0) as file:
        for start in (0, 2):
            _, chunk = file["data"].id.read_direct_chunk((start, 0, 0, 0))
            flat = frames[start : start + 2].reshape(2, 160, 200)
            assert chunk == h5bragg.encode(flat, small_geometry)


def test_compress_keeps_stacks_for_the_same_crystfel_geometry(
    tmp_path: Path, cli: Cli, raw_path: Path, crystfel_path: Path,
    frames: NDArray[np.integer],
) -> None:  # fmt: skip
    output = tmp_path / "sparse.h5"
    found = cli("compress", raw_path, "-o", output, "--geometry", crystfel_path)
    assert found.status == 0, found.err
    expected = Geometry.from_file(crystfel_path)
    with h5py.File(output, rdcc_nbytes=0) as file:
        data = file["entry/data/data"]
        assert (data.shape, data.chunks) == ((5, *STACK), (1, *STACK))
        # The place that the geometry file names leads there as well.
        np.testing.assert_array_equal(file[PLACE][2], data[2])
        chunk = data.id.read_direct_chunk((2, 0, 0, 0))[1]
        sparse = h5bragg.unpack(chunk)
        assert len(sparse.index) > 100
        np.testing.assert_array_equal(frames[2].ravel()[sparse.index], sparse.intensity)
        module = file["entry/instrument/detector/module_0005"]
        assert module["data_origin"][()].tolist() == [2, 0, 100]
        assert module["data_size"][()].tolist() == [1, 40, 100]
        assert file["entry/instrument/detector/pixel_mask"].shape == STACK
    again = Geometry.from_file(output)
    assert again.shape == expected.shape == (160, 200)
    np.testing.assert_allclose(again.two_theta_rad(), expected.two_theta_rad(), atol=1e-6)


def test_info_compare_and_densify_of_stacks(
    tmp_path: Path, cli: Cli, raw_path: Path, crystfel_path: Path
) -> None:
    output, dense = tmp_path / "sparse.h5", tmp_path / "dense.h5"
    assert cli("compress", raw_path, "-o", output, "--geometry", crystfel_path).status == 0
    told = cli("info", output).out
    assert "5 x 4 x 40 x 200 uint16" in told
    assert "5 sparse" in told
    assert "0 never written" in told
    compared = cli("compare", raw_path, output)
    assert compared.status == 0, compared.err
    assert "frames           5" in compared.out
    with h5py.File(output) as file:
        assert densify(file, dense) == 5
        with h5py.File(dense) as written:
            assert written["entry/data/data"].chunks == (1, *STACK)
            np.testing.assert_array_equal(written["entry/data/data"], file["entry/data/data"])


def test_the_output_of_compress_is_input_with_its_own_geometry(
    tmp_path: Path, cli: Cli, raw_path: Path, crystfel_path: Path
) -> None:
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    assert cli("compress", raw_path, "-o", first, "--geometry", crystfel_path).status == 0
    found = cli("compress", first, "-o", second)
    assert found.status == 0, found.err
    assert Geometry.from_file(second) == Geometry.from_file(first)
    with h5py.File(second) as file:
        assert file["entry/data/data"].shape == (5, *STACK)


def test_masks_of_stacks_are_read(tmp_path: Path, frames: NDArray[np.integer]) -> None:
    mask = np.zeros(STACK, np.uint32)
    mask[1, 2, 3] = 4
    path = write_data(tmp_path / "a.h5", frames)
    with h5py.File(path, "a") as file:
        for name, nx_class in (("entry", "NXentry"), ("entry/instrument", "NXinstrument")):
            file.require_group(name).attrs["NX_class"] = nx_class
        detector = file.create_group("entry/instrument/detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector["pixel_mask"] = mask
    source = Hdf5Source(path)
    assert (source.shape, source.stack_shape, source.nframes) == ((160, 200), STACK, 5)
    assert source.pixel_mask is not None
    assert np.argwhere(source.pixel_mask).tolist() == [[42, 3]]
    np.testing.assert_array_equal(source.read(3).pixels, frames[3].reshape(160, 200))
    source.close()


def test_a_geometry_of_frames_is_refused_for_stacks(
    tmp_path: Path, cli: Cli, raw_path: Path, crystfel_path: Path
) -> None:
    text = crystfel_path.read_text().replace("dim2 = ss", "dim1 = ss").replace("dim3", "dim2")
    flat = tmp_path / "flat.geom"
    flat.write_text("\n".join(line for line in text.splitlines() if "/dim1" not in line))
    found = cli("compress", raw_path, "-o", tmp_path / "out.h5", "--geometry", flat)
    assert found.status == 2
    assert not (tmp_path / "out.h5").exists()


def test_frames_in_two_dimensions_are_told_apart_from_stacks(
    tmp_path: Path, small_geometry: Geometry
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "data", (2, 3, 160, 200), "u2", chunks=(1, 1, 160, 200), **Bragg(small_geometry)
        )
        with pytest.raises(InputError, match="its frames have 160 rows"):
            find_sparse(file)
