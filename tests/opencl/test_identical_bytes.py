# SPDX-License-Identifier: MIT
"""The encoder on a device writes the bytes that the C library writes: every kind of frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, SparsifyParams
from h5bragg.opencl import Device, GpuEncoder
from h5bragg.stages import Stages

Frames = NDArray[np.integer]
DTYPES = ("uint8", "uint16", "uint32", "int16", "int32")
# Neither side a multiple of 4: tiles that hang over every edge.
SHAPE = (163, 206)
MODELS = (
    {},
    {"local_counts": 0, "snr_pick": 2},
    {"error_model": "azimuthal"},
    {"error_model": "hybrid", "local_counts": 0, "snr_pick": 1.5},
    {"local_significance": 3.75, "local_step": 3, "coarse_limit": 64},
    {"local_significance": 1.5, "snr_pick": 2, "radial_bins": 25, "polarization": None},
)


def flat(shape: tuple[int, int] = SHAPE, mask: NDArray[np.bool_] | None = None) -> Geometry:
    geometry = Geometry.flat(
        shape=shape,
        pixel_size_m=(1e-4, 1.2e-4),
        distance_m=0.05,
        beam_center_px=(shape[0] / 2.3, shape[1] / 1.8),
        wavelength_m=1e-10,
    )
    return geometry if mask is None else geometry.with_mask(mask)


def with_spots(frame: Frames, random: np.random.Generator, most: int = 200) -> Frames:
    for row, column in random.integers(2, np.array(frame.shape[-2:]) - 2, (30, 2)):
        frame[..., row - 1 : row + 2, column - 1 : column + 2] += random.integers(0, most, (3, 3))
    return frame


def with_codes(frame: Frames, dtype: str) -> Frames:
    kind = np.dtype(dtype)
    gap, bad = (-1, -2) if kind.kind == "i" else (np.iinfo(kind).max, np.iinfo(kind).max - 1)
    frame[..., 80:85, :] = gap
    frame[..., :, 100:103] = gap
    frame[..., 10:12, 20:23] = bad
    frame[..., -1, -1] = bad
    return frame.astype(kind)


def counts(mean: float, dtype: str, *, codes: bool = True, seed: int = 1) -> Frames:
    """Three frames of Poisson counts around a mean that falls with the radius, spots, gaps."""
    random = np.random.default_rng(seed)
    profile = 2 * np.exp(-((flat().two_theta_rad() / 0.6) ** 2)) + 0.2
    frames = with_spots(random.poisson(mean * profile, (3, *SHAPE)), random)
    frames = np.minimum(frames, np.iinfo(dtype).max - 2)
    return with_codes(frames, dtype) if codes else frames.astype(dtype)


@contextmanager
def encoder_of(
    device: Device,
    frames: Frames,
    geometry: Geometry,
    params: SparsifyParams | None = None,
    *,
    per_chunk: int = 1,
    batch: int | None = None,
    nlanes: int = 1,
) -> Iterator[GpuEncoder]:
    encoder = GpuEncoder(
        lambda: Stages.of(geometry, params, frames.dtype, nframes=per_chunk),
        device=device,
        nlanes=nlanes,
        threads=2,
        batch_nframes=batch or len(frames),
    )
    try:
        yield encoder
    finally:
        encoder.close()


def check(
    device: Device,
    frames: Frames,
    geometry: Geometry,
    params: SparsifyParams | None = None,
    *,
    alone: int | None = 0,
) -> None:
    """Encode on the device and in C; `alone` is how many frames C has to encode by itself."""
    with encoder_of(device, frames, geometry, params) as encoder:
        chunks = encoder.submit(list(frames)).result()
        assert alone is None or encoder.frames_alone == alone
    for chunk, frame in zip(chunks, frames, strict=True):
        assert chunk == h5bragg.encode(frame, geometry, params)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pixel_type_and_parameter(device: Device, dtype: str, model: dict[str, Any]) -> None:
    check(device, counts(3.0, dtype), flat(), SparsifyParams(**model))


@pytest.mark.parametrize("model", MODELS[:2], ids=str)
@pytest.mark.parametrize("mean", [0.0, 0.005, 0.05, 0.4, 12, 40, 150, 3000])
def test_every_background(device: Device, mean: float, model: dict[str, Any]) -> None:
    # Where most pixels have no counter, C counts all of them.
    alone = 3 if mean >= 40 else 0
    frames = counts(mean, "uint16")
    encoder_alone = alone if model or mean >= 40 else 0
    check(device, frames, flat(), SparsifyParams(**model), alone=encoder_alone)


@pytest.mark.parametrize("model", MODELS[:4], ids=str)
@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_negative_counts(device: Device, dtype: str, model: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    frames = with_spots(np.rint(random.normal(1.5, 3, (2, *SHAPE))).astype(int), random)
    params = SparsifyParams(mask_codes=(int(np.iinfo(dtype).min),), **model)
    check(device, frames.astype(dtype), flat(), params, alone=2)
    frames[frames < -3] = 3
    frames[frames < 0] %= 2
    frames[:, ::9, ::7] = -2
    check(device, frames.astype(dtype), flat(), params)


WIDE = SparsifyParams(mask_codes=(-(2**31),))


def wide(mean: float) -> Frames:
    """Two frames that are not all counts: boxes of them do not fit in bytes."""
    random = np.random.default_rng(6)
    frames = with_spots(random.poisson(mean, (2, *SHAPE)), random, 60).astype("int32")
    frames[:, ::11, ::13] = -3
    frames[:, 80:83] = -(2**31)
    return frames


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("mean", [0.5, 8, 40])
def test_boxes_that_do_not_fit_in_bytes(device: Device, mean: float, has_mask: bool) -> None:
    mask = np.random.default_rng(3).random(SHAPE) < 0.02
    check(device, wide(mean), flat(mask=mask if has_mask else None), WIDE)


def test_a_device_without_doubles_leaves_such_frames_to_c(device: Device) -> None:
    frames = np.concatenate([wide(8)[:1], counts(1.0, "int32", codes=False)])
    with encoder_of(device, frames, flat(), WIDE) as encoder:
        encoder._lanes[0]._has_doubles = False
        chunks = encoder.submit(list(frames)).result()
        assert encoder.frames_alone == 1
    assert chunks == [h5bragg.encode(frame, flat(), WIDE) for frame in frames]


def test_frames_for_c_alone_among_others(device: Device) -> None:
    dark, bright = counts(1.0, "uint16"), counts(3000.0, "uint16")
    with encoder_of(device, dark, flat(), batch=4) as encoder:
        for frames in ([bright[0], dark[0], bright[1]], [dark[1], bright[2], dark[2], dark[0]]):
            chunks = encoder.submit(frames).result()
            assert chunks == [h5bragg.encode(frame, flat()) for frame in frames]
        assert encoder.frames_alone == 3


@pytest.mark.parametrize("model", MODELS[:2], ids=str)
def test_a_static_mask(device: Device, model: dict[str, Any]) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[30:47, 60:91] = mask[:, 3] = mask[-1] = True
    mask[np.random.default_rng(2).random(SHAPE) < 0.01] = True
    check(device, counts(1.0, "uint16"), flat(mask=mask), SparsifyParams(**model))


@pytest.mark.parametrize("model", MODELS[:2], ids=str)
def test_panels_that_leave_tiles_without_a_ring(device: Device, model: dict[str, Any]) -> None:
    panel = flat((80, 100)).panels[0]
    panels = [
        replace(panel, slow=(slow, slow + 80), fast=(fast, fast + 100))
        for slow in (0, 83)
        for fast in (0, 106)
    ]
    geometry = Geometry.from_panels(panels, shape=SHAPE, distance_m=0.05, wavelength_m=1e-10)
    check(device, counts(1.0, "uint16"), geometry, SparsifyParams(**model))


@pytest.mark.parametrize("model", MODELS[:3], ids=str)
def test_frames_that_are_no_pattern(device: Device, model: dict[str, Any]) -> None:
    random = np.random.default_rng(4)
    frames = np.stack([
        random.integers(0, 65535, SHAPE),  # stored whole
        np.full(SHAPE, 7),
        np.full(SHAPE, 65535),  # all masked
        3 * random.poisson(2, SHAPE),  # far from Poisson's
        random.poisson(np.where(np.arange(SHAPE[1]) % 60 < 20, 0.8, 2.0), SHAPE),
    ]).astype("uint16")  # fmt: skip
    check(device, frames, flat(), SparsifyParams(**model), alone=None)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 4), (16, 4), (5, 260)])
def test_small_frames(device: Device, shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(7).poisson(2, (2, *shape)).astype("uint16")
    check(device, frames, flat(shape), alone=None)


def test_chunks_of_several_frames(device: Device) -> None:
    frames = np.concatenate([counts(1.0, "uint16"), counts(4.0, "uint16", seed=3)])
    with encoder_of(device, frames, flat(), per_chunk=3, batch=4) as encoder:
        assert encoder.batch_nframes == 6
        chunks = encoder.submit(list(frames)).result()
    assert chunks == [h5bragg.encode(frames[i : i + 3], flat()) for i in (0, 3)]


def test_batches_side_by_side_do_not_disturb_one_another(device: Device) -> None:
    batches = [counts(0.5 + k, "uint16", seed=k) for k in range(6)]
    with encoder_of(device, batches[0], flat(), nlanes=3) as encoder:
        futures = [encoder.submit(list(batch)) for batch in batches]
        for batch, future in zip(batches, futures, strict=True):
            assert future.result() == [h5bragg.encode(frame, flat()) for frame in batch]


def test_big_endian_files(device: Device) -> None:
    frames = counts(2.0, "uint16")
    stages = Stages.of(flat(), None, np.dtype(">u2"))
    encoder = GpuEncoder(lambda: stages, device=device, nlanes=1, threads=1, batch_nframes=1)
    assert encoder.submit([frames[0]]).result() == [h5bragg.encode(frames[0].astype(">u2"), flat())]
    encoder.close()


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS[:2], ids=str)
def test_real_frames(
    device: Device, real_frame: Callable[[str], Any], model: dict[str, Any]
) -> None:
    for name in ("thau_3_2_0003.cbf.bz2", "DLS_I03_smargon_0001.cbf.gz"):
        frame = real_frame(name)
        params = SparsifyParams(**model)
        alone = None if model else 0
        check(device, frame.pixels[np.newaxis], frame.geometry, params, alone=alone)
