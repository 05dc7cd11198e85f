# SPDX-License-Identifier: MIT
"""Arrays with an entry a frame stay with their frames: hits, and several inputs in one file."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from input_files import Cli, write_data, write_master
from numpy.typing import NDArray

from h5bragg import Geometry

SmallFrame = Callable[..., NDArray[np.integer]]
PULSES = "pulse/number"
ENERGY = "entry/instrument/beam/incident_energy"
TIME = "entry/time"
# Of other things, which happen to be four as well.
UNIT_CELL = "entry/sample/unit_cell"
MODULES = "entry/instrument/detector/module/data_size"


@pytest.fixture
def stack(small_frame: SmallFrame) -> NDArray[np.uint32]:
    """Four frames, the second and the last of which have spots."""
    frames = np.stack([small_frame("uint32", k) for k in range(4)])
    for frame in frames[1::2]:
        frame[10:140:10, 10:180:10] = 90
        frame[11:140:10, 10:180:10] = frame[10:140:10, 11:180:10] = 60
    return frames


def write_input(
    path: Path, frames: NDArray[np.integer], geometry: Geometry, *, first: int = 0
) -> Path:
    """Write a master with arrays whose entries tell frames from `first` on."""
    data = write_data(path.with_name(f"{path.stem}_data.h5"), frames)
    master = write_master(path, [(data, len(frames))], geometry, start=0.1 * first)
    numbers = np.arange(first, first + len(frames))
    arrays: dict[str, Any] = {
        ENERGY: 9000.0 + numbers,
        TIME: np.array([f"12:00:{k:02d}" for k in numbers], "S8"),
        UNIT_CELL: np.arange(len(frames)),
        MODULES: np.arange(len(frames)),
    }
    with h5py.File(master, "a") as file:
        for name, values in arrays.items():
            file[name] = values
        file[ENERGY].attrs["units"] = "eV"
        file["entry/instrument/detector/module"].attrs["NX_class"] = np.bytes_("NXdetector_module")
        file.create_dataset(PULSES, data=numbers[:, None] + [[100, 200]], compression="gzip")
        file["same"] = file[PULSES]  # a hard link
        file["other"] = np.arange(len(frames) + 1)
    return master


def write_halves(folder: Path, stack: NDArray[np.integer], geometry: Geometry) -> list[Path]:
    """Two inputs of two frames."""
    return [
        write_input(folder / f"{first}.h5", stack[first : first + 2], geometry, first=first)
        for first in (0, 2)
    ]


def assert_arrays(path: Path, numbers: list[int], *, ninput: int) -> None:
    with h5py.File(path) as file:
        pulses = [[100 + k, 200 + k] for k in numbers]
        assert file[PULSES][()].tolist() == file["same"][()].tolist() == pulses
        assert file[ENERGY][()].tolist() == [9000 + k for k in numbers]
        assert file[ENERGY].attrs["units"] == "eV"
        assert file[TIME].asstr()[()].tolist() == [f"12:00:{k:02d}" for k in numbers]
        assert file[TIME].dtype == "S8"
        for name, length in ((UNIT_CELL, ninput), (MODULES, ninput), ("other", ninput + 1)):
            assert file[name][()].tolist() == list(range(length))
        omega = file["entry/sample/goniometer/omega"]
        np.testing.assert_allclose(omega, 0.1 * np.array(numbers))
        assert file["entry/data/data"].shape[0] == len(numbers)
        assert not [name for name in file["entry/instrument/beam"] if "new" in name]


def test_hits_keep_their_entries(
    tmp_path: Path, cli: Cli, stack: NDArray[np.uint32], small_geometry: Geometry
) -> None:
    master = write_input(tmp_path / "master.h5", stack, small_geometry)
    out = tmp_path / "hits.h5"
    found = cli("compress", master, "-o", out, "--min-peaks", 50)
    assert (found.status, found.err) == (0, "")
    assert_arrays(out, [1, 3], ninput=4)


def test_without_hits_to_choose_nothing_changes(
    tmp_path: Path, cli: Cli, stack: NDArray[np.uint32], small_geometry: Geometry
) -> None:
    master = write_input(tmp_path / "master.h5", stack, small_geometry)
    out = tmp_path / "all.h5"
    assert cli("compress", master, "-o", out, "--peaks").status == 0
    assert_arrays(out, [0, 1, 2, 3], ninput=4)


@pytest.mark.parametrize("least", [0, 50])
def test_arrays_of_several_inputs_are_joined(
    tmp_path: Path, cli: Cli, stack: NDArray[np.uint32], small_geometry: Geometry, least: int
) -> None:
    """With hits there are as many as the first input has frames: nothing is chosen twice."""
    inputs = write_halves(tmp_path, stack, small_geometry)
    out = tmp_path / "out.h5"
    found = cli("compress", *inputs, "-o", out, "--peaks", "--min-peaks", least)
    assert (found.status, found.err) == (0, "")
    assert_arrays(out, [1, 3] if least else [0, 1, 2, 3], ninput=2)


def test_an_array_that_one_input_lacks_is_left_out(
    tmp_path: Path,
    cli: Cli,
    caplog: pytest.LogCaptureFixture,
    stack: NDArray[np.uint32],
    small_geometry: Geometry,
) -> None:
    inputs = write_halves(tmp_path, stack, small_geometry)
    with h5py.File(inputs[1], "a") as file:
        del file[ENERGY]
        del file[TIME]
        file[TIME] = np.arange(2)  # of another type
        del file[PULSES], file["same"]
        file[PULSES] = np.array([[0.5, 1.5], [2.5, 3.5]])
    with caplog.at_level(logging.WARNING, "h5bragg"):
        assert cli("compress", *inputs, "-o", tmp_path / "out.h5").status == 0
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        f"/{ENERGY}",
        f"/{TIME}",
    ]
    with h5py.File(tmp_path / "out.h5") as file:
        assert ENERGY not in file
        assert TIME not in file
        assert file[PULSES].dtype == "float64"
        assert file[PULSES][:, 0].tolist() == [100, 101, 0.5, 2.5]


def test_an_array_that_cannot_be_read_is_left_out(
    tmp_path: Path,
    cli: Cli,
    caplog: pytest.LogCaptureFixture,
    stack: NDArray[np.uint32],
    small_geometry: Geometry,
) -> None:
    """By a filter that nobody has: copied as it is where nothing is chosen."""
    master = write_input(tmp_path / "master.h5", stack, small_geometry)
    with h5py.File(master, "a") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(40123, h5py.h5z.FLAG_OPTIONAL, ())
        space, name = h5py.h5s.create_simple((4,)), b"entry/strange"
        data = h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_INT32, space, plist)
        data.write_direct_chunk((0,), b"compressed")
    assert cli("compress", master, "-o", tmp_path / "all.h5", "--peaks").status == 0
    with h5py.File(tmp_path / "all.h5") as file:
        assert file["entry/strange"].id.read_direct_chunk((0,))[1] == b"compressed"
    with caplog.at_level(logging.WARNING, "h5bragg"):
        found = cli("compress", master, "-o", tmp_path / "hits.h5", "--min-peaks", 50)
    assert found.status == 0
    assert "/entry/strange is left out" in caplog.text
    assert_arrays(tmp_path / "hits.h5", [1, 3], ninput=4)
    with h5py.File(tmp_path / "hits.h5") as file:
        assert not [name for name in file["entry"] if "strange" in name]
