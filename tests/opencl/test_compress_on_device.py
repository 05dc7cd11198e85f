# SPDX-License-Identifier: MIT
"""h5bragg compress --device: the same file, or an error and no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from input_files import run_cli, write_cbf
from numpy.typing import NDArray

from h5bragg import Geometry
from h5bragg.opencl import Device, devices

SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def scan(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> list[Path | str]:
    """Seven frames, in chunks of two."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths: list[Path | str] = [
        write_cbf(folder / f"{k}.cbf", small_frame("int32", k), small_geometry) for k in range(7)
    ]
    return [*paths, "--frames-per-chunk", "2"]


def chunks(path: Path) -> list[bytes]:
    with h5py.File(path) as file:
        data = file["entry/data/data"]
        return [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(0, 7, 2)]


def test_the_frames_are_the_same(
    tmp_path: Path, scan: list[Path | str], device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "device.h5", tmp_path / "cpu.h5"
    found = run_cli(capsys, "compress", *scan, "-o", ours, "--device", f"opencl:{device.name}")
    assert found.status == 0
    assert f"encoding on {device.name}" in found.err
    assert run_cli(capsys, "compress", *scan, "-o", theirs).status == 0
    assert chunks(ours) == chunks(theirs)


def test_without_the_device_there_is_an_error_and_no_file(
    tmp_path: Path,
    scan: list[Path | str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(devices, "_devices", lambda _: [])
    found = run_cli(capsys, "compress", *scan, "-o", tmp_path / "none.h5", "--device", "gpu")
    assert found.status == 2
    assert "no OpenCL GPU was found" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
