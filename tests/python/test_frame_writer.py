# SPDX-License-Identifier: MIT
"""FrameWriter: frames land in order, whole, and errors leave what is written readable."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py._objects import phil
from numpy.typing import NDArray

import h5bragg
from h5bragg import (
    DeviceError,
    FrameWriter,
    Geometry,
    GeometryError,
    ParameterError,
    PeakParams,
)
from h5bragg import encoders as encoders_module
from h5bragg.cpu_encoder import CpuEncoder

Frames = NDArray[np.integer]


@pytest.fixture
def frames(small_frame: Callable[..., Frames]) -> Frames:
    return np.stack([small_frame(seed=k) for k in range(7)])


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        yield file


def create(
    file: h5py.File, geometry: Geometry, nframes: int, *, per_chunk: int = 1, **options: Any
) -> h5py.Dataset:
    return file.create_dataset(
        "data",
        shape=(nframes, *geometry.shape),
        chunks=(per_chunk, *geometry.shape),
        **{"dtype": "uint16", **h5bragg.Bragg(geometry), **options},
    )


def chunks_of(data: h5py.Dataset) -> list[bytes]:
    step = data.chunks[0]
    return [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(0, len(data), step)]


def test_chunks_are_those_of_encode(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7)
    with FrameWriter(data, small_geometry, device="cpu", threads=2) as writer:
        writer.write(frames[0])
        writer.write(frames[1:])
    assert chunks_of(data) == [h5bragg.encode(frame, small_geometry) for frame in frames]


def test_frames_are_taken_while_hdf5_is_at_work(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7)
    gc.collect()  # whichever thread lets go of what other tests have left takes h5py's lock
    with FrameWriter(data, small_geometry, device="cpu", threads=1) as writer:
        given = threading.Thread(target=lambda: writer.write(frames))
        with phil:  # which a chunk holds while it is being written
            given.start()
            given.join(timeout=60)
            assert not given.is_alive()
    assert chunks_of(data) == [h5bragg.encode(frame, small_geometry) for frame in frames]


def test_an_array_may_change_as_soon_as_write_returns(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 70)
    buffer = np.empty_like(frames[0])
    with FrameWriter(data, small_geometry, device="cpu", threads=2) as writer:
        for k in range(70):
            buffer[...] = frames[k % 7]
            writer.write(buffer)
            buffer[...] = 9
    expected = [h5bragg.encode(frame, small_geometry) for frame in frames]
    assert chunks_of(data) == expected * 10


def test_without_a_copy_the_future_says_when_the_array_is_free(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7)
    with FrameWriter(data, small_geometry, device="cpu", threads=1) as writer:
        buffer = writer.allocate(1)
        assert buffer.shape == (1, *small_geometry.shape)
        for frame in frames:
            buffer[0] = frame
            writer.write(buffer, copy=False).result(timeout=60)
    assert chunks_of(data) == [h5bragg.encode(frame, small_geometry) for frame in frames]


def test_several_frames_a_chunk_the_last_one_filled_up(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7, per_chunk=3)
    with FrameWriter(data, small_geometry, device="cpu") as writer:
        for frame in frames:
            writer.write(frame)
    last = np.zeros_like(frames[:3])
    last[0] = frames[6]
    stacks = [frames[:3], frames[3:6], last]
    assert chunks_of(data) == [h5bragg.encode(stack, small_geometry) for stack in stacks]


def test_flush_waits_for_whole_chunks(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7, per_chunk=3)
    with FrameWriter(data, small_geometry, device="cpu") as writer:
        writer.write(frames[:5])
        writer.flush()
        assert data.id.get_num_chunks() == 1
        writer.flush()
        last = writer.write(frames[5])
        assert last.result(timeout=60) is None
        assert data.id.get_num_chunks() == 2
        writer.flush()


def test_a_dataset_that_can_grow_grows(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 0, maxshape=(None, *small_geometry.shape))
    with FrameWriter(data, small_geometry, device="cpu") as writer:
        writer.write(frames)
    assert len(data) == 7
    with FrameWriter(data, small_geometry, device="cpu", start=7) as writer:
        writer.write(frames[:2])
    assert chunks_of(data)[7:] == chunks_of(data)[:2]


def test_big_endian_datasets(file: h5py.File, frames: Frames, small_geometry: Geometry) -> None:
    data = create(file, small_geometry, 7, dtype=">u2")
    with FrameWriter(data, small_geometry, device="cpu") as writer:
        writer.write(frames.astype(">u2"))
    native = [h5bragg.decode(h5bragg.encode(frame, small_geometry)) for frame in frames]
    np.testing.assert_array_equal(data[()], native)


def test_frames_that_do_not_fit_are_refused_and_nothing_is_lost(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 3)
    with FrameWriter(data, small_geometry, device="cpu") as writer:
        writer.write(frames[:2])
        with pytest.raises(GeometryError, match="do not fit the geometry"):
            writer.write(frames[:, 1:])
        with pytest.raises(ParameterError, match=r"astype\('uint16'\)"):
            writer.write(frames.astype("uint32"))
        with pytest.raises(ParameterError, match="frame 3 does not fit a dataset of 3 frames"):
            writer.write(frames[:2])
        writer.write(frames[2])
    assert chunks_of(data) == [h5bragg.encode(frame, small_geometry) for frame in frames[:3]]
    with pytest.raises(ParameterError, match="closed"):
        writer.write(frames[0])


def test_datasets_that_do_not_suit_are_refused(file: h5py.File, small_geometry: Geometry) -> None:
    shape = small_geometry.shape
    plain = file.create_dataset("plain", (2, *shape), "uint16", chunks=(1, *shape))
    with pytest.raises(ParameterError, match="h5bragg's filter"):
        FrameWriter(plain, small_geometry)
    data = create(file, small_geometry, 4, per_chunk=2)
    with pytest.raises(ParameterError, match="not the first of a chunk of 2"):
        FrameWriter(data, small_geometry, start=1)
    other = Geometry.flat(shape=(10, 10), pixel_size_m=1e-4, distance_m=0.1,
                          beam_center_px=(5, 5), wavelength_m=1e-10)  # fmt: skip
    with pytest.raises(GeometryError, match="give the geometry of these frames"):
        FrameWriter(data, other)
    with pytest.raises(ParameterError, match="auto, cpu, gpu or opencl:NAME"):
        FrameWriter(data, small_geometry, device="cuda")


def test_an_encoder_that_fails_leaves_what_is_written(
    file: h5py.File,
    frames: Frames,
    small_geometry: Geometry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(CpuEncoder):
        def _encode(self, batch: Any) -> list[bytes]:
            if (batch[0] == frames[4]).all():
                raise DeviceError("the device is lost")
            return super()._encode(batch)

    monkeypatch.setattr(encoders_module, "CpuEncoder", Failing)
    data = create(file, small_geometry, 7)
    writer = FrameWriter(data, small_geometry, device="cpu", threads=1)

    def write_all() -> None:
        with writer:
            for frame in frames:
                writer.write(frame)
            writer.flush()

    with pytest.raises(DeviceError, match="the device is lost"):
        write_all()
    assert data.id.get_num_chunks() == 4
    for k in range(4):
        np.testing.assert_array_equal(
            data[k], h5bragg.decode(h5bragg.encode(frames[k], small_geometry))
        )


def test_memory_stays_bounded_while_nothing_is_written(
    file: h5py.File,
    frames: Frames,
    small_geometry: Geometry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Counting(CpuEncoder):
        def allocate(self, nframes: int) -> Frames:
            made.append(nframes)
            return super().allocate(nframes)

    monkeypatch.setattr(encoders_module, "CpuEncoder", Counting)
    data = create(file, small_geometry, 100)
    with FrameWriter(data, small_geometry, device="cpu", threads=2) as writer:
        for k in range(100):
            writer.write(frames[k % 7])
    assert sum(made) <= 4


def test_auto_falls_back_to_the_cpu_and_says_so(
    file: h5py.File,
    frames: Frames,
    small_geometry: Geometry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyopencl", None)
    data = create(file, small_geometry, 7)
    caplog.set_level(logging.INFO, "h5bragg")
    with FrameWriter(data, small_geometry, threads=2) as writer:
        assert writer.device_name == "the CPU, 2 threads"
        writer.write(frames)
    assert "encoding on the CPU, 2 threads: pyopencl cannot be imported" in caplog.text
    with pytest.raises(DeviceError, match="pip install h5bragg"):
        FrameWriter(data, small_geometry, device="gpu")


def test_frames_with_too_few_peaks_are_left_out_and_others_move_up(
    file: h5py.File, small_geometry: Geometry
) -> None:
    frames = np.zeros((6, *small_geometry.shape), "uint16")
    for k, npeaks in enumerate([3, 0, 5, 1, 2, 4]):
        for i in range(npeaks):
            frames[k, 20 * i + 8 : 20 * i + 10, 50:53] = 40 + k
    data = create(file, small_geometry, 0, maxshape=(None, *small_geometry.shape))
    found = []
    with FrameWriter(
        data, small_geometry, device="cpu", threads=2, peaks=PeakParams(), min_peaks=2,
        on_chunk=lambda chunk: found.append(len(chunk.peaks[0])),
    ) as writer:  # fmt: skip
        for frame in frames:
            writer.write(frame)
    assert found == [3, 0, 5, 1, 2, 4]
    np.testing.assert_array_equal(data[:, 8, 50], [40, 42, 44, 45])


def test_peaks_come_with_chunks_of_several_frames(
    file: h5py.File, frames: Frames, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7, per_chunk=3)
    found = []
    with FrameWriter(
        data, small_geometry, device="cpu", peaks=PeakParams(connected=0),
        on_chunk=lambda chunk: found.extend(chunk.peaks),
    ) as writer:  # fmt: skip
        writer.write(frames)
    assert len(found) == 9
    for peaks, frame in zip(found, frames, strict=False):
        want = h5bragg.find_peaks(frame, small_geometry, peaks=PeakParams(connected=0))
        assert len(want) > 10
        np.testing.assert_array_equal(peaks.intensity, want.intensity)


def test_leaving_out_frames_needs_peaks_and_chunks_of_one_frame(
    file: h5py.File, small_geometry: Geometry
) -> None:
    data = create(file, small_geometry, 7)
    with pytest.raises(ParameterError, match="min_peaks=3 needs peaks"):
        FrameWriter(data, small_geometry, min_peaks=3)
    with pytest.raises(ParameterError, match="peaks of 2 sigma where 4 sigma are stored"):
        FrameWriter(data, small_geometry, device="cpu", peaks=PeakParams(snr_pick=2))


NEVER_CLOSED = """
import sys, h5py, h5bragg, numpy as np
geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
                                 beam_center_px=(30, 40), wavelength_m=1e-10)
