# SPDX-License-Identifier: MIT
"""use_gpu: plain writes through h5py go through the device, and errors come out as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import DeviceError, Geometry, ParameterError
from h5bragg.opencl import Device, lane

Frames = NDArray[np.integer]


@pytest.fixture
def frames(small_frame: Callable[..., Frames]) -> Frames:
    return np.stack([small_frame(seed=k) for k in range(4)])


def choice(device: Device) -> str:
    return f"opencl:{device.name}"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that reach the device."""
    sizes = []
    steps = lane.Lane.steps

    def counting(self: lane.Lane, batch: list[Frames]) -> Any:
        sizes.append(len(batch))
        return steps(self, batch)

    monkeypatch.setattr(lane.Lane, "steps", counting)
    return sizes


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("dtype", ["uint16", ">u2"])
def test_the_file_is_the_same(
    *, tmp_path: Path, frames: Frames, small_geometry: Geometry, device: Device, calls: list[int],
    has_mask: bool, dtype: str,
) -> None:  # fmt: skip
    mask = np.zeros(small_geometry.shape, bool)
    mask[5, 7] = has_mask
    geometry = small_geometry.with_mask(mask if has_mask else None)
    shape = (1, *geometry.shape)
    with h5py.File(tmp_path / "gpu.h5", "w", rdcc_nbytes=0) as file:
        options = h5bragg.Bragg(geometry)
        plain = file.create_dataset("c", data=frames, dtype=dtype, chunks=shape, **options)
        ours = file.create_dataset("gpu", frames.shape, dtype, chunks=shape, **options)
        stack = file.create_dataset("k", frames.shape, dtype, chunks=(2, *shape[1:]), **options)
        with h5bragg.use_gpu(choice(device)):
            for k, frame in enumerate(frames):
                ours[k] = frame
            stack[...] = frames
        assert sorted(calls) == [1, 1, 1, 1, 2, 2]
        ours[3] = frames[3]
        assert len(calls) == 6
        for k in range(4):
            assert ours.id.read_direct_chunk((k, 0, 0)) == plain.id.read_direct_chunk((k, 0, 0))
        np.testing.assert_array_equal(stack[3], h5bragg.decode(
            h5bragg.encode(frames[2:].astype(dtype), geometry))[1])  # fmt: skip


def test_an_error_of_the_device_comes_out_and_nothing_is_lost(
    *, tmp_path: Path, frames: Frames, small_geometry: Geometry, device: Device,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    steps = lane.Lane.steps

    def failing(self: lane.Lane, batch: list[Frames]) -> Any:
        if (batch[0] == frames[2]).all():
            raise DeviceError("the device is lost")
        return steps(self, batch)

    monkeypatch.setattr(lane.Lane, "steps", failing)
    path = tmp_path / "lost.h5"
    with h5py.File(path, "w") as file:
        shape = (1, *small_geometry.shape)
        data = file.create_dataset(
            "data", frames.shape, frames.dtype, chunks=shape, **h5bragg.Bragg(small_geometry)
        )

        def write() -> None:
            with h5bragg.use_gpu(choice(device)):
                for k, frame in enumerate(frames):
                    data[k] = frame
                    file.flush()
                assert "the CPU goes on encoding: the device is lost" in caplog.text

        with pytest.raises(DeviceError, match="the device is lost"):
            write()
    with h5py.File(path) as file:
        chunks = [file["data"].id.read_direct_chunk((k, 0, 0))[1] for k in range(4)]
    assert chunks == [h5bragg.encode(frame, small_geometry) for frame in frames]


def test_one_block_at_a_time(device: Device) -> None:
    with (
        h5bragg.use_gpu(choice(device)),
        pytest.raises(ParameterError, match="already"),
        h5bragg.use_gpu(choice(device)),
    ):
        pass
    with h5bragg.use_gpu(choice(device)):
        pass


# Objects of h5py in reference cycles, which whoever makes objects next has to collect.
_GARBAGE = """
import gc, sys
import h5py, numpy as np, h5bragg
from h5bragg.opencl import lane

def littering(self, frames):
    gc.set_threshold(1, 1, 1)
    _ = [[] for _ in range(10)]
    gc.set_threshold(0)
    return steps(self, frames)

steps, lane.Lane.steps = lane.Lane.steps, littering
geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
                                 beam_center_px=(30, 40), wavelength_m=1e-10)
frame = np.random.default_rng(1).poisson(2, (64, 80)).astype("uint16")
with h5py.File("x", "w", driver="core", backing_store=False) as file:
    data = file.create_dataset("data", (5, 64, 80), "uint16", chunks=(1, 64, 80),
                               **h5bragg.Bragg(geometry))
    with h5bragg.use_gpu(sys.argv[1]):
        for k in range(5):
            gc.set_threshold(0)
            cycle = [file["data"]]
            cycle.append(cycle)
            del cycle
            data[k] = frame
            file.flush()
    assert gc.isenabled()
    assert data.id.read_direct_chunk((4, 0, 0))[1] == h5bragg.encode(frame, geometry)
print("done")
"""


def test_garbage_does_not_stop_it(device: Device) -> None:
    """HDF5 is at work while the device encodes: a thread that wants it meanwhile would wait for
    ever, and be waited for."""
    command = [sys.executable, "-c", _GARBAGE, choice(device)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout == "done\n"
