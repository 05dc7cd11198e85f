# SPDX-License-Identifier: MIT
"""Devices are found by kind or name; what a device refuses is one clear error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyopencl
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import DeviceError, FrameWriter, Geometry
from h5bragg.opencl import Device, devices, find_device, kernels, lane, memory

Frames = NDArray[np.integer]


def dataset(file: h5py.File, geometry: Geometry, nframes: int) -> h5py.Dataset:
    return file.create_dataset(
        "data", (nframes, *geometry.shape), "uint16", chunks=(1, *geometry.shape),
        **h5bragg.Bragg(geometry),
    )  # fmt: skip


def test_a_device_is_found_by_a_part_of_its_name(device: Device) -> None:
    part = device.name[3:-2].upper()
    assert find_device(f"opencl:{part}").handle == device.handle


def test_a_missing_device_names_those_there_are(device: Device) -> None:
    with pytest.raises(DeviceError) as caught:
        find_device("opencl:abacus")
    assert "contains 'abacus'" in str(caught.value)
    assert device.name in str(caught.value)


def test_without_a_platform_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_devices", lambda _: [])
    with pytest.raises(DeviceError, match="no OpenCL GPU was found, but no OpenCL platform at all"):
        find_device()


def test_kernels_that_do_not_build_are_one_error(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_source", lambda **_: "kernel void broken( {")
    session = memory.Session(device)
    with pytest.raises(DeviceError, match="the kernels cannot be built for") as caught:
        session.program(np.dtype("uint16"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (pyopencl.MemoryError("clCreateBuffer", -4, "out of memory"), "has no memory left"),
        (pyopencl.RuntimeError("clFinish", -36, "lost"), "failed"),
    ],
)
def test_errors_in_the_middle_leave_what_is_written(
    *,
    tmp_path: Path,
    small_geometry: Geometry,
    small_frame: Callable[..., Frames],
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    count = lane.Lane._count
    frames = [small_frame(seed=k) for k in range(2)]

    def failing(self: lane.Lane, batch: list[Frames]) -> Iterator[Any]:
        yield from count(self, batch)
        if (batch[0] == frames[1]).all():
            memory.run(self._session.device, fail)

    def fail() -> Any:
        raise error

    monkeypatch.setattr(lane.Lane, "_count", failing)
    path = tmp_path / "failing.h5"
    with h5py.File(path, "w") as file:
        writer = FrameWriter(dataset(file, small_geometry, 9), small_geometry,
                             device=f"opencl:{device.name}", threads=1)  # fmt: skip
        assert writer.device_name == device.name
        written = writer.write(frames[0])
        assert not written.cancel()
        writer.flush()
        assert written.done()
        with pytest.raises(DeviceError, match=message):
            write_and_close(writer, frames[1])
    with h5py.File(path) as file:
        assert file["data"].id.get_num_chunks() == 1
        expected = h5bragg.decode(h5bragg.encode(frames[0], small_geometry))
        np.testing.assert_array_equal(file["data"][0], expected)


def write_and_close(writer: FrameWriter, frame: Frames) -> None:
    with writer:
        writer.write(frame)


def test_frame_writer_on_a_device(
    tmp_path: Path, small_geometry: Geometry, small_frame: Callable[..., Frames], device: Device
) -> None:
    frames = np.stack([small_frame(seed=k) for k in range(5)])
    with h5py.File(tmp_path / "device.h5", "w") as file:
        data = dataset(file, small_geometry, 20)
        with FrameWriter(data, small_geometry, device=f"opencl:{device.name}") as writer:
            pinned = writer.allocate(5)
            pinned[...] = frames
            writer.write(pinned, copy=False)
            writer.write(frames)
            for frame in frames:
                writer.write(frame)
            writer.write(frames.astype(">u2"))
        expected = [h5bragg.encode(frame, small_geometry) for frame in frames] * 4
        assert [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(20)] == expected