file = h5py.File(sys.argv[1], "w")
data = file.create_dataset("data", (0, 64, 80), "uint16", maxshape=(None, 64, 80),
                           chunks=(2, 64, 80), **h5bragg.Bragg(geometry))
writer = h5bragg.FrameWriter(data, geometry, device="cpu")
writer.write(np.random.default_rng(1).poisson(3, (5, 64, 80)).astype("uint16"))
"""


def test_a_writer_that_is_never_closed_writes_its_frames_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "forgotten.h5"
    subprocess.run([sys.executable, "-c", NEVER_CLOSED, str(path)], check=True, timeout=60)
    frames = np.random.default_rng(1).poisson(3, (5, 64, 80)).astype("uint16")
    with h5py.File(path) as file:
        assert file["data"].shape == frames.shape
        for chunk, k in zip(chunks_of(file["data"]), (0, 2, 4), strict=True):
            restored = h5bragg.decode(chunk)[: len(frames) - k]
            assert abs(restored.mean() - frames[k : k + 2].mean()) < 0.1


FORKED = """
import gc, os
child = os.fork()
if child == 0:
    del writer
    gc.collect()
    raise SystemExit(0)
assert os.waitpid(child, 0)[1] == 0
writer.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_ends_without_the_threads_of_an_open_writer(tmp_path: Path) -> None:
    path = tmp_path / "forked.h5"
    script = NEVER_CLOSED + FORKED
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    with h5py.File(path) as file:
        assert file["data"].shape == (5, 64, 80)
