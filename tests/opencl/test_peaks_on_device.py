# SPDX-License-Identifier: MIT
"""Peaks found within the encoder on a device are those of the C library: every kind of frame."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import FrameWriter, Geometry, PeakParams, Peaks, SparsifyParams, find_peaks
from h5bragg.opencl import Device, GpuEncoder, peak_marks
from h5bragg.stages import Stages

Frames = NDArray[np.integer]
# Neither side a multiple of 4: tiles that hang over every edge.
SHAPE = (163, 206)
MODELS = (
    {},
    {"local_counts": 0, "snr_pick": 2},
    {"error_model": "azimuthal"},
    {"error_model": "azimuthal", "local_counts": 0, "snr_pick": 2},
    {"local_significance": 3.75, "snr_pick": 2, "radial_bins": 25},
)
WANTED = (PeakParams(), PeakParams(snr_pick=5, patch=3, connected=0))


def flat(shape: tuple[int, int] = SHAPE) -> Geometry:
    return Geometry.flat(
        shape=shape,
        pixel_size_m=(1e-4, 1.2e-4),
        distance_m=0.05,
        beam_center_px=(shape[0] / 2.3, shape[1] / 1.8),
        wavelength_m=1e-10,
    )


def panels() -> Geometry:
    """Two panels that meet between tiles, and one whose border cuts tiles."""
    whole = flat()
    panel = whole.panels[0]
    cuts = ((0, 100), (100, 150), (150, SHAPE[1]))
    return Geometry.from_panels(
        [
            replace(
                panel,
                fast=cut,
                origin_m=tuple(np.array(panel.origin_m) + cut[0] * np.array(panel.fast_m)),
            )
            for cut in cuts
        ],
        shape=SHAPE,
        distance_m=whole.distance_m,
        wavelength_m=whole.wavelength_m,
    )


def spotty(mean: float, dtype: str, seed: int, count: int = 150) -> Frames:
    """Two frames of Poisson counts with spots of all strengths and sizes, plateaus and gaps."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    frames = random.poisson(mean, (2, *SHAPE)).astype(np.int64)
    for frame in frames:
        for slow, fast in random.integers(0, np.array(SHAPE) - 3, (count, 2)):
            height = random.exponential(30) if random.random() < 0.9 else 5000
            profile = np.outer([1, 2, 1], [1, 2, 1]) * height / 4
            frame[slow : slow + 3, fast : fast + 3] += random.poisson(profile)
        for slow, fast in random.integers(0, np.array(SHAPE) - 3, (10, 2)):
            frame[slow : slow + 2, fast : fast + 3] = int(mean) + 40
    frames = np.minimum(frames, np.iinfo(kind).max - 2)
    gap, bad = (-1, -2) if kind.kind == "i" else (np.iinfo(kind).max, np.iinfo(kind).max - 1)
    frames[:, 80:85] = frames[:, :, 120:122] = gap
    frames[:, random.integers(0, SHAPE[0], 40), random.integers(0, SHAPE[1], 40)] = bad
    return frames.astype(kind)


def assert_identical(found: Peaks, want: Peaks) -> None:
    for field in fields(Peaks):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(want, field.name))


def check(
    device: Device,
    frames: Frames,
    geometry: Geometry,
    params: SparsifyParams,
    wanted: PeakParams,
    *,
    least: int = 10,
) -> None:
    """Encode on the device; lists and chunks are those of the C library."""
    encoder = GpuEncoder(
        lambda: Stages.of(geometry, params, frames.dtype, peaks=wanted),
        device=device, nlanes=1, threads=2, batch_nframes=len(frames),
    )  # fmt: skip
    try:
        chunks = encoder.submit(list(frames)).result()
    finally:
        encoder.close()
    for chunk, frame in zip(chunks, frames, strict=True):
        want = find_peaks(frame, geometry, params, peaks=wanted)
        assert len(want) >= least
        assert_identical(chunk.peaks[0], want)
        assert chunk == h5bragg.encode(frame, geometry, params)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32"])
def test_every_pixel_type_and_parameter(device: Device, dtype: str, model: dict[str, Any]) -> None:
    for wanted in WANTED:
        check(device, spotty(3, dtype, 1), flat(), SparsifyParams(**model), wanted)


@pytest.mark.parametrize("model", MODELS[:2], ids=str)
@pytest.mark.parametrize("mean", [0.0, 0.01, 0.3, 20, 150])
def test_every_background(device: Device, mean: float, model: dict[str, Any]) -> None:
    for wanted in WANTED:
        check(device, spotty(mean, "uint16", 2), flat(), SparsifyParams(**model), wanted)


@pytest.mark.parametrize("model", MODELS[:2], ids=str)
def test_panels_and_masks(device: Device, model: dict[str, Any]) -> None:
    mask = np.random.default_rng(6).random(SHAPE) < 0.01
    mask[20:40, 30:60] = True
    for geometry in (panels(), flat().with_mask(mask), panels().with_mask(mask)):
        for wanted in WANTED:
            frames = spotty(3, "uint32", 3)
            check(device, frames, geometry, SparsifyParams(**model), wanted)


@pytest.mark.parametrize("seed", range(12))
def test_random_frames(device: Device, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = spotty(random.exponential(4), "uint16", seed, count=int(random.integers(20, 900)))
    wanted = PeakParams(
        snr_pick=random.uniform(4, 9),
        patch=int(random.choice([3, 5])),
        connected=int(random.integers(0, 5)),
    )
    params = SparsifyParams(**MODELS[seed % len(MODELS)])
    check(device, frames, flat(), params, wanted, least=1)


@pytest.mark.usefixtures("device")
def test_frame_writer_hands_over_the_peaks_of_a_device() -> None:
    frames = np.concatenate([spotty(2, "uint16", seed) for seed in range(3)])
    geometry, lists = flat(), []
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset(
            "data", frames.shape, "uint16", chunks=(2, *SHAPE), **h5bragg.Bragg(geometry)
        )
        with FrameWriter(
            data, geometry, peaks=PeakParams(),
            device=os.environ.get("H5BRAGG_TEST_DEVICE", "opencl:portable"),
            on_chunk=lambda chunk: lists.extend(chunk.peaks),
        ) as writer:  # fmt: skip
            writer.write(frames)
    assert len(lists) == 6
    for found, frame in zip(lists, frames, strict=True):
        assert_identical(found, find_peaks(frame, geometry))


def test_the_device_marks_few_tiles_that_have_no_peak(device: Device) -> None:
    frames = spotty(3, "uint16", 7)
    encoder = GpuEncoder(
        lambda: Stages.of(flat(), None, frames.dtype, peaks=PeakParams()),
        device=device, nlanes=1, threads=2, batch_nframes=2,
    )  # fmt: skip
    try:
        chunks = encoder.submit(list(frames)).result()
        marks = encoder._lanes[0]._peaks
        assert marks is not None
        counts = marks.fetch(2)
    finally:
        encoder.close()
    for count, chunk in zip(counts, chunks, strict=True):
        assert len(chunk.peaks[0]) <= count <= 1.3 * len(chunk.peaks[0]) + 5


def test_frames_with_more_peaks_than_there_is_room_for(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak_marks, "_LEAST_ROOM", 20)
    monkeypatch.setattr(peak_marks, "_ROOM_SHARE", 10**6)
    frames = np.concatenate([spotty(3, "uint16", 7), np.zeros((1, *SHAPE), "uint16")])
    frames[2, 50:53, 60:63] = 30
    check(device, frames, flat(), SparsifyParams(), PeakParams(), least=1)
